"""The training of a supernet, step by step: the first stage of a one-shot search."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

from searchspace import InputError, Supernet
from strategies._base import spawn_seed
from strategies._budget import Budget, Spent
from strategies._data import Stream, first_batches
from strategies._events import Event, StepEvent
from strategies._inherited import InheritedScore
from strategies._step import CLIPS, DataUse, Step
from strategies.multi_trial import Trial
from strategies.one_shot import Choosing, OneShotStrategy

__all__ = ["Training"]

IMAGES = 64
"""Number of held-out images, and of training images for batch-norm statistics, in the default `InheritedScore`."""


class _Counted:
    """A supernet as strategies see it: every batch that passes through it is entered in the ledger."""

    def __init__(self, supernet: Supernet[Any], count: Callable[[Any], int], spent: Spent) -> None:
        self._supernet, self._count, self._spent = supernet, count, spent

    def loss(self, batch: Any, selection: Any) -> Any:
        self._spent.samples += self._count(batch)
        return self._supernet.loss(batch, selection)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._supernet, name)


class Training:
    """The training of a supernet; see `strategies.Search` for its arguments.

    Attributes:
        ended: The reason why it ends.
    """

    def __init__(
        self,
        strategy: OneShotStrategy,
        supernet: Supernet[Any],
        optimizer: torch.optim.Optimizer,
        train: Any,
        held_out: Any,
        clip_norm: float | None,
        clip: str,
        scheduler: Any,
        autocast: AbstractContextManager[Any] | None,
        count: Callable[[Any], int],
        spent: Spent,
    ) -> None:
        if clip not in CLIPS:
            raise InputError(f"clip must be one of {', '.join(CLIPS)}, got {clip!r}")
        space = getattr(supernet, "space", strategy.space)
        if space != strategy.space:
            raise InputError(
                f"the supernet has the space {space!r}, strategy {strategy.name!r} has {strategy.space!r}"
            )
        parameter = next(supernet.parameters(), None) if isinstance(supernet, nn.Module) else None
        if parameter is not None:
            strategy.to(parameter.device)
        self.ended = "the training is over"
        self._strategy, self._supernet, self._optimizer = strategy, supernet, optimizer
        self._clip_norm, self._clip, self._scheduler, self._autocast = clip_norm, clip, scheduler, autocast
        self._count, self._spent = count, spent
        self._loaders = train, held_out
        self._train = Stream(train, spawn_seed(strategy.seed, 0), "train")
        self._held_out = None
        if strategy.data_use is not DataUse.SINGLE_LEVEL:
            if held_out is None:
                raise InputError(f"strategy {strategy.name!r} is {strategy.data_use.value}: give held_out=")
            self._held_out = Stream(held_out, spawn_seed(strategy.seed, 1), "held_out")
        self._steps: int | None = None
        self._budget = Budget(samples=1)
        self._reserved = 0

    def plan(self, steps: int | None, budget: Budget | None, choosing: Choosing | None, score: Any) -> Budget:
        """Divides the budget between the training and a second stage.

        Raises:
            InputError: There is no budget, or the second stage leaves nothing of it for the training.
        """
        if (steps is None) == (budget is None) or (budget is not None and budget.trials is not None):
            raise InputError(
                f"strategy {self._strategy.name!r} is one-shot: give steps=, or a budget of samples or seconds"
            )
        if steps is not None and steps < 1:
            raise InputError(f"steps must be >= 1, got {steps}")
        one_step = self._strategy.looks() * self._count(self._train.peek())
        if budget is None:
            assert steps is not None
            budget = Budget(samples=steps * one_step)
            self._steps = None if choosing is not None else steps
        self._budget = budget
        if choosing is None:
            return budget
        self._reserved = self._needed(choosing, score)
        if budget.samples is not None and budget.samples < self._reserved + one_step:
            raise InputError(
                f"a budget of {budget.samples} images is too small for strategy {self._strategy.name!r}: its second "
                f"stage takes up to {self._reserved} images ({choosing.trials} trials), a training step {one_step}; "
                "give a larger budget or fewer final_trials"
            )
        return budget

    def _needed(self, choosing: Choosing, score: Any) -> int:
        """Returns the largest number of images that the second stage can use. No genotype is scored twice."""
        if not hasattr(score, "samples"):
            raise InputError(
                "the scorer of a second stage needs a method samples(trial), the images that a trial will use"
            )
        probe = Trial(0, next(self._strategy.space.enumerate()))
        return int(min(choosing.trials, self._strategy.space.size) * score.samples(probe))

    def inherited_score(self) -> InheritedScore:
        """Builds the default scorer of a second stage."""
        train, held_out = self._loaders
        if held_out is None:
            raise InputError(f"strategy {self._strategy.name!r} scores genotypes on held-out batches: give held_out=")
        seed = self._strategy.seed
        of_held_out = first_batches(held_out, spawn_seed(seed, 2), "held_out", IMAGES, self._count)
        of_train = first_batches(train, spawn_seed(seed, 3), "train", IMAGES, self._count)
        return InheritedScore(self._supernet, of_held_out, of_train, self._count)

    def events(self) -> Iterator[Event]:
        """Makes the steps and gives an event for each."""
        while self._steps is None or self._spent.steps < self._steps:
            started = time.perf_counter()
            batch = self._train.next()
            if self._steps is None and not self._fits(batch):
                return
            held_out = None if self._held_out is None else self._held_out.next()
            loss = self._step(batch, held_out)
            self._spent.steps += 1
            self._spent.seconds += time.perf_counter() - started
            yield StepEvent(self._spent.steps, loss)

    def _step(self, batch: Any, held_out: Any) -> torch.Tensor:
        progress = self.progress()
        stepped = hasattr(self._scheduler, "step")
        if self._scheduler is not None and not stepped:
            self._scheduler(self._spent.steps, progress)
        if isinstance(self._supernet, nn.Module) and not self._supernet.training:
            self._supernet.train()  # it visits a thousand modules
        counted: Any = _Counted(self._supernet, self._count, self._spent)
        step = Step(counted, self._optimizer, batch, held_out, self._clip_norm, self._clip)
        with _forward_under(self._autocast, self._supernet):
            loss = step.take(self._strategy, progress)
        if stepped:
            self._scheduler.step()
        return loss

    def progress(self) -> float:
        """Returns the spent fraction of the training's budget, in [0, 1]."""
        if self._steps is not None:
            return self._spent.steps / self._steps
        parts = [0.0]
        if self._budget.samples is not None:
            parts.append(self._spent.samples / (self._budget.samples - self._reserved))
        if self._budget.seconds is not None:
            parts.append(self._spent.seconds / max(self._budget.seconds - self._reserved_seconds(), 1e-9))
        return min(1.0, max(parts))

    def _fits(self, batch: Any) -> bool:
        """Tells whether a step on this batch leaves enough of the budget for the second stage."""
        samples = self._spent.samples + self._strategy.looks() * self._count(batch) + self._reserved
        if self._budget.samples is not None and samples > self._budget.samples:
            return False
        return self._budget.seconds is None or self._spent.seconds + self._reserved_seconds() < self._budget.seconds

    def _reserved_seconds(self) -> float:
        """Bounds the seconds of the second stage: its images take no longer than those of the training."""
        return self._reserved * self._spent.seconds / max(self._spent.samples, 1)

    def state_dict(self) -> dict[str, Any]:
        scheduler = self._scheduler.state_dict() if hasattr(self._scheduler, "state_dict") else None
        generators = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            generators["cuda"] = torch.cuda.get_rng_state()
        network: Any = self._supernet
        return {
            "supernet": network.state_dict() if isinstance(network, nn.Module) else None,
            "optimizer": self._optimizer.state_dict(),
            "scheduler": scheduler,
            "train": self._train.state_dict(),
            "held_out": None if self._held_out is None else self._held_out.state_dict(),
            "generators": generators,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if isinstance(self._supernet, nn.Module):
            self._supernet.load_state_dict(state["supernet"])
        self._optimizer.load_state_dict(state["optimizer"])
        if state["scheduler"] is not None:
            self._scheduler.load_state_dict(state["scheduler"])
        self._train.load_state_dict(state["train"])
        if self._held_out is not None:
            self._held_out.load_state_dict(state["held_out"])
        torch.set_rng_state(state["generators"]["cpu"])
        if "cuda" in state["generators"] and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["generators"]["cuda"])


@contextmanager
def _forward_under(autocast: AbstractContextManager[Any] | None, supernet: Any) -> Iterator[None]:
    """Runs every call of the supernet module under ``autocast``, but not the code around the calls."""
    if autocast is None:
        yield
        return
    if not isinstance(supernet, nn.Module):
        raise InputError("autocast= needs a supernet that is a torch module")

    def enter(*_: Any) -> None:
        autocast.__enter__()

    def leave(*_: Any) -> None:
        autocast.__exit__(None, None, None)

    hooks = supernet.register_forward_pre_hook(enter), supernet.register_forward_hook(leave, always_call=True)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
