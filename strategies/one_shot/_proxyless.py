"""ProxylessNAS: bi-level search with one path for the weights and two for the architecture.

Cai et al., ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware, ICLR 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from searchspace import SearchSpace, Selection
from strategies._base import STRATEGIES
from strategies._step import DataUse
from strategies.one_shot._logits import LogitStrategy

__all__ = ["ProxylessNAS"]


@STRATEGIES.register("proxyless")
class ProxylessNAS(LogitStrategy):
    """Bi-level search: weights learn on one sampled option, logits on two, of which a gate opens one (Sec. 3.2).

    After a step the two logits are shifted together so that the options that were not sampled keep their
    probabilities. The gradient of a charged cost is taken under the same condition: it moves probability between the
    two that were sampled.

    Args:
        space: Any space of independent choices.
        seed: Seeds the samples.
        lr: Learning rate of the logits, > 0.
        betas: Decay rates of the two moments of their Adam, in [0, 1).
    """

    name = "proxyless"
    summary = "bi-level, binary gates: one option runs for the weights, two for the architecture"
    paper = "Cai et al., ICLR 2019"
    data_use = DataUse.BI_LEVEL
    passes = 2
    active_paths = "one or two"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.0, 0.999),
    ) -> None:
        super().__init__(space, seed=seed, lr=lr, betas=betas)
        self.pair = self.distribution.mask

    def select(self) -> Selection:
        sampled = self.distribution.one_hot(self.distribution.sample(self._generator))
        return self.distribution.selection(None, sampled)

    def select_to_learn(self) -> Selection:
        self.pair = self.distribution.one_hot(self.distribution.sample(self._generator, 2))
        soft = torch.softmax(self._of_pair(), dim=-1)
        gate = self.distribution.one_hot(self.distribution.sample(self._generator, 1, soft.detach()))
        # The gate's value, with the gradient of the pair's probabilities (eq. 4).
        return self.distribution.selection(gate.float() + soft - soft.detach(), self.pair)

    def probabilities(self) -> Tensor:
        """Returns probabilities ``(J, K)``; rows sum to 1. Only the split within the sampled pair has a gradient."""
        fixed = self.distribution.probabilities.detach()
        of_both = (fixed * self.pair).sum(-1, keepdim=True)
        return torch.where(self.pair, of_both * torch.softmax(self._of_pair(), dim=-1), fixed)

    def update(self) -> None:
        logits = self.distribution.logits
        kept = logits.detach().clone()
        before = torch.logsumexp(self._of_pair().detach(), dim=-1, keepdim=True)
        super().update()
        with torch.no_grad():
            after = torch.logsumexp(self._of_pair(), dim=-1, keepdim=True)
            # Adam's momentum, unless it is 0 as by default, moves logits outside the pair too: they are put back.
            logits.copy_(torch.where(self.pair, logits + (before - after), kept))

    def _of_pair(self) -> Tensor:
        return self.distribution.logits.masked_fill(~self.pair, -torch.inf)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "pair": self.pair.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.pair = state["pair"].to(self.distribution.mask.device, copy=True)
