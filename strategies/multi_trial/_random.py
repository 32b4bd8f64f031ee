"""Random search: the baseline of every multi-trial comparison."""

from __future__ import annotations

from searchspace import Genotype
from strategies._base import STRATEGIES
from strategies.multi_trial._base import MultiTrialStrategy

__all__ = ["RandomSearch"]


@STRATEGIES.register("random")
class RandomSearch(MultiTrialStrategy):
    """Draws genotypes uniformly, with replacement.

    Args:
        space: Any space.
        seed: Seeds the draws.
    """

    name = "random"
    summary = "genotypes drawn uniformly"
    paper = "Bergstra and Bengio, JMLR 2012"

    def propose(self) -> Genotype:
        return self.space.sample(self.rng)
