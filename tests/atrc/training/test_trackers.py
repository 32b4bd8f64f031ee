"""Trackers: they get what a run logs, change nothing of it, and are open to others."""

from __future__ import annotations

import json
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from atrc.config import Config
from atrc.experiments import create_search, create_train
from atrc.trackers import TRACKERS, TensorBoard, Tracker
from atrc.training import execute
from searchspace import CPSpace, InputError, UnknownNameError
from strategies import build_strategy


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_a_search_logs_to_tensorboard_and_is_otherwise_the_same(config: Config, tmp_path: Path) -> None:
    config = config.model_copy(update={"tasks": {"semseg": {}, "depth": {}}})
    (plain,) = create_search(config, tmp_path / "plain")
    (logged,) = create_search(config.model_copy(update={"trackers": ["tensorboard"]}), tmp_path / "logged")
    metrics = [execute(run, quiet=True).metrics for run in (plain, logged)]
    assert metrics[0] == metrics[1]
    assert plain.genotype() == logged.genotype()
    assert not (plain.path / "tensorboard").exists()
    lines = list(logged.lines("metrics.jsonl"))
    seen = scalars(logged.path / "tensorboard/metrics", "loss")
    assert [step for step, _ in seen] == [line["step"] for line in lines]
    assert [value for _, value in seen] == pytest.approx([line["loss"] for line in lines], rel=1e-6)
    chosen = list(logged.lines("architecture.jsonl"))[-1]["probabilities"]["semseg<-depth"]["t_label"]
    drawn = scalars(logged.path / "tensorboard/architecture", "probabilities/semseg_from_depth/t_label")
    assert drawn[-1] == (8, pytest.approx(chosen, rel=1e-6))
    assert scalars(logged.path / "tensorboard/result", "metrics/depth")[0][1] == pytest.approx(metrics[1]["depth"])


def test_what_a_resumed_run_logs_again_replaces_what_it_logged_before(tmp_path: Path) -> None:
    first = TensorBoard(tmp_path)
    for step in (2, 4, 6):
        first.log("metrics", step, {"loss": 1.0})
    first.close()
    resumed = TensorBoard(tmp_path)
    resumed.log("metrics", 4, {"loss": 0.5})
    resumed.close()
    assert scalars(tmp_path / "tensorboard/metrics", "loss") == [(2, 1.0), (4, 0.5)]


def test_a_users_tracker(config: Config, tmp_path: Path) -> None:
    class Lines(Tracker):
        def log(self, source, step, numbers):  # type: ignore[no-untyped-def]
            with (self.run / "lines.jsonl").open("a") as file:
                file.write(json.dumps([source, step, sorted(numbers)]) + "\n")

    TRACKERS.register("lines")(Lines)
    (run,) = create_train(config.model_copy(update={"trackers": ["lines"]}), ["single-depth"], tmp_path)
    execute(run, quiet=True)
    lines = [json.loads(line) for line in (run.path / "lines.jsonl").read_text().splitlines()]
    assert [(source, step) for source, step, _ in lines] == [
        ("metrics", 2),
        ("metrics", 4),
        ("metrics", 6),
        ("result", 6),
    ]
    assert {"loss", "lr", "seconds"} <= set(lines[0][2])


def test_an_unknown_tracker_and_a_missing_package(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'tensorboard'"):
        create_train(config.model_copy(update={"trackers": ["tensorbord"]}), ["multi"], tmp_path)
    monkeypatch.setattr(TensorBoard, "missing", classmethod(lambda cls: True))
    with pytest.raises(InputError, match=r"needs the package tensorboard: pip install 'atrc\[trackers\]'"):
        create_train(config.model_copy(update={"trackers": ["tensorboard"]}), ["multi"], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_study_opens_in_optuna_dashboard(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    strategy = build_strategy(
        "optuna_tpe", CPSpace(["depth", "edge"]), seed=0, knobs={"storage": url, "study": "mine"}
    )
    for _ in range(3):
        strategy.tell(strategy.ask(), 1.0)
    served = optuna_dashboard.wsgi(optuna.storages.RDBStorage(url))
    environ = {"PATH_INFO": "/api/studies"}
    setup_testing_defaults(environ)
    statuses: list[str] = []
    body = b"".join(served(environ, lambda status, headers, error=None: statuses.append(status)))
    assert statuses == ["200 OK"]
    (study,) = json.loads(body)["study_summaries"]
    assert study["study_name"] == "mine"
