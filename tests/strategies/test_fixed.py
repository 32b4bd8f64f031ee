"""Genotypes given by rule or by file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from searchspace import RELEASED, CPSpace, InputError, Selection, ToySpace, UnknownNameError, from_codes
from strategies import Fixed, build_strategy, resolve_genotype
from strategies.testing import supernet_problem

TASKS = ("semseg", "depth", "normals", "edge")
SPACE = CPSpace(TASKS)


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ("all-none", "none"),
        ("all-global", "global"),
        ("all-local", "local"),
        ("all-t_label", "t_label"),
        ("all-t-label", "t_label"),
        ("all-s_label", "s_label"),
        ("all-s-label", "s_label"),
    ],
)
def test_rules(text: str, context: str) -> None:
    genotype = resolve_genotype(text, SPACE)
    expected = {f"{t}<-{s}": "t_label" if t == s and context == "s_label" else context for t in TASKS for s in TASKS}
    assert dict(genotype) == expected


def test_names_are_those_of_the_space() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown genotype 'all-local'.*\(space 'toy'\)"):
        resolve_genotype("all-local", ToySpace())
    with pytest.raises(
        UnknownNameError, match=r"unknown genotype 'all-locl' \(space 'cp'\), did you mean 'all-local'"
    ):
        resolve_genotype("all-locl", SPACE)
    assert resolve_genotype("all-o1", ToySpace(3, 2)) == ToySpace(3, 2).genotype(
        dict.fromkeys(("c0", "c1", "c2"), "o1")
    )


def test_files_of_ours_and_released_ones(tmp_path: Path) -> None:
    genotype = from_codes(*RELEASED["nyud_hrnet18"])
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    ours.write_text(json.dumps(genotype.to_json()))
    rows = RELEASED["nyud_hrnet18"][1].split()
    data = {t: dict(zip(TASKS, map(int, row), strict=True)) for t, row in zip(TASKS, rows, strict=True)}
    theirs.write_text(json.dumps({"data": data, "step": 40000}))
    assert resolve_genotype(str(ours), SPACE) == genotype
    assert resolve_genotype(str(theirs), SPACE) == genotype


@pytest.mark.parametrize(
    "tasks", [("semseg", "depth"), ("semseg", "depth", "normals", "saliency"), (*TASKS, "saliency")]
)
def test_a_file_for_other_tasks_is_refused(tmp_path: Path, tasks: tuple[str, ...]) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps(CPSpace(tasks).uniform("local").to_json()))
    with pytest.raises(InputError, match=r"saliency|depth<-normals|semseg<-normals"):
        resolve_genotype(str(path), SPACE)


def test_neither_a_rule_nor_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.json does not exist"):
        resolve_genotype(str(tmp_path / "nothing.json"), SPACE)


def test_the_supernet_computes_its_genotype_and_nothing_else() -> None:
    genotype = from_codes(*RELEASED["nyud_hrnet18"])
    strategy = Fixed(SPACE, genotype=genotype)
    problem = supernet_problem(strategy, 3)
    assert problem.search.run() == genotype
    assert problem.supernet is not None
    assert problem.supernet.calls == dict.fromkeys(genotype.items(), 3)
    assert problem.supernet.selections == [Selection.of(genotype)] * 3
    assert strategy.num_parameters() == 0
    assert strategy.penalty() is None


def test_state_carries_the_genotype() -> None:
    one, other = Fixed(SPACE, genotype="all-local"), Fixed(SPACE, genotype="all-global")
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert other.genotype() == SPACE.uniform("local")
    with pytest.raises(InputError):
        Fixed(CPSpace(["semseg"]), genotype="all-local").load_state_dict(one.state_dict())


def test_a_genotype_is_needed_and_must_fit() -> None:
    with pytest.raises(InputError, match=r"strategy 'fixed'.*genotype"):
        build_strategy("fixed", SPACE, seed=0)
    with pytest.raises(InputError):
        Fixed(SPACE, genotype=CPSpace(["semseg"]).uniform("local"))
