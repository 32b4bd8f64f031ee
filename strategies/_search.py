"""The one driver of all strategies.

::

    search = Search(strategy, supernet, optimizer, train=loader, held_out=loader, steps=1000)     # one-shot
    search = Search(strategy, score=function, budget=Budget(trials=100))                          # multi-trial
    for event in search:        # steps, trials asked and told, stages: log, save and stop where you like
        ...
    genotype = search.genotype()

Whoever runs a search uses it: commands, notebooks, tests, clusters. It owns what every search needs and no strategy
should have to know: the budget, the ledger, held-out data, the second stage, failed and repeated trials, trials in
flight, and costs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from searchspace import CostModel, Genotype, InputError, Supernet
from strategies._base import (
    Choosing,
    MultiTrialStrategy,
    NothingNamed,
    OneShotStrategy,
    Trial,
    refuse_unsupported,
)
from strategies._budget import Budget, Score, Spent
from strategies._data import images_in
from strategies._events import AskedEvent, Event, StageEvent, ToldEvent
from strategies._training import Training

__all__ = ["REPEATS", "Search"]

REPEATS = 100
"""After this many repeated trials in a row a search ends: its strategy has nothing new to propose."""
ORDERS = ("in_order", "as_they_come")


class Search:
    """A strategy at work. Iterate it for its events, or call `run`.

    Args:
        strategy: One-shot or multi-trial.
        supernet: What a one-shot strategy trains.
        optimizer: The optimiser of the supernet's weights; it does not have the architecture parameters.
        train: Training batches: a loader that can be iterated again and again, or an object with ``iterate(start)``.
        held_out: Batches that the weights never learn from, likewise, in an order of their own. Bi-level and reward
            strategies and second stages need them. They leave no trace in batch-norm statistics.
        steps: The budget of a one-shot search: what this many training steps take. A second stage takes its share out
            of it.
        budget: The budget instead. A one-shot search takes samples or seconds.
        clip_norm: Largest gradient norm; None does not clip.
        clip: What that norm is taken over, ``"joint"`` or ``"weights"``: see `strategies.Step`.
        scheduler: Sets learning rates: a scheduler of torch, stepped after every training step; or a function of the
            step, counted from 0, and the spent fraction of the training's budget, called before every step.
        autocast: A ``torch.autocast`` for the supernet's forward passes. It covers calls of the supernet module
            itself, and not what its ``loss`` does with their results.
        score: Gives the score of a `Trial`: a `Score`, or a number; None, or a number that is not finite, is a failed
            trial. It may have ``samples(trial)``, which says beforehand what a trial will take: a trial that would
            exceed the budget is not made. It may have ``submit(trial)``, which gives a ``concurrent.futures.Future``
            of the score. A second stage scores by `InheritedScore` by default.
        costs: What genotypes cost; None where no cost counts.
        cost_weight: Penalty of the most expensive genotype, in units of the loss or the score; the cheapest pays 0.
        repeat: Whether a genotype that was scored before is scored again. Otherwise it is told the same score at no
            cost, and counts as a trial; after `REPEATS` of them in a row the search ends.
        in_flight: Number of trials that are asked for before the first of them is told.
        told: ``"in_order"`` of asking, so that the outcome does not depend on how fast scores come; or
            ``"as_they_come"``, which does not repeat.
        count: Gives the number of images of a batch.

    Attributes:
        strategy: The strategy.
        supernet: The supernet.
        spent: The ledger.
        ended: Why the search ended; empty before.

    Raises:
        InputError: The arguments do not go together, the strategy cannot search the space or these objectives, or the
            budget is too small for the second stage.

    Example:
        >>> from searchspace import ToySpace
        >>> from strategies import RegularizedEvolution
        >>> space = ToySpace(choices=4, options=3)
        >>> strategy = RegularizedEvolution(space, population=10, tournament=3)
        >>> search = Search(strategy, score=lambda t: space.score(t.genotype), budget=Budget(trials=200))
        >>> search.run() == space.optimum
        True
    """

    def __init__(
        self,
        strategy: OneShotStrategy | MultiTrialStrategy,
        supernet: Supernet[Any] | None = None,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        train: Any = None,
        held_out: Any = None,
        steps: int | None = None,
        budget: Budget | None = None,
        clip_norm: float | None = None,
        clip: str = "joint",
        scheduler: Any = None,
        autocast: AbstractContextManager[Any] | None = None,
        score: Callable[[Trial], Score | float | None] | None = None,
        costs: CostModel | None = None,
        cost_weight: float = 0.0,
        repeat: bool = False,
        in_flight: int = 1,
        told: str = "in_order",
        count: Callable[[Any], int] = images_in,
    ) -> None:
        refuse_unsupported(strategy, ("score",) if costs is None else ("score", "cost"))
        if told not in ORDERS or in_flight < 1:
            raise InputError(f"told must be one of {', '.join(ORDERS)} and in_flight >= 1, got {told=}, {in_flight=}")
        self.strategy, self.supernet = strategy, supernet
        self.spent, self.ended = Spent(), ""
        self._stage = ""
        self._training: Training | None = None
        self._trials: _Trials | None = None
        choosing: Choosing | None
        if isinstance(strategy, OneShotStrategy):
            if supernet is None or optimizer is None or train is None:
                raise InputError(f"strategy {strategy.name!r} is one-shot: give a supernet, its optimizer and train=")
            if costs is not None:
                strategy.charge(costs, cost_weight)
            choosing = strategy.second_stage()
            self._training = Training(
                strategy,
                supernet,
                optimizer,
                train,
                held_out,
                clip_norm,
                clip,
                scheduler,
                autocast,
                count,
                self.spent,
            )
            if choosing is not None and score is None:
                score = self._training.inherited_score()
            self.budget = self._training.plan(steps, budget, choosing, score)
        else:
            if score is None or budget is None or steps is not None:
                raise InputError(f"strategy {strategy.name!r} is multi-trial: give score= and budget=")
            self.budget, choosing = budget, Choosing(strategy, budget.trials or 2**63)
        if choosing is None and score is not None:
            raise InputError(f"strategy {strategy.name!r} has no second stage: it takes no score=")
        if choosing is not None and score is not None:
            surcharge = _Surcharge(costs, cost_weight)
            self._trials = _Trials(choosing, score, self.budget, self.spent, surcharge, repeat, in_flight, told)

    # -- running ---------------------------------------------------------------------------------------------------

    def run(self) -> Genotype:
        """Runs to the end; the genotype that was found."""
        for _ in self:
            pass
        return self.genotype()

    def __iter__(self) -> Iterator[Event]:
        """Events from where the search is to its end. Between two events its state is whole, and can be saved.

        Raises:
            InputError: The budget does not allow one trial, or no trial has a finite score.
        """
        for name, stage in self._stages():
            if self._stage != name:
                self._stage = name
                yield StageEvent(name)
            yield from stage.events()
            self.ended = stage.ended
        if self._stage != "end":
            self._stage = "end"
            yield StageEvent("end", self.ended)

    def _stages(self) -> Iterator[tuple[str, Training | _Trials]]:
        if self._training is not None and self._stage in ("", "training"):
            yield "training", self._training
        if self._trials is not None and self._stage != "end":
            yield "trials" if self._training is None else "choosing", self._trials

    def genotype(self) -> Genotype:
        """The genotype that the search would name now; never a random draw.

        Raises:
            NothingNamed: Nothing can be named yet; the message says what is missing.
        """
        return self.strategy.genotype()

    @property
    def samples(self) -> int:
        """Images so far, each counted each time it passed through a network."""
        return self.spent.samples

    @property
    def seconds(self) -> float:
        """Seconds so far, of steps and trials."""
        return self.spent.seconds

    @property
    def genotypes(self) -> int:
        """Number of distinct genotypes that were scored."""
        return 0 if self._trials is None else self._trials.distinct

    @property
    def repeatable(self) -> bool:
        """Whether the same seed gives the same bits: not so on a budget in seconds, or with scores as they come."""
        return self.budget.seconds is None and (self._trials is None or self._trials.in_order)

    # -- state -----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All state: strategy, supernet, optimiser, data order, ledger, trials in flight, and torch's generators."""
        return {
            "stage": self._stage,
            "ended": self.ended,
            "spent": self.spent.state_dict(),
            "strategy": self.strategy.state_dict(),
            "training": None if self._training is None else self._training.state_dict(),
            "trials": None if self._trials is None else self._trials.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from `state_dict` of a search that was made with the same arguments."""
        self._stage, self.ended = state["stage"], state["ended"]
        vars(self.spent).update(state["spent"])
        self.strategy.load_state_dict(state["strategy"])
        if self._training is not None:
            self._training.load_state_dict(state["training"])
        if self._trials is not None:
            self._trials.load_state_dict(state["trials"])


@dataclass(frozen=True)
class _Surcharge:
    """What cost lowers a score by, for strategies that know one objective."""

    costs: CostModel | None
    weight: float

    def of(self, strategy: MultiTrialStrategy, genotype: Genotype) -> tuple[float, float]:
        """(what the score is lowered by, cost) of a genotype."""
        if self.costs is None:
            return 0.0, 0.0
        lower = 0.0 if strategy.multi_objective else self.weight * self.costs.share(strategy.space, genotype)
        return lower, self.costs.of(genotype)


@dataclass
class _Flight:
    """A trial that was asked for and is not told yet.

    Attributes:
        trial: The trial.
        samples: What it will take; None where the scorer does not say.
        future: Its score, where the scorer works in the background.
    """

    trial: Trial
    samples: int | None
    future: Future[Score | float | None] | None = None


class _Trials:
    """Trials of a multi-trial strategy, which is a whole search or the second stage of one."""

    def __init__(
        self,
        choosing: Choosing,
        score: Callable[[Trial], Score | float | None],
        budget: Budget,
        spent: Spent,
        surcharge: _Surcharge,
        repeat: bool,
        in_flight: int,
        told: str,
    ) -> None:
        self.ended = ""
        self.in_order = told == "in_order"
        self._strategy, self._most = choosing.strategy, choosing.trials
        self._score, self._budget, self._spent = score, budget, spent
        self._surcharge, self._repeat, self._in_flight = surcharge, repeat, in_flight
        self._flights: list[_Flight] = []
        self._known: dict[tuple[Genotype, float], float | None] = {}
        self._in_a_row = 0
        self._least: int | None = None

    @property
    def distinct(self) -> int:
        """Number of distinct genotypes that were scored."""
        return len({genotype for genotype, _ in self._known})

    def events(self) -> Iterator[Event]:
        self._submit_again()
        try:
            while True:
                while self._may_ask():
                    trial = self._ask()
                    if trial is None:
                        break
                    yield AskedEvent(trial)
                if not self._flights:
                    break
                yield self._tell(*self._outcome())
        except InputError:
            # Nothing more will come of trials in flight; a study that others share must not wait for them.
            while self._flights:
                self._strategy.fail(self._flights.pop().trial)
            raise
        if not any(not told.failed for told in self._strategy.history):
            raise InputError(self._nothing_found())

    def _nothing_found(self) -> str:
        name = self._strategy.name
        if told := self._spent.trials:
            return f"strategy {name!r} ended without a genotype: none of its {told} trials has a finite score"
        return f"strategy {name!r} made no trial: {self.ended}"

    # -- asking ----------------------------------------------------------------------------------------------------

    def _may_ask(self) -> bool:
        """Whether one more trial may be asked for now; notes why the search ends where that is for good."""
        if self.ended or len(self._flights) >= self._in_flight:
            return False
        if self._spent.trials + len(self._flights) >= self._most:
            self.ended = f"all of {self._most} trials are told"
        elif self._in_a_row >= REPEATS:
            self.ended = f"the last {REPEATS} trials proposed genotypes that were scored before"
        elif self._budget.fraction(self._spent) >= 1.0 or not self._affords(self._least or 0):
            self.ended = f"the budget of {self._budget} is spent"
        return not self.ended

    def _affords(self, samples: int) -> bool:
        if self._budget.samples is None:
            return True
        promised = sum(flight.samples or 0 for flight in self._flights)
        return self._spent.samples + promised + samples <= self._budget.samples

    def _ask(self) -> Trial | None:
        trial = self._strategy.ask()
        if trial is None:
            if not self._flights:
                self.ended = "the strategy proposes nothing more"
            return None
        known = self._repeats(trial, self._flights)
        try:
            samples = 0 if known else self._predicted(trial)
        except InputError:
            self._strategy.fail(trial)
            raise
        if not self._affords(samples or 0):
            self._strategy.fail(trial)
            self.ended = f"the budget of {self._budget} is spent"
            if not self._spent.trials and not self._flights:
                self.ended = f"a budget of {self._budget} does not allow one trial, which takes {samples:,} images"
            return None
        if samples and not known:
            self._least = samples if self._least is None else min(self._least, samples)
        flight = _Flight(trial, samples)
        if not known:
            self._submit(flight)
        self._flights.append(flight)
        return trial

    def _key(self, trial: Trial) -> tuple[Genotype, float]:
        return self._strategy.space.canonical(trial.genotype), round(trial.budget, 6)

    def _repeats(self, trial: Trial, earlier: Sequence[_Flight]) -> bool:
        """Whether the trial takes the score of the same genotype, which was scored or is in flight before it."""
        key = self._key(trial)
        return not self._repeat and (key in self._known or any(self._key(flight.trial) == key for flight in earlier))

    def _predicted(self, trial: Trial) -> int | None:
        predict = getattr(self._score, "samples", None)
        return None if predict is None else int(predict(trial))

    def _submit(self, flight: _Flight) -> None:
        submit = getattr(self._score, "submit", None)
        if submit is not None:
            flight.future = submit(flight.trial)

    def _submit_again(self) -> None:
        """Hands trials that were in flight when the state was saved to a scorer that works in the background."""
        for place, flight in enumerate(self._flights):
            if flight.future is None and not self._repeats(flight.trial, self._flights[:place]):
                self._submit(flight)

    # -- telling ---------------------------------------------------------------------------------------------------

    def _outcome(self) -> tuple[_Flight, Score, bool]:
        """The next trial that is told, its outcome, and whether it repeats one that was scored."""
        started = time.perf_counter()
        flight = self._flights[0] if self.in_order else self._first_done()
        key = self._key(flight.trial)
        if not self._repeat and key in self._known:
            value = self._known[key]
            return flight, Score(math.nan if value is None else value, 0), True
        given = self._score(flight.trial) if flight.future is None else flight.future.result()
        self._spent.seconds += time.perf_counter() - started
        return flight, self._as_score(given, flight.trial), False

    def _first_done(self) -> _Flight:
        """The first trial whose score is there; one that repeats a trial in flight comes after that."""
        futures = {flight.future: flight for flight in self._flights if flight.future is not None}
        repeats = [
            f for f in self._flights if f.future is None and (not futures or self._key(f.trial) in self._known)
        ]
        if repeats:
            return repeats[0]
        done, _ = wait(list(futures), return_when=FIRST_COMPLETED)
        return next(flight for future, flight in futures.items() if future in done)

    def _as_score(self, given: Score | float | None, trial: Trial) -> Score:
        if isinstance(given, Score):
            return given
        if self._budget.samples is not None:
            raise InputError(
                f"the score of trial {trial.number} does not say how many images it took; return a Score, or give a "
                "budget of trials or seconds"
            )
        return Score(math.nan if given is None else float(given), 0)

    def _tell(self, flight: _Flight, score: Score, repeated: bool) -> ToldEvent:
        trial, finite = flight.trial, math.isfinite(score.value)
        self._flights.remove(flight)
        self._spent.samples += score.samples
        self._spent.trials += 1
        self._in_a_row = self._in_a_row + 1 if repeated else 0
        self._known.setdefault(self._key(trial), score.value if finite else None)
        lower, cost = self._surcharge.of(self._strategy, trial.genotype)
        if finite:
            self._strategy.tell(trial, score.value - lower, cost)
        else:
            self._strategy.fail(trial)
        return ToldEvent(
            trial,
            score=score.value - lower if finite else None,
            value=score.value if finite else None,
            cost=cost,
            samples=score.samples,
            repeated=repeated,
            named=self._named(),
            metrics=score.metrics,
        )

    def _named(self) -> Genotype | None:
        try:
            return self._strategy.genotype()
        except NothingNamed:
            return None

    # -- state -----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        encode = self._strategy.space.encode
        return {
            "ended": self.ended,
            "flights": [[flight.trial.number, flight.samples] for flight in self._flights],
            "known": [[list(encode(genotype)), budget, value] for (genotype, budget), value in self._known.items()],
            "counts": [self._in_a_row, self._least],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        decode = self._strategy.space.decode
        self.ended = state["ended"]
        self._flights = [_Flight(self._strategy.asked[number], samples) for number, samples in state["flights"]]
        self._known = {(decode(indices), budget): value for indices, budget, value in state["known"]}
        self._in_a_row, self._least = state["counts"]
