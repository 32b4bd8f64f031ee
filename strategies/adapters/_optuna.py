"""Optuna's samplers as multi-trial strategies.

Akiba et al., Optuna: A Next-generation Hyperparameter Optimization Framework, KDD 2019.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from searchspace import Genotype, InputError, SearchSpace
from strategies._base import STRATEGIES, MultiTrialStrategy, Trial, spawn_seed

if TYPE_CHECKING:
    import optuna

__all__ = [
    "OptunaBruteForce",
    "OptunaGP",
    "OptunaNSGAII",
    "OptunaQMC",
    "OptunaRandom",
    "OptunaStrategy",
    "OptunaTPE",
]

ATTEMPTS = 20
"""Proposals of a sampler that may break a constraint between choices, before the last one is repaired."""
CANDIDATES = 64
"""Legal genotypes among which the nearest to a proposal is its repair."""
DESCRIPTION = "atrc"
"""The user attribute of a study that says what it is about."""


class OptunaStrategy(MultiTrialStrategy):
    """One of Optuna's samplers; every trial is one of a study.

    The sampler is made anew for every trial, seeded by the strategy's seed and the trial's number, so that it is a
    policy over the study alone and a resumed search proposes what an uninterrupted one would. A proposal that breaks
    a constraint between choices becomes a failed trial; after some of them the nearest of several legal genotypes is
    tried instead.

    The study is opened with the first trial. One that exists is compared with what this search would make of it.

    Args:
        space: Any space.
        seed: Seeds the sampler.
        storage: URL of an Optuna storage, ``sqlite:///study.db`` or a PostgreSQL server; None keeps the study in
            memory. Optuna's dashboard opens it.
        study: Name of the study in the storage; None for one of this strategy and seed. Machines that work together
            give the same name and different seeds.
        join: Whether a study of this name that has trials is joined; otherwise it is refused, unless a search that
            began it is continued. None for yes where ``study`` is given.
        shared: Whether others may add trials to the study, all of which the sampler then sees; it is continued as it
            stands. False for a study of this search alone: it begins empty, or with what `load_state_dict` brings,
            and **replaces** one of the same name.
        pareto: Whether cost is a second objective, for samplers that know several.
        options: Of the sampler's class, e.g. ``n_startup_trials`` of TPE.
    """

    sampler: ClassVar[str]
    """Name of the class in ``optuna.samplers``."""
    integers: ClassVar[bool] = False
    """Whether options are numbered, for a sampler that knows no categories."""
    reseeded: ClassVar[bool] = True
    """Whether a sampler gets another seed for every trial; a low-discrepancy sequence may not."""
    defaults: ClassVar[dict[str, Any]] = {}
    """Options of the sampler that differ from Optuna's defaults."""

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        storage: str | None = None,
        study: str | None = None,
        join: bool | None = None,
        shared: bool = True,
        pareto: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(space, seed=seed)
        self.multi_objective = pareto  # type: ignore[misc]  # of the class elsewhere: here it depends on a knob
        self._options = {**self.defaults, **options}
        self._study_name = study or f"{self.name}-seed{seed}"
        self._storage, self._shared = storage, shared and storage is not None
        self._join = study is not None if join is None else join
        self._make_sampler(0)  # a wrong option shows now
        self._study: optuna.Study | None = None
        self._numbers: list[int] = []

    @property
    def study(self) -> optuna.Study:
        """The study, opened when it is first needed."""
        if self._study is None:
            self._study = self._open_study()
        return self._study

    def _open_study(self) -> optuna.Study:
        import optuna

        with _quiet():
            if self._storage is not None and not self._shared:
                with suppress(Exception):  # there is none, or the storage cannot be opened, which shows below
                    optuna.delete_study(study_name=self._study_name, storage=self._storage)
            directions: list[Literal["minimize", "maximize"]] = ["maximize"]
            if self.multi_objective:
                directions.append("minimize")
            try:
                study = optuna.create_study(
                    study_name=self._study_name, storage=self._storage, directions=directions, load_if_exists=True
                )
            except Exception as error:  # each storage has errors of its own
                raise InputError(
                    f"Optuna storage {self._storage!r} cannot be opened: {' '.join(str(error).split())[:150]}"
                ) from None
            self._compare(study)
            return study

    def _compare(self, study: optuna.Study) -> None:
        """Refuses a study that is not what this search would make; describes a new one."""
        where = f"study {self._study_name!r} in {self._storage!r}"
        found, wanted = study.user_attrs.get(DESCRIPTION), self._description()
        if len(study.directions) != len(wanted["objectives"]):
            raise InputError(
                f"{where} has {len(study.directions)} objectives, this search {len(wanted['objectives'])} "
                f"({', '.join(wanted['objectives'])}); give another name of a study"
            )
        trials = study.get_trials(deepcopy=False)
        if found is None:
            self._compare_distributions(trials, where)
            study.set_user_attr(DESCRIPTION, wanted)
        elif different := [key for key in wanted if found.get(key) != wanted[key]]:
            raise InputError(
                f"{where} was made for another search: {', '.join(different)} differ; give another name of a study"
            )
        if trials and self._shared and not (self._join or self._numbers):
            raise InputError(
                f"{where} has trials already; give study={self._study_name!r} to join it, or another name"
            )

    def _description(self) -> dict[str, Any]:
        return {
            "objectives": ["score", "cost"] if self.multi_objective else ["score"],
            "choices": {choice: list(options) for choice, options in self.space.items()},
            "numbered options": self.integers,
        }

    def _compare_distributions(self, trials: list[optuna.trial.FrozenTrial], where: str) -> None:
        """For a study that does not say what it is about: one that Optuna or an earlier version made."""
        wanted = self._distributions()
        for trial in trials:
            for choice, distribution in trial.distributions.items():
                if wanted.get(choice) != distribution:
                    raise InputError(f"{where} holds trials of another space: {choice!r} differs")

    def _distributions(self) -> dict[str, Any]:
        import optuna

        return {
            choice: optuna.distributions.IntDistribution(0, len(options) - 1)
            if self.integers
            else optuna.distributions.CategoricalDistribution(options)
            for choice, options in self.space.items()
        }

    def _make_sampler(self, number: int) -> optuna.samplers.BaseSampler:
        import optuna

        entropy = [self.seed, number] if self.reseeded else [self.seed]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        with _quiet():
            options = {**self._own_options(number), **self._options}
            made: optuna.samplers.BaseSampler = getattr(optuna.samplers, self.sampler)(seed=seed, **options)
        return made

    def _own_options(self, number: int) -> dict[str, Any]:
        """Options of the sampler for the trial of that number."""
        return {}

    def propose(self) -> Genotype | None:
        with _quiet():
            self.study.sampler = self._make_sampler(len(self.asked))
            for attempt in range(ATTEMPTS + 1):
                trial = self.study.ask()
                choices = {choice: self._suggest(trial, choice) for choice in self.space}
                if self.space.violation(choices) is None:
                    break
                self.study.tell(trial, state=_state("FAIL"))
                if attempt == ATTEMPTS - 1:  # the next one asked for is the repair
                    self.study.enqueue_trial(self._parameters(self._repair(choices)))
            self._numbers.append(trial.number)
            return self.space.genotype(choices)

    def _repair(self, choices: Mapping[str, str]) -> Genotype:
        """The nearest to a proposal of several legal genotypes."""
        rng = random.Random(spawn_seed(self.seed, len(self.asked)))
        legal = [self.space.sample(rng) for _ in range(CANDIDATES)]
        return min(legal, key=lambda genotype: sum(genotype[choice] != choices[choice] for choice in self.space))

    def _parameters(self, genotype: Genotype) -> dict[str, Any]:
        if self.integers:
            return dict(zip(self.space, self.space.encode(genotype), strict=True))
        return dict(genotype)

    def _suggest(self, trial: optuna.Trial, choice: str) -> str:
        options = self.space[choice]
        if self.integers:
            return options[trial.suggest_int(choice, 0, len(options) - 1)]
        return trial.suggest_categorical(choice, options)

    def tell(self, trial: Trial, score: float, cost: float = 0.0) -> None:
        super().tell(trial, score, cost)
        failed = self.history[-1].failed
        values = [score, cost] if self.multi_objective else score
        self._tell_study(trial, **({"state": _state("FAIL")} if failed else {"values": values}))

    def fail(self, trial: Trial) -> None:
        super().fail(trial)
        self._tell_study(trial, state=_state("FAIL"))

    def _tell_study(self, trial: Trial, **outcome: Any) -> None:
        with _quiet():
            # A process that died between telling the study and saving its own state tells it again.
            self.study.tell(self._numbers[trial.number], **outcome, skip_if_finished=True)

    def state_dict(self) -> dict[str, Any]:
        trials = self.study.get_trials(deepcopy=False)
        system = self.study._storage.get_study_system_attrs(self.study._study_id)
        return {
            **super().state_dict(),
            "numbers": list(self._numbers),
            "trials": [[t.state.name, dict(t.params), t.values, dict(t.system_attrs)] for t in trials],
            "system": {key: list(value) if isinstance(value, tuple) else value for key, value in system.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """A shared study is continued as it stands; another one is built again."""
        import optuna

        super().load_state_dict(state)
        self._numbers = list(state["numbers"])
        if self._shared:
            return
        self._study = self._open_study()
        distributions = self._distributions()
        for name, params, values, attributes in state["trials"]:
            self.study.add_trial(
                optuna.trial.create_trial(
                    state=_state(name),
                    params=params,
                    distributions={choice: distributions[choice] for choice in params},
                    values=values,
                    system_attrs=attributes,
                )
            )
        for key, value in state["system"].items():
            self.study._storage.set_study_system_attr(self.study._study_id, key, value)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's notes on new studies and its warnings that a sampler may change in later versions."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _state(name: str) -> Any:
    import optuna

    return optuna.trial.TrialState[name]


@STRATEGIES.register("optuna_tpe")
class OptunaTPE(OptunaStrategy):
    """Tree-structured Parzen estimators. Args: see `OptunaStrategy`, and ``optuna.samplers.TPESampler``."""

    name = "optuna_tpe"
    summary = "Optuna's tree-structured Parzen estimator"
    paper = "Bergstra et al., NeurIPS 2011"
    sampler = "TPESampler"


@STRATEGIES.register("optuna_gp")
class OptunaGP(OptunaStrategy):
    """A Gaussian process. Args: see `OptunaStrategy`, and ``optuna.samplers.GPSampler``."""

    name = "optuna_gp"
    summary = "Optuna's Gaussian process with expected improvement"
    paper = "Snoek et al., NeurIPS 2012"
    sampler = "GPSampler"


@STRATEGIES.register("optuna_nsga2")
class OptunaNSGAII(OptunaStrategy):
    """NSGA-II, made for ``pareto``. Args: see `OptunaStrategy`, and ``optuna.samplers.NSGAIISampler``."""

    name = "optuna_nsga2"
    summary = "Optuna's NSGA-II, for one objective or the Pareto front of score and cost"
    paper = "Deb et al., IEEE TEC 2002"
    sampler = "NSGAIISampler"


@STRATEGIES.register("optuna_brute_force")
class OptunaBruteForce(OptunaStrategy):
    """Every genotype once. Args: see `OptunaStrategy`."""

    name = "optuna_brute_force"
    summary = "Optuna's enumeration of every genotype, in random order"
    paper = "exhaustive enumeration"
    sampler = "BruteForceSampler"

    def _open_study(self) -> optuna.Study:
        study = super()._open_study()
        study.stop = lambda: None  # type: ignore[method-assign]  # for loops of Optuna's own; here is none to stop
        return study

    def propose(self) -> Genotype | None:
        """The next genotype that is not in the study; one that breaks a constraint is failed, and never proposed."""
        with _quiet():
            self.study.sampler = self._make_sampler(len(self.asked))
            while len(self._tried()) < self.space.size:
                trial = self.study.ask()
                choices = {choice: self._suggest(trial, choice) for choice in self.space}
                if self.space.violation(choices) is None:
                    self._numbers.append(trial.number)
                    return self.space.genotype(choices)
                self.study.tell(trial, state=_state("FAIL"))
        return None

    def _tried(self) -> set[tuple[str, ...]]:
        """Every combination of options that some trial of the study has, whoever made it."""
        trials = (trial.params for trial in self.study.get_trials(deepcopy=False))
        return {tuple(params[choice] for choice in self.space) for params in trials if len(params) == len(self.space)}


@STRATEGIES.register("optuna_qmc")
class OptunaQMC(OptunaStrategy):
    """A scrambled low-discrepancy sequence over the options' numbers. Args: see `OptunaStrategy`."""

    name = "optuna_qmc"
    summary = "Optuna's quasi-Monte Carlo sequence over the options' numbers"
    paper = "Bergstra and Bengio, JMLR 2012"
    sampler = "QMCSampler"
    integers = True
    reseeded = False
    defaults: ClassVar[dict[str, Any]] = {"scramble": True}  # without it every seed gives the same sequence

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
