"""ASHA: asynchronous successive halving.

Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020.
"""

from __future__ import annotations

from strategies._base import STRATEGIES
from strategies.multi_trial._base import Trial
from strategies.multi_trial._fidelity import MultiFidelity, best

__all__ = ["ASHA"]


@STRATEGIES.register("asha")
class ASHA(MultiFidelity):
    """Promotes a genotype among the best ``1 / eta`` of its rung so far; if there is none, adds to the lowest rung.

    A failed trial counts as one of its rung, and is never promoted.

    Args: see `MultiFidelity`.
    """

    name = "asha"
    summary = "asynchronous successive halving over the training budget"
    paper = "Li et al., MLSys 2020"

    def ask(self) -> Trial:
        for low, high in reversed(list(zip(self.budgets, self.budgets[1:], strict=False))):
            told = [one for one in self.history if one.trial.budget == low]
            promoted = {trial.genotype for trial in self.asked if trial.budget == high}
            for genotype in best(told, len(told) // self.eta):
                if genotype not in promoted:
                    return self._new_trial(genotype, high)
        return self._new_trial(self.propose(), self.budgets[0])
