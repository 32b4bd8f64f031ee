"""Optuna's samplers as multi-trial strategies, by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from searchspace import Genotype
from strategies._base import STRATEGIES, spawn_seed
from strategies.adapters._optuna import OptunaStrategy
from strategies.adapters._optuna_study import quiet, trial_state

if TYPE_CHECKING:
    import optuna

__all__ = ["OptunaBruteForce", "OptunaGP", "OptunaNSGAII", "OptunaQMC", "OptunaRandom", "OptunaTPE"]


@STRATEGIES.register("optuna_tpe")
class OptunaTPE(OptunaStrategy):
    """Tree-structured Parzen estimators. Args: see `OptunaStrategy`, and ``optuna.samplers.TPESampler``.

    ``constant_liar`` counts trials in flight as bad ones. A serial search has none in flight when it asks, and so
    proposes the same without it.
    """

    name = "optuna_tpe"
    summary = "Optuna's tree-structured Parzen estimator"
    paper = "Bergstra et al., NeurIPS 2011"
    sampler = "TPESampler"
    defaults: ClassVar[dict[str, Any]] = {
        "consider_prior": True,
        "prior_weight": 1.0,
        "consider_magic_clip": True,
        "consider_endpoints": False,
        "n_startup_trials": 10,
        "n_ei_candidates": 24,
        "group": False,
        "constant_liar": True,  # False before Optuna 5
    }

    def _own_options(self, number: int) -> dict[str, Any]:
        # Before Optuna 5 ``multivariate`` was off, and one rule gave the number of good trials for all objectives.
        grouped = bool(self._options.get("group"))  # only possible if multivariate
        if self.multi_objective:
            return {"multivariate": grouped, "gamma": _tenth}
        return {"multivariate": True, "gamma": _tenth_at_most_25}


def _tenth(trials: int) -> int:
    """Number of trials that count as good in a search with two objectives."""
    return math.ceil(0.1 * trials)


def _tenth_at_most_25(trials: int) -> int:
    """Number of trials that count as good in a search with one objective."""
    return min(_tenth(trials), 25)


@STRATEGIES.register("optuna_gp")
class OptunaGP(OptunaStrategy):
    """A Gaussian process. Args: see `OptunaStrategy`, and ``optuna.samplers.GPSampler``."""

    name = "optuna_gp"
    summary = "Optuna's Gaussian process with expected improvement"
    paper = "Snoek et al., NeurIPS 2012"
    sampler = "GPSampler"
    defaults: ClassVar[dict[str, Any]] = {"n_startup_trials": 10, "deterministic_objective": False}


@STRATEGIES.register("optuna_nsga2")
class OptunaNSGAII(OptunaStrategy):
    """NSGA-II, made for ``pareto``. Args: see `OptunaStrategy`, and ``optuna.samplers.NSGAIISampler``."""

    name = "optuna_nsga2"
    summary = "Optuna's NSGA-II, for one objective or the Pareto front of score and cost"
    paper = "Deb et al., IEEE TEC 2002"
    sampler = "NSGAIISampler"
    defaults: ClassVar[dict[str, Any]] = {"population_size": 50, "crossover_prob": 0.9, "swapping_prob": 0.5}


@STRATEGIES.register("optuna_brute_force")
class OptunaBruteForce(OptunaStrategy):
    """Every genotype once. Args: see `OptunaStrategy`."""

    name = "optuna_brute_force"
    summary = "Optuna's enumeration of every genotype, in random order"
    paper = "exhaustive enumeration"
    sampler = "BruteForceSampler"
    defaults: ClassVar[dict[str, Any]] = {"avoid_premature_stop": False}

    def _open_study(self) -> optuna.Study:
        study = super()._open_study()
        study.stop = lambda: None  # type: ignore[method-assign]  # for loops of Optuna's own; here is none to stop
        return study

    def propose(self) -> Genotype | None:
        """Returns the next legal genotype that is not in the study. Illegal draws become failed trials of it."""
        with quiet():
            self.study.sampler = self._make_sampler(len(self.asked))
            while len(set(self._tried())) < self.space.size:
                number, choices = self._draw()
                # Another search may draw the same at the same time: the one with the lower number keeps it.
                known = tuple(choices.values()) in self._tried(before=number)
                if not known and self.space.violation(choices) is None:
                    return self._accept(number, choices)
                self.study.tell(number, state=trial_state("FAIL"))
        return None

    def _tried(self, before: int | None = None) -> list[tuple[str, ...]]:
        """Returns the options of every trial of the study, or of those below a number, whoever made them."""
        trials = (trial.params for trial in self.study.get_trials(deepcopy=False)[:before])
        return [tuple(params[choice] for choice in self.space) for params in trials if len(params) == len(self.space)]


@STRATEGIES.register("optuna_qmc")
class OptunaQMC(OptunaStrategy):
    """A scrambled low-discrepancy sequence over the options' numbers. Args: see `OptunaStrategy`."""

    name = "optuna_qmc"
    summary = "Optuna's quasi-Monte Carlo sequence over the options' numbers"
    paper = "Bergstra and Bengio, JMLR 2012"
    sampler = "QMCSampler"
    integers = True
    reseeded = False
    defaults: ClassVar[dict[str, Any]] = {
        "qmc_type": "sobol",
        "scramble": True,  # Optuna's default is False: every seed would give the same sequence
    }

    def _own_options(self, number: int) -> dict[str, Any]:
        import optuna

        # Before a trial has a score the sequence does not begin. Until then every trial is another random draw.
        seed = spawn_seed(self.seed, number)
        return {"independent_sampler": optuna.samplers.RandomSampler(seed=seed)} if number else {}


@STRATEGIES.register("optuna_random")
class OptunaRandom(OptunaStrategy):
    """Uniform draws, kept in a study. Args: see `OptunaStrategy`."""

    name = "optuna_random"
    summary = "Optuna's uniform draws"
    paper = "Bergstra and Bengio, JMLR 2012"
    sampler = "RandomSampler"
