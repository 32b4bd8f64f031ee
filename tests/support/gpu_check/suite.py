"""The tests that need a device, run by pytest in this process, with a row for each."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gpu_check.rows import Given, Rows

__all__ = ["attention", "search"]

TESTS = Path(__file__).parents[2]


def attention(given: Given, rows: Rows) -> None:
    """Runs the tests of local attention."""
    files = [TESTS / "gpu" / "test_attention.py"]
    if given.device.startswith("cuda"):  # elsewhere Triton need not be installed
        files.append(TESTS / "atrc" / "contexts" / "test_triton.py")
    _run(given, rows, files)


def search(given: Given, rows: Rows) -> None:
    """Runs the tests of searches, metrics and clipping."""
    _run(given, rows, [TESTS / "gpu" / "test_searches.py", TESTS / "gpu" / "test_metrics.py"])


def _run(given: Given, rows: Rows, files: list[Path]) -> None:
    os.environ["ATRC_TEST_DEVICE"] = given.device
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # whatever plugins that machine has
    outcomes = Outcomes(rows)
    # No conftest.py: those of the whole suite import what a machine with a GPU may lack.
    options = ["--noconftest", "-p", "no:cacheprovider", "-rN", "--no-header", "--tb=short"]
    if given.quick:
        options += ["-k", "quick or metric or clip"]
    code = pytest.main([*options, *map(str, files)], plugins=[outcomes])
    count, total = outcomes.count, sum(outcomes.count.values())
    said = ", ".join(f"{number} {outcome}" for outcome, number in sorted(count.items())) or "no test was found"
    passed = count["passed"] and not count["failed"] and int(code) == 0
    status = "skipped" if total and count["skipped"] == total else "ok" if passed else "failed"
    why = said if status != "failed" or count["failed"] else f"{said}; pytest ended with {int(code)}"
    rows.add("all tests", status, why)


class Outcomes:
    """A plugin of pytest that writes a row for every test, and for a file that cannot be collected."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.count: Counter[str] = Counter()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Names the test that begins."""
        self.rows.begin(nodeid.rpartition("/")[2])

    def pytest_collectreport(self, report: Any) -> None:
        """Writes a row for a file that cannot be imported, or that skips itself."""
        if report.failed or report.skipped:
            self._row(report, report.outcome)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Writes a row for the outcome of a test."""
        if report.when == "call" or not report.passed:
            self._row(report, report.outcome)

    def _row(self, report: Any, outcome: str) -> None:
        self.count[outcome] += 1
        name = report.nodeid.rpartition("/")[2]
        numbers = {"s": round(getattr(report, "duration", 0.0), 2)}
        if outcome == "passed":
            self.rows.add(name, "ok", "", numbers, brief=True)
        elif outcome == "skipped":
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.rows.add(name, "skipped", reason.removeprefix("Skipped: "), numbers, brief=True)
        else:
            text = str(report.longrepr)
            last = next((line for line in text.splitlines() if line.startswith("E ")), text.strip()[-200:])
            self.rows.add(
                name, "failed", " ".join(last.removeprefix("E").split())[:240], numbers, detail=text[-4000:]
            )
