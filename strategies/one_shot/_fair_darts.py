"""FairDARTS: bi-level search with independent sigmoids instead of a softmax.

Chu et al., Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture Search, ECCV 2020.
"""

from __future__ import annotations

import torch
from torch import Tensor

from searchspace import SearchSpace, Selection
from strategies._base import STRATEGIES
from strategies._knobs import number
from strategies._step import DataUse
from strategies.one_shot._logits import LogitStrategy

__all__ = ["FairDARTS"]


@STRATEGIES.register("fair_darts")
class FairDARTS(LogitStrategy):
    """Bi-level search without competition: each option has a sigmoid weight, driven to 0 or 1 by the zero-one loss.

    The paper keeps every option whose sigmoid exceeds a threshold. A choice of our spaces takes one option, so the
    one of the largest sigmoid is named.

    Args:
        space: Any space of independent choices.
        seed: Unused; nothing is drawn.
        lr: Learning rate of the logits, > 0.
        betas: Decay rates of the two moments of their Adam, in [0, 1).
        weight_decay: Weight decay of the logits, >= 0.
        zero_one: Weight of the zero-one loss ``-mean((sigmoid - 1/2)^2)``, >= 0.
    """

    name = "fair_darts"
    summary = "bi-level, independent sigmoid weights with a zero-one loss"
    paper = "Chu et al., ECCV 2020"
    data_use = DataUse.BI_LEVEL
    passes = 2

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        lr: float = 3e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-3,
        zero_one: float = 10.0,
    ) -> None:
        super().__init__(space, seed=seed, lr=lr, betas=betas, weight_decay=weight_decay)
        self._zero_one = number("zero_one", zero_one, at_least=0)

    def sigmoids(self) -> Tensor:
        """Returns the sigmoids ``(J, K)``, 0 at masked places."""
        return torch.sigmoid(self.distribution.masked_logits)

    def probabilities(self) -> Tensor:
        """Returns the sigmoids divided by their sum, ``(J, K)``, for reports and costs."""
        sigmoids = self.sigmoids()
        return sigmoids / sigmoids.sum(-1, keepdim=True)

    def select(self) -> Selection:
        return self.distribution.selection(self.sigmoids())

    def regulariser(self) -> Tensor:
        """Returns the zero-one loss."""
        return -self._zero_one * ((self.sigmoids().flatten()[self.distribution.places] - 0.5) ** 2).mean()
