"""The entry of ``python -m gpu_check``: the command, or one section of it."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - any interpreter may be given
    print(
        f"gpu-check: Python 3.11 or later is needed, this is {sys.version.split()[0]}; see PYTHON=", file=sys.stderr
    )
    sys.exit(2)

if sys.argv[1:2] == ["--section"]:  # what the command starts
    from gpu_check.sections import run_section

    run_section(sys.argv[2], sys.argv[3])
else:
    import signal

    from gpu_check.command import main

    # a time limit from outside ends the sections, too
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
