"""Counts of boundary pixels, from which precision, recall and F are made."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoundaryCounts"]


class BoundaryCounts(NamedTuple):
    """Pixels counted at T thresholds: ``(T,)`` int64 each of one image, ``(N, T)`` of N images.

    Attributes:
        matched_prediction: Predicted pixels that some annotator's boundary matches.
        predicted: Predicted pixels.
        matched_truth: True pixels that are matched, summed over annotators.
        truth: True pixels, summed over annotators.
    """

    matched_prediction: np.ndarray
    predicted: np.ndarray
    matched_truth: np.ndarray
    truth: np.ndarray

    # Where a denominator is 0 so is its numerator, and clamping it gives the benchmark's 0.

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the predicted pixels that are matched, 0..1; 0 where nothing is predicted."""
        return self.matched_prediction / np.maximum(self.predicted, 1)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the true pixels that are matched, 0..1; 0 where there is no boundary."""
        return self.matched_truth / np.maximum(self.truth, 1)

    @property
    def f(self) -> NDArray[np.float64]:
        """``2PR / (P + R)``, 0..1; 0 where both are 0."""
        precision, recall = self.precision, self.recall
        return 2 * precision * recall / np.maximum(precision + recall, np.finfo(np.float64).tiny)

    def total(self) -> BoundaryCounts:
        """Sums over the images, the first dimension."""
        return BoundaryCounts(*(count.sum(0) for count in self))

    def own_best(self) -> NDArray[np.int64]:
        """``(N,)`` index of the threshold at which each image has its best F, the lowest of several."""
        return self.f.argmax(1)

    def at(self, thresholds: NDArray[np.int64]) -> BoundaryCounts:
        """``(N,)`` counts of each image at a threshold of its own, an index ``(N,)``."""
        return BoundaryCounts(*(np.take_along_axis(count, thresholds[:, None], 1)[:, 0] for count in self))
