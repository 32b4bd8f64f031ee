"""Runs the command line: ``python -m atrc``."""

from atrc.cli import main

main()
