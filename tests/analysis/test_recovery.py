"""What was found of what was planted, counted by hand; and the whole path on a problem that takes a second."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import analyze
from analysis.load import load_runs
from analysis.notes import notes
from analysis.planted_matrix import ahead, planted_errors, planted_matrix
from analysis.recovery import (
    Found,
    answer_of,
    confusion,
    found_by_searches,
    important_blocks,
    recovery,
    recovery_sentences,
)
from analysis.recovery_report import recovery_report
from analysis.significance import holm
from analysis.strategy_recovery import found_along_the_way, recovery_along_the_way, recovery_tests
from atrc.config import Config, parse_config
from atrc.data import Answer
from atrc.experiments import execute_all, execute_experiment
from atrc.experiments.comparison import searches
from atrc.runs import Result, RunDirectory, RunSpec
from searchspace import SPACES, CPSpace, Genotype, SearchSpace

SPACE = CPSpace(["a", "b"])
ANSWER = {"a": {"a": "global", "b": "local"}, "b": {"a": {"context": "s_label", "strength": 2, "noise": 1}}}
PLANTED = {"a<-a": "global", "a<-b": "local", "b<-a": "s_label"}
"""The pair b <- b needs nothing."""

PROBLEM = """
name: small
dataset: {name: planted, train: 24, val: 8, grid: 4, answer: {a: {a: global}, b: {a: local}}}
tasks: [a, b]
backbone: {name: panels, width: 8, grid: 4}
model: {head: {name: pointwise, channels: 8}, hidden: 8, dropout: 0, contexts: {local: {window: 5}}}
search: {steps: 4, batch_size: 6, optimizer: adamw, lr: 0.01}
train: {steps: 3, batch_size: 6, optimizer: adamw, lr: 0.01}
trials: {steps: 1, images: 2}
augmentation: {scale: null, flip: 0, photometric: false}
seeds: [0, 1]
evaluate_batch: 8
"""


def genotype(choices: Mapping[str, str]) -> Genotype:
    return SPACE.genotype(dict.fromkeys(SPACE, "none") | dict(choices))


def found(choices: Mapping[str, str], answer: Any = ANSWER) -> Found:
    return Found(genotype(choices), Answer.read(answer), "darts", 640)


def config(answer: Any = ANSWER) -> Config:
    text = f"name: test\ndataset: {{name: planted, answer: {answer}}}\ntasks: [a, b]\n".replace("'", "")
    return parse_config(text, "test")


def write_run(path: Path, spec: RunSpec, choices: Mapping[str, str], answer: Any = ANSWER, **metrics: float) -> Path:
    run = RunDirectory.create(path, spec, config(answer))
    run.write_genotype(genotype(choices))
    run.write_result(Result(metrics or {"a": 1.0, "b": 1.0}, 40, 640, 2.0, 1000, 1000))
    return path


def test_planted_blocks_are_counted_and_idle_ones_are_not() -> None:
    runs = [found(PLANTED), found({"a<-a": "global", "b<-b": "local"}), found({"b<-b": "t_label"})]
    row = recovery({"three": runs}).iloc[0]
    assert (row["condition"], row["runs"], row["found"], row["of"]) == ("three", 3, 4, 9)
    assert row["share"] == pytest.approx(4 / 9)
    assert row["low"] < row["share"] < row["high"]
    assert row["chance"] == pytest.approx((1 / 4 + 1 / 5 + 1 / 5) / 3)
    assert (row["left_empty"], row["idle"]) == (1, 3)
    assert (row["strategy"], row["samples"]) == ("darts", 640)
    assert (row["strength"], row["noise"]) == (pytest.approx(4 / 3), pytest.approx(1 / 3))


@pytest.fixture
def of_tasks(monkeypatch: pytest.MonkeyPatch) -> SearchSpace:
    """A space whose choices have the names of tasks, not of pairs."""

    class Kinds(SearchSpace):
        def __init__(self, tasks: list[str]) -> None:
            super().__init__("kinds", {task: ["none", "global", "local"] for task in tasks}, {"tasks": tasks})

    monkeypatch.setitem(SPACES._entries, "kinds", Kinds)
    return Kinds(["a", "b", "c"])


def test_a_choice_with_the_name_of_a_task_is_what_it_needs_from_itself(of_tasks: SearchSpace) -> None:
    answer = Answer.read({"a": {"a": "global", "b": "local"}, "b": {"b": "local"}, "c": {}})
    one = Found(of_tasks.genotype({"a": "global", "b": "global", "c": "none"}), answer, "darts", 640)
    assert one.planted == {"a": "global", "b": "local"}
    row = recovery({"one": [one]}).iloc[0]
    assert (row["found"], row["of"], row["chance"]) == (1, 2, pytest.approx(1 / 3))
    assert (row["left_empty"], row["idle"]) == (1, 1)
    assert recovery_sentences(recovery({"one": [one]}), "task")[0].startswith("one: 1 of 2 planted tasks were found")


def test_what_can_not_be_empty_was_not_left_empty(of_tasks: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = SearchSpace("kinds", {task: ["global", "local"] for task in of_tasks})
    monkeypatch.setitem(SPACES._entries, "kinds", lambda: fewer)
    answer = Answer.read({"a": {"a": "global"}, "b": {}, "c": {}})
    one = Found(fewer.genotype(dict.fromkeys(fewer, "local")), answer, "darts", 640)
    assert one.idle == ["b", "c"]
    assert recovery({"one": [one]}).iloc[0]["idle"] == 0
    assert "left empty" not in recovery_sentences(recovery({"one": [one]}))[0]


def test_a_known_answer_that_no_choice_is_named_after_is_a_note(of_tasks: SearchSpace, tmp_path: Path) -> None:
    for seed, answer in enumerate([{"a": {"b": "global"}, "b": {}, "c": {}}, {"a": {}, "b": {}}]):
        text = f"name: test{seed}\ndataset: {{name: planted, answer: {answer}}}\ntasks: [a, b]".replace("'", "")
        run = RunDirectory.create(
            tmp_path / f"test{seed}", RunSpec("search", "search", 0), parse_config(text, "test")
        )
        run.write_genotype(of_tasks.genotype(dict.fromkeys(of_tasks, "local")))
        run.write_result(Result({"a": 1.0, "b": 1.0}, 40, 640, 2.0, 1000, 1000))
    runs = load_runs([tmp_path])
    assert found_by_searches(runs) == {}
    said = [note for note in notes(runs) if "planted answer" in note]
    assert said == [
        "test0: what was found of the planted answer is not counted, since no choice of the space 'kinds' has the "
        "name of a pair of it, such as a<-b, or of a task that needs itself"
    ]


def test_chance_is_what_all_genotypes_of_the_space_find() -> None:
    """By brute force: the mean over every genotype."""
    every = [found(one) for one in SPACE.enumerate()]
    share = sum(one.hits for one in every) / (len(every) * len(PLANTED))
    assert recovery({"any": every[:1]}).iloc[0]["chance"] == pytest.approx(share)


def test_chance_in_a_space_whose_choices_depend_on_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def violation(self: SearchSpace, choices: Mapping[str, str]) -> str | None:
        return "too many" if sum(option != "none" for option in choices.values()) > 2 else None

    monkeypatch.setattr(CPSpace, "violation", violation)
    allowed = [dict(zip(SPACE, options, strict=True)) for options in itertools.product(*SPACE.values())]
    allowed = [one for one in allowed if violation(SPACE, one) is None]
    hits = [sum(one[choice] == option for choice, option in PLANTED.items()) for one in allowed]
    chance = recovery({"any": [found({"a<-a": "local"})]}).iloc[0]["chance"]
    assert chance == pytest.approx(np.mean(hits) / 3)
    assert chance < (1 / 4 + 2 / 5) / 3


@settings(max_examples=25, deadline=None)
@given(hits=st.lists(st.integers(0, 3), min_size=2, max_size=8))
def test_the_interval_holds_the_share_and_stays_within_the_runs(hits: list[int]) -> None:
    runs = [found(dict(list(PLANTED.items())[:n])) for n in hits]
    row = recovery({"some": runs}).iloc[0]
    assert min(hits) / 3 <= row["low"] <= row["share"] + 1e-12
    assert row["share"] - 1e-12 <= row["high"] <= max(hits) / 3
    assert row["found"] == sum(hits)


def test_one_run_has_no_interval() -> None:
    row = recovery({"one": [found(PLANTED)]}).iloc[0]
    assert row["share"] == 1
    assert np.isnan([row["low"], row["high"]]).all()


def test_confusion_counts_what_was_taken_for_what() -> None:
    runs = [found({**PLANTED, "b<-a": "t_label"}), found({**PLANTED, "b<-b": "local"})]
    table = confusion({"two": runs}).set_index(["planted", "found"])
    assert table["count"].to_dict() == {
        ("global", "global"): 2,
        ("local", "local"): 2,
        ("s_label", "t_label"): 1,
        ("s_label", "s_label"): 1,
        ("nothing", "none"): 1,
        ("nothing", "local"): 1,
    }
    assert table.loc[("s_label", "t_label"), "share"] == 0.5


def test_searches_of_runs_with_and_without_an_answer(tmp_path: Path) -> None:
    write_run(tmp_path / "known/search/seed0", RunSpec("search", "search", 0), PLANTED)
    runs = load_runs(tmp_path)
    conditions = found_by_searches(runs)
    assert {name: [one.hits for one in of] for name, of in conditions.items()} == {"test": [3]}
    by = found_by_searches(runs, "strategy.name")
    assert list(by) == ["strategy.name=gumbel_entropy"]
    rooms = parse_config("name: r\ndataset: {name: rooms}\ntasks: [depth, edge]\n", "test")
    assert answer_of(rooms) is None


def test_important_blocks_are_those_whose_drop_is_large(tmp_path: Path) -> None:
    """Row a holds two planted blocks of two, and says nothing; row b one of two."""
    drops = {0: {"b<-a": 0.9, "b<-b": 0.1}, 1: {"b<-a": 0.2, "b<-b": 0.3}, 2: {"b<-a": 0.0, "b<-b": 0.0}}
    for seed, drop in drops.items():
        path = write_run(tmp_path / f"x/retrain/seed{seed}", RunSpec("train", "retrain", seed), PLANTED)
        rows = [(t, s, "global", k, 1.0, 1.0, drop.get(f"{t}<-{s}", 0.5)) for t, s in SPACE.pairs() for k in (0, 1)]
        columns = ["target", "source", "context", "permutation", "before", "after", "drop"]
        pd.DataFrame(rows, columns=columns).to_csv(path / "importance.csv", index=False)
    row = important_blocks(load_runs(tmp_path), "test").iloc[0]
    assert (row["runs"], row["found"], row["of"], row["chance"]) == (3, 1, 3, 0.5)
    assert important_blocks(load_runs(tmp_path), "test", "multi").empty


def test_the_matrix_says_which_context_finds_what_was_planted(tmp_path: Path) -> None:
    answer = {"a": {"a": "global"}, "b": {"a": "global"}}
    errors = {"global": [0.1, 0.2, 0.6], "local": [0.7, 0.8, 0.9], "none": [1.0, 1.0, 1.0]}
    runs = []
    for used, values in errors.items():
        for seed, error in enumerate(values):
            choices = {"a<-a": used, "b<-a": used}
            path = tmp_path / used / f"seed{seed}"
            write_run(path, RunSpec("train", used, seed), choices, answer, a=error, b=2 * error)
            runs.append(RunDirectory.open(path))
    matrix = planted_matrix(planted_errors(runs))
    row = matrix.set_index(["pair", "used"]).loc[("own", "global")]
    assert row["mean"] == pytest.approx(0.3)
    assert row["std"] == pytest.approx(np.std([0.1, 0.2, 0.6], ddof=1))
    assert (row["n"], row["best"], row["dead"]) == (3, 3, 1)
    first = ahead(matrix).iloc[0]
    assert (first["planted"], first["second"], first["best"]) == ("global", "local", 3)
    assert first["ahead"] == pytest.approx(0.5 / row["std"])


def test_an_exact_permutation_test_and_its_smallest_p() -> None:
    """Ten runs that find everything against ten that find nothing: 2 of the 184,756 ways to part twenty runs."""
    all_of_it, nothing = [found(PLANTED)] * 10, [found({})] * 10
    table = recovery_tests({"one": all_of_it, "other": nothing, "third": nothing})
    assert table["difference"].tolist() == [1, 1, 0]
    assert table["p"].tolist() == pytest.approx([2 / 184_756, 2 / 184_756, 1])
    assert holm(table["p"].to_list())[0] < 0.001
    alone = recovery_tests({"one": all_of_it[:1], "other": nothing})
    assert alone["difference"].tolist() == [1]
    assert alone["p"].isna().all(), "one run a side tests nothing"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted") / "small"
    execute_experiment(parse_config(PROBLEM, "test"), folder, quiet=True)
    return folder


def test_an_experiment_on_a_planted_problem_is_analysed(small: Path, tmp_path: Path) -> None:
    made = analyze(small, tmp_path, quiet=True)
    table = pd.read_csv(made.tables["recovery"])
    assert table[["condition", "runs", "of", "idle"]].to_numpy().tolist() == [["small", 2, 4, 4]]
    assert {"recovery", "recovery_confusion"} <= set(made.figures)
    assert not {"recovery_noise", "recovery_samples"} & set(made.figures)
    assert pd.read_csv(made.tables["recovery_importance"])["of"].tolist() == [4]


def test_conditions_that_differ_in_noise_are_drawn_against_it(small: Path, tmp_path: Path) -> None:
    noisy = parse_config(
        PROBLEM.replace("grid: 4, answer", "grid: 4, noise: 2, answer").replace("small", "noisy"), "t"
    )
    execute_experiment(noisy, tmp_path / "noisy", models=[], quiet=True)
    made = analyze([small, tmp_path / "noisy"], tmp_path / "out", networks=False, quiet=True)
    assert "recovery_noise" in made.figures
    assert pd.read_csv(made.tables["recovery"])["noise"].tolist() == [2.0, 0.0]


def test_a_comparison_of_strategies_says_what_each_finds(tmp_path: Path) -> None:
    compare = "compare: {samples: 48, points: 2, strategies: {gumbel_entropy: {}, random: {}}}\n"
    settings = parse_config(PROBLEM + compare, "test")
    execute_all(searches(settings, tmp_path), quiet=True)
    points = found_along_the_way(settings, tmp_path)
    assert set(points) == {"gumbel_entropy", "random"}
    table = recovery_along_the_way(points)
    assert set(table["fraction"]) == {0.5, 1.0}
    assert table[table["fraction"] == 1.0]["of"].tolist() == [4, 4]


def test_the_recovery_test_tells_what_differs_from_what_was_kept(tmp_path: Path, small: Path) -> None:
    answer, errors = {"a": {"a": "global"}, "b": {"a": "global"}}, {"global": 0.1, "none": 1.0}
    runs = []
    for used, error in errors.items():
        for seed in (0, 1):
            path = tmp_path / used / f"seed{seed}"
            metrics = {"a": error + 0.001 * seed, "b": error + 0.001 * seed}
            write_run(path, RunSpec("train", used, seed), {"a<-a": used, "b<-a": used}, answer, **metrics)
            runs.append(RunDirectory.open(path))
    found = [RunDirectory.open(small / "search" / f"seed{seed}") for seed in (0, 1)]
    recovery_report(runs, found, tmp_path / "first")

    def said() -> list[str]:
        return [str(part) for part in recovery_report(runs, found, tmp_path / "again", tmp_path / "first")]

    assert said()[-1].startswith("8 of 8 errors equal the earlier ones to ten digits; 2 of 2 searches named")
    kept = pd.read_csv(tmp_path / "first" / "errors.csv", keep_default_na=False)
    kept.loc[kept["used"] == "none", "error"] += 1e-7
    kept.to_csv(tmp_path / "first" / "errors.csv", index=False)
    assert said()[-2].startswith("4 of 8 errors equal the earlier ones")
    assert said()[-1] == "No mean differs by more than chance explains."
    kept.loc[kept["used"] == "none", "error"] -= 0.1
    kept.to_csv(tmp_path / "first" / "errors.csv", index=False)
    assert "own global, none used: the error was 0.901, and is 1.000" in said()
    kept.assign(seed=kept["seed"] + 7).to_csv(tmp_path / "first" / "errors.csv", index=False)
    assert said()[-1].endswith("has no results of these seeds.")


PLUGIN = '''
"""A dataset of a user's own, which knows what its labels need."""

from atrc.data import DATASETS, Answer, Dataset, Planted


@DATASETS.register("mine")
class Mine(Dataset):
    def __init__(self, split, tasks, **options):
        self.pictures = Planted(split, tasks, answer={"a": {"a": "global"}, "b": {"a": "local"}}, **options)
        self.info = self.pictures.info

    @classmethod
    def describe(cls, **options):
        return Planted.describe(answer={"a": {"a": "global"}, "b": {"a": "local"}}, **options)

    @classmethod
    def answer(cls, **options):
        return Answer.read({"a": {"a": "global"}, "b": {"a": "local"}})

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        return self.pictures[index]
'''


def test_a_dataset_of_a_users_own_has_the_same_rights(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN)
    text = PROBLEM.replace("name: planted", "name: mine").replace(
        ", answer: {a: {a: global}, b: {a: local}}}", f"}}\nplugins: [{plugin}]"
    )
    execute_experiment(parse_config(text, "test"), tmp_path / "small", models=[], quiet=True)
    made = analyze(tmp_path / "small", tmp_path / "out", networks=False, quiet=True)
    row = pd.read_csv(made.tables["recovery"]).iloc[0]
    assert (row["of"], row["idle"]) == (4, 4)
    assert row["chance"] == pytest.approx((1 / 4 + 1 / 5) / 2)
