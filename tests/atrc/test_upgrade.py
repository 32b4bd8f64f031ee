"""Runs of earlier versions: read as they were made, and continued under the config that made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from atrc.config import Config, config_value, upgrade_run_config
from atrc.experiments import Planned, changed_keys, create_missing, create_search, create_train, execute_all
from atrc.runs import RunDirectory, RunSpec, find_runs
from atrc.runs.checkpoint import decisive, refuse_other_config
from searchspace import InputError

PUBLISHED = Path(__file__).parents[2] / "runs" / "published"
FILLED_IN = ["threads=2", "search.clip=weights", "trials.repeat=true"]


def made_before(run: Path, *, threads: int = 2, **strategy: Any) -> RunDirectory:
    """Takes out of a run what a run of an earlier version did not hold."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    for section, key in ((config, "threads"), (config["search"], "clip"), (config["trials"], "repeat")):
        del section[key]
    config["strategy"].update(strategy)
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    environment = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps({**environment, "threads": threads}))
    return RunDirectory.open(run)


def values(config: Config, *keys: str) -> list[Any]:
    return [config_value(config, key) for key in keys]


def test_a_run_of_before(config: Config, tmp_path: Path) -> None:
    (created,) = create_search(config, tmp_path)
    assert list(RunDirectory.open(created.path).upgraded) == []
    run = made_before(created.path)
    assert list(run.upgraded) == FILLED_IN
    assert values(run.config, "threads", "search.clip", "trials.repeat") == [2, "weights", True]


def test_crops_of_before(config: Config, tmp_path: Path) -> None:
    """They were drawn by the run's own tasks, and a checkpoint of then fits the run of now."""
    (run,) = create_train(config, ["single-depth"], tmp_path)
    data = yaml.safe_load((run.path / "config.yaml").read_text())
    checkpoint = {"config": {"augmentation": dict(data["augmentation"]), "model": dict(data["model"])}}
    for section in (data["augmentation"], checkpoint["config"]["augmentation"]):
        del section["crop_by"], section["crop_labels"]
    for section in (data["model"], checkpoint["config"]["model"]):
        del section["mask_padding"]
    (run.path / "config.yaml").write_text(yaml.safe_dump(data))
    run = RunDirectory.open(run.path)
    assert list(run.upgraded) == ["augmentation.crop_by=tasks", "augmentation.crop_labels=false"]
    assert run.config.model.mask_padding
    assert changed_keys(run, config) == []
    with pytest.raises(InputError, match=r"augmentation\.crop_by was 'tasks' and is 'dataset'"):
        refuse_other_config({"config": {**decisive(run.config), **checkpoint["config"]}}, config, run.path)
    refuse_other_config({"config": {**decisive(run.config), **checkpoint["config"]}}, run.config, run.path)


def test_a_run_is_created_on_the_threads_of_its_config(config: Config, tmp_path: Path) -> None:
    """Whatever the process that creates it computes on."""
    (run,) = create_search(config.model_copy(update={"threads": 3}), tmp_path)
    assert run.environment()["threads"] == 3


@pytest.mark.parametrize(
    ("strategy", "threshold"),
    [
        ({"name": "gumbel_entropy", "freeze": "entropy"}, 0.3),
        ({"name": "gumbel_entropy", "freeze": "entropy", "freeze_threshold": 1.0}, 1.0),
        ({"name": "gumbel_entropy", "freeze": "gap"}, None),
        ({"name": "gumbel_entropy"}, None),
        ({"name": "my_own", "freeze": "entropy"}, None),
    ],
)
def test_the_threshold_of_freezing_by_entropy(strategy: dict[str, Any], threshold: float | None) -> None:
    """It had one default for both criteria."""
    before = {"strategy": dict(strategy), "search": {}, "trials": {}}
    upgraded, said = upgrade_run_config(before, {})
    assert upgraded["strategy"].get("freeze_threshold") == threshold
    assert ("strategy.freeze_threshold=0.3" in said) == (upgraded["strategy"] != strategy)
    assert before["strategy"] == strategy


@pytest.mark.parametrize(("environment", "threads"), [({"threads": 4}, 4), ({}, 1), ({"threads": None}, 1)])
def test_threads_of_the_environment(environment: dict[str, Any], threads: int) -> None:
    upgraded, _ = upgrade_run_config({"search": {}}, environment)
    assert upgraded["threads"] == threads


def test_a_config_of_this_version_stays(config: Config) -> None:
    data = config.model_dump(mode="json")
    assert upgrade_run_config(data, {"threads": 8}) == (data, [])


def test_an_experiment_of_before_is_continued_with_its_config(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What its config could not say is no difference; anything else is."""
    knobs = {"name": "gumbel_entropy", "lr": 0.2, "freeze": "entropy"}
    config = config.model_copy(update={"strategy": config.strategy.model_validate(knobs)})
    (created,) = create_search(config, tmp_path)
    run = made_before(created.path, threads=1)
    assert changed_keys(run, config) == []
    changed = config.model_copy(update={"search": config.search.model_copy(update={"lr": 0.5}), "held_out": 0.25})
    assert changed_keys(run, changed) == ["search", "held_out"]

    planned = Planned(tmp_path, RunSpec("search", "search", 0), config)
    (found,) = create_missing([planned])
    assert values(found.config, "search.clip", "strategy.freeze_threshold") == ["weights", 0.3]
    with pytest.raises(InputError, match=r"made with another config \(search, held_out changed\)"):
        create_missing([planned._replace(config=changed)])
    assert capsys.readouterr().err.count("earlier version") == 0  # reading a run says nothing
    execute_all([found], quiet=True)
    filled_in = "threads=1, search.clip=weights, trials.repeat=true, strategy.freeze_threshold=0.3"
    said = f"{run.path} was made by an earlier version; it continues with the settings of that version: {filled_in}\n"
    assert said in capsys.readouterr().err
    assert run.finished


def test_published_runs_open() -> None:
    runs = find_runs([PUBLISHED])
    assert len(runs) > 100
    for run in runs:
        assert run.config.threads == run.environment()["threads"]
        assert run.finished
        if run.spec.kind == "train":
            assert run.result().steps == run.config.train.steps
