"""The command line ``atrc``. Commands print what they made; wrong input gives one line and exit status 2."""

from __future__ import annotations

import importlib
import os
import sys
from typing import NoReturn

import typer
from rich.console import Console
from typer.exceptions import TyperException

from atrc.cli._app import app
from atrc.machine.ending import end_process
from atrc.machine.imports import own_process
from atrc.machine.spinning import spin_briefly
from atrc.machine.stopping import Interrupted
from searchspace.errors import InputError

__all__ = ["app", "main", "run"]

_COMMANDS = (
    *("_runs", "_consensus", "_models", "_boundaries", "_resources", "_data", "_analysis", "_paper"),
    *("_lists", "_recovery", "_cpbench", "_lookup", "_bench"),
)
"""Modules that add their commands when they are imported, in the order of ``atrc --help``."""
for _module in _COMMANDS:
    importlib.import_module(f"atrc.cli.{_module}")


def main() -> None:
    """Runs a command. A user's mistake becomes one line on stderr."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except InputError as error:
        _complain(str(error))
        sys.exit(2)
    except TyperException as error:  # a wrong option or argument
        _complain(error.format_message())
        sys.exit(2)
    except Interrupted as stopped:
        _complain(str(stopped), style="yellow")
        sys.exit(130)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:  # `atrc ... | head` closed its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def run() -> NoReturn:
    """Runs a command in a process of its own, and ends it."""
    own_process()
    spin_briefly()
    try:
        main()
    except SystemExit as ended:
        end_process(ended.code if isinstance(ended.code, int) else 1)
    end_process()


def _complain(message: str, style: str = "red") -> None:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print("atrc:", style=style, end=" ")
    console.print(" ".join(message.split()), markup=False)
