"""How fast, how big, how far: ratios of Caelus to something bare, measured in one run.

`python -m bench` runs all of it, in a checkout with the extra `test` installed.
"""
