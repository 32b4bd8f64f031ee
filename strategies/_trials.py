"""Trials of a multi-trial strategy: a whole search, or the second stage of a one-shot one.

The part of the driver that asks a strategy and tells it scores: failed, repeated and unaffordable trials, trials in
flight, and the penalty of cost.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any

from searchspace import CostModel, Genotype, InputError
from strategies._base import NothingNamed
from strategies._budget import Budget, Score, Spent
from strategies._events import AskedEvent, Event, ToldEvent
from strategies.multi_trial import MultiTrialStrategy, Trial
from strategies.one_shot import Choosing

__all__ = ["ORDERS", "REPEATS", "Surcharge", "Trials"]

REPEATS = 100
"""Number of repeated trials in a row after which a search ends: its strategy has nothing new to propose."""
ORDERS = ("in_order", "as_they_come")
"""Orders in which outcomes are told."""


@dataclass(frozen=True)
class Surcharge:
    """Penalty of cost on scores, for strategies with a single objective.

    Attributes:
        costs: Costs of genotypes; None if no cost counts.
        weight: Penalty of the most expensive genotype, in units of the score; the cheapest pays 0.
    """

    costs: CostModel | None
    weight: float

    def of(self, strategy: MultiTrialStrategy, genotype: Genotype) -> tuple[float, float]:
        """Returns the penalty that is subtracted from the score of a genotype, and its cost."""
        if self.costs is None:
            return 0.0, 0.0
        lower = 0.0 if strategy.multi_objective else self.weight * self.costs.share(strategy.space, genotype)
        return lower, self.costs.of(genotype)


@dataclass
class _Flight:
    """A trial that was asked for and is not told yet.

    Attributes:
        trial: The trial in flight.
        samples: Number of images that it will use; None if the scorer does not say.
        future: Its score, if the scorer works in the background.
    """

    trial: Trial
    samples: int | None
    future: Future[Score | float | None] | None = None


class Trials:
    """Trials of a multi-trial strategy; see `strategies.Search` for the arguments.

    Attributes:
        ended: The reason why there will be no further trial; empty before.
        in_order: Whether outcomes are told in the order of asking.
    """

    def __init__(
        self,
        choosing: Choosing,
        score: Callable[[Trial], Score | float | None],
        budget: Budget,
        spent: Spent,
        surcharge: Surcharge,
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
        self._timed = False

    @property
    def simulated(self) -> bool:
        """Whether no clock was read so far: all scores brought their seconds with them."""
        return bool(self._known) and not self._timed

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
        """Tells whether one more trial may be asked for now; if never again, notes the reason in ``ended``."""
        if self.ended or len(self._flights) >= self._in_flight:
            return False
        if self._spent.trials + len(self._flights) >= self._most:
            self.ended = f"all {self._most} trials are finished"
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
        """Tells whether the trial gets the score of an earlier trial of its genotype, scored or in flight."""
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
        """Submits the trials that were in flight when the state was saved, if the scorer works in the background."""
        for place, flight in enumerate(self._flights):
            if flight.future is None and not self._repeats(flight.trial, self._flights[:place]):
                self._submit(flight)

    # -- telling ---------------------------------------------------------------------------------------------------

    def _outcome(self) -> tuple[_Flight, Score, bool]:
        """Returns the next trial to tell, its outcome, and whether it repeats a trial that was scored."""
        started = time.perf_counter()
        flight = self._flights[0] if self.in_order else self._first_done()
        key = self._key(flight.trial)
        if not self._repeat and key in self._known:
            value = self._known[key]
            return flight, Score(math.nan if value is None else value, 0), True
        given = self._score(flight.trial) if flight.future is None else flight.future.result()
        taken = time.perf_counter() - started
        score = self._as_score(given, flight.trial)
        if score.seconds is None:
            self._timed = True
        self._spent.seconds += taken if score.seconds is None else score.seconds
        return flight, score, False

    def _first_done(self) -> _Flight:
        """Returns the first trial whose score is there. A trial that repeats one in flight comes after that one."""
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
            "timed": self._timed,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        decode = self._strategy.space.decode
        self.ended = state["ended"]
        self._flights = [_Flight(self._strategy.asked[number], samples) for number, samples in state["flights"]]
        self._known = {(decode(indices), budget): value for indices, budget, value in state["known"]}
        self._in_a_row, self._least = state["counts"]
        self._timed = state.get("timed", True)  # earlier versions always read a clock
