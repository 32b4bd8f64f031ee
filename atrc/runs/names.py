"""Names of runs: the model names that a user types, and the folders of an experiment."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from atrc.config import Config

__all__ = ["CONSENSUS", "RETRAIN", "SEARCH", "expand_models", "group", "run_path"]

CONSENSUS, RETRAIN, SEARCH = "consensus", "retrain", "search"


def expand_models(config: Config, models: Iterable[str]) -> list[str]:
    """Expands short forms of model names: ``single`` to one per task, ``baselines`` to those and ``multi``."""
    single = [f"single-{task}" for task in config.tasks]
    short = {"single": single, "baselines": [*single, "multi"]}
    return list(dict.fromkeys(name for model in models for name in short.get(model, [model])))


def group(model: str) -> str:
    """Returns the folder of a model's runs, which is also its name in tables."""
    return Path(model).stem if model.endswith(".json") else model.replace("-label", "_label")


def run_path(folder: Path | str, model: str, seed: int) -> Path:
    """Returns the path of a run of an experiment."""
    return Path(folder) / group(model) / f"seed{seed}"
