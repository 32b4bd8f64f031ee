"""DSNAS: single-level search with one-hot samples and a gradient of the sampled option alone.

Hu et al., DSNAS: Direct Neural Architecture Search without Parameter Retraining, CVPR 2020.
"""

from __future__ import annotations

import torch

from searchspace import SearchSpace, Selection
from strategies._base import STRATEGIES
from strategies._step import DataUse
from strategies.one_shot._logits import LogitStrategy

__all__ = ["DSNAS"]


@STRATEGIES.register("dsnas")
class DSNAS(LogitStrategy):
    """Single-level search: only the sampled option runs; its log-probability follows its effect on the loss.

    The weight of the sampled option is 1 and has the gradient of its log-probability, so that the logits get
    ``(dL / dz) d log p(z) / d alpha`` with the credit dL / dz of that choice alone.

    Args:
        space: Any space of independent choices.
        seed: Seeds the samples.
        lr: Learning rate of the logits, > 0.
        betas: Decay rates of the two moments of their Adam, in [0, 1).
        weight_decay: Weight decay of the logits, >= 0.
    """

    name = "dsnas"
    summary = "single-level, one-hot samples with a score-function gradient per choice: only the sampled option runs"
    paper = "Hu et al., CVPR 2020"
    data_use = DataUse.SINGLE_LEVEL
    active_paths = "one"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(space, seed=seed, lr=lr, betas=betas, weight_decay=weight_decay)

    def select(self) -> Selection:
        log_p = torch.log_softmax(self.distribution.masked_logits, dim=-1)
        one = log_p - log_p.detach() + 1.0
        return self.distribution.selection(one, self.distribution.one_hot(self.distribution.sample(self._generator)))
