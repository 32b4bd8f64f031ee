"""The driver of all strategies.

::

    search = Search(strategy, supernet, optimizer, train=loader, held_out=loader, steps=1000)     # one-shot
    search = Search(strategy, score=function, budget=Budget(trials=100))                          # multi-trial
    for event in search:        # steps, trials asked and told, stages: log, save or stop at any of them
        ...
    genotype = search.genotype()

Commands, notebooks, tests and clusters all run searches by it. It takes care of everything that no strategy should
have to know: the budget, the ledger, held-out data, the second stage, failed and repeated trials, trials in flight,
and costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch

from searchspace import CostModel, Genotype, InputError, Supernet
from strategies._base import refuse_unsupported
from strategies._budget import Budget, Score, Spent
from strategies._data import images_in
from strategies._events import Event, StageEvent
from strategies._training import Training
from strategies._trials import ORDERS, Surcharge, Trials
from strategies.multi_trial import MultiTrialStrategy, Trial
from strategies.one_shot import Choosing, OneShotStrategy

__all__ = ["Search"]


class Search:
    """Runs a strategy. Iterate it for its events, or call `run`.

    Args:
        strategy: A one-shot or multi-trial strategy.
        supernet: The supernet that a one-shot strategy trains.
        optimizer: The optimiser of the supernet's weights, without the architecture parameters.
        train: Training batches: a loader that can be iterated again and again, or an object with ``iterate(start)``.
        held_out: Batches that the weights never learn from; likewise a loader, in an order of its own. Bi-level and
            reward strategies and second stages need them. They leave no trace in batch-norm statistics.
        steps: The budget of a one-shot search as a number of training steps. It stands for the images that these
            steps would use; a second stage takes its share out of them.
        budget: The budget, given instead of ``steps``. A one-shot search takes samples or seconds.
        clip_norm: Largest gradient norm; None does not clip.
        clip: Parameters that share this norm, ``"joint"`` or ``"weights"``: see `strategies.Step`.
        scheduler: Sets learning rates. Either a scheduler of torch, which is stepped after every training step; or a
            function of the step, counted from 0, and the spent fraction of the training's budget, which is called
            before every step.
        autocast: A ``torch.autocast`` for the supernet's forward passes. It covers calls of the supernet module
            itself, but not the operations of ``loss`` on their results.
        score: Function that returns the score of a `Trial`: a `Score` or a number. None, or a number that is not
            finite, is a failed trial. It may have a method ``samples(trial)``, which says beforehand how many images
            a trial will use: a trial that would exceed the budget is not started. It may have a method
            ``submit(trial)``, which returns a ``concurrent.futures.Future`` of the score. By default a second stage
            scores by `InheritedScore`.
        costs: Costs of genotypes; None if no cost counts.
        cost_weight: Penalty of the most expensive genotype, in units of the loss or the score; the cheapest pays 0.
        repeat: Whether a genotype that was scored before is scored again. Otherwise the strategy is told the same
            score. That uses no images and counts as a trial; after 100 of them in a row the search ends.
        in_flight: Number of trials that are asked for before the first of them is told.
        told: Order of telling. With ``"in_order"``, that of asking, the outcome does not depend on how fast scores
            come; with ``"as_they_come"`` a search does not repeat.
        count: Function that returns the number of images of a batch.

    Attributes:
        strategy: The strategy that is run.
        supernet: The supernet that is trained, or None.
        spent: The ledger.
        ended: The reason why the search ended; empty before.

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
        self._trials: Trials | None = None
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
            surcharge = Surcharge(costs, cost_weight)
            self._trials = Trials(choosing, score, self.budget, self.spent, surcharge, repeat, in_flight, told)

    # -- running ---------------------------------------------------------------------------------------------------

    def run(self) -> Genotype:
        """Runs the search to its end and returns the genotype that it found."""
        for _ in self:
            pass
        return self.genotype()

    def __iter__(self) -> Iterator[Event]:
        """Runs the search and gives its events. Between two events the state is complete and can be saved.

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

    def _stages(self) -> Iterator[tuple[str, Training | Trials]]:
        if self._training is not None and self._stage in ("", "training"):
            yield "training", self._training
        if self._trials is not None and self._stage != "end":
            yield "trials" if self._training is None else "choosing", self._trials

    def genotype(self) -> Genotype:
        """Returns the genotype that the search would name now; never a random draw.

        Raises:
            NothingNamed: Nothing can be named yet; the message says what is missing.
        """
        return self.strategy.genotype()

    @property
    def samples(self) -> int:
        """Number of images so far; each counts each time it passes through a network."""
        return self.spent.samples

    @property
    def seconds(self) -> float:
        """Seconds that steps and trials have taken so far; see `Spent`."""
        return self.spent.seconds

    @property
    def genotypes(self) -> int:
        """Number of distinct genotypes that were scored."""
        return 0 if self._trials is None else self._trials.distinct

    @property
    def repeatable(self) -> bool:
        """Whether the same seed gives the same bits.

        Not so with scores as they come, or on a budget in seconds that a clock measured.
        """
        trials = self._trials
        simulated = self._training is None and trials is not None and trials.simulated
        return (self.budget.seconds is None or simulated) and (trials is None or trials.in_order)

    # -- state -----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Returns all state: strategy, supernet, optimiser, data order, ledger, trials in flight, generators."""
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
