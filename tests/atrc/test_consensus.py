"""The consensus of searches, read from their folders, trained by an experiment."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from analysis import load_runs
from analysis.genotypes import consensus, with_consensus
from atrc.config import Config, parse_config
from atrc.experiments import create_train, execute_experiment
from atrc.experiments.consensus import consensus_of_searches, last_probabilities
from atrc.experiments.plan import plan_train
from atrc.runs import Result, RunDirectory, RunSpec, find_runs
from atrc.setup import Setup
from searchspace import Genotype, InputError

Put = Callable[..., RunDirectory]
TASKS = ("depth", "edge")


@pytest.fixture
def short(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Two tasks and two steps, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    steps = {name: getattr(config, name).model_copy(update={"steps": 2}) for name in ("search", "train")}
    return config.model_copy(update={**steps, "tasks": {"depth": {}, "edge": {"thresholds": 5}}, "log_every": 1})


@pytest.fixture
def put(short: Config) -> Put:
    """Writes a search ``runs/search/seedK`` that found these contexts, and says these probabilities, or nothing."""

    def write(
        seed: int, contexts: str, said: Mapping[str, Mapping[str, float]] | None = None, *, finished: bool = True
    ) -> RunDirectory:
        run = RunDirectory.create(Path(f"runs/search/seed{seed}"), RunSpec("search", "search", seed), short)
        run.write_genotype(found(short, contexts))
        if said is not None:
            run.append("architecture.jsonl", {"step": 1, "probabilities": {choice: {} for choice in said}})
            run.append("architecture.jsonl", {"step": 2, "probabilities": said})
        if finished:
            run.write_result(Result({}, 2, 8, 1.0, 1, 1))
        return run

    return write


def found(config: Config, contexts: str) -> Genotype:
    """A genotype from the first letters of its four contexts."""
    space = Setup.of(config).space
    named = {"n": "none", "g": "global", "l": "local", "t": "t_label", "s": "s_label"}
    return space.genotype(dict(zip(space, (named[letter] for letter in contexts), strict=True)))


def says(config: Config, **options: float) -> dict[str, dict[str, float]]:
    return {choice: dict(options) for choice in Setup.of(config).space}


class TestOfSearches:
    def test_votes_and_ties(self, short: Config, put: Put) -> None:
        """Two of three say something, by which local beats global in the second block."""
        runs = [put(0, "gggn"), put(1, "glgn", says(short, **{"global": 0.3, "local": 0.6}))]
        runs.append(put(2, "gntg", says(short, **{"global": 0.3, "local": 0.6})))
        agreed = consensus_of_searches(runs)
        assert agreed.genotype == found(short, "glgn")
        assert [vote.votes for vote in agreed.found.votes] == [3, 1, 2, 2]
        assert agreed.found.votes[1].tied == ("none", "global")
        assert agreed.found.votes[1].broken_by == (
            "mean log probability (of 2 of 3 searches): local -0.511, global -1.2, none -inf"
        )
        assert agreed.remarks() == []

    def test_other_runs_and_unfinished_searches_do_not_count(self, short: Config, put: Put) -> None:
        runs = [put(0, "gggg"), put(1, "llll", finished=False), *create_train(short, ["multi"], "runs")]
        agreed = consensus_of_searches([*runs, RunDirectory.open(runs[0].path.absolute())])
        assert agreed.genotype == found(short, "gggg")
        assert [run.path for run in agreed.searches] == [runs[0].path]
        assert agreed.remarks() == [
            "left out: search runs/search/seed1 is not finished; continue it with: atrc resume runs/search/seed1",
            "only one search, so the consensus is the genotype of runs/search/seed0",
        ]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"tasks": {"depth": {}}}, "different tasks .* runs/search/seed0 has depth, edge; other has depth$"),
            (
                {"space": {"name": "cp", "contexts": ["none", "global"]}},
                "different spaces .* runs/search/seed0 has the space cp .*; other has cp .*'contexts': ",
            ),
            ({"space": {"name": "bmtas"}}, "different spaces .*; other has bmtas "),
        ],
    )
    def test_searches_that_do_not_go_together(
        self, short: Config, put: Put, changes: dict[str, object], message: str
    ) -> None:
        config = parse_config(json.dumps({**short.model_dump(mode="json"), **changes}), "test")
        other = RunDirectory.create(Path("other"), RunSpec("search", "search", 0), config)
        other.write_result(Result({}, 2, 8, 1.0, 1, 1))
        with pytest.raises(InputError, match=message):
            consensus_of_searches([put(0, "gggg"), other])

    def test_nothing_to_count(self, short: Config, put: Put) -> None:
        with pytest.raises(InputError, match="no search among these runs"):
            consensus_of_searches(create_train(short, ["multi"], "runs"))
        with pytest.raises(InputError, match=r"none of the 2 searches is finished; .* atrc resume runs/search/seed0"):
            consensus_of_searches([put(seed, "gggg", finished=False) for seed in (0, 1)])
        run = put(2, "gggg")
        (run.path / "genotype.json").unlink()
        with pytest.raises(InputError, match=r"runs/search/seed2/genotype\.json does not exist"):
            consensus_of_searches([run])

    def test_probabilities_of_a_tree_under_other_names_are_left_out(self, short: Config) -> None:
        """A node of another name has other options; votes are counted with canonical names."""
        config = parse_config(json.dumps({**short.model_dump(mode="json"), "space": {"name": "bmtas"}}), "test")
        space = Setup.of(config).space
        run = RunDirectory.create(Path("run"), RunSpec("search", "search", 0), config)
        assert last_probabilities(run, space) is None
        for tree, kept in (("edge", False), ("depth", True)):
            parents = {choice: tree if choice.startswith("head") else choice.partition(":")[2] for choice in space}
            said = {choice: {"depth": 0.1, "edge": 0.1, parents[choice]: 0.9} for choice in space}
            run.append("architecture.jsonl", {"step": 1, "probabilities": said})
            assert (last_probabilities(run, space) is not None) is kept, tree

    def test_what_is_not_finite_says_nothing(self, short: Config, put: Put) -> None:
        run = put(0, "gggg", says(short, **{"global": float("nan")}))
        assert last_probabilities(run, Setup.of(short).space) is None

    def test_figures_show_the_same_consensus(self, short: Config, put: Put) -> None:
        runs = [put(0, "gggn", says(short, **{"global": 0.3, "local": 0.6})), put(1, "llgn")]
        shown = with_consensus(load_runs("runs"), short.name)
        assert shown["consensus"] == consensus_of_searches(runs).genotype == found(short, "llgn")
        assert consensus([run.genotype() for run in runs]) == found(short, "gggn")  # by the order of the space


class TestTraining:
    def test_an_experiment_trains_it_after_its_searches(
        self, short: Config, capsys: pytest.CaptureFixture[str]
    ) -> None:
        both = short.model_copy(update={"seeds": [0, 1]})
        execute_experiment(both, "runs", ["consensus", "multi"], quiet=True)
        searches = [RunDirectory.open(f"runs/search/seed{seed}") for seed in (0, 1)]
        agreed = consensus_of_searches(searches).genotype
        for seed in (0, 1):
            run = RunDirectory.open(f"runs/consensus/seed{seed}")
            assert run.finished
            assert run.genotype() == agreed
            sources = ("../../search/seed0", "../../search/seed1")
            assert run.spec == RunSpec("train", "consensus", seed, source=sources)
        assert "consensus: " not in capsys.readouterr().err  # nothing to remark
        before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*") if path.is_file()}
        execute_experiment(both, "runs", ["consensus", "multi"], quiet=True)
        assert before == {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*") if path.is_file()}
        models = list(dict.fromkeys(load_runs("runs").frame["model"]))
        assert models == ["multi", "search", "retrain", "consensus"]

    def test_an_experiment_goes_on_with_it(self, short: Config) -> None:
        """A run of it that was begun is continued, one that is missing is made."""
        both = short.model_copy(update={"seeds": [0, 1]})
        execute_experiment(both, "runs", [], quiet=True)
        (begun,) = create_train(short, ["consensus"], "runs")
        assert not begun.finished
        execute_experiment(both, "runs", ["consensus"], quiet=True)
        assert [run.finished for run in find_runs(["runs/consensus"])] == [True, True]

    def test_one_that_is_none_any_more_is_refused(self, short: Config, put: Put) -> None:
        put(0, "gggg")
        put(1, "gggg")
        (run,) = create_train(short, ["consensus"], "runs")
        put(2, "llll")
        with pytest.raises(InputError, match="already exists; continue it with: atrc resume"):
            create_train(short, ["consensus"], "runs")  # two of three still agree
        put(3, "llll")
        put(4, "llll")
        run.write_result(Result({}, 2, 8, 1.0, 1, 1))
        execute_experiment(short.model_copy(update={"seeds": [0, 1]}), "runs", [], quiet=True)
        with pytest.raises(InputError) as caught:
            execute_experiment(short, "runs", ["consensus"], quiet=True)
        assert str(caught.value) == (
            "run runs/consensus/seed0 trained another genotype (runs/consensus/seed0/genotype.json) than the "
            "consensus of the 5 finished searches in runs/search; remove runs/consensus, or give another --out"
        )

    def test_searches_are_needed(self, short: Config, put: Put) -> None:
        with pytest.raises(InputError) as caught:
            create_train(short, ["multi", "consensus"], "runs")
        assert str(caught.value) == (
            "model 'consensus' needs a finished search in runs/search, and there is none; make some with: atrc search"
        )
        put(0, "gggg", finished=False)
        with pytest.raises(InputError, match=r"there is none; continue one with: atrc resume runs/search$"):
            create_train(short, ["consensus"], "runs")
        assert not Path("runs/multi").exists()

    def test_searches_of_another_space(self, short: Config, put: Put) -> None:
        put(0, "gggg")
        fewer = short.model_copy(update={"tasks": {"depth": {}}})
        with pytest.raises(InputError, match="the searches in runs/search do not fit config 'tiny-test': "):
            create_train(fewer, ["consensus"], "runs")

    def test_what_should_be_known_is_said(self, short: Config, put: Put, capsys: pytest.CaptureFixture[str]) -> None:
        put(0, "gggg")
        put(1, "gggg", finished=False)
        other = short.model_copy(update={"search": short.search.model_copy(update={"lr": 0.5})})
        run = RunDirectory.create(Path("runs/search/seed10"), RunSpec("search", "search", 10), other)
        run.write_genotype(found(short, "llll"))
        run.write_result(Result({}, 2, 8, 1.0, 1, 1))
        planned = plan_train(short.model_copy(update={"seeds": [3, 4]}), ["consensus"], "runs")
        assert [str(one.path) for one in planned] == ["runs/consensus/seed3", "runs/consensus/seed4"]
        assert capsys.readouterr().err.splitlines() == [
            "consensus: left out: search runs/search/seed1 is not finished; continue it with: atrc resume "
            "runs/search/seed1",
            "consensus: the searches in runs/search differ in search",
        ]

    def test_a_run_without_sources_is_read(self, short: Config) -> None:
        """As all were, before there was a consensus."""
        (run,) = create_train(short, ["multi"], "runs")
        (run.path / "run.json").write_text('{"kind": "train", "model": "multi", "seed": 0}')
        assert RunDirectory.open(run.path).spec == RunSpec("train", "multi", 0)
