"""Toy problems with a known answer, and a `Search` at work on one, seen event by event."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from searchspace import CostModel, Genotype, SearchSpace
from strategies._budget import Budget, Score
from strategies._events import AskedEvent, Event, StepEvent, ToldEvent
from strategies._inherited import InheritedScore
from strategies._search import Search
from strategies.multi_trial import MultiTrialStrategy, Trial
from strategies.one_shot import OneShotStrategy
from strategies.testing._toy import DeceptiveTable, PlantedTable, ToySupernet, toy_batch

__all__ = ["Problem", "SparseSpace", "ToyBatches", "supernet_problem", "table_problem"]


class SparseSpace(SearchSpace):
    """A space with a constraint between choices: at most ``most`` of them may be ``on``."""

    def __init__(self, choices: int = 4, most: int = 1) -> None:
        self.most = most
        super().__init__("sparse", {f"c{i}": ("off", "on") for i in range(choices)})

    def violation(self, choices: Mapping[str, str]) -> str | None:
        on = sum(option == "on" for option in choices.values())
        return f"{on} choices are on, at most {self.most} may be" if on > self.most else None


class ToyBatches:
    """Endless batches for a `ToySupernet`, of one number each; training and held-out ones have none in common.

    Args:
        seed: Seeds the batches.
        held_out: Whether these are the held-out batches.
    """

    def __init__(self, seed: int, *, held_out: bool = False) -> None:
        self.seed, self.held_out = seed, held_out

    def iterate(self, start: int = 0) -> Iterator[Tensor]:
        """Gives batch number ``start`` and all that follow."""
        while True:
            yield toy_batch(self.seed, 2 * start + self.held_out)
            start += 1


class Problem:
    """A search on a problem whose answer is known.

    Attributes:
        search: The search.
        space: The space that is searched.
        optimum: The genotype of the highest score.
        score: Function that returns the noise-free score of a genotype.
        supernet: The supernet that a one-shot strategy trains; None for a multi-trial strategy.
    """

    def __init__(
        self,
        search: Search,
        optimum: Genotype,
        score: Callable[[Mapping[str, str]], float],
        supernet: ToySupernet | None = None,
    ) -> None:
        self.search, self.optimum, self.score, self.supernet = search, optimum, score, supernet
        self.space = search.strategy.space
        self._events: Iterator[Event] | None = None

    def advance(self) -> Any:
        """Returns the next event as plain values that compare exactly; None after the last one."""
        if self._events is None:
            self._events = iter(self.search)
        if self.supernet is not None:
            self.supernet.selections.clear()
            self.supernet.calls.clear()
        event = next(self._events, None)
        return None if event is None else self._plain(event)

    def run(self, events: int) -> list[Any]:
        """Calls `advance` for a number of events and returns the list of them."""
        return [self.advance() for _ in range(events)]

    def _plain(self, event: Event) -> Any:
        if isinstance(event, StepEvent) and self.supernet is not None:
            selections = [
                {c: [(o, 1.0 if w is None else w.item()) for o, w in selection[c]] for c in selection.options}
                for selection in self.supernet.selections
            ]
            return "step", event.step, float(event.loss), selections
        if isinstance(event, AskedEvent):
            return "asked", event.trial.number, dict(event.trial.genotype), event.trial.budget
        if isinstance(event, ToldEvent):
            named = None if event.named is None else dict(event.named)
            return "told", event.trial.number, event.score, event.cost, event.samples, event.repeated, named
        return event.kind, getattr(event, "stage", ""), getattr(event, "reason", "")

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from a state of the search."""
        self.search.load_state_dict(state)
        self._events = None


def supernet_problem(
    strategy: OneShotStrategy,
    steps: int,
    seed: int = 0,
    *,
    costs: CostModel | None = None,
    cost_weight: float = 0.0,
) -> Problem:
    """Starts a one-shot strategy on a `ToySupernet`, whose weights learn by SGD with momentum.

    In a space with constraints between choices the last option of every choice is best by itself: a strategy that
    treats choices as independent ends with all of these, which is illegal.

    Args:
        strategy: A new strategy.
        steps: Number of training steps. A second stage gets its own budget besides.
        seed: Seeds the supernet and the batches.
        costs: Costs of genotypes, as for `Search`.
        cost_weight: Weight of the costs, as for `Search`.
    """
    space = strategy.space
    tempting = {
        choice: {option: 0.0 if option == options[-1] else 1.0 + 0.1 * number for option in options}
        for number, (choice, options) in enumerate(space.items())
    }
    supernet = ToySupernet(space, tempting if space.constrained else None, seed=seed)
    stage = strategy.second_stage()
    trials = 0 if stage is None else min(stage.trials, strategy.space.size)
    search = Search(
        strategy,
        supernet,
        torch.optim.SGD(supernet.parameters(), lr=0.1, momentum=0.9),
        train=ToyBatches(seed),
        held_out=ToyBatches(seed, held_out=True),
        budget=Budget(samples=steps * strategy.looks() + trials),
        score=None if stage is None else InheritedScore(supernet, [toy_batch(seed, 2 * steps)]),
        costs=costs,
        cost_weight=cost_weight,
    )

    def score(genotype: Mapping[str, str]) -> float:
        return -math.fsum(supernet.costs[choice][option] for choice, option in genotype.items())

    return Problem(search, supernet.optimum, score, supernet)


def table_problem(
    strategy: MultiTrialStrategy,
    trials: int,
    seed: int = 0,
    *,
    fails: Callable[[Trial], bool] = lambda _: False,
    **knobs: Any,
) -> Problem:
    """Starts a multi-trial strategy on a `DeceptiveTable`, or on a `PlantedTable` if choices are constrained.

    The score of a trial of less than the full budget has an error, which shrinks as the budget grows.

    Args:
        strategy: A new strategy.
        trials: Number of trials of the search.
        seed: Seeds the table.
        fails: Function that tells whether a trial fails.
        knobs: Arguments of `Search`, e.g. ``in_flight``.
    """
    made: type[DeceptiveTable | PlantedTable] = PlantedTable if strategy.space.constrained else DeceptiveTable
    table = made(strategy.space, seed)

    def score(trial: Trial) -> Score:
        if fails(trial):
            return Score(math.nan, 1)
        error = random.Random(repr(trial)).gauss(0.0, 0.1)
        return Score(table.score(trial.genotype) + error * (1.0 - trial.budget), 1)

    search = Search(strategy, score=knobs.pop("score", score), budget=Budget(trials=trials), **knobs)
    return Problem(search, table.optimum, table.score)
