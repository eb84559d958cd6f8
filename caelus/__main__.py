"""`python -m caelus COMMAND` is `caelus COMMAND`."""

from caelus.cli import run

run()
