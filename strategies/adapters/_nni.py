"""Shared parts of the adapters of NNI: late, quiet imports, generators of their own, and resuming by replay.

NNI 3.0 (Microsoft, 2023) is not developed any more. It draws from the global generators of Python, NumPy and torch,
takes seconds to import, and adds a log handler when it is imported.
"""

from __future__ import annotations

import importlib
import logging
import random
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from searchspace import Genotype, SearchSpace
from strategies._base import rng_state, set_rng_state
from strategies.multi_trial import MultiTrialStrategy, Scored, Trial

__all__ = ["OwnGlobals", "ReplayedStrategy", "load"]


def load(module: str, name: str) -> Any:
    """Imports an object of NNI, without NNI's log handlers and warnings."""
    root = logging.getLogger("nni")
    handlers, level = list(root.handlers), root.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = getattr(importlib.import_module(module), name)
        finally:
            root.handlers = handlers
            root.setLevel(max(level, logging.ERROR))
    return found


class OwnGlobals:
    """States of the global generators that belong to one strategy; they are in force within ``with`` only.

    Args:
        seed: Seeds the states for Python, NumPy and torch.
    """

    def __init__(self, seed: int) -> None:
        self._python = random.Random(seed).getstate()
        self._numpy = np.random.RandomState(seed).get_state(legacy=True)
        self._torch = torch.Generator().manual_seed(seed).get_state()
        self._outside: list[tuple[Any, Any, torch.Tensor]] = []

    def __enter__(self) -> None:
        self._outside.append(_get())
        _set((self._python, self._numpy, self._torch))

    def __exit__(self, *error: object) -> None:
        self._python, self._numpy, self._torch = _get()
        _set(self._outside.pop())

    def state_dict(self) -> dict[str, Any]:
        """Returns the states of all three generators as plain values and a tensor."""
        rng = random.Random()
        rng.setstate(self._python)
        _, keys, position, has_gauss, gauss = self._numpy
        return {
            "python": rng_state(rng),
            "numpy": [np.asarray(keys).tolist(), position, has_gauss, gauss],
            "torch": self._torch.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from `state_dict`."""
        rng = random.Random()
        set_rng_state(rng, state["python"])
        self._python = rng.getstate()
        keys, position, has_gauss, gauss = state["numpy"]
        self._numpy = ("MT19937", np.array(keys, dtype=np.uint32), position, has_gauss, gauss)
        self._torch = state["torch"].clone()


def _get() -> tuple[Any, Any, torch.Tensor]:
    return random.getstate(), np.random.get_state(legacy=True), torch.get_rng_state()  # noqa: NPY002


def _set(states: tuple[Any, Any, torch.Tensor]) -> None:
    python, numpy, torch_ = states
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002
    torch.set_rng_state(torch_)


class ReplayedStrategy(MultiTrialStrategy):
    """A multi-trial algorithm of NNI. Its state cannot be saved; to resume, it is told its history again.

    Args:
        space: Any space without constraints between choices.
        seed: Seeds everything that NNI draws.
    """

    meets_constraints = False

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__(space, seed=seed)
        self._events: list[int] = []
        self._begin()

    def _begin(self) -> None:
        self._globals = OwnGlobals(self.seed)
        with self._own_globals():
            self._start()

    @contextmanager
    def _own_globals(self) -> Iterator[None]:
        before = logging.root.manager.disable
        logging.disable(max(before, logging.WARNING))  # NNI reports every individual
        try:
            with self._globals:
                yield
        finally:
            logging.disable(before)

    @abstractmethod
    def _start(self) -> None:
        """Makes the algorithm anew."""

    @abstractmethod
    def _next(self, number: int) -> Genotype | None:
        """Returns the algorithm's proposal for the trial of that number; None if it has nothing left."""

    @abstractmethod
    def _learn(self, outcome: Scored) -> None:
        """Tells the algorithm an outcome, or that the trial failed."""

    def propose(self) -> Genotype | None:
        with self._own_globals():
            genotype = self._next(len(self.asked))
        if genotype is not None:
            self._events.append(-1)
        return genotype

    def tell(self, trial: Trial, score: float, cost: float = 0.0) -> None:
        super().tell(trial, score, cost)
        self._hear(self.history[-1])

    def fail(self, trial: Trial) -> None:
        super().fail(trial)
        self._hear(self.history[-1])

    def _hear(self, outcome: Scored) -> None:
        self._events.append(outcome.trial.number)
        with self._own_globals():
            self._learn(outcome)

    def state_dict(self) -> dict[str, Any]:
        # The order of asking and telling: -1 for asking, the trial's number for telling or failing.
        return {**super().state_dict(), "events": list(self._events)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._begin()
        self._events = list(state["events"])
        outcomes = {told.trial.number: told for told in self.history}
        asked = 0
        with self._own_globals():
            for event in self._events:
                if event < 0:
                    self._next(asked)
                    asked += 1
                else:
                    self._learn(outcomes[event])
