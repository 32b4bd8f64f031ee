"""GDAS: bi-level search in which a step runs only the sampled options.

Dong and Yang, Searching for a Robust Neural Architecture in Four GPU Hours, CVPR 2019.
"""

from __future__ import annotations

import torch

from searchspace import SearchSpace, Selection
from strategies._base import STRATEGIES
from strategies._categorical import gumbel_softmax
from strategies._knobs import pair
from strategies._step import DataUse
from strategies.one_shot._logits import LogitStrategy

__all__ = ["GDAS"]


@STRATEGIES.register("gdas")
class GDAS(LogitStrategy):
    """Bi-level search: only the hard Gumbel-softmax sample runs; its weight is 1 with the soft sample's gradient.

    Args:
        space: Any space of independent choices.
        seed: Seeds the Gumbel noise.
        lr: Learning rate of the logits, > 0.
        betas: Decay rates of the two moments of their Adam, in [0, 1).
        weight_decay: Weight decay of the logits, >= 0.
        temperature: Gumbel-softmax tau at the start and at the end, > 0, linear in progress.
    """

    name = "gdas"
    summary = "bi-level, hard straight-through samples: only the sampled option runs"
    paper = "Dong and Yang, CVPR 2019"
    data_use = DataUse.BI_LEVEL
    passes = 2
    active_paths = "one"
    temperature: float

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        lr: float = 3e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-3,
        temperature: tuple[float, float] = (10.0, 0.1),
    ) -> None:
        schedules = {"temperature": pair("temperature", temperature, above=0)}
        super().__init__(space, seed=seed, lr=lr, betas=betas, weight_decay=weight_decay, schedules=schedules)

    def select(self) -> Selection:
        noise = self.distribution.gumbel_noise(self._generator)
        soft = gumbel_softmax(self.distribution.masked_logits, noise, self.temperature)
        straight_through = soft - soft.detach() + 1.0
        return self.distribution.selection(straight_through, self.distribution.one_hot(torch.argmax(soft, -1)))
