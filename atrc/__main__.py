"""Runs the command line: ``python -m atrc``."""

from atrc.cli import run

run()
