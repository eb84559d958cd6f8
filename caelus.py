"""Run Caelus from a checkout: `python caelus.py COMMAND` is `caelus COMMAND` once installed."""

from caelus.cli import run

if __name__ == "__main__":
    run()
