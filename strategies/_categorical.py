"""Independent categorical distributions over the options of every choice: what most one-shot strategies learn.

J choices with at most K options are held as one (J, K) matrix, so that sampling, entropy and updates are a handful of
tensor operations, whatever the number of choices. Places beyond a choice's options are masked.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from searchspace import Genotype, SearchSpace, Selection, Weighted

__all__ = ["Categorical", "entropy", "gumbel_noise", "gumbel_softmax"]


def gumbel_noise(uniform: Tensor) -> Tensor:
    """Gumbel(0, 1) variables from uniform ones: ``-log(-log u)``."""
    tiny = torch.finfo(uniform.dtype).tiny
    exponential = -torch.log(uniform.clamp_min(tiny))
    return -torch.log(exponential.clamp_min(tiny))


def gumbel_softmax(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Eq. 7: the soft one-hot variable, ``softmax((log alpha + G) / lambda)``.

    Args:
        logits: ``(..., K)`` log alpha, unnormalised; -inf marks a masked place.
        noise: ``(..., K)`` Gumbel variables.
        temperature: lambda > 0.
    """
    return torch.softmax((logits + noise) / temperature, dim=-1)


def entropy(logits: Tensor) -> Tensor:
    """Entropy in nats of softmax(logits) over the last dimension; -inf places count nothing."""
    log_p = torch.log_softmax(logits, dim=-1)
    return -(log_p.exp() * log_p.masked_fill(log_p.isneginf(), 0.0)).sum(-1)


class Categorical:
    """Logits of independent categorical distributions.

    Attributes:
        logits: ``(J, K)`` leaf tensor, 0 at the start (uniform); what an optimiser updates.
        mask: ``(J, K)`` bool, True where the choice has that option.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        widths = torch.tensor([len(options) for options in space.values()])
        self.mask = torch.arange(int(widths.max())) < widths[:, None]
        self.logits = torch.zeros(self.mask.shape, requires_grad=True)

    @property
    def masked_logits(self) -> Tensor:
        """``(J, K)`` logits with -inf at the masked places."""
        return self.logits.masked_fill(~self.mask, -torch.inf)

    @property
    def probabilities(self) -> Tensor:
        """``(J, K)``, rows sum to 1."""
        return torch.softmax(self.masked_logits, dim=-1)

    def num_parameters(self) -> int:
        """Logits that belong to an option."""
        return int(self.mask.sum())

    def genotype(self) -> Genotype:
        """The most probable option of every choice."""
        return self.space.decode(self.masked_logits.argmax(-1).tolist())

    def gumbel_noise(self, generator: torch.Generator) -> Tensor:
        """``(J, K)`` fresh Gumbel variables."""
        return gumbel_noise(torch.rand(self.mask.shape, generator=generator))

    def selection(self, weights: Tensor, fixed: Tensor) -> Selection:
        """A selection from a weight matrix.

        Args:
            weights: ``(J, K)``; all options of a choice are active with these weights ...
            fixed: ``(J,)`` long; ... but where this is >= 0, that option alone is, with a constant 1.
        """
        options: dict[str, tuple[Weighted, ...]] = {}
        for j, (choice, names) in enumerate(self.space.items()):
            only = int(fixed[j])
            if only >= 0:
                options[choice] = (Weighted(names[only], None),)
            else:
                options[choice] = tuple(Weighted(name, weights[j, k]) for k, name in enumerate(names))
        return Selection(options)

    def report(self) -> dict[str, dict[str, float]]:
        """``{choice: {option: probability}}`` as plain numbers."""
        table = self.probabilities.detach().tolist()
        return {
            choice: dict(zip(names, row[: len(names)], strict=True))
            for (choice, names), row in zip(self.space.items(), table, strict=True)
        }

    def state_dict(self) -> dict[str, Any]:
        """The logits."""
        return {"logits": self.logits.detach().clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Copies the logits in place, so that an optimiser keeps its reference."""
        with torch.no_grad():
            self.logits.copy_(state["logits"])
