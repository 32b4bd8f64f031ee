"""The documentation: links lead somewhere, commands exist, the reference is complete, examples run."""

from __future__ import annotations

import importlib
import inspect
import math
import re
import shlex
import sys
import types
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import typer
import yaml

from analysis.views import VIEWS
from atrc.cli import app
from atrc.config import load_config, preset_names
from atrc.contexts import CONTEXTS
from atrc.data import DATASETS
from atrc.data.planted import CONTENTS
from atrc.distillation import DISTILLATIONS
from atrc.machine.stopping import Stop
from atrc.setup import Setup
from atrc.supernets import SUPERNETS
from atrc.tasks import TASKS
from atrc.training.scoring import SCORERS, Scoring, build_scorer
from searchspace import SPACES
from strategies import STRATEGIES, Trial

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
OTHER = ("#", "http://", "https://", "mailto:")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def dead_links(page: Path) -> list[str]:
    """Relative links of a page to files that are not there."""
    links = LINK.findall(CODE.sub("", page.read_text()))
    targets = [link.partition("#")[0] for link in links if not link.startswith(OTHER)]
    return [target for target in targets if not (page.parent / target).exists()]


def command_lines(text: str, program: str = "atrc") -> Iterator[list[str]]:
    """The words of every ``atrc ...`` in the shell blocks of a page, without comments and variables before it."""
    for shell in SHELL.findall(text):
        for line in shell.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words.pop(0)
            if words and words[0] == program:
                yield words


@cache
def group() -> Any:
    return typer.main.get_command(app)


def complaint(words: list[str]) -> str | None:
    """What is wrong with a command line: no such command, option or key of a config, too few or too many words."""
    command, rest = group(), words[1:]
    while hasattr(command, "commands"):
        if not rest or rest[0] not in command.commands:
            return f"{' '.join(words)}: no such command"
        command = command.commands[rest.pop(0)]
    try:
        given = command.make_context(command.name, list(rest)).params  # parses, and runs nothing
        if given.get("config") in preset_names():
            load_config(given["config"], given["override"] or [])
    except Exception as error:
        return f"{' '.join(words)}: {error}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files(page: Path) -> None:
    assert dead_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_exist_with_their_options(page: Path) -> None:
    assert [wrong for words in command_lines(page.read_text()) if (wrong := complaint(words))] == []


def test_the_checks_see_what_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](page.md#x) [b](gone.md) ![c](gone.png) [d](https://example.org/gone)")
    assert dead_links(page) == ["gone.md", "gone.png"]
    wrong = ["atrc serch demo", "atrc search demo --sed 1", "atrc predict run", "atrc search demo -s train.step=1"]
    lines = ["ATRC_DATA=x atrc search demo  # finds", *wrong]
    found = [complaint(words) for words in command_lines("\n".join(["```sh", *lines, "```\n"]))]
    assert [bool(one) for one in found] == [False, True, True, True, True]


def test_pages_name_commands_at_all() -> None:
    assert sum(len(list(command_lines(page.read_text()))) for page in PAGES) > 50


def test_make_has_the_targets_that_pages_name() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {words[1] for page in PAGES for words in command_lines(page.read_text(), "make")}
    assert "demo" in named
    assert sorted(named - targets) == []


def test_every_page_is_in_the_navigation() -> None:
    def files(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in entry.values() if isinstance(entry, dict) else entry:
                yield from files(inner)

    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    assert sorted(files(navigation)) == sorted(str(page.relative_to(ROOT / "docs")) for page in PAGES[1:])


@pytest.mark.parametrize(
    "package", ["searchspace", "strategies", "atrc", "analysis", "strategies.testing", "atrc.testing"]
)
def test_the_reference_has_every_public_name(package: str) -> None:
    page = ROOT / "docs" / "reference" / f"{package.split('.')[0]}.md"
    shown = set(re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE))
    public = {f"{package}.{name}" for name in importlib.import_module(package).__all__}
    assert sorted(public - shown) == []


def test_the_reference_shows_what_exists() -> None:
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        for path in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE):
            module, _, name = path.rpartition(".")
            assert hasattr(importlib.import_module(module), name) or importlib.import_module(path), path


def python_blocks(page: str) -> list[str]:
    return PYTHON.findall((ROOT / "docs" / page).read_text())


def run(code: str, monkeypatch: pytest.MonkeyPatch, name: str = "page") -> dict[str, Any]:
    """What a page's code defines; it is a module, as the classes in it expect."""
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(code, name, "exec"), module.__dict__)
    return module.__dict__


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page registers is gone after the test."""
    of_networks = (CONTEXTS, DISTILLATIONS, SUPERNETS)
    for registry in (STRATEGIES, SPACES, TASKS, DATASETS, CONTENTS, SCORERS, VIEWS, *of_networks):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))


@pytest.mark.slow
@pytest.mark.usefixtures("registries")
def test_strategies_and_space_of_the_pages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("\n".join(python_blocks("strategies.md")), monkeypatch)["test_half_random_conforms"]()
    *parts, space, _ = python_blocks("tutorials/own-parts.md")
    for code in parts:
        run(code, monkeypatch, code.splitlines()[0].removeprefix("# ").removesuffix(".py"))
    sys.modules["test_my_strategy"].test_plain_softmax_conforms()
    run(space, monkeypatch, "__main__")
    assert "Genotype(activations; layer0: sine, layer1: sine)" in capsys.readouterr().out


@pytest.mark.usefixtures("registries")
def test_parts_of_the_tutorial_work(monkeypatch: pytest.MonkeyPatch) -> None:
    context, task, *_ = python_blocks("tutorials/own-parts.md")
    row = run(context, monkeypatch, "my_context")["RowContext"](6, 8, 4)
    assert row(torch.randn(2, 6, 5, 7), torch.randn(2, 8, 5, 7), None).shape == (2, 4, 5, 7)
    window = run(task, monkeypatch, "my_task")["Window"]()
    label = torch.tensor([[[0, 1], [255, 1]]], dtype=torch.uint8)
    metric = window.metric()
    metric.update(window.decode(torch.stack([1.0 - label, 1.0 * label], 1)), label)
    assert metric.compute() == 100
    assert window.loss(torch.zeros(1, 2, 2, 2), label).item() == pytest.approx(math.log(2))


@pytest.mark.usefixtures("registries")
def test_the_tutorial_tests_its_own_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path))
    context, task, *_, space, tests = python_blocks("tutorials/own-parts.md")
    for name, code in (("my_context", context), ("my_task", task), ("my_space", space)):
        run(code, monkeypatch, name)
    found = [test for name, test in run(tests, monkeypatch).items() if name.startswith("test_")]
    assert len(found) == 5
    for test in found:
        test()


def named_blocks(page: str) -> dict[str, str]:
    """Name of the module, as the first line of a block of Python says -> the block."""
    return {code.splitlines()[0].removeprefix("# ").removesuffix(".py"): code for code in python_blocks(page)}


@pytest.mark.parametrize("file", ["kernels.py", "windows.py", "kernels.yaml"])
def test_the_page_on_spaces_shows_the_files_of_the_example(file: str) -> None:
    page = (ROOT / "docs/tutorials/own-space.md").read_text()
    shown = re.findall(r"^```(?:python|yaml)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert (ROOT / "docs/examples/kernels" / file).read_text() in shown


@pytest.mark.usefixtures("registries")
def test_the_page_on_spaces_tests_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels, windows, crossed, few_rows, tests = python_blocks("tutorials/own-space.md")
    run(windows, monkeypatch, "windows")
    made = run("\n".join((kernels, crossed, few_rows)), monkeypatch, "kernels")
    checks = run(tests, monkeypatch)
    checks["test_kernels"]()
    checks["test_few_rows"]()
    setup = Setup(load_config("planted2", ["space={name: crossed}"]))
    assert dict(setup.genotype("crossed") or {}) == {"a": "row", "b": "column"}
    assert isinstance(setup.supernet(), made["KernelNetwork"])


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(("page", "tests"), [("own-distillation", 1), ("own-scorer", 2)])
def test_a_tutorial_tests_its_own_part(
    page: str, tests: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = [run(code, monkeypatch, name) for name, code in named_blocks(f"tutorials/{page}.md").items()]
    found = [test for name, test in made[-1].items() if name.startswith("test_")]
    assert len(found) == tests
    for test in found:
        test(*[tmp_path for _ in inspect.signature(test).parameters])


@pytest.mark.slow
@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    ("answer", "rank"), [({}, 20), ({"dataset.answer": "{a: {a: column}, b: {b: square}, c: {c: row}}"}, None)]
)
def test_the_proxy_ranks_kernels_as_the_page_says(
    answer: dict[str, str], rank: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels, windows, *_ = python_blocks("tutorials/own-space.md")
    scorer, _ = python_blocks("tutorials/own-scorer.md")
    for name, code in (("kernels", kernels), ("windows", windows), ("my_scorer", scorer)):
        run(code, monkeypatch, name)
    options = ["plugins=[]", "trials.scorer={name: gradient_norm, images: 64}"]
    given = [f"{key}={value}" for key, value in answer.items()]
    setup = Setup(load_config(str(ROOT / "docs/examples/kernels/kernels.yaml"), options + given))
    scoring = Scoring.of(setup, setup.train(), seed=0, device=torch.device("cpu"), stop=Stop())
    score = build_scorer(scoring)
    ranked = sorted(setup.space.enumerate(), key=lambda genotype: score(Trial(0, genotype)).value, reverse=True)
    assert list(ranked[0].values()) == ["point", "point", "point"]
    if rank is not None:
        assert list(ranked[rank - 1].values()) == ["row", "column", "point"]


def test_own_network_examples_run(monkeypatch: pytest.MonkeyPatch) -> None:
    known, _, search = python_blocks("how-to/own-network.md")
    assert run(known, monkeypatch)["atrc"].region_tasks == {"semseg"}
    assert run(search, monkeypatch)["loss"].isfinite()


def test_what_the_readme_says_of_importance_is_what_was_measured() -> None:
    """Of how many targets the block on the diagonal matters most."""
    table = pd.read_csv(ROOT / "runs/published/rooms4_short/analysis/importance.csv")
    leading = table.loc[table.groupby("target")["delta_m"].idxmax()]
    assert (leading["target"] == leading["source"]).sum() == 2
    assert set(leading[leading["target"] != leading["source"]]["source"]) == {"semseg"}
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert "For two of four targets, context from the task itself matters most." in readme
    assert "Depth and normals depend on segmentation just as much." in readme
