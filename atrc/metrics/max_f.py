"""Maximum F-measure of a foreground map, with counts over the whole data set."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from atrc.metrics._pieces import histogram, pieces
from searchspace.errors import InputError

__all__ = ["SALIENCY_THRESHOLDS", "MaxF"]

SALIENCY_THRESHOLDS = tuple(step / 20 for step in range(1, 20))
"""0.05, 0.10 .. 0.95."""
_FEW = 64
"""Up to this number of thresholds, comparing with each of them is faster than a binary search."""


class MaxF(Metric):
    """max F in percent (Sec. 4.1): F of precision and recall at the best of several thresholds.

    ``F = (1 + beta^2) P R / (beta^2 P + R)``, with counts over the data set. A pixel is foreground if its probability
    is at or above the threshold. F is 0 if there is no true positive.

    Args:
        beta_squared: beta^2; below 1, precision counts for more than recall.
        thresholds: Increasing probabilities.
        ignore: Label value of pixels that do not count.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    hits: Tensor
    detections: Tensor
    positives: Tensor

    def __init__(
        self,
        beta_squared: float = 0.3,
        thresholds: Sequence[float] = SALIENCY_THRESHOLDS,
        ignore: int = 255,
    ) -> None:
        super().__init__()
        self.thresholds = tuple(float(threshold) for threshold in thresholds)
        if not self.thresholds or list(self.thresholds) != sorted(set(self.thresholds)):
            raise InputError(f"thresholds must be increasing and at least one, got {self.thresholds}")
        if beta_squared <= 0:
            raise InputError(f"beta_squared must be > 0, got {beta_squared}")
        self.beta_squared = beta_squared
        self.ignore = ignore
        zeros = torch.zeros(len(self.thresholds), dtype=torch.int64)
        self.add_state("hits", zeros.clone(), dist_reduce_fx="sum")
        self.add_state("detections", zeros.clone(), dist_reduce_fx="sum")
        self.add_state("positives", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, label: Tensor) -> None:
        """Counts one batch.

        Args:
            prediction: ``(B, H, W)`` foreground probability.
            label: ``(B, H, W)`` 0, 1 or `ignore`.

        Raises:
            InputError: The shapes differ.
        """
        if prediction.shape != label.shape:
            raise InputError(f"prediction {tuple(prediction.shape)} and label {tuple(label.shape)} differ in shape")
        bins = len(self.thresholds) + 1
        for probability, truth in pieces(prediction.flatten(), label.flatten()):
            passed = _passed(probability, self.thresholds)
            # a row each for what is not positive and what is; ignored pixels come behind them
            place = torch.where(truth != self.ignore, passed + bins * (truth == 1), 2 * bins)
            negative, positive = histogram(place, 2 * bins).view(2, bins)
            self.detections += _at_least(negative + positive)
            self.hits += _at_least(positive)
            self.positives += positive.sum()

    def compute(self) -> Tensor:
        """Returns the best F in percent, a scalar."""
        hits = self.hits.double()
        # With P = hits / detections and R = hits / positives, F can be computed without either quotient.
        both = self.beta_squared * self.positives.double() + self.detections
        f = (1 + self.beta_squared) * hits / both.clamp(min=1e-12)
        return 100 * f.max()


def _passed(probability: Tensor, thresholds: Sequence[float]) -> Tensor:
    """Returns how many of the T rising thresholds each pixel ``(N,)`` is not below; NaN is below none."""
    if len(thresholds) > _FEW:
        edges = torch.tensor(thresholds, dtype=probability.dtype, device=probability.device)
        return torch.bucketize(probability, edges, right=True)
    below = torch.zeros_like(probability, dtype=torch.uint8)
    for threshold in thresholds:
        below += probability < threshold
    return len(thresholds) - below.long()


def _at_least(histogram: Tensor) -> Tensor:
    """Returns ``(T,)`` numbers of pixels that pass each threshold.

    Args:
        histogram: ``(T + 1,)`` numbers of pixels that pass 0, 1 .. T thresholds.
    """
    return histogram.flip(0).cumsum(0).flip(0)[1:]
