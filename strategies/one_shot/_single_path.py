"""Search in two stages: weights learn under uniform samples, then genotypes are scored with them.

Guo et al., Single Path One-Shot Neural Architecture Search with Uniform Sampling, ECCV 2020 (the second stage is an
evolution); Li and Talwalkar, Random Search and Reproducibility for Neural Architecture Search, UAI 2019 (it draws).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from searchspace import CostModel, Genotype, InputError, SearchSpace, Selection
from strategies._base import STRATEGIES, DataUse, MultiTrialStrategy, OneShotStrategy, rng_state, set_rng_state
from strategies.multi_trial import GeneticAlgorithm, RandomSearch

__all__ = ["SPOS", "RandomWeightSharing", "SinglePath"]


class SinglePath(OneShotStrategy):
    """Weights learn under genotypes drawn uniformly; ``final`` then chooses among genotypes that it has scored.

    Args:
        space: Any space.
        seed: Seeds the draws.
        final: The second stage.
        final_trials: Genotypes that it scores, on held-out data, with the weights that the training left.
    """

    data_use = DataUse.SINGLE_LEVEL
    active_paths = "one"
    final: MultiTrialStrategy

    def __init__(self, space: SearchSpace, *, seed: int, final: MultiTrialStrategy, final_trials: int) -> None:
        super().__init__(space, seed=seed)
        if final_trials < 1:
            raise InputError(f"final_trials must be >= 1, got {final_trials}")
        self.final, self.final_trials = final, final_trials
        self._rng = random.Random(seed)

    def anneal(self, progress: float) -> None:
        pass

    def select(self) -> Selection:
        return Selection.of(self.space.sample(self._rng))

    def update(self) -> None:
        pass

    def charge(self, costs: CostModel, weight: float) -> None:
        """Nothing to do: who tells ``final`` its scores subtracts what costs count."""

    def genotype(self) -> Genotype:
        return self.final.genotype()

    def report(self) -> dict[str, Any]:
        return {"probabilities": {c: dict.fromkeys(options, 1 / len(options)) for c, options in self.space.items()}}

    def state_dict(self) -> dict[str, Any]:
        return {"rng": rng_state(self._rng), "final": self.final.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        set_rng_state(self._rng, state["rng"])
        self.final.load_state_dict(state["final"])


@STRATEGIES.register("spos")
class SPOS(SinglePath):
    """The second stage is a genetic algorithm.

    Args:
        space: Any space.
        seed: Seeds both stages.
        final_trials: Genotypes that are scored (the paper: 20 generations of 50).
        population: Of the genetic algorithm.
        parents: The best so many breed.
        mutation: Probability that a choice of a mutant changes.
    """

    name = "spos"
    summary = "uniformly sampled paths, then a genetic algorithm on inherited weights: only one option runs"
    paper = "Guo et al., ECCV 2020"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        final_trials: int = 1000,
        population: int = 50,
        parents: int = 10,
        mutation: float = 0.1,
    ) -> None:
        final = GeneticAlgorithm(space, seed=seed, population=population, parents=parents, mutation=mutation)
        super().__init__(space, seed=seed, final=final, final_trials=final_trials)


@STRATEGIES.register("random_ws")
class RandomWeightSharing(SinglePath):
    """The second stage draws genotypes uniformly: the baseline of weight sharing.

    Args:
        space: Any space.
        seed: Seeds both stages.
        final_trials: Genotypes that are scored.
    """

    name = "random_ws"
    summary = "uniformly sampled paths, then the best of random genotypes on inherited weights"
    paper = "Li and Talwalkar, UAI 2019"

    def __init__(self, space: SearchSpace, *, seed: int = 0, final_trials: int = 1000) -> None:
        super().__init__(space, seed=seed, final=RandomSearch(space, seed=seed), final_trials=final_trials)
