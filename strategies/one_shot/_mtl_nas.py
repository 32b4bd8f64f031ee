"""MTL-NAS: single-level search with softmax-weighted options whose entropy is minimised.

Gao et al., MTL-NAS: Task-Agnostic Neural Architecture Search towards General-Purpose Multi-Task Learning, CVPR 2020.
"""

from __future__ import annotations

from torch import Tensor

from searchspace import SearchSpace, Selection
from strategies._base import STRATEGIES
from strategies._categorical import entropy
from strategies._knobs import pair
from strategies._step import DataUse
from strategies.one_shot._logits import LogitStrategy

__all__ = ["MTLNAS"]


@STRATEGIES.register("mtl_nas")
class MTLNAS(LogitStrategy):
    """Single-level search without sampling: less entropy brings the weighted options closer to the one that is kept.

    Args:
        space: Any space of independent choices.
        seed: Unused; nothing is drawn.
        lr: Learning rate of the logits, > 0.
        betas: Decay rates of the two moments of their Adam, in [0, 1).
        weight_decay: Weight decay of the logits, >= 0.
        entropy_weight: Weight of the mean entropy at the start and at the end, linear in progress.
    """

    name = "mtl_nas"
    summary = "single-level, softmax-weighted options with growing entropy minimisation"
    paper = "Gao et al., CVPR 2020"
    data_use = DataUse.SINGLE_LEVEL
    entropy_weight: float

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-3,
        entropy_weight: tuple[float, float] = (0.0, 10.0),
    ) -> None:
        schedules = {"entropy_weight": pair("entropy_weight", entropy_weight)}
        super().__init__(space, seed=seed, lr=lr, betas=betas, weight_decay=weight_decay, schedules=schedules)

    def select(self) -> Selection:
        return self.distribution.selection(self.distribution.probabilities)

    def regulariser(self) -> Tensor:
        """Returns the entropy weight times the mean entropy over all choices."""
        return self.entropy_weight * entropy(self.distribution.masked_logits).mean()
