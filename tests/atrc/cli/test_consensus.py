"""The command ``atrc consensus``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atrc.config import Config
from atrc.experiments import create_search, create_train
from atrc.runs import Result, RunDirectory
from searchspace import CPSpace, load_genotype

from .conftest import Command

SPACE = CPSpace(["semseg", "depth", "normals", "edge"])


def search(config: Config, folder: str, **found: str) -> list[RunDirectory]:
    """Finished searches of these contexts, named by their seeds: ``s0``."""
    seeds = [int(seed[1:]) for seed in found]
    runs = create_search(config.model_copy(update={"seeds": seeds}), folder)
    for run, context in zip(runs, found.values(), strict=True):
        run.write_genotype(SPACE.uniform(context))
        run.write_result(Result({}, 8, 32, 1.0, 1, 1))
    return runs


def test_a_table_and_what_comes_next(atrc: Command, config: Config) -> None:
    search(config, "runs/tiny-test", s0="global", s1="local", s2="global")
    (unfinished,) = create_search(config.model_copy(update={"seeds": [3]}), "runs/tiny-test")
    said = atrc("consensus", "runs/tiny-test")
    assert said.status == 0
    lines = said.out.splitlines()
    assert lines[0].split() == ["choice", "option", "found", "by", "margin", "tie", "broken", "by"]
    assert lines[1].split() == ["semseg<-semseg", "global", "2", "of", "3", "0.33"]
    assert len(lines) == 1 + 16 + 2
    assert lines[-2] == "Keep it:   atrc consensus runs/tiny-test -o tiny-test_consensus.json"
    assert lines[-1] == "Train it:  atrc train runs/tiny-test/search/seed0/config.yaml -m tiny-test_consensus.json"
    assert [line for line in said.err.splitlines() if line.startswith("consensus:")] == [
        f"consensus: left out: search {unfinished.path} is not finished; continue it with: "
        f"atrc resume {unfinished.path}"
    ]
    assert not Path("tiny-test_consensus.json").exists()


def test_the_genotype_is_written_and_can_be_trained(atrc: Command, config: Config) -> None:
    search(config, "my runs", s0="global", s1="local")
    said = atrc("consensus", "my runs", "-o", "new/agreed.json")
    assert said.out.splitlines()[-2:] == [
        "genotype in new/agreed.json",
        "Train it:  atrc train 'my runs/search/seed0/config.yaml' -m new/agreed.json -o 'my runs'",
    ]
    said_in_full = " ".join(said.out.split())  # a narrow screen breaks the line
    assert "first in the space of global, local: no search has probabilities" in said_in_full
    assert load_genotype(Path("new/agreed.json")) == SPACE.uniform("global")
    assert [path.name for path in Path("new").iterdir()] == ["agreed.json"]
    (made,) = create_train(config, ["new/agreed.json"], "my runs")
    assert made.path == Path("my runs/agreed/seed0")
    assert made.genotype() == SPACE.uniform("global")


def test_json_and_one_search(atrc: Command, config: Config) -> None:
    (run,) = search(config, "runs", s5="s_label")
    said = atrc("consensus", run.path, "--json")
    shown = json.loads(said.out)
    assert shown["genotype"] == SPACE.uniform("s_label").to_json()
    assert (shown["searches"], shown["unfinished"]) == ([str(run.path)], [])
    assert shown["remarks"] == [f"only one search, so the consensus is the genotype of {run.path}"]
    assert said.err == f"consensus: {shown['remarks'][0]}\n"
    assert shown["blocks"][1] == {
        "choice": "semseg<-depth",
        "option": "s_label",
        "votes": 1,
        "genotypes": 1,
        "share": 1.0,
        "margin": 1.0,
        "tied": [],
        "broken_by": "",
    }


def test_it_says_the_same_again(atrc: Command, config: Config) -> None:
    search(config, "runs", s0="global", s1="local", s10="none")
    first, again = (atrc("consensus", *order) for order in (["runs"], ["runs/search/seed10", "runs", "runs/search"]))
    assert first.out.splitlines()[:-2] == again.out.splitlines()[:-2]


def test_searches_that_are_not_alike_are_named_by_key(atrc: Command, config: Config) -> None:
    search(config, "one", s0="global", s1="global")
    search(config.model_copy(update={"search": config.search.model_copy(update={"lr": 0.5})}), "two", s0="global")
    said = atrc("consensus", "one", "two")
    assert said.status == 0
    assert said.err == ("consensus: the searches differ: search.lr is 0.02 (one/search) and 0.5 (two/search)\n")
    assert said.out.splitlines()[-1].endswith("-m tiny-test_consensus.json")  # no folder: which one?


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nowhere"], "nowhere is not a directory of runs: it does not exist"),
        (["trained"], "no search among the runs in trained; make one with: atrc search"),
        (["begun"], "search begun/search/seed0 is not finished; continue it with: atrc resume begun/search/seed0"),
        (["done", "-o", "agreed"], "--out agreed must end in .json"),
        (["done", "-o", "done/search/seed0/run.json/x.json"], "x.json cannot be written: "),
        (["done", "fewer"], "searches of different tasks have no consensus: done/search/seed0 has semseg, depth"),
        ([], "Missing argument"),
    ],
)
def test_bad_input_is_one_line(atrc: Command, config: Config, arguments: list[str], part: str) -> None:
    search(config, "done", s0="global", s1="global")
    create_search(config, "begun")
    create_train(config, ["multi"], "trained")
    (run,) = create_search(config.model_copy(update={"tasks": {"semseg": {}, "depth": {}}}), "fewer")
    run.write_result(Result({}, 8, 32, 1.0, 1, 1))
    said = atrc("consensus", *arguments)
    assert said.status == 2
    assert said.err.startswith("atrc: ")
    assert part in said.err
    assert said.err.count("\n") == 1
    assert not Path("agreed").exists()


def test_the_model_of_train_and_experiment(atrc: Command, config_file: Path) -> None:
    quick = ("-s", "train.steps=1", "-s", "search.steps=2", "-s", "tasks={depth: {}}", "-q", "-o", "runs")
    said = atrc("train", config_file, "-m", "consensus", *quick)
    assert said.status == 2
    assert said.err == (
        "atrc: model 'consensus' needs a finished search in runs/search, and there is none; make some with: "
        "atrc search\n"
    )
    assert not Path("runs").exists()
    said = atrc("train", config_file, "-m", "consensu", *quick)
    assert (said.status, "did you mean 'consensus'?" in said.err) == (2, True)
    said = atrc("experiment", config_file, "-m", "consensus", "-m", "multi", *quick, "-j", "1")
    assert said.status == 0, said.err
    assert RunDirectory.open("runs/consensus/seed0").finished
    assert "consensus" in said.out  # a row of the table
