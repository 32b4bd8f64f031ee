"""The conformance suites catch strategies that break one promise each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from searchspace import (
    CostModel,
    Genotype,
    InputError,
    SearchSpace,
    Selection,
    Weighted,
)
from strategies import (
    SPOS,
    GumbelEntropy,
    RandomSearch,
    Trial,
)
from strategies.testing import (
    check_multi_trial,
    check_one_shot,
)


class ForgetsItsGenerator(GumbelEntropy):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "generator": self._generator.get_state()})


class ForgetsItsOptimiser(GumbelEntropy):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "optimizer": self.optimizer.state_dict()})


class GivesItsLiveState(GumbelEntropy):
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "optimizer": self.optimizer.state_dict()}


class LearnsFromTheLoadedState(GumbelEntropy):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])  # shares its moments


class DrawsGlobally(GumbelEntropy):
    def select(self) -> Selection:
        torch.rand(())
        return super().select()


class SeedsGlobally(GumbelEntropy):
    def __init__(self, space: SearchSpace, *, seed: int, lr: float) -> None:
        super().__init__(space, seed=seed, lr=lr)
        np.random.seed(seed)  # noqa: NPY002, what the suite is to catch


class DependsOnTheCall(GumbelEntropy):
    made = 0

    def __init__(self, space: SearchSpace, *, seed: int, lr: float) -> None:
        DependsOnTheCall.made += 1
        super().__init__(space, seed=seed + DependsOnTheCall.made, lr=lr)


class ReportDraws(GumbelEntropy):
    def report(self) -> dict[str, Any]:
        self.select()
        return super().report()


class ReportsTensors(GumbelEntropy):
    def report(self) -> dict[str, Any]:
        return {**super().report(), "temperature": torch.tensor(self.temperature)}


class ReportsLogits(GumbelEntropy):
    def report(self) -> dict[str, Any]:
        rows = self.distribution.logits.detach().exp().tolist()
        table = {c: dict(zip(o, row, strict=False)) for (c, o), row in zip(self.space.items(), rows, strict=True)}
        return {**super().report(), "probabilities": table}


class OffersTheWidest(GumbelEntropy):
    """Forgets that choices have options of their own."""

    def select(self) -> Selection:
        widest = max(self.space.values(), key=len)
        return Selection({choice: (Weighted(widest[-1], None),) for choice in self.space})


class Unordered(GumbelEntropy):
    def select(self) -> Selection:
        return Selection({c: tuple(reversed(active)) for c, active in super().select().options.items()})


class Climbs(GumbelEntropy):
    def update(self) -> None:
        assert self.distribution.logits.grad is not None
        self.distribution.logits.grad.neg_()
        super().update()


class Unnamed(GumbelEntropy):
    summary = None  # type: ignore[assignment]


class CountsTwice(GumbelEntropy):
    @classmethod
    def looks(cls) -> int:
        return 2 * super().looks()


class ClaimsToMeetConstraints(GumbelEntropy):
    meets_constraints = True


class TrainsIllegalPaths(SPOS):
    """What it names is legal; what it trains before is drawn choice by choice."""

    def __init__(self, space: SearchSpace, *, seed: int, lr: float) -> None:
        super().__init__(space, seed=seed, final_trials=4, population=2, parents=1)

    def select(self) -> Selection:
        options = {choice: options[self._rng.randrange(len(options))] for choice, options in self.space.items()}
        return Selection.of(Genotype(self.space.name, options))


class IgnoresCosts(GumbelEntropy):
    def charge(self, costs: CostModel, weight: float) -> None:
        pass


class PaysForCosts(GumbelEntropy):
    """Takes what is dear for what is cheap."""

    def charge(self, costs: CostModel, weight: float) -> None:
        super().charge(costs, -weight)


class NamesADraw(SPOS):
    """Before its second stage has scored anything."""

    def __init__(self, space: SearchSpace, *, seed: int, lr: float) -> None:
        super().__init__(space, seed=seed, final_trials=4, population=2, parents=1)

    def genotype(self) -> Genotype:
        return super().genotype() if self.final.history else next(self.space.enumerate())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (ForgetsItsGenerator, r"right after loading event 3\['generator'\]"),
        (ForgetsItsOptimiser, r"right after loading event 3\['optimizer'\]"),
        (GivesItsLiveState, r"state_dict\(\) at event 3, after the search went on\['optimizer'\]"),
        (LearnsFromTheLoadedState, r"loaded state of event 3, after the search went on\['optimizer'\]"),
        (DrawsGlobally, "global generator of torch was used"),
        (SeedsGlobally, r"global generator of numpy\.random was used"),
        (DependsOnTheCall, "event 1: the same seed gave"),
        (ReportDraws, "event 1: the same seed gave"),
        (ReportsLogits, "sum to"),
        (ReportsTensors, "report\\(\\) must hold plain values"),
        (OffersTheWidest, "proposal of event 1: selection activates 's_label' in the choice 'semseg<-semseg'"),
        (Unordered, "must be in the space's order"),
        (Climbs, "the optimum was found in 0 of 10 toy spaces, not 9"),
        (Unnamed, "has no summary"),
        (CountsTwice, r"a step took 1 batches, looks\(\) says 2"),
        (ClaimsToMeetConstraints, r"genotype\(\) after event 1: .*choices are on, at most 1 may be"),
        (TrainsIllegalPaths, "proposal of event 1: .*choices are on, at most 1 may be"),
        (NamesADraw, "is named before the second stage has scored anything"),
    ],
)
def test_a_broken_promise_is_caught(broken: Callable[..., GumbelEntropy], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_one_shot(lambda space, seed: broken(space, seed=seed, lr=0.1), steps=4, optimum_steps=10)


@pytest.mark.parametrize("broken", [IgnoresCosts, PaysForCosts])
def test_costs_that_change_nothing_are_caught(broken: Callable[..., GumbelEntropy]) -> None:
    with pytest.raises(AssertionError, match=r"charged, it named .* and not the cheapest"):
        check_one_shot(lambda space, seed: broken(space, seed=seed, lr=0.1), steps=4, seeds=2)


class Stubborn(RandomSearch):
    """Names the first genotype that it drew, whatever the scores."""

    def genotype(self) -> Genotype:
        return self.history[0].trial.genotype if self.history else super().genotype()


class ForgetsItsHistory(RandomSearch):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "history": []})


class AsksOutside(RandomSearch):
    def propose(self) -> Genotype:
        return Genotype(self.space.name, {**super().propose(), next(iter(self.space)): "elsewhere"})


class NamesTheFirst(RandomSearch):
    """That has a score, whatever it is."""

    def genotype(self) -> Genotype:
        return next((told.trial.genotype for told in self.history if not told.failed), super().genotype())


class OneAtATime(RandomSearch):
    """Takes for granted that what it is told of is what it asked for last."""

    def tell(self, trial: Trial, score: float, cost: float = 0.0) -> None:
        if trial != self.asked[-1]:
            raise InputError(f"trial {trial.number} is not the last one")
        super().tell(trial, score, cost)


class Distracted(RandomSearch):
    """What it draws depends on whether scores come from threads."""

    def tell(self, trial: Trial, score: float, cost: float = 0.0) -> None:
        super().tell(trial, score, cost)
        if any(thread.name.startswith("ThreadPoolExecutor") for thread in threading.enumerate()):
            self.rng.seed(trial.number)


class ForgetsConstraints(RandomSearch):
    def propose(self) -> Genotype:
        return Genotype(self.space.name, {c: self.rng.choice(options) for c, options in self.space.items()})


class DiesOfAFailure(RandomSearch):
    def fail(self, trial: Trial) -> None:
        raise InputError("nobody told me that")


class PaysNothing(RandomSearch):
    """Scores are told with the penalty of cost in them; it takes that out again."""

    def tell(self, trial: Trial, score: float, cost: float = 0.0) -> None:
        super().tell(trial, score + 10.0 * cost, cost)


class DrawsLittle(RandomSearch):
    def propose(self) -> Genotype:
        drawn = super().propose()
        first = {choice: options[0] for choice, options in self.space.items()}
        return drawn if self.rng.random() < 0.2 else Genotype(self.space.name, first)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Stubborn, "is named, which has no score"),
        (ForgetsItsHistory, r"right after loading event 4\['history'\]"),
        (AsksOutside, "proposal of event 1: .*elsewhere"),
        (ForgetsConstraints, "choices are on, at most 1 may be"),
        (DiesOfAFailure, "a search whose trials fail: nobody told me that"),
        (OneAtATime, "a search with 3 trials in flight: trial 0 is not the last one"),
        (Distracted, "with scores that come in another order the search is another one"),
        (NamesTheFirst, "was named, which was told"),
        (PaysNothing, "was named, which was told"),
        (DrawsLittle, "the mean rank over 30 seeds is"),
    ],
)
def test_a_broken_multi_trial_promise_is_caught(broken: type[RandomSearch], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_multi_trial(lambda space, seed: broken(space, seed=seed), trials=4, random=True)
