"""SNAS: single-level search with annealed Gumbel-softmax samples.

Xie et al., SNAS: Stochastic Neural Architecture Search, ICLR 2019.
"""

from __future__ import annotations

from searchspace import SearchSpace, Selection
from strategies._base import STRATEGIES
from strategies._categorical import gumbel_softmax
from strategies._knobs import pair
from strategies._step import DataUse
from strategies.one_shot._logits import LogitStrategy

__all__ = ["SNAS"]


@STRATEGIES.register("snas")
class SNAS(LogitStrategy):
    """Single-level search: all options run, weighted by a relaxed one-hot sample.

    It is `GumbelEntropy` without the entropy term and freezing. The logits' Adam is the paper's.

    Args:
        space: Any space of independent choices.
        seed: Seeds the Gumbel noise.
        lr: Learning rate of the logits, > 0.
        betas: Decay rates of the two moments of their Adam, in [0, 1).
        weight_decay: Weight decay of the logits, >= 0.
        temperature: Gumbel-softmax lambda at the start and at the end, > 0, linear in progress.
    """

    name = "snas"
    summary = "single-level, relaxed one-hot samples of annealed temperature"
    paper = "Xie et al., ICLR 2019"
    data_use = DataUse.SINGLE_LEVEL
    temperature: float

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        lr: float = 3e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-3,
        temperature: tuple[float, float] = (1.0, 0.03),
    ) -> None:
        schedules = {"temperature": pair("temperature", temperature, above=0)}
        super().__init__(space, seed=seed, lr=lr, betas=betas, weight_decay=weight_decay, schedules=schedules)

    def select(self) -> Selection:
        noise = self.distribution.gumbel_noise(self._generator)
        return self.distribution.selection(gumbel_softmax(self.distribution.masked_logits, noise, self.temperature))
