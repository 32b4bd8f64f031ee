"""Search in two stages: weights learn under uniform samples, then genotypes are scored with them.

Guo et al., Single Path One-Shot Neural Architecture Search with Uniform Sampling, ECCV 2020 (the second stage is an
evolution); Li and Talwalkar, Random Search and Reproducibility for Neural Architecture Search, UAI 2019 (it draws).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from searchspace import CostModel, Genotype, SearchSpace, Selection
from strategies._base import STRATEGIES, NothingNamed, rng_state, set_rng_state, spawn_seed
from strategies._knobs import whole
from strategies._step import DataUse
from strategies.multi_trial import GeneticAlgorithm, MultiTrialStrategy, RandomSearch
from strategies.one_shot._base import Choosing, OneShotStrategy

__all__ = ["SPOS", "RandomWeightSharing", "SinglePath"]


class SinglePath(OneShotStrategy):
    """Base class of searches in two stages: weights learn under genotypes drawn uniformly, then ``final`` chooses.

    The second stage scores genotypes on held-out data with the trained weights.

    Args:
        space: Any space.
        seed: Seeds the draws of the training.
        final: The strategy of the second stage, with a seed of its own.
        final_trials: Number of genotypes that it scores.
    """

    data_use = DataUse.SINGLE_LEVEL
    active_paths = "one"
    meets_constraints = True

    def __init__(self, space: SearchSpace, *, seed: int, final: MultiTrialStrategy, final_trials: int) -> None:
        super().__init__(space, seed=seed)
        self.final, self.final_trials = final, whole("final_trials", final_trials)
        self._rng = random.Random(seed)

    def anneal(self, progress: float) -> None:
        pass

    def select(self) -> Selection:
        return Selection.of(self.space.sample(self._rng))

    def update(self) -> None:
        pass

    def charge(self, costs: CostModel, weight: float) -> None:
        """Does nothing: the driver subtracts the penalty of cost from a score before it tells ``final``."""

    def second_stage(self) -> Choosing:
        return Choosing(self.final, self.final_trials)

    def genotype(self) -> Genotype:
        if not self.final.history:
            raise NothingNamed(
                f"strategy {self.name!r} names no genotype yet: its second stage, which scores genotypes after the "
                "training, has not begun"
            )
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
    """Single-path search whose second stage is a genetic algorithm.

    Args:
        space: Any space.
        seed: Seeds both stages, each with a generator of its own.
        final_trials: Number of genotypes that are scored (the paper: 20 generations of 50).
        population: Size of a generation of the genetic algorithm.
        parents: Number of best trials used as parents.
        mutation: Probability that a choice of a mutant is drawn anew, in (0, 1].
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
        final = GeneticAlgorithm(
            space, seed=spawn_seed(seed, 1), population=population, parents=parents, mutation=mutation
        )
        super().__init__(space, seed=seed, final=final, final_trials=final_trials)


@STRATEGIES.register("random_ws")
class RandomWeightSharing(SinglePath):
    """Single-path search whose second stage draws genotypes uniformly: the baseline of weight sharing.

    Args:
        space: Any space.
        seed: Seeds both stages, each with a generator of its own.
        final_trials: Number of genotypes that are scored.
    """

    name = "random_ws"
    summary = "uniformly sampled paths, then the best of random genotypes on inherited weights"
    paper = "Li and Talwalkar, UAI 2019"

    def __init__(self, space: SearchSpace, *, seed: int = 0, final_trials: int = 1000) -> None:
        final = RandomSearch(space, seed=spawn_seed(seed, 1))
        super().__init__(space, seed=seed, final=final, final_trials=final_trials)
