"""What is planned: every run has a folder of its own, and what is there already is what was planned."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from atrc.config import Config
from atrc.experiments import (
    Checks,
    _checks,
    create_missing,
    create_retrain,
    create_search,
    create_train,
    execute_all,
    execute_experiment,
    open_made_with,
)
from atrc.experiments.plan import plan_search, plan_train
from atrc.runs import Result, RunDirectory, find_runs
from atrc.runs.names import run_path
from atrc.setup import Setup
from searchspace import Genotype, InputError


@pytest.fixture
def short(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Two tasks and two steps, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    steps = {name: getattr(config, name).model_copy(update={"steps": 2}) for name in ("search", "train")}
    tasks = {"depth": {}, "edge": {"thresholds": 5}}
    return config.model_copy(update={**steps, "tasks": tasks})


def genotype_file(config: Config, path: str, context: str) -> str:
    """A file of the genotype with one context everywhere."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(Setup.of(config).space.uniform(context).to_json()))
    return path


def trained(path: Path) -> Genotype:
    genotype = RunDirectory.open(path).genotype()
    assert genotype is not None
    return genotype


def test_a_second_genotype_of_one_file_name_is_not_taken_for_the_first(short: Config) -> None:
    """Every search calls its file genotype.json."""
    one, other = genotype_file(short, "A/genotype.json", "global"), genotype_file(short, "B/genotype.json", "none")
    execute_experiment(short, "runs", [one], quiet=True)
    with pytest.raises(InputError) as caught:
        execute_experiment(short, "runs", [other], quiet=True)
    assert str(caught.value) == (
        "run runs/genotype/seed0 trained another genotype (runs/genotype/seed0/genotype.json) than B/genotype.json; "
        "rename the genotype file, or give another --out"
    )
    assert set(trained(run_path("runs", one, 0)).values()) == {"global"}
    execute_experiment(short, "runs", [one, genotype_file(short, "cut.json", "none")], quiet=True)
    assert set(trained(Path("runs/cut/seed0")).values()) == {"none"}


def test_two_genotypes_of_one_file_name_in_one_command_are_refused(short: Config) -> None:
    one, other = genotype_file(short, "A/genotype.json", "global"), genotype_file(short, "B/genotype.json", "none")
    message = "^A/genotype.json and B/genotype.json would have the same run directory runs/genotype/seed0; rename one"
    with pytest.raises(InputError, match=message):
        create_train(short, [one, other], "runs")
    with pytest.raises(InputError, match=message):
        execute_experiment(short, "runs", [one, other], quiet=True)
    assert not Path("runs").exists()
    create_train(short, [one], "runs")
    with pytest.raises(InputError, match=r"trained another genotype .* than B/genotype\.json"):
        create_train(short, [other], "runs")
    with pytest.raises(InputError, match="already exists; continue it with: atrc resume"):
        create_train(short, [one], "runs")


def test_the_same_genotype_twice_is_one_run(short: Config) -> None:
    one, copy = genotype_file(short, "A/g.json", "global"), genotype_file(short, "B/g.json", "global")
    (run,) = create_train(short, [one, copy], "runs")
    assert run.path == Path("runs/g/seed0")
    (found,) = create_missing(plan_train(short, [copy], "runs"))
    assert found.path == run.path


@pytest.mark.parametrize("name", ["multi", "search"])
def test_a_file_that_has_the_name_of_something_else(short: Config, name: str) -> None:
    """A baseline, or the searches."""
    file = genotype_file(short, f"{name}.json", "global")
    with pytest.raises(InputError, match=f"would have the same run directory runs/{name}/seed0"):
        execute_experiment(short, "runs", ["multi", file], quiet=True)
    assert not Path("runs").exists()
    (run,) = create_search(short, "runs") if name == "search" else create_train(short, ["multi"], "runs")
    with pytest.raises(InputError, match=f"run {run.path} (is of kind 'search'|trained another genotype)"):
        create_missing(plan_train(short, [file], "runs"))


def test_a_run_of_a_genotype_is_not_taken_for_a_baseline(short: Config) -> None:
    create_train(short, [genotype_file(short, "multi.json", "global")], "runs")
    with pytest.raises(InputError, match=r"run runs/multi/seed0 trained another genotype .* than multi;"):
        create_missing(plan_train(short, ["multi"], "runs"))


def test_a_run_is_opened_if_it_was_made_of_the_genotype(short: Config) -> None:
    (run,) = create_train(short, ["all-global"], "runs")
    space = Setup.of(short).space
    assert open_made_with(run.path, short).path == run.path
    assert open_made_with(run.path, short, genotype=space.uniform("global")).path == run.path
    with pytest.raises(InputError, match="trained another genotype"):
        open_made_with(run.path, short, genotype=space.uniform("local"))


def test_an_experiment_does_not_take_an_older_genotype_for_what_its_search_found(short: Config) -> None:
    execute_experiment(short, "runs", [], quiet=True)
    found = trained(Path("runs/search/seed0"))
    other = next(g for g in map(Setup.of(short).space.uniform, ("global", "none")) if g != found)
    RunDirectory.open("runs/retrain/seed0").write_genotype(other)
    with pytest.raises(InputError, match="than the genotype of runs/search/seed0"):
        execute_experiment(short, "runs", [], quiet=True)


def test_two_searches_are_not_retrained_into_one_folder(short: Config) -> None:
    other = short.model_copy(update={"name": "other", "tasks": {"depth": {}}})
    searches = [*create_search(short, "one"), *create_search(other, "two")]
    execute_all(searches, quiet=True)
    with pytest.raises(
        InputError, match=r"^the genotype of one/search/seed0 and the genotype of two/search/seed0 would"
    ):
        create_retrain(searches, "out")
    assert not Path("out").exists()
    again = RunDirectory.open(searches[0].path.absolute())
    (made,) = create_retrain([searches[0]], "out")
    assert made.path == Path("out/retrain/seed0")
    assert len(create_retrain([searches[0], again])) == 1, "one search, however its path is written"


def test_all_folders_are_free_before_one_is_made(short: Config) -> None:
    Path("runs/single-edge/seed0").mkdir(parents=True)
    message = "runs/single-edge/seed0 already exists and is not a run; remove it or choose another --out$"
    with pytest.raises(InputError, match=message):
        create_train(short, ["multi", "single"], "runs")
    assert not list(Path("runs").rglob("run.json"))


def test_an_experiment_is_refused_before_its_searches_are_made(short: Config) -> None:
    """The networks are planned with them."""
    with pytest.raises(InputError, match=r"gone\.json"):
        execute_experiment(short, "runs", ["gone.json"], quiet=True)
    assert not Path("runs").exists()


def test_a_strategy_is_checked_without_a_study(short: Config) -> None:
    named = type(short.strategy)(name="optuna_tpe", storage="sqlite:///study.db", study="mine")
    create_search(short.model_copy(update={"strategy": named, "seeds": [3]}), "runs")
    assert [path.name for path in Path().iterdir()] == ["runs"]


def test_finished_runs_of_an_experiment_are_found(short: Config) -> None:
    runs = create_train(short, ["baselines"], "runs")
    for run in runs:
        run.write_result(Result({}, 1, 1, 1.0, 1, 1))
    assert [run.finished for run in create_missing(plan_train(short, ["baselines"], "runs"))] == [True] * 3
    assert len(find_runs(["runs"])) == 3


def test_an_experiment_looks_at_its_config_and_its_data_once(
    short: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many models it has: weights are read, and splits opened, by the first look."""
    looks = Counter[str]()

    def counted(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def counting(*arguments: Any, **named: Any) -> Any:
            looks[name] += 1
            return original(*arguments, **named)

        monkeypatch.setattr(owner, name, counting)

    counted(_checks, "build_backbone")
    counted(Setup, "splits")
    checks = Checks()
    for planned in (plan_search(short, tmp_path), plan_train(short, ["single", "multi", "all-global"], tmp_path)):
        checks.config(short)
        create_missing(planned, checks)
    assert looks == {"build_backbone": 1, "splits": 1}
    create_missing(
        plan_train(short.model_copy(update={"tasks": {"depth": {}}}), ["multi"], tmp_path / "other"), checks
    )
    assert looks["splits"] == 2, "other tasks are other labels"
