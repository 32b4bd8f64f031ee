"""Batches for a search: endless streams whose position can be saved, and the number of images in a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from searchspace import InputError
from strategies._categorical import seeded_generator

__all__ = ["Stream", "images_in"]


def images_in(batch: Any) -> int:
    """Returns the number of images (samples) of a batch.

    Args:
        batch: A tensor ``(B, ...)`` (one without dimensions is one sample), a mapping or a sequence whose first entry
            is a batch in this sense, or any object with a length.

    Raises:
        InputError: The batch is none of these.
    """
    if isinstance(batch, Tensor):
        return int(batch.shape[0]) if batch.ndim else 1
    if isinstance(batch, Mapping) and batch:
        return images_in(next(iter(batch.values())))
    if isinstance(batch, tuple | list) and batch:
        return images_in(batch[0])
    try:
        return len(batch)
    except TypeError:
        raise InputError(
            f"the images of a batch of type {type(batch).__name__} cannot be counted; give a function count="
        ) from None


class Stream:
    """Endless batches of a loader, epoch after epoch; the position can be saved.

    A loader that has ``iterate(start)`` is asked for batch number ``start`` and all that follow. Any other iterable,
    such as a torch ``DataLoader``, is iterated anew in every epoch; a resumed stream begins the epoch again and skips
    the batches that were seen. While such a loader works, torch's global generator has a state of the stream's own:
    the order does not depend on other draws, and other draws do not depend on the order.

    Args:
        loader: Gives the batches of an epoch.
        seed: Seeds the stream's own generator.
        name: Name of the loader in messages.
    """

    def __init__(self, loader: Any, seed: int, name: str) -> None:
        if not hasattr(loader, "iterate") and not hasattr(loader, "__iter__"):
            raise InputError(f"{name} must be a loader that can be iterated, got {type(loader).__name__}")
        self._loader, self._name = loader, name
        self._generator = seeded_generator(seed).get_state()
        self._position = 0
        self._iterator: Iterator[Any] | None = None
        self._ahead: list[Any] = []
        self._epoch_began = self._states()

    def next(self) -> Any:
        """Returns the next batch.

        Raises:
            InputError: The loader gives none, even when it is begun again.
        """
        batch = self._ahead.pop() if self._ahead else self._fetch()
        self._position += 1
        return batch

    def peek(self) -> Any:
        """Returns the batch that `next` will give, without moving on."""
        if not self._ahead:
            self._ahead.append(self._fetch())
        return self._ahead[0]

    def _fetch(self) -> Any:
        if hasattr(self._loader, "iterate"):
            self._iterator = self._iterator or iter(self._loader.iterate(self._position))
            return next(self._iterator)
        with self._own_generator():
            if self._iterator is None:
                self._begin_epoch()
            for batch in self._iterator or ():
                return batch
            self._begin_epoch()
            for batch in self._iterator or ():
                return batch
        raise InputError(f"{self._name} has no batch left: give a loader that can be iterated again")

    def _begin_epoch(self) -> None:
        self._epoch_began, self._position = self._states(), 0
        self._iterator = iter(self._loader)

    def _states(self) -> list[Tensor]:
        """Returns the states of the stream's own generator and of those that the loader brings."""
        return [self._generator.clone(), *(generator.get_state() for generator in self._loader_generators())]

    def _loader_generators(self) -> list[torch.Generator]:
        owners = self._loader, getattr(self._loader, "sampler", None)
        found = [getattr(owner, "generator", None) for owner in owners]
        distinct = {id(one): one for one in found if isinstance(one, torch.Generator)}
        return list(distinct.values())

    @contextmanager
    def _own_generator(self) -> Iterator[None]:
        outside = torch.get_rng_state()
        torch.set_rng_state(self._generator)
        try:
            yield
        finally:
            self._generator = torch.get_rng_state()
            torch.set_rng_state(outside)

    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the epoch, and the states of the generators at the start of the epoch."""
        return {"position": self._position, "generators": [state.clone() for state in self._epoch_began]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from `state_dict`."""
        self._iterator, self._ahead = None, []
        if hasattr(self._loader, "iterate"):
            self._position = state["position"]
            return
        own, *others = state["generators"]
        self._generator = own.clone()
        generators = self._loader_generators()
        if len(generators) != len(others):
            raise InputError(
                f"{self._name} has {len(generators)} generators of its own, its saved state {len(others)}"
            )
        for generator, saved in zip(generators, others, strict=True):
            generator.set_state(saved)
        self._position = 0
        self._epoch_began = self._states()
        for _ in range(state["position"]):
            self.next()


def first_batches(loader: Any, seed: int, name: str, images: int, count: Callable[[Any], int]) -> Sequence[Any]:
    """Returns the first batches of a loader: enough for a number of images, but at most one epoch.

    Args:
        loader: A loader as in `Stream`.
        seed: Seeds the order of a loader that draws one.
        name: Name of the loader in messages.
        images: Number of images that are wanted.
        count: Function that returns the number of images of a batch.
    """
    stream, batches = Stream(loader, seed, name), list[Any]()
    most = len(loader) if hasattr(loader, "__len__") else math.inf
    while sum(map(count, batches)) < images and len(batches) < most:
        batches.append(stream.next())
    return batches
