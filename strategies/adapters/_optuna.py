"""Base class of multi-trial strategies that use a sampler of Optuna.

Akiba et al., Optuna: A Next-generation Hyperparameter Optimization Framework, KDD 2019.
"""

from __future__ import annotations

import copy
import inspect
import random
import re
import warnings
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from searchspace import Genotype, InputError, SearchSpace
from strategies._base import spawn_seed
from strategies._knobs import flag
from strategies.adapters._optuna_study import About, content_of, fill, quiet, trial_state
from strategies.multi_trial import MultiTrialStrategy, Trial

if TYPE_CHECKING:
    import optuna

__all__ = ["OptunaStrategy"]

ATTEMPTS = 5
"""Number of proposals of a sampler that may be illegal or known, before the last one is repaired."""
CANDIDATES = 64
"""Number of legal genotypes among which the nearest to a proposal is its repair."""
_SQLITE = re.compile(r"^(sqlite(?:\+\w+)?:///)(?!/|file:|:memory:)([^?]+)")
"""The start of a URL that names a file relative to the current folder."""


class OptunaStrategy(MultiTrialStrategy):
    """A sampler of Optuna; every trial is one of a study.

    The sampler is made anew for every trial, seeded by the strategy's seed and the trial's number. So it is a policy
    over the study alone, and a resumed search proposes the same as an uninterrupted one. A proposal that breaks a
    constraint between choices, or that this search has made before, becomes a failed trial of the study, and another
    one is drawn. After five of them the nearest of several legal genotypes is tried instead, a new one if possible.

    The study is opened with the first trial. An existing study must be about the same choices and objectives.

    Args:
        space: Any space.
        seed: Seeds the sampler.
        storage: URL of an Optuna storage, ``sqlite:///study.db`` or a PostgreSQL server; None keeps the study in
            memory. Optuna's dashboard opens it.
        study: Name of the study in the storage; None for a name made of strategy and seed. Machines that work
            together give the same name and different seeds.
        join: Whether to join a study of this name that has trials. Otherwise it is refused, unless `load_state_dict`
            has restored this search. None means yes if ``study`` is given.
        shared: Whether others may add trials to the study. The sampler then sees all of them, and the study is
            continued as it stands. False for a study of this search alone: it begins empty, or with the trials from
            `load_state_dict`, and **replaces** a study of the same name.
        pareto: Whether cost is a second objective, for samplers that know several.
        distinct: Whether no genotype is proposed twice while there are others. In small spaces samplers repeat
            themselves.
        options: Options of the sampler's class, e.g. ``n_startup_trials`` of TPE; they override ``defaults``.

    Raises:
        InputError: An option is wrong. Later, when the study is opened: the storage cannot be opened, or the study is
            of another search or may not be joined.
    """

    sampler: ClassVar[str]
    """Name of the class in ``optuna.samplers``."""
    integers: ClassVar[bool] = False
    """Whether options are numbered, for a sampler that knows no categories."""
    reseeded: ClassVar[bool] = True
    """Whether a sampler gets another seed for every trial; a low-discrepancy sequence may not."""
    defaults: ClassVar[dict[str, Any]] = {}
    """Options that the sampler always gets, so that a config is the same algorithm with every version of Optuna.

    The values are the defaults of Optuna 5.0 unless a comment says otherwise, since Optuna has changed its defaults.
    An option that the installed version does not know is left out."""

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
        self._options = options
        self._about = About(space, costs=self.multi_objective, integers=self.integers)
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
        """Writes paths in full, also that of an SQLite file in the URL of the storage."""
        found = super().with_full_paths(options)
        if isinstance(found.get("storage"), str):
            found["storage"] = _SQLITE.sub(lambda url: url[1] + str(Path(url[2]).absolute()), found["storage"])
        return found

    @property
    def study(self) -> optuna.Study:
        """Study of Optuna, opened when it is first needed."""
        if self._study is None:
            with quiet():
                study = self._open_study()
                self._compare(study)
                if self._loaded is not None and self._loaded["study"] is not None and not self._shared:
                    fill(study, self._loaded["study"], self._about.distributions)
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
                directions=self._about.directions,
                load_if_exists=True,
            )
        except Exception as error:  # each storage has errors of its own
            raise InputError(
                f"Optuna storage {self._storage!r} cannot be opened: {' '.join(str(error).split())[:150]}"
            ) from None

    def _compare(self, study: optuna.Study) -> None:
        """Refuses a study of another search, or one that may not be joined; describes a new one."""
        trials = study.get_trials(deepcopy=False)
        different = self._about.difference(study, trials)
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
            self._about.describe(study)

    def _make_sampler(self, number: int) -> optuna.samplers.BaseSampler:
        import optuna

        entropy = [self.seed, number] if self.reseeded else [self.seed]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        sampler = getattr(optuna.samplers, self.sampler)
        known = inspect.signature(sampler).parameters
        own = {name: value for name, value in {**self.defaults, **self._own_options(number)}.items() if name in known}
        with quiet():
            for name in own.keys() - self._options.keys():
                # A later version deprecates some options. Nobody but this module asked for them here.
                warnings.filterwarnings("ignore", f"`{name}` has been deprecated", FutureWarning)
            made: optuna.samplers.BaseSampler = sampler(seed=seed, **{**own, **self._options})
        return made

    def _own_options(self, number: int) -> dict[str, Any]:
        """Returns further options like ``defaults``, for the trial of that number."""
        return {}

    def propose(self) -> Genotype | None:
        import optuna

        with quiet():
            self.study.sampler = self._make_sampler(len(self.asked))
            known = {trial.genotype for trial in self.asked} if self._distinct else set()
            attempts = 0
            while True:
                number, choices = self._draw()
                legal = self.space.violation(choices) is None
                if legal and (attempts >= ATTEMPTS or self.space.genotype(choices) not in known):
                    return self._accept(number, choices)
                self.study.tell(number, state=trial_state("FAIL"))
                attempts += 1
                if attempts == ATTEMPTS:
                    # From now on only a trial that others have queued in the study can still break a constraint.
                    fixed = self._about.parameters(self._repair(choices, known))
                    self.study.sampler = optuna.samplers.PartialFixedSampler(fixed, self.study.sampler)

    def _draw(self) -> tuple[int, dict[str, str]]:
        """Draws a new trial: its number in the study, and its options, which may break a constraint."""
        trial = self.study.ask()
        return trial.number, {choice: self._about.suggest(trial, choice) for choice in self.space}

    def _accept(self, number: int, choices: Mapping[str, str]) -> Genotype:
        self._numbers.append(number)
        return self.space.genotype(choices)

    def _repair(self, choices: Mapping[str, str], known: Collection[Genotype]) -> Genotype:
        """Returns the nearest to a proposal among several legal genotypes, a new one if possible."""
        rng = random.Random(spawn_seed(self.seed, len(self.asked)))
        legal = [self.space.sample(rng) for _ in range(CANDIDATES)]
        new = [genotype for genotype in legal if genotype not in known]
        return min(new or legal, key=lambda genotype: sum(genotype[c] != choices[c] for c in self.space))

    def tell(self, trial: Trial, score: float, cost: float = 0.0) -> None:
        super().tell(trial, score, cost)
        failed = self.history[-1].failed
        values = [score, cost] if self.multi_objective else score
        self._tell_study(trial, **({"state": trial_state("FAIL")} if failed else {"values": values}))

    def fail(self, trial: Trial) -> None:
        super().fail(trial)
        self._tell_study(trial, state=trial_state("FAIL"))

    def _tell_study(self, trial: Trial, **outcome: Any) -> None:
        with quiet():
            # A process that died between telling the study and saving its own state tells it again.
            self.study.tell(self._numbers[trial.number], **outcome, skip_if_finished=True)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "numbers": list(self._numbers), "study": self._content()}

    def _content(self) -> dict[str, Any] | None:
        """Returns the content of a study of this search alone; None if there is none yet, or if others share it."""
        if self._shared:
            return None
        if self._study is None:
            return None if self._loaded is None else copy.deepcopy(self._loaded["study"])
        return content_of(self._study)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from `state_dict`. A shared study stays as it is; another one is built again when needed."""
        super().load_state_dict(state)
        self._numbers = list(state["numbers"])
        # An earlier version kept the two parts of a study side by side.
        content = state["study"] if "study" in state else {part: state[part] for part in ("trials", "system")}
        self._loaded = {"study": copy.deepcopy(content)}
        if not self._shared:
            self._study = None
