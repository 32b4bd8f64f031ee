"""Splits the time of training steps into parts of the network, without slowing the steps.

A clock is told where a forward pass goes from one part to the next. Hooks on the tensors at these places tell it the
same of the backward pass, which computes in the reverse order of the forward pass: the gradient of such a tensor is
complete when everything behind it is done, and nothing before it has begun. The modules themselves run as always.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from atrc.networks import Predictions, Trunk
from searchspace import InputError, Selection

__all__ = ["BACKBONE", "CONTEXTS", "HEADS", "LOADING", "LOSSES", "OPTIMIZER", "PARTS", "Clock", "time_parts"]

LOADING, BACKBONE, HEADS, CONTEXTS = "loading", "backbone", "heads", "contexts"
LOSSES, OPTIMIZER = "predictions and losses", "optimizer"
PARTS = (LOADING, BACKBONE, HEADS, CONTEXTS, LOSSES, OPTIMIZER)


class Clock:
    """A clock that adds every moment to the part that runs.

    Args:
        now: Function that returns the time in seconds.

    Attributes:
        part: The part that runs, one of `PARTS`.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self.part = OPTIMIZER
        self.start()

    @classmethod
    def of(cls, device: torch.device) -> Clock:
        """Returns a clock for a device. A GPU finishes its work before the time is read."""

        def now() -> float:
            torch.cuda.synchronize(device)
            return time.perf_counter()

        return cls(now) if device.type == "cuda" else cls()

    def start(self) -> None:
        """Begins a step. What belongs to no other part belongs to the optimiser."""
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self.part, self._since = OPTIMIZER, self._now()

    def stop(self) -> Mapping[str, float]:
        """Returns part -> seconds since `start`."""
        self.enter(OPTIMIZER)
        return self._seconds

    def enter(self, part: str) -> None:
        """Gives the time since the last call to the part that ran until now. From now on ``part`` runs."""
        now = self._now()
        self._seconds[self.part] += now - self._since
        self.part, self._since = part, now

    def cross(self, tensors: Iterable[Tensor], before: str, after: str) -> None:
        """Goes from one part to the next in a forward pass.

        Args:
            tensors: What is passed from one part to the other.
            before: The part that computed the tensors. It runs again when the backward pass has their gradients.
            after: The part that reads the tensors.
        """
        self.enter(after)
        for tensor in tensors:
            if tensor.grad_fn is not None:  # without one, no part computed it
                tensor.register_hook(lambda _: self._return(before))

    def _return(self, part: str) -> None:
        """Enters a part in a backward pass. All tensors of a crossing call it, the first of them in time."""
        if part != self.part:
            self.enter(part)
            # The end of a backward pass has no public hook; torch's own wrappers of data in parallel use this one.
            engine: Any = torch.autograd.Variable._execution_engine
            engine.queue_callback(lambda: self.enter(OPTIMIZER))


def time_parts(network: nn.Module, clock: Clock) -> None:
    """Makes a network tell a clock which part computes, forward and backward, from now on.

    `CONTEXTS` is everything between the features of the tasks and their predictions.

    Args:
        network: A `Trunk`, or a module that has one.
        clock: The clock.

    Raises:
        InputError: The network has no `Trunk`.
    """
    trunk: Any = next((module for module in network.modules() if isinstance(module, Trunk)), None)
    if trunk is None:
        raise InputError(f"a network of the type {type(network).__name__} has no parts to time: it is no Trunk")
    encode, finish = trunk.encode, trunk.finish

    def timed_encode(*inputs: Any, **options: Any) -> Any:
        clock.enter(BACKBONE)
        encoded = encode(*inputs, **options)
        clock.cross((*encoded.features.values(), *encoded.regions.values()), HEADS, CONTEXTS)
        return encoded

    def timed_finish(refined: Mapping[str, Tensor], encoded: Any) -> Predictions:
        kept = set(map(id, encoded.features.values()))  # without contexts, predictions read the features themselves
        clock.cross([x for x in refined.values() if id(x) not in kept], CONTEXTS, LOSSES)
        predictions: Predictions = finish(refined, encoded)
        return predictions

    trunk.encode, trunk.finish = timed_encode, timed_finish
    trunk.backbone.register_forward_hook(lambda _, __, maps: clock.cross(_tensors(maps), BACKBONE, HEADS))


def time_strategy(supernet: Any, clock: Clock) -> None:
    """Makes a supernet tell a clock when a strategy works: it draws selections, and learns from their gradients."""
    loss = supernet.loss

    def timed_loss(batch: Any, selection: Selection) -> Tensor:
        clock.cross(_weights(selection), OPTIMIZER, OPTIMIZER)
        value: Tensor = loss(batch, selection)
        if not value.requires_grad:  # no backward pass will end the losses
            clock.enter(OPTIMIZER)
        return value

    supernet.loss = timed_loss


def _tensors(maps: Any) -> list[Tensor]:
    return [x for x in tree_leaves(maps) if isinstance(x, Tensor)]


def _weights(selection: Selection) -> Sequence[Tensor]:
    """Returns weights of a selection, one for every operation that made some of them."""
    found = [weight for active in selection.options.values() for _, weight in active if weight is not None]
    return list({weight.grad_fn: weight for weight in found}.values())


class Feed:
    """Batches as a run loads them, with the time that it takes.

    Args:
        loader: A loader with ``iterate(start)``.
        device: The device that computes.
        clock: The clock.
    """

    def __init__(self, loader: Any, device: torch.device, clock: Clock) -> None:
        self._loader, self._device, self._clock = loader, device, clock

    def iterate(self, start: int = 0) -> Iterator[Any]:
        batches = self._loader.iterate(start)
        while True:
            before = self._clock.part
            self._clock.enter(LOADING)
            batch = next(batches).to(self._device)
            self._clock.enter(before)
            yield batch
