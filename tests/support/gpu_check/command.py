"""The command: what is missing, one process per section, a table, a JSON file, and an exit status.

It needs Python alone. Exit status: 0 if every check was made and passed, 1 if one failed, 2 for bad input, and if
checks could not be made because something is missing or time ran out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from gpu_check.report import summary, table, write_atomically
from gpu_check.sections import DISTRIBUTIONS, ENVIRONMENT, SECTIONS, Section

__all__ = ["main"]

ROOT = Path(__file__).parents[3]
FORMAT = "atrc-gpu-check/1"
SECONDS = 450.0


@dataclass
class Found:
    """What came of a section.

    Attributes:
        section: The section.
        status: ``ok``, ``failed``, ``skipped`` or ``not run``.
        why: Reason, in one line.
        seconds: Seconds that it took.
        rows: Rows that it wrote.
        output: The end of what it printed, if it did not end as it should.
    """

    section: Section
    status: str = "ok"
    why: str = ""
    seconds: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    output: str = ""

    def as_json(self) -> dict[str, Any]:
        """The section in the JSON file."""
        return {
            "name": self.section.name,
            "title": self.section.title,
            "status": self.status,
            "why": self.why,
            "seconds": round(self.seconds, 1),
            "rows": self.rows,
            **({"output": self.output} if self.output else {}),
        }


def main(words: Sequence[str]) -> int:
    """Runs the check and returns its exit status."""
    try:
        options = _options(words)
    except _BadInput as wrong:
        return _refuse(str(wrong))
    begun = time.monotonic()
    missing = [name for name in DISTRIBUTIONS if not _importable(name)]
    _name_missing(missing, options)
    if "torch" in missing:
        return _refuse("without torch nothing can be checked; give another interpreter: make gpu-check PYTHON=...")
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        try:
            return _check(options, missing, begun, Path(folder))
        except KeyboardInterrupt:
            print("gpu-check: stopped", file=sys.stderr)
            return 130


def _check(options: Options, missing: Sequence[str], begun: float, folder: Path) -> int:
    first = _run(ENVIRONMENT, options, begun, folder)
    environment: dict[str, Any] = {}
    for other in first.others:
        environment |= other.get("environment", {})
    unusable = next((other["unusable"] for other in first.others if "unusable" in other), first.why or "torch failed")
    if unusable:
        return _refuse(unusable)
    device = environment.get("device", {}).get("name", options.device)
    print(f"gpu-check: {device}, torch {environment['torch']['version']}, Python {environment['python']}")
    if options.device != "cpu":
        _name_missing_tools(environment)
    found: list[Found] = []
    status, said = 2, ""
    for section in options.sections:
        found.append(_found(section, options, missing, begun, folder))
        one = found[-1]
        print(table(section.title, one.status, one.why, one.seconds, one.rows), flush=True)
        rest = len(options.sections) - len(found)
        status, said = summary(
            [*(one.status for one in found), *["not run"] * rest],
            [row["status"] for one in found for row in one.rows],
        )
        report = {
            "format": FORMAT,
            "passed": status == 0,
            "summary": said,
            "device": options.device,
            "quick": options.quick,
            "seconds": round(time.monotonic() - begun, 1),
            "missing": [{"module": name, "package": DISTRIBUTIONS[name]} for name in missing],
            "environment": environment,
            "sections": [one.as_json() for one in found],
        }
        try:  # after every section, so that a check that is stopped leaves what it found
            write_atomically(options.out, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            return _refuse(f"{options.out} cannot be written: {error.strerror or error}")
    print(f"\ngpu-check: {said}, in {time.monotonic() - begun:.0f} s; {options.out}")
    return status


def _found(section: Section, options: Options, missing: Sequence[str], begun: float, folder: Path) -> Found:
    """Runs a section if nothing that it needs is missing, and if there is time."""
    lacking = [DISTRIBUTIONS[name] for name in section.needs if name in missing]
    if lacking:
        return Found(section, "skipped", f"cannot be imported: {', '.join(lacking)}")
    if options.seconds - (time.monotonic() - begun) < section.least:
        return Found(section, "not run", "out of time")
    return _run(section, options, begun, folder)


# -- options -------------------------------------------------------------------------------------------------


class _BadInput(Exception):
    """Bad input, in one line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _BadInput(message)


@dataclass(frozen=True)
class Options:
    """The options of the command."""

    device: str
    quick: bool
    seconds: float
    out: Path
    sections: tuple[Section, ...]


def _options(words: Sequence[str]) -> Options:
    parser = _Parser(prog="gpu-check", description="Check on one GPU what only a GPU can show. Nothing is installed.")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, ...; cpu, to try the check itself")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything runs")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time for all sections (default: %(default)g)")
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"), help="JSON file (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="NAME,...", help=", ".join(one.name for one in SECTIONS))
    read = parser.parse_args(list(words))
    if not (read.device == "cpu" or read.device == "cuda" or read.device.removeprefix("cuda:").isdigit()):
        raise _BadInput(f"--device must be cpu, cuda or cuda:NUMBER, got {read.device!r}")
    if not 0 < read.seconds < 1e6:
        raise _BadInput(f"--seconds must be positive, got {read.seconds:g}")
    known = {one.name: one for one in SECTIONS}
    wanted = [name.strip() for name in read.only.split(",") if name.strip()] or list(known)
    for name in wanted:
        if name not in known:
            raise _BadInput(f"--only knows no section {name!r}; known: {', '.join(known)}")
    if not os.access(read.out.parent, os.W_OK) or read.out.is_dir():
        raise _BadInput(f"--out {read.out} cannot be written")
    sections = tuple(one for one in SECTIONS if one.name in wanted)
    return Options(read.device, read.quick, read.seconds, read.out.absolute(), sections)


def _refuse(message: str) -> int:
    print(f"gpu-check: {message}", file=sys.stderr)
    return 2


# -- what is missing -----------------------------------------------------------------------------------------


def _importable(name: str) -> bool:
    """Whether a module is found; it is not imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _name_missing(missing: Iterable[str], options: Options) -> None:
    """Prints a line for every missing package: its name, and the sections that are not complete without it."""
    for name in missing:
        without = [one.name for one in options.sections if name in one.needs]
        less = [one.name for one in options.sections if name in one.wants and options.device != "cpu"]
        if without:
            print(f"gpu-check: missing: {DISTRIBUTIONS[name]}; skipped: {', '.join(without)}", file=sys.stderr)
        elif less:
            print(f"gpu-check: missing: {DISTRIBUTIONS[name]}; incomplete: {', '.join(less)}", file=sys.stderr)


def _name_missing_tools(environment: dict[str, Any]) -> None:
    """Prints a line for what Triton needs to build its launchers. It may have them in its cache, so nothing stops."""
    if not environment["compiler"]:
        print("gpu-check: missing: a C compiler (gcc), with which Triton builds launchers", file=sys.stderr)
    if not environment["python_headers"]:
        print("gpu-check: missing: Python.h, with which Triton builds launchers", file=sys.stderr)


# -- a section -----------------------------------------------------------------------------------------------


def _run(section: Section, options: Options, begun: float, folder: Path) -> Found:
    """Runs a section in a process of its own, shows what it does, and ends it when its time is over."""
    own = folder / section.name
    own.mkdir()
    start = time.monotonic()
    left = options.seconds - (start - begun)
    limit = max(min(section.most, left), 1.0)
    given = {"device": options.device, "quick": options.quick, "seconds": limit, "folder": str(own)}
    command = [sys.executable, "-m", "gpu_check", "--section", section.name, json.dumps(given)]
    with (own / "output.txt").open("w+", encoding="utf-8", errors="replace") as output:
        # A session of its own: what it started (compilers, workers) ends with it.
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=ROOT, env=_variables(options, folder), start_new_session=True
        )
        reader = _Reader(own / "rows.jsonl", section, begun)
        try:
            while process.poll() is None and time.monotonic() - start < limit:
                reader.read()
                time.sleep(0.05)
        finally:
            timed_out = process.poll() is None
            _end(process)
        reader.read()
        output.seek(0)
        printed = output.read()[-8000:]
    found = Found(section, rows=reader.rows, others=reader.others, seconds=time.monotonic() - start)
    if timed_out and limit < section.most:
        found.status, found.why = "not run", f"out of time during: {reader.last}"
    elif timed_out:
        found.status, found.why = "failed", f"stopped after {limit:.0f} s during: {reader.last}"
    elif process.returncode:
        code = process.returncode
        died = f"signal {-code}" if code < 0 else f"exit status {code}"
        last = next(iter(reversed(printed.strip().splitlines())), "")
        found.status, found.why = "failed", f"{died} during: {reader.last}; {last[:200]}"
    elif any(row["status"] == "failed" for row in found.rows):
        found.status = "failed"
    elif not found.rows and section is not ENVIRONMENT:
        found.status, found.why = "failed", "it checked nothing"
    if found.status != "ok":
        found.output = printed
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a section and what it started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _variables(options: Options, folder: Path) -> dict[str, str]:
    """Environment variables of a section: this project is found first, and rendered rooms go into the folder."""
    found = dict(os.environ)
    paths = [str(ROOT), str(ROOT / "tests" / "support"), *filter(None, [found.get("PYTHONPATH")])]
    found |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    found.setdefault("ATRC_CACHE", str(folder / "cache"))
    if options.device != "cpu":
        found.pop("TRITON_INTERPRET", None)  # it would interpret the kernels on the processor
    else:
        found.setdefault("OMP_NUM_THREADS", "1")  # small tensors are fastest on one thread
    return found


class _Reader:
    """Reads rows as they are written, and shows what a section does."""

    def __init__(self, file: Path, section: Section, begun: float) -> None:
        self.rows: list[dict[str, Any]] = []
        self.others: list[dict[str, Any]] = []
        self.last = "its start"
        self._file, self._section, self._begun, self._read = file, section, begun, 0

    def read(self) -> None:
        """Reads the complete lines that were added."""
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            content = json.loads(line)
            if "check" in content:
                self.rows.append(content)
            elif "begin" in content:
                self.last = content["begin"]
                seconds = time.monotonic() - self._begun
                print(f"[{seconds:4.0f} s] {self._section.name}: {self.last}", file=sys.stderr, flush=True)
            else:
                self.others.append(content)
