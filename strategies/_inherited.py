"""Scores with the weights of a trained supernet: the default scorer of second stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from searchspace import InputError, Selection
from strategies._budget import Score
from strategies._data import images_in
from strategies._statistics import pooled_statistics
from strategies.multi_trial import Trial

__all__ = ["InheritedScore"]


class InheritedScore:
    """Scorer: minus the held-out loss of a genotype with a supernet's weights, as a mean over images.

    A supernet's running batch-norm statistics mix all paths that ran through a layer. They are taken anew for every
    genotype, from training batches, before the loss is taken in evaluation mode.

    Args:
        supernet: The supernet. Its weights stay as they are; its batch-norm statistics do not.
        held_out: Batches for the loss, at least one.
        train: Batches for the statistics; not used if the supernet has no batch norms.
        count: Function that returns the number of images of a batch.
    """

    def __init__(
        self,
        supernet: Any,
        held_out: Sequence[Any],
        train: Sequence[Any] = (),
        count: Callable[[Any], int] = images_in,
    ) -> None:
        if not held_out:
            raise InputError("genotypes are scored on held-out batches: give at least one")
        self._supernet, self._held_out, self._count = supernet, held_out, count
        modules = supernet.modules() if isinstance(supernet, nn.Module) else ()
        normalises = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in modules)
        self._train = train if normalises else ()
        self._samples = sum(map(count, [*self._train, *self._held_out]))

    def samples(self, trial: Trial) -> int:
        """Returns the number of images that one score uses, the same for every trial."""
        return self._samples

    @torch.no_grad()
    def __call__(self, trial: Trial) -> Score:
        """Scores a trial's genotype."""
        selection = Selection.of(trial.genotype)
        if isinstance(self._supernet, nn.Module):
            self._supernet.eval()
        if self._train:
            with pooled_statistics(self._supernet):
                for batch in self._train:
                    self._supernet.loss(batch, selection)
        counts = [self._count(batch) for batch in self._held_out]
        losses = [float(self._supernet.loss(batch, selection)) for batch in self._held_out]
        total = sum(count * loss for count, loss in zip(counts, losses, strict=True))
        return Score(-total / sum(counts), self._samples)
