"""Counts of boundary pixels, from which precision, recall and F are made."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoundaryCounts"]


class BoundaryCounts(NamedTuple):
    """Numbers of pixels at T thresholds: ``(T,)`` int64 each for one image, ``(N, T)`` for N images.

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

    # If a denominator is 0, so is its numerator; clamping gives 0, as in the benchmark.

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the predicted pixels that are matched, 0..1; 0 if nothing is predicted."""
        return self.matched_prediction / np.maximum(self.predicted, 1)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the true pixels that are matched, 0..1; 0 if there is no boundary."""
        return self.matched_truth / np.maximum(self.truth, 1)

    @property
    def f(self) -> NDArray[np.float64]:
        """``2PR / (P + R)``, 0..1; 0 if both are 0."""
        precision, recall = self.precision, self.recall
        return 2 * precision * recall / np.maximum(precision + recall, np.finfo(np.float64).tiny)

    def total(self) -> BoundaryCounts:
        """Sums the counts over the images, the first dimension."""
        return BoundaryCounts(*(count.sum(0) for count in self))

    def own_best(self) -> NDArray[np.int64]:
        """Returns the ``(N,)`` index of the threshold with the best F of each image; of equal ones, the lowest."""
        return self.f.argmax(1)

    def at(self, thresholds: NDArray[np.int64]) -> BoundaryCounts:
        """Returns the ``(N,)`` counts of each image at its own threshold, given as an ``(N,)`` index."""
        return BoundaryCounts(*(np.take_along_axis(count, thresholds[:, None], 1)[:, 0] for count in self))
