"""Runs of searches: a `strategies.Search` that is built from the run's config, with logs and checkpoints."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from tqdm import tqdm

from atrc.config import Config
from atrc.machine.stopping import Interrupted, Stop
from atrc.runs import Result, RunDirectory
from atrc.runs.checkpoint import decisive, fitting, latest, load_checkpoint, refuse_other_config, save_checkpoint
from atrc.setup import Setup
from strategies import Budget, Event, Search, ToldEvent

__all__ = ["ARCHITECTURE", "METRICS", "TRIALS", "SearchRun", "drive", "search_budget"]

METRICS, ARCHITECTURE, TRIALS = "metrics.jsonl", "architecture.jsonl", "trials.jsonl"
SAVE_EVERY = 5.0
"""Minimum seconds between checkpoints after trials, since a table look-up takes microseconds."""


def search_budget(config: Config) -> Budget:
    """Returns the budget of a search by the config, in images or in seconds."""
    if config.search.seconds is not None:
        return Budget(seconds=config.search.seconds)
    return Budget(samples=config.search.steps * config.search.batch_size)


class SearchRun(ABC):
    """A search with its run directory: logs, checkpoints, result.

    A subclass builds the search, logs events, and makes the result.

    Args:
        run: Directory of the run.
        setup: Setup of the run's config.
        device: Device that computes.
        stop: Flag that is set by a request to stop.
        bar: The progress bar.

    Attributes:
        search: The search.
        workers: Context manager around the search, with the processes that score its trials.
    """

    search: Search
    workers: AbstractContextManager[Any] = nullcontext()

    def __init__(self, run: RunDirectory, setup: Setup, device: torch.device, stop: Stop, bar: tqdm[Any]) -> None:
        self.run, self.setup, self.device, self.stop, self.bar = run, setup, device, stop, bar
        self.config = run.config

    def state_dict(self) -> dict[str, Any]:
        """Returns all state that a resumed run needs."""
        return {"search": self.search.state_dict(), "config": decisive(self.config)}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Loads the state of a checkpoint."""
        self.search.load_state_dict(saved["search"])

    @abstractmethod
    def note(self, event: Event) -> bool:
        """Logs an event, and returns whether a checkpoint should follow."""

    @abstractmethod
    def result(self, quiet: bool, position: int) -> Result:
        """Returns the result of the finished search."""

    def spent(self) -> dict[str, Any]:
        """Returns the fields of a result that the search itself knows."""
        search = self.search
        return {
            "samples": search.samples,
            "seconds": round(search.seconds, 3),
            "trials": search.spent.trials,
            "genotypes": search.genotypes,
            "ended": search.ended,
            "repeatable": search.repeatable,
        }

    def log_trial(self, event: ToldEvent) -> None:
        """Writes a line to trials.jsonl."""
        spent = self.search.spent
        self.run.append(
            TRIALS,
            {
                "step": spent.trials,
                "samples": spent.samples,
                "seconds": round(spent.seconds, 3),
                "number": event.trial.number,
                "budget": event.trial.budget,
                "score": event.score,
                "value": event.value,
                "cost": event.cost,
                "repeated": event.repeated,
                "genotype": dict(event.trial.genotype),
                "named": None if event.named is None else dict(event.named),
                **({"metrics": dict(event.metrics)} if event.metrics else {}),
            },
        )

    def show(self) -> None:
        """Sets the progress bar to the spent budget."""
        in_seconds = self.search.budget.seconds is not None
        self.bar.update((round(self.search.seconds, 1) if in_seconds else self.search.samples) - self.bar.n)


def drive(found: SearchRun, stop: Stop) -> None:
    """Runs the search to its end. Writes checkpoints regularly, and after a request to stop."""
    run, search = found.run, found.search
    checkpoint = latest(run.checkpoints)
    if checkpoint is not None:
        saved = load_checkpoint(checkpoint)
        refuse_other_config(saved, run.config, run.path)
        with fitting(checkpoint):
            found.load_state_dict(saved)
    run.rewind(search.spent.steps, METRICS, ARCHITECTURE)
    run.rewind(search.spent.trials, TRIALS)
    found.show()
    saved_at = time.monotonic()
    with found.workers:
        for event in search:
            due = found.note(event)
            # A search that is not repeatable cannot repeat a trial, so its log must keep every line.
            waited = time.monotonic() - saved_at > SAVE_EVERY or not search.repeatable
            if due or (event.kind == "told" and waited) or stop.requested:
                save_checkpoint(run.checkpoints, found.state_dict())
                saved_at = time.monotonic()
            if stop.requested and event.kind != "stage":
                spent = f"{search.samples:,} images in {search.seconds:.0f} s"
                raise Interrupted(f"stopped after {spent}; continue: atrc resume {run.path}")
