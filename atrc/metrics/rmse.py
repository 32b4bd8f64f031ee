"""Root mean square error over all valid pixels of the data set."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from atrc.metrics._pieces import pieces
from searchspace.errors import InputError

__all__ = ["FirstChannelError", "RootMeanSquareError"]


class RootMeanSquareError(Metric):
    """RMSE in the label's unit (Sec. 4.1): one mean over all valid pixels, not a mean of images.

    A pixel is valid if its label is finite and greater than 0. `compute` returns NaN as long as no pixel was valid.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    squared_error: Tensor
    pixels: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("squared_error", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("pixels", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, label: Tensor) -> None:
        """Adds one batch.

        Args:
            prediction: ``(B, H, W)`` depth.
            label: ``(B, H, W)`` depth; 0, negative and non-finite pixels do not count.

        Raises:
            InputError: The shapes differ.
        """
        if prediction.shape != label.shape:
            raise InputError(f"prediction {tuple(prediction.shape)} and label {tuple(label.shape)} differ in shape")
        for guess, truth in pieces(prediction.flatten(), label.flatten()):
            self.add(guess, truth, (truth > 0) & (truth < torch.inf))

    def add(self, prediction: Tensor, label: Tensor, valid: Tensor) -> None:
        """Adds the pixels that are ``valid``; the three tensors have the same shape."""
        error = prediction.double() - label
        self.squared_error += torch.where(valid, error.square_(), 0).sum()
        self.pixels += valid.sum()

    def compute(self) -> Tensor:
        """Returns the RMSE, a scalar."""
        return (self.squared_error / self.pixels).sqrt()


class FirstChannelError(RootMeanSquareError):
    """RMSE of the first channel, over positive and negative numbers; a pixel is valid if its label is finite."""

    def update(self, prediction: Tensor, label: Tensor) -> None:
        """Adds one batch of maps ``(B, C, H, W)``."""
        for guess, truth in pieces(prediction[:, 0].flatten(), label[:, 0].flatten()):
            self.add(guess, truth, truth.isfinite())
