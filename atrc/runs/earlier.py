"""Upgrades checkpoints of searches by earlier versions to the form of `strategies.Search`.

The rule: a form is recognised by its keys. It is upgraded when it is read and never written again, and the search
goes on with the same bits. A checkpoint whose format has another number is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strategies import OneShotStrategy

__all__ = ["upgraded_search", "upgraded_trials"]

_NO_TRIALS = {"ended": "", "flights": [], "known": [], "counts": [0, None]}


def upgraded_search(saved: Mapping[str, Any], strategy: OneShotStrategy, batch_size: int) -> Mapping[str, Any]:
    """Returns the checkpoint of a one-shot search in the current form. A current one is returned as it is.

    Args:
        saved: Content of the checkpoint. An earlier version saved a learner instead of a search.
        strategy: The strategy, which knows the number of batches per step.
        batch_size: Number of images in a batch.
    """
    if "learner" not in saved:
        return saved
    learner, step = saved["learner"], saved["step"]
    place = {"position": step, "generators": []}
    samples = step * batch_size * strategy.looks()
    return {
        "tasks": learner["tasks"],
        "search": {
            "stage": "training",
            "ended": "",
            "spent": {"samples": samples, "seconds": saved["seconds"], "trials": 0, "steps": step},
            "strategy": learner["strategy"],
            "training": {
                "supernet": learner["network"],
                "optimizer": learner["optimizer"],
                "scheduler": None,
                "train": place,
                "held_out": place,
                "generators": saved["generators"],
            },
            "trials": _NO_TRIALS,
        },
    }


def upgraded_trials(saved: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the checkpoint of a search by trials in the current form. A current one is returned as it is."""
    if "search" in saved:
        return saved
    return {
        "search": {
            "stage": "trials",
            "ended": "",
            "spent": {**saved["spent"], "steps": 0},
            "strategy": saved["strategy"],
            "training": None,
            "trials": _NO_TRIALS,
        }
    }
