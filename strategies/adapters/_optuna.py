"""Optuna's samplers as multi-trial strategies.

Akiba et al., Optuna: A Next-generation Hyperparameter Optimization Framework, KDD 2019.
"""

from __future__ import annotations

import copy
import random
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from searchspace import Genotype, InputError, SearchSpace
from strategies._base import STRATEGIES, spawn_seed
from strategies._knobs import flag
from strategies.multi_trial import MultiTrialStrategy, Trial

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

ATTEMPTS = 5
"""Proposals of a sampler that may be illegal or known, before the last one is repaired."""
CANDIDATES = 64
"""Legal genotypes among which the nearest to a proposal is its repair."""
DESCRIPTION = "atrc"
"""The user attribute of a study that says what it is about."""
_SQLITE = re.compile(r"^(sqlite(?:\+\w+)?:///)(?!/|file:|:memory:)([^?]+)")
"""The start of a URL that names a file relative to the folder where the process stands."""
VERSION = 1
"""Version of that attribute."""


class OptunaStrategy(MultiTrialStrategy):
    """One of Optuna's samplers; every trial is one of a study.

    The sampler is made anew for every trial, seeded by the strategy's seed and the trial's number, so that it is a
    policy over the study alone and a resumed search proposes what an uninterrupted one would. A proposal that breaks
    a constraint between choices, or that this search has made before, becomes a failed trial of the study, and
    another one is drawn; after some of them the nearest of several legal genotypes is tried instead, a new one if it
    can be.

    The study is opened with the first trial. One that exists is compared with what this search would make of it.

    Args:
        space: Any space.
        seed: Seeds the sampler.
        storage: URL of an Optuna storage, ``sqlite:///study.db`` or a PostgreSQL server; None keeps the study in
            memory. Optuna's dashboard opens it.
        study: Name of the study in the storage; None for one of this strategy and seed. Machines that work together
            give the same name and different seeds.
        join: Whether a study of this name that has trials is joined; otherwise it is refused, unless
            `load_state_dict` has restored this search. None for yes where ``study`` is given.
        shared: Whether others may add trials to the study, all of which the sampler then sees; it is continued as it
            stands. False for a study of this search alone: it begins empty, or with what `load_state_dict` brings,
            and **replaces** one of the same name.
        pareto: Whether cost is a second objective, for samplers that know several.
        distinct: Whether no genotype is proposed twice while there are others. Samplers propose the same again and
            again in small spaces.
        options: Of the sampler's class, e.g. ``n_startup_trials`` of TPE.

    Raises:
        InputError: A wrong option. Later, when the study is opened: the storage cannot be opened, or the study is of
            another search or may not be joined.
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
        distinct: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(space, seed=seed)
        self.multi_objective = flag("pareto", pareto)  # type: ignore[misc]  # of the class elsewhere: here a knob
        self._options = {**self.defaults, **options}
        self._study_name = study or f"{self.name}-seed{seed}"
        self._storage, self._shared = storage, flag("shared", shared) and storage is not None
        self._distinct = flag("distinct", distinct)
        self._join = bool(study) if join is None else flag("join", join)
        self._make_sampler(0)  # a wrong option shows now
        self._study: optuna.Study | None = None
        self._loaded: Mapping[str, Any] | None = None
        self._numbers: list[int] = []

    @classmethod
    def with_full_paths(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """As of any strategy, and an SQLite file in the URL of the storage."""
        found = super().with_full_paths(options)
        if isinstance(found.get("storage"), str):
            found["storage"] = _SQLITE.sub(lambda url: url[1] + str(Path(url[2]).absolute()), found["storage"])
        return found

    @property
    def study(self) -> optuna.Study:
        """The study, opened when it is first needed."""
        if self._study is None:
            with _quiet():
                study = self._open_study()
                self._compare(study)
                if self._loaded is not None and not self._shared:
                    self._fill(study, self._loaded)
            self._study = study
        return self._study

    def _open_study(self) -> optuna.Study:
        import optuna

        if self._storage is not None and not self._shared:
            with suppress(Exception):  # there is none, or the storage cannot be opened, which shows below
                optuna.delete_study(study_name=self._study_name, storage=self._storage)
        try:
            return optuna.create_study(
                study_name=self._study_name,
                storage=self._storage,
                directions=self._directions(),
                load_if_exists=True,
            )
        except Exception as error:  # each storage has errors of its own
            raise InputError(
                f"Optuna storage {self._storage!r} cannot be opened: {' '.join(str(error).split())[:150]}"
            ) from None

    def _directions(self) -> list[Literal["minimize", "maximize"]]:
        return ["maximize", "minimize"] if self.multi_objective else ["maximize"]

    def _compare(self, study: optuna.Study) -> None:
        """Refuses a study that is not what this search would make; describes a new one."""
        trials = study.get_trials(deepcopy=False)
        different = self._difference(study, trials)
        if different is not None:
            raise InputError(
                f"study {self._study_name!r} was made for another search: {different}; give another name of a study"
            )
        if trials and self._loaded is None and not self._join:
            raise InputError(
                f"study {self._study_name!r} has trials already; give study={self._study_name!r} to join it, or "
                "another name or storage"
            )
        if self._shared and max(self._numbers, default=-1) >= len(trials):
            raise InputError(
                f"study {self._study_name!r} lacks trial {max(self._numbers)}, which this search asked for: "
                "the study was deleted or replaced"
            )
        if not trials:
            study.set_user_attr(DESCRIPTION, self._description())

    def _difference(self, study: optuna.Study, trials: Sequence[optuna.trial.FrozenTrial]) -> str | None:
        """How a study differs from what this search would make, or None."""
        wanted = self._description()
        directions = [direction.name.lower() for direction in study.directions]
        if directions != self._directions():
            there, here = " and ".join(directions), " and ".join(self._directions())
            return f"its objectives are to {there}, here to {here} ({', '.join(wanted['objectives'])})"
        found = study.user_attrs.get(DESCRIPTION)
        if found is None:
            # Optuna or an earlier version made it: it is about what its trials were drawn from.
            drawn = {choice: options for trial in trials for choice, options in trial.distributions.items()}
            return _different_choices(drawn, self._distributions()) if drawn else None
        if found.get("version") != VERSION:
            return f"its description has version {found.get('version')}, here {VERSION}"
        if found["numbered options"] != self.integers:
            return "its options have names, here numbers" if self.integers else "its options have numbers, here names"
        return _different_choices(found["choices"], wanted["choices"])

    def _description(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "objectives": ["score", "cost"] if self.multi_objective else ["score"],
            "choices": {choice: list(options) for choice, options in self.space.items()},
            "numbered options": self.integers,
        }

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
        import optuna

        with _quiet():
            self.study.sampler = self._make_sampler(len(self.asked))
            known = {trial.genotype for trial in self.asked} if self._distinct else set()
            attempts = 0
            while True:
                number, choices = self._draw()
                legal = self.space.violation(choices) is None
                if legal and (attempts >= ATTEMPTS or self.space.genotype(choices) not in known):
                    return self._accept(number, choices)
                self.study.tell(number, state=_state("FAIL"))
                attempts += 1
                if attempts == ATTEMPTS:
                    # From now on only what others have queued in the study can still break a constraint.
                    fixed = self._parameters(self._repair(choices, known))
                    self.study.sampler = optuna.samplers.PartialFixedSampler(fixed, self.study.sampler)

    def _draw(self) -> tuple[int, dict[str, str]]:
        """A new trial: its number in the study, and its options, which may break a constraint."""
        trial = self.study.ask()
        return trial.number, {choice: self._suggest(trial, choice) for choice in self.space}

    def _accept(self, number: int, choices: Mapping[str, str]) -> Genotype:
        self._numbers.append(number)
        return self.space.genotype(choices)

    def _repair(self, choices: Mapping[str, str], known: Collection[Genotype]) -> Genotype:
        """The nearest to a proposal of several legal genotypes, of new ones if there are any among them."""
        rng = random.Random(spawn_seed(self.seed, len(self.asked)))
        legal = [self.space.sample(rng) for _ in range(CANDIDATES)]
        new = [genotype for genotype in legal if genotype not in known]
        return min(new or legal, key=lambda genotype: sum(genotype[c] != choices[c] for c in self.space))

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
        return {**super().state_dict(), "numbers": list(self._numbers), "study": self._content()}

    def _content(self) -> dict[str, Any] | None:
        """What a study of this search alone holds; None where there is none yet, or others share it."""
        if self._shared:
            return None
        if self._study is None:
            return None if self._loaded is None else copy.deepcopy(self._loaded["study"])
        trials = self._study.get_trials(deepcopy=False)
        numbers = {trial._trial_id: trial.number for trial in trials}
        system = self._study._storage.get_study_system_attrs(self._study._study_id)
        content = {
            "trials": [[t.state.name, t.params, t.values, t.system_attrs] for t in trials],
            "system": {key: _renamed(value, numbers) for key, value in system.items()},
        }
        return copy.deepcopy(content)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """A shared study is continued as it stands; another one is built again when it is next needed."""
        super().load_state_dict(state)
        self._numbers = list(state["numbers"])
        # An earlier version kept the two parts of a study side by side.
        content = state["study"] if "study" in state else {part: state[part] for part in ("trials", "system")}
        self._loaded = {"study": copy.deepcopy(content)}
        if not self._shared:
            self._study = None

    def _fill(self, study: optuna.Study, loaded: Mapping[str, Any]) -> None:
        """Every trial gets its number and state again; one in flight stays in flight."""
        import optuna

        content = loaded["study"]
        if content is None:
            return
        distributions = self._distributions()
        for name, params, values, attributes in content["trials"]:
            study.add_trial(
                optuna.trial.create_trial(
                    state=_state(name),
                    params=params,
                    distributions={choice: distributions[choice] for choice in params},
                    values=values,
                    system_attrs=attributes,
                )
            )
        ids = {trial.number: trial._trial_id for trial in study.get_trials(deepcopy=False)}
        for key, value in content["system"].items():
            study._storage.set_study_system_attr(study._study_id, key, _renamed(value, ids))


def _different_choices(theirs: Mapping[str, object], ours: Mapping[str, object]) -> str | None:
    """Where two descriptions of choices differ, or None. The order of choices counts: trials follow it."""
    for choice in (*ours, *theirs):
        if theirs.get(choice) != ours.get(choice):
            there, here = theirs.get(choice, "missing"), ours.get(choice, "missing")
            return f"the choices differ: {choice!r} is {there}, here {here}"
    if list(theirs) != list(ours):
        return f"the choices differ in their order: {', '.join(theirs)}, here {', '.join(ours)}"
    return None


def _renamed(value: Any, names: Mapping[Any, Any]) -> Any:
    """An attribute of a study; a list in it, such as the parents of a generation, gets other names of its trials."""
    return [names.get(item, item) for item in value] if isinstance(value, list | tuple) else value


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
    """Tree-structured Parzen estimators. Args: see `OptunaStrategy`, and ``optuna.samplers.TPESampler``.

    ``constant_liar``, on by default since Optuna 5, takes trials in flight for bad ones. A serial search has none in
    flight when it asks, so that it proposes the same with and without it.
    """

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
            while len(set(self._tried())) < self.space.size:
                number, choices = self._draw()
                # Another search may draw the same at the same time: the one with the lower number keeps it.
                known = tuple(choices.values()) in self._tried(before=number)
                if not known and self.space.violation(choices) is None:
                    return self._accept(number, choices)
                self.study.tell(number, state=_state("FAIL"))
        return None

    def _tried(self, before: int | None = None) -> list[tuple[str, ...]]:
        """The options of every trial of the study, or of those below a number, whoever made it."""
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
