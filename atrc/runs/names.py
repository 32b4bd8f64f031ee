"""What runs are called: the model names that a user types, and the folders of an experiment."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from atrc.config import Config

__all__ = ["CONSENSUS", "RETRAIN", "SEARCH", "expand_models", "group", "run_path"]

CONSENSUS, RETRAIN, SEARCH = "consensus", "retrain", "search"


def expand_models(config: Config, models: Iterable[str]) -> list[str]:
    """Model names with the short forms written out: ``single`` is one per task, ``baselines`` those and ``multi``."""
    single = [f"single-{task}" for task in config.tasks]
    short = {"single": single, "baselines": [*single, "multi"]}
    return list(dict.fromkeys(name for model in models for name in short.get(model, [model])))


def group(model: str) -> str:
    """The folder of a model's runs, and its name in tables."""
    return Path(model).stem if model.endswith(".json") else model.replace("-label", "_label")


def run_path(folder: Path | str, model: str, seed: int) -> Path:
    """Where a run of an experiment lies."""
    return Path(folder) / group(model) / f"seed{seed}"
