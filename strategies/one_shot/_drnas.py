"""DrNAS: bi-level search over the concentration of Dirichlet distributions.

Chen et al., DrNAS: Dirichlet Neural Architecture Search, ICLR 2021.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from searchspace import SearchSpace, Selection
from strategies._base import STRATEGIES
from strategies._knobs import number
from strategies._step import DataUse
from strategies.one_shot._logits import LogitStrategy

__all__ = ["DrNAS", "sample_dirichlet"]


def sample_dirichlet(concentration: Tensor, generator: torch.Generator) -> Tensor:
    """Draws Dirichlet variables over the last dimension, differentiable in the concentration.

    They are independent gamma variables divided by their sum. The gradient goes through each of them by implicit
    reparameterisation.

    Args:
        concentration: Concentrations ``(..., K)``, >= 0; a place of 0 gets exactly 0.
        generator: The source of the draws.
    """
    real = concentration > 0
    gamma = torch._standard_gamma(torch.where(real, concentration, 1.0), generator)
    gamma = gamma.clamp_min(torch.finfo(gamma.dtype).tiny) * real
    return gamma / gamma.sum(-1, keepdim=True)


@STRATEGIES.register("drnas")
class DrNAS(LogitStrategy):
    """Bi-level search: all options run, weighted by a Dirichlet sample of concentration ``elu(eta) + 1``.

    Args:
        space: Any space of independent choices.
        seed: Seeds the Dirichlet draws.
        lr: Learning rate of eta, > 0.
        betas: Decay rates of the two moments of their Adam, in [0, 1).
        anchor: Weight, >= 0, of the distance of the concentrations from 1, the uniform distribution (the paper's
            lambda).
    """

    name = "drnas"
    summary = "bi-level, options weighted by samples of a learnt Dirichlet distribution"
    paper = "Chen et al., ICLR 2021"
    data_use = DataUse.BI_LEVEL
    passes = 2

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        lr: float = 6e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        anchor: float = 1e-3,
    ) -> None:
        super().__init__(space, seed=seed, lr=lr, betas=betas)
        self._anchor = number("anchor", anchor, at_least=0)

    def concentration(self) -> Tensor:
        """Returns the concentrations ``(J, K)``, 0 at masked places."""
        return (F.elu(self.distribution.logits) + 1.0) * self.distribution.mask

    def probabilities(self) -> Tensor:
        """Returns the mean of the distribution, ``(J, K)``."""
        concentration = self.concentration()
        return concentration / concentration.sum(-1, keepdim=True)

    def select(self) -> Selection:
        return self.distribution.selection(sample_dirichlet(self.concentration(), self._generator))

    def regulariser(self) -> Tensor:
        """Returns the anchor weight times the squared distance of the concentrations from 1."""
        return self._anchor * (F.elu(self.distribution.logits) ** 2).sum()
