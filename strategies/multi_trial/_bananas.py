"""BANANAS: an ensemble of networks predicts scores; the most promising of many mutants is tried.

White et al., BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search, AAAI 2021.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from searchspace import Genotype, InputError, SearchSpace
from strategies._base import STRATEGIES
from strategies._knobs import whole
from strategies.multi_trial._base import MultiTrialStrategy, Scored
from strategies.multi_trial._mutant import mutant

if TYPE_CHECKING:
    from sklearn.neural_network import MLPRegressor

__all__ = ["BANANAS"]


@STRATEGIES.register("bananas")
class BANANAS(MultiTrialStrategy):
    """Independent Thompson sampling over mutants of the best trials, with a one-hot encoding of genotypes.

    A failed trial is ignored: it counts neither for ``initial`` nor for ``refit_every``, and is no parent.

    Args:
        space: Any space.
        seed: Seeds everything.
        initial: Number of trials with a score before the networks are first trained; until then genotypes are drawn
            uniformly.
        ensemble: Number of networks that predict scores.
        hidden: Number of units of each hidden layer of these networks; at least one layer.
        refit_every: Number of scores between two trainings of the ensemble.
        candidates: Number of mutants among which one is chosen.
        parents: Number of best trials that candidates are mutated from.
    """

    name = "bananas"
    summary = "an ensemble of networks predicts scores; Thompson sampling among mutants of the best"
    paper = "White et al., AAAI 2021"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        initial: int = 10,
        ensemble: int = 5,
        hidden: Sequence[int] = (20, 20, 20),
        refit_every: int = 10,
        candidates: int = 100,
        parents: int = 10,
    ) -> None:
        super().__init__(space, seed=seed)
        if isinstance(hidden, str) or not isinstance(hidden, Sequence) or not hidden:
            raise InputError(f"hidden must list the units of at least one layer, got {hidden!r}")
        self._hidden = tuple(whole(f"hidden[{layer}]", units) for layer, units in enumerate(hidden))
        self._initial, self._ensemble = whole("initial", initial), whole("ensemble", ensemble)
        self._refit_every = whole("refit_every", refit_every)
        self._candidates, self._parents = whole("candidates", candidates), whole("parents", parents)
        self._fitted_on = 0
        self._networks: list[MLPRegressor] = []

    def propose(self) -> Genotype:
        scored = self._scored()
        if len(scored) < self._initial:
            return self.space.sample(self.rng)
        if not self._networks or len(scored) >= self._fitted_on + self._refit_every:
            self._fit(len(scored))
        known = {trial.genotype for trial in self.asked}
        best = sorted(scored, key=lambda told: -told.score)[: self._parents]
        mutants: dict[Genotype, None] = {}
        for _ in range(self._candidates):
            mutants[mutant(self.space, self.rng.choice(best).trial.genotype, self.rng)] = None
        fresh = [genotype for genotype in mutants if genotype not in known]
        if not fresh:
            return self.space.sample(self.rng)
        predicted = np.stack([network.predict(self._encode(fresh)) for network in self._networks])
        sampled = [self.rng.gauss(m, s) for m, s in zip(predicted.mean(0), predicted.std(0), strict=True)]
        return fresh[int(np.argmax(sampled))]

    def _scored(self) -> list[Scored]:
        return [told for told in self.history if not told.failed]

    def _fit(self, trials: int) -> None:
        """Trains the ensemble on the first ``trials`` scores. The result depends on nothing else."""
        from sklearn.exceptions import ConvergenceWarning  # a second, which only this strategy has to pay
        from sklearn.neural_network import MLPRegressor

        told = self._scored()[:trials]
        scores = np.array([one.score for one in told])
        scores = (scores - scores.mean()) / (scores.std() or 1.0)
        inputs = self._encode([one.trial.genotype for one in told])
        self._networks = []
        for member in range(self._ensemble):
            seed = int(np.random.SeedSequence([self.seed, trials, member]).generate_state(1)[0])
            network = MLPRegressor(
                hidden_layer_sizes=self._hidden, learning_rate_init=0.01, max_iter=200, random_state=seed
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # the method asks for this number of steps
                self._networks.append(network.fit(inputs, scores))
        self._fitted_on = trials

    def _encode(self, genotypes: Sequence[Genotype]) -> np.ndarray:
        """Encodes G genotypes one-hot, ``(G, number of options of all choices)``."""
        return np.array(
            [[g[choice] == option for choice in self.space for option in self.space[choice]] for g in genotypes],
            dtype=float,
        )

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "fitted_on": self._fitted_on}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._fitted_on, self._networks = 0, []
        if state["fitted_on"]:
            self._fit(state["fitted_on"])
