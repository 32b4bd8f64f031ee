"""Studies of Optuna: descriptions of their choices and objectives, and their content as plain values.

Optuna is imported when a function is called.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from searchspace import Genotype, SearchSpace

if TYPE_CHECKING:
    import optuna

__all__ = ["About", "content_of", "fill", "quiet", "trial_state"]

DESCRIPTION = "atrc"
"""Name of the user attribute of a study that holds its description."""
VERSION = 1
"""Version of that attribute."""


class About:
    """Description of a study: objectives, and choices with their options.

    Args:
        space: The space of the search.
        costs: Whether cost is a second objective, to be minimised.
        integers: Whether options are numbered, for a sampler that knows no categories.
    """

    def __init__(self, space: SearchSpace, *, costs: bool, integers: bool) -> None:
        self.space, self.costs, self.integers = space, costs, integers

    @property
    def directions(self) -> list[Literal["minimize", "maximize"]]:
        """Directions of the objectives, as Optuna names them."""
        return ["maximize", "minimize"] if self.costs else ["maximize"]

    @property
    def distributions(self) -> dict[str, Any]:
        """Optuna's distribution of every choice."""
        import optuna

        return {
            choice: optuna.distributions.IntDistribution(0, len(options) - 1)
            if self.integers
            else optuna.distributions.CategoricalDistribution(options)
            for choice, options in self.space.items()
        }

    @property
    def description(self) -> dict[str, Any]:
        """Plain values that describe the study."""
        return {
            "version": VERSION,
            "objectives": ["score", "cost"] if self.costs else ["score"],
            "choices": {choice: list(options) for choice, options in self.space.items()},
            "numbered options": self.integers,
        }

    def describe(self, study: optuna.Study) -> None:
        """Writes the description into a study."""
        study.set_user_attr(DESCRIPTION, self.description)

    def difference(self, study: optuna.Study, trials: Sequence[optuna.trial.FrozenTrial]) -> str | None:
        """Says how a study differs from this description; None if it does not."""
        wanted = self.description
        directions = [direction.name.lower() for direction in study.directions]
        if directions != self.directions:
            there, here = " and ".join(directions), " and ".join(self.directions)
            return f"its objectives are to {there}, here to {here} ({', '.join(wanted['objectives'])})"
        found = study.user_attrs.get(DESCRIPTION)
        if found is None:
            # Optuna or an earlier version made it. The distributions of its trials describe it.
            drawn = {choice: options for trial in trials for choice, options in trial.distributions.items()}
            return _different_choices(drawn, self.distributions) if drawn else None
        if found.get("version") != VERSION:
            return f"its description has version {found.get('version')}, here {VERSION}"
        if found["numbered options"] != self.integers:
            return "its options have names, here numbers" if self.integers else "its options have numbers, here names"
        return _different_choices(found["choices"], wanted["choices"])

    def suggest(self, trial: optuna.Trial, choice: str) -> str:
        """Draws an option of a choice for a trial."""
        options = self.space[choice]
        if self.integers:
            return options[trial.suggest_int(choice, 0, len(options) - 1)]
        return trial.suggest_categorical(choice, options)

    def parameters(self, genotype: Genotype) -> dict[str, Any]:
        """Turns a genotype into values of a trial's parameters."""
        if self.integers:
            return dict(zip(self.space, self.space.encode(genotype), strict=True))
        return dict(genotype)


def content_of(study: optuna.Study) -> dict[str, Any]:
    """Copies all trials and attributes of a study into plain values."""
    trials = study.get_trials(deepcopy=False)
    numbers = {trial._trial_id: trial.number for trial in trials}
    system = study._storage.get_study_system_attrs(study._study_id)
    found = {
        "trials": [[t.state.name, t.params, t.values, t.system_attrs] for t in trials],
        "system": {key: _renamed(value, numbers) for key, value in system.items()},
    }
    return copy.deepcopy(found)


def fill(study: optuna.Study, found: Mapping[str, Any], distributions: Mapping[str, Any]) -> None:
    """Fills an empty study with the content of another. Trials keep their numbers and states, also in flight."""
    import optuna

    for name, params, values, attributes in found["trials"]:
        study.add_trial(
            optuna.trial.create_trial(
                state=trial_state(name),
                params=params,
                distributions={choice: distributions[choice] for choice in params},
                values=values,
                system_attrs=attributes,
            )
        )
    ids = {trial.number: trial._trial_id for trial in study.get_trials(deepcopy=False)}
    for key, value in found["system"].items():
        study._storage.set_study_system_attr(study._study_id, key, _renamed(value, ids))


def _different_choices(theirs: Mapping[str, object], ours: Mapping[str, object]) -> str | None:
    """Says where two descriptions of choices differ, or None. The order of choices counts: trials follow it."""
    for choice in (*ours, *theirs):
        if theirs.get(choice) != ours.get(choice):
            there, here = theirs.get(choice, "missing"), ours.get(choice, "missing")
            return f"the choices differ: {choice!r} is {there}, here {here}"
    if list(theirs) != list(ours):
        return f"the choices differ in their order: {', '.join(theirs)}, here {', '.join(ours)}"
    return None


def _renamed(value: Any, names: Mapping[Any, Any]) -> Any:
    """Renames the trials that an attribute of a study lists, e.g. the parents of a generation."""
    return [names.get(item, item) for item in value] if isinstance(value, list | tuple) else value


@contextmanager
def quiet() -> Iterator[None]:
    """Silences Optuna's notes on new studies, and its warnings that a sampler may change in later versions."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def trial_state(name: str) -> Any:
    """Returns Optuna's state of a trial by its name, e.g. ``"FAIL"``."""
    import optuna

    return optuna.trial.TrialState[name]
