"""The entry of ``python -m gpu_check``: the command, or one section of it."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    sys.exit(
        f"gpu-check: Python 3.11 or later is needed, and this is {sys.version.split()[0]}: make gpu-check PYTHON=..."
    )

if sys.argv[1:2] == ["--section"]:  # what the command starts
    from gpu_check.sections import run_section

    run_section(sys.argv[2], sys.argv[3])
else:
    from gpu_check.command import main

    sys.exit(main(sys.argv[1:]))
