"""The check itself, tried on a CPU: its file and verdicts, what is missing, what fails, crashes or takes too long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gpu_check import command, resume
from gpu_check.report import summary, table
from gpu_check.rows import DeviceLost, Given, Rows
from gpu_check.sections import SECTIONS, Section

ROOT = Path(__file__).parents[2]


def check(*words: str, cwd: Path, path: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(filter(None, [path, str(ROOT / "tests" / "support")]))
    environment = {**os.environ, "PYTHONPATH": paths, **variables}
    return subprocess.run(
        [sys.executable, "-m", "gpu_check", *words], cwd=cwd, env=environment, capture_output=True, text=True
    )


def checked(section: str, folder: Path) -> list[dict]:
    """Rows of a section that passes on a CPU."""
    done = check("--device", "cpu", "--quick", "--only", section, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout.splitlines()[-1]
    report = json.loads((folder / "gpu-check.json").read_text())
    assert (report["format"], report["passed"], report["quick"]) == ("atrc-gpu-check/1", True, True)
    assert report["environment"]["torch"]["version"] == torch.__version__
    (found,) = report["sections"]
    assert (found["name"], found["status"]) == (section, "ok")
    assert {row["status"] for row in found["rows"]} == {"ok"}
    rows: list[dict] = found["rows"]
    return rows


def test_local_attention_on_a_cpu(tmp_path: Path) -> None:
    rows = checked("attention-nyud", tmp_path)
    forms = {row["check"].rpartition(": ")[2]: row["numbers"] for row in rows}
    assert {"tiled", "unfold"} <= set(forms)
    assert all(one["ms"] > 0 and 0 <= one["error"] < 1e-4 for one in forms.values())


def test_a_search_step_on_a_cpu(tmp_path: Path) -> None:
    single, mixed, both = checked("search-step", tmp_path)
    assert single["check"].endswith("float32")
    assert mixed["check"].endswith("bfloat16")
    assert single["numbers"]["images/s"] == pytest.approx(2000 / single["numbers"]["ms"])
    assert 0 < both["numbers"]["apart"] < 0.05


def test_a_resumed_run_on_a_cpu(tmp_path: Path) -> None:
    twice, resumed = checked("resume", tmp_path)
    assert "the same run twice" in twice["check"]
    assert "resumed" in resumed["check"]
    assert resumed["numbers"]["tensors"] > 1000


def test_the_tests_run_on_a_cpu(tmp_path: Path) -> None:
    rows = checked("attention-tests", tmp_path)
    assert rows[-1]["why"] == f"{len(rows) - 1} passed"


BLOCKED = """
import os, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in os.environ["BLOCKED"].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""


def test_what_is_missing_is_named_and_the_rest_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)
    missing = "pydantic,PIL,torchmetrics,pytest,typer,rich,optuna,nni,hypothesis"
    words = "--device", "cpu", "--quick", "--only", "attention-nyud,resume,attention-tests"
    done = check(*words, cwd=tmp_path, path=str(tmp_path), BLOCKED=missing)
    assert done.returncode == 2, done.stdout + done.stderr
    said = [line for line in done.stderr.splitlines() if "missing" in line]
    assert said == [
        "gpu-check: missing: pydantic; skipped: resume",
        "gpu-check: missing: pillow; skipped: resume",
        "gpu-check: missing: torchmetrics; skipped: resume",
        "gpu-check: missing: pytest; skipped: attention-tests",
    ]
    sections = json.loads((tmp_path / "gpu-check.json").read_text())["sections"]
    assert [one["status"] for one in sections] == ["ok", "skipped", "skipped"]
    assert "a resumed run: skipped, cannot be imported: pydantic, pillow, torchmetrics" in done.stdout
    assert "INCOMPLETE" in done.stdout.splitlines()[-1]


def test_without_torch_nothing_is_tried(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)
    done = check(cwd=tmp_path, path=str(tmp_path), BLOCKED="torch,numpy")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("gpu-check: without torch nothing can be checked")


def test_a_torch_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')")
    done = check("--only", "resume", cwd=tmp_path, path=str(tmp_path))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "ImportError: libcudart.so.12: cannot open" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "gpu"], "--device must be cpu, cuda or cuda:NUMBER, got 'gpu'"),
        (["--only", "resum"], "--only knows no section 'resum'; known: attention-nyud, "),
        (["--seconds", "0"], "--seconds must be positive, got 0"),
        (["--seconds", "long"], "invalid float value: 'long'"),
        (["--out", "no/such/folder.json"], "--out no/such/folder.json cannot be written"),
        (["--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_bad_input_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    done = check("--only", "resume", cwd=tmp_path, TRITON_INTERPRET="1")
    assert done.returncode == 2
    assert "sees no CUDA device; --device cpu runs the same code" in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


# -- what goes wrong -----------------------------------------------------------------------------------------


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    return Rows(Given("cpu", True, 60.0, tmp_path))


def written(rows: Rows) -> list[dict]:
    return [json.loads(line) for line in (rows.given.folder / "rows.jsonl").read_text().splitlines()]


def raising(error: Exception):
    def work() -> tuple[dict, str]:
        raise error

    return work


def test_an_error_is_a_row_and_the_next_check_runs(rows: Rows) -> None:
    rows.check("first", raising(ValueError("no\nsuch size")))
    rows.check("second", lambda: ({"ms": float("nan")}, ""))
    rows.check("third", lambda: ({"ms": 1.0}, "too slow"))
    first, second, third = (row for row in written(rows) if "check" in row)
    assert (first["status"], first["why"]) == ("failed", "ValueError: no such size")
    assert "raise error" in first["detail"]
    assert (second["status"], second["numbers"]) == ("ok", {"ms": None})
    assert (third["status"], third["why"]) == ("failed", "too slow")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("out of resource: shared memory, Required: 262144, Hardware limit: 232448"), False),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
    ],
)
def test_memory_that_is_too_small_is_known(rows: Rows, error: Exception, expected: bool) -> None:
    assert rows.attempt(raising(error)).out_of_memory is expected


def test_an_error_that_stays_ends_the_section(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    def still_wrong(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    rows.device = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "synchronize", still_wrong)
    with pytest.raises(DeviceLost, match="illegal memory access"):
        rows.attempt(lambda: 1)
    assert written(rows)[-1]["status"] == "failed"


def run(section: Section, tmp_path: Path) -> command.Found:
    options = command.Options("cpu", True, 60.0, tmp_path / "out.json", (section,))
    return command._run(section, options, time.monotonic(), tmp_path)


def test_a_section_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    found = run(replace(SECTIONS[2], most=0.5), tmp_path)
    assert (found.status, found.why[:19]) == ("failed", "stopped after 1 s d")
    assert found.seconds < 10


def test_a_section_that_dies_is_a_failure_with_its_last_words(tmp_path: Path) -> None:
    found = run(replace(SECTIONS[0], name="no-such-section"), tmp_path)
    assert found.status == "failed"
    assert found.why.startswith("exit status 1 during: its start; StopIteration")
    assert "Traceback" in found.output


def test_what_differs_in_two_states_is_named() -> None:
    one = {"a": torch.tensor([1.0, float("nan")]), "b": [1, {"c": torch.zeros(2)}], "seconds": 1.0, "d": 2}
    same = {"a": torch.tensor([1.0, float("nan")]), "b": [1, {"c": torch.zeros(2)}], "seconds": 9.0, "d": 2}
    assert list(resume.bits_that_differ(one, same)) == []
    other = {"a": torch.tensor([1.0, 2.0]).bfloat16(), "b": [1, {"c": torch.full((2,), -0.0)}], "seconds": 1.0}
    assert list(resume.bits_that_differ(one, other)) == [
        "a (shape or type)",
        "b[1].c (by 0)",
        ".d (in one alone)",
    ]


def test_skipped_is_not_passed() -> None:
    assert summary(["ok"], ["ok", "note"])[0] == 0
    assert summary(["ok", "skipped"], ["ok"])[0] == 2
    assert summary(["ok", "not run"], ["ok"])[0] == 2
    assert summary(["ok"], ["ok", "not run"])[0] == 2
    assert summary(["ok", "failed", "skipped"], ["ok"])[0] == 1


def test_the_table_has_a_column_for_every_number() -> None:
    rows = [
        {"check": "triton", "status": "ok", "why": "", "numbers": {"ms": 1.25, "quartiles ms": [1.0, 2.0]}},
        {"check": "unfold", "status": "note", "why": "out of memory", "numbers": {}},
        {"check": "a test", "status": "ok", "why": "", "numbers": {"s": 1.0}, "brief": True},
    ]
    assert table("attention", "ok", "", 3.0, rows).splitlines()[1:] == [
        "attention: ok (3 s)",
        "  verdict  check     ms  quartiles ms",
        "  ok       triton  1.25        1 .. 2",
        "  note     unfold                      out of memory",
    ]
