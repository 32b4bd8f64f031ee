"""NNI's tuners TPE, Evolution, Random and GridSearch as multi-trial strategies, asked and told in this process."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from searchspace import Genotype, SearchSpace
from strategies._base import STRATEGIES
from strategies._knobs import whole
from strategies.adapters._nni import ReplayedStrategy, load
from strategies.multi_trial import Scored

__all__ = ["NNITPE", "NNIEvolution", "NNIGridSearch", "NNIRandom", "NNITuner"]

TUNERS = "nni.algorithms.hpo"


class NNITuner(ReplayedStrategy):
    """A tuner of NNI's hyperparameter optimisation over the choices of a space."""

    tuner: ClassVar[str]
    """Module and class in ``nni.algorithms.hpo``, as ``"module:Class"``."""

    def _make(self) -> Any:
        module, name = self.tuner.split(":")
        return load(f"{TUNERS}.{module}", name)(**self._arguments())

    def _arguments(self) -> dict[str, Any]:
        return {"optimize_mode": "maximize"}

    def _start(self) -> None:
        self._exhausted = load("nni", "NoMoreTrialError")
        self._tuner = self._make()
        listed = {choice: {"_type": "choice", "_value": list(options)} for choice, options in self.space.items()}
        self._tuner.update_search_space(listed)

    def _next(self, number: int) -> Genotype | None:
        try:
            return self.space.genotype(self._tuner.generate_parameters(number))
        except self._exhausted:
            return None

    def _learn(self, outcome: Scored) -> None:
        trial = outcome.trial
        if not outcome.failed:
            self._tuner.receive_trial_result(trial.number, dict(trial.genotype), outcome.score)
        self._tuner.trial_end(trial.number, not outcome.failed)


@STRATEGIES.register("nni_tpe")
class NNITPE(NNITuner):
    """NNI's tree-structured Parzen estimators.

    Args:
        space: Any space without constraints between choices.
        seed: Seeds the tuner.
        tpe_args: Options of NNI's tuner, e.g. ``{n_startup_jobs: 20}``.
    """

    name = "nni_tpe"
    summary = "NNI's tree-structured Parzen estimator"
    paper = "Bergstra et al., NeurIPS 2011"
    tuner = "tpe_tuner:TpeTuner"

    def __init__(self, space: SearchSpace, *, seed: int = 0, tpe_args: dict[str, Any] | None = None) -> None:
        self._tpe_args = tpe_args
        super().__init__(space, seed=seed)

    def _arguments(self) -> dict[str, Any]:
        return {**super()._arguments(), "seed": self.seed, "tpe_args": self._tpe_args}


@STRATEGIES.register("nni_evolution")
class NNIEvolution(NNITuner):
    """NNI's evolution: the loser of a pair is replaced by a mutant of the winner.

    Args:
        space: Any space without constraints between choices.
        seed: Seeds the tuner.
        population: Population size, and the number of trials that are drawn uniformly first.
    """

    name = "nni_evolution"
    summary = "NNI's evolution tuner: the loser of a pair is replaced by a mutant of the winner"
    paper = "Real et al., ICML 2017"
    tuner = "evolution_tuner:EvolutionTuner"

    def __init__(self, space: SearchSpace, *, seed: int = 0, population: int = 32) -> None:
        self._population = whole("population", population)
        super().__init__(space, seed=seed)

    def _arguments(self) -> dict[str, Any]:
        return {**super()._arguments(), "population_size": self._population}

    def _start(self) -> None:
        super()._start()
        # The tuner has seeded itself from the system; its first population is drawn again.
        self._tuner.random_state = np.random.RandomState(self.seed)
        self._tuner.population = []
        for _ in range(self._population):
            self._tuner._random_generate_individual()


@STRATEGIES.register("nni_random")
class NNIRandom(NNITuner):
    """NNI's uniform draws.

    Args:
        space: Any space without constraints between choices.
        seed: Seeds the tuner.
    """

    name = "nni_random"
    summary = "NNI's uniform draws"
    paper = "Bergstra and Bengio, JMLR 2012"
    tuner = "random_tuner:RandomTuner"

    def _arguments(self) -> dict[str, Any]:
        return {"seed": self.seed}


@STRATEGIES.register("nni_grid")
class NNIGridSearch(NNITuner):
    """NNI's grid search: every genotype once, in the space's order.

    Args:
        space: Any space without constraints between choices.
        seed: Unused; nothing is drawn.
    """

    name = "nni_grid"
    summary = "NNI's enumeration of every genotype"
    paper = "exhaustive enumeration"
    tuner = "gridsearch_tuner:GridSearchTuner"
