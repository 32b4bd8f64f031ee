"""The paper's search (Sec. 3.3): single-level Gumbel-softmax with entropy annealing and freezing.

Bruggemann et al., Exploring Relational Context for Multi-Task Dense Prediction, ICCV 2021; the estimator is that of
SNAS (Xie et al., ICLR 2019), the entropy term that of MTL-NAS (Gao et al., CVPR 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from searchspace import Genotype, SearchSpace, Selection, UnknownNameError
from strategies._base import STRATEGIES, DataUse
from strategies._categorical import entropy, gumbel_softmax
from strategies.one_shot._logits import LogitStrategy, two_ends

__all__ = ["FREEZE_CRITERIA", "GumbelEntropy", "entropy_below", "probability_gap"]


def probability_gap(probabilities: Tensor, threshold: float) -> Tensor:
    """``(J,)`` bool: the two largest probabilities differ by at least ``threshold`` (released code, 0.3)."""
    if probabilities.shape[-1] < 2:
        return torch.ones(probabilities.shape[:-1], dtype=torch.bool)
    top = probabilities.topk(2, dim=-1).values
    return top[..., 0] - top[..., 1] >= threshold


def entropy_below(probabilities: Tensor, threshold: float) -> Tensor:
    """``(J,)`` bool: the entropy in nats is at most ``threshold`` (the paper's wording)."""
    return entropy(probabilities.log()) <= threshold


FREEZE_CRITERIA = {"gap": probability_gap, "entropy": entropy_below}


@STRATEGIES.register("gumbel_entropy")
class GumbelEntropy(LogitStrategy):
    """Architecture logits and weights learn from one loss; entropy is pushed up first, then down.

    A choice stops sampling for good once its distribution meets the freeze criterion; from then on its most
    probable option runs alone. Defaults are the paper's, for 40,000 steps; logits move by about ``lr`` a step, so a
    search of fewer steps needs a larger one.

    Args:
        space: Any space of independent choices.
        seed: Seeds the Gumbel noise.
        lr: Adam learning rate of the logits, constant; no weight decay.
        temperature: Gumbel-softmax lambda at the start and at the end, linear in progress.
        entropy_weight: Weight of the mean entropy at the start and at the end, linear in progress.
        freeze: ``"gap"``, ``"entropy"``, or None to sample every choice to the end.
        freeze_threshold: Gap of probabilities in [0, 1], or entropy in nats.
    """

    name = "gumbel_entropy"
    summary = "single-level Gumbel-softmax with entropy annealing and freezing: the paper's own search"
    paper = "Bruggemann et al., ICCV 2021"
    data_use = DataUse.SINGLE_LEVEL
    active_paths = "all, one once frozen"
    temperature: float
    entropy_weight: float

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        lr: float = 5e-4,
        temperature: tuple[float, float] = (1.0, 0.05),
        entropy_weight: tuple[float, float] = (-0.02, 0.06),
        freeze: str | None = "gap",
        freeze_threshold: float = 0.3,
    ) -> None:
        super().__init__(
            space,
            seed=seed,
            lr=lr,
            schedules={
                "temperature": two_ends("temperature", temperature, positive=True),
                "entropy_weight": two_ends("entropy_weight", entropy_weight),
            },
        )
        if freeze is not None and freeze not in FREEZE_CRITERIA:
            raise UnknownNameError("freeze criterion", freeze, FREEZE_CRITERIA)
        self._criterion = FREEZE_CRITERIA[freeze] if freeze else None
        self._threshold = freeze_threshold
        # The option that a frozen choice stays at; -1 while it still samples.
        self.frozen = torch.full((len(space),), -1)

    def select(self) -> Selection:
        noise = self.distribution.gumbel_noise(self._generator)
        soft = gumbel_softmax(self.distribution.masked_logits, noise, self.temperature)
        return self.distribution.selection(soft, constant=self.frozen)

    def regulariser(self) -> Tensor:
        """Entropy weight times the mean entropy of p_alpha over all choices."""
        return self.entropy_weight * entropy(self.distribution.masked_logits).mean()

    def update(self) -> None:
        super().update()
        self._freeze()

    @torch.no_grad()
    def _freeze(self) -> None:
        if self._criterion is None:
            return
        done = self._criterion(self.distribution.probabilities, self._threshold)
        best = self.distribution.masked_logits.argmax(-1)
        self.frozen = torch.where((self.frozen < 0) & done, best, self.frozen)

    def genotype(self) -> Genotype:
        best = self.distribution.masked_logits.argmax(-1)
        return self.space.decode(torch.where(self.frozen < 0, best, self.frozen).tolist())

    def report(self) -> dict[str, Any]:
        frozen = [c for c, f in zip(self.space, self.frozen.tolist(), strict=True) if f >= 0]
        return {**super().report(), "frozen": frozen}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "frozen": self.frozen.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.frozen = state["frozen"].clone()
