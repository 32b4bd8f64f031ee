"""Notes on a set of runs, one line each: what is missing, and the command that helps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.genotypes import search_groups
from analysis.load import SINGLE, Runs, once
from analysis.multitask import missing_baselines, missing_seeds
from analysis.recipes import SHOWN, differing, listed, of_any_model
from analysis.recovery import Found
from analysis.spaces import common_space
from analysis.views import view_of
from atrc.networks import RANDOM_WEIGHTS, lacks_weights
from atrc.runs import RunDirectory
from searchspace import InputError
from strategies import STRATEGIES, MultiTrialStrategy

__all__ = ["notes", "unlike_conditions"]

NAMED = 3
"""Unfinished runs that are named; the others are counted."""


@once
def notes(runs: Runs, *, paired: bool = False) -> list[str]:
    """Notes that a reader of the tables should know before trusting them, most serious first."""
    found = [*_unfinished(runs.unfinished), *missing_baselines(runs, paired=paired)]
    for experiment in runs.experiments:
        for remarks in _OF_EXPERIMENTS:
            found += remarks(runs, experiment)
    return found


def _unfinished(paths: tuple[Path, ...]) -> list[str]:
    if not paths:
        return []
    named = ", ".join(map(str, paths[:NAMED])) + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")
    return [f"{_count(len(paths), 'unfinished run')} left out: {named}; continue one with: atrc resume {paths[0]}"]


def _random_weights(runs: Runs, experiment: str) -> list[str]:
    paths = runs.frame[runs.frame["experiment"] == experiment]["path"]
    if not any(lacks_weights(runs.directories[path].config) for path in paths):
        return []
    return [f"{experiment}: its backbone {RANDOM_WEIGHTS}"]


def _missing_metrics(runs: Runs, experiment: str) -> list[str]:
    found = []
    for row in runs.frame[runs.frame["experiment"] == experiment].to_dict("records"):
        model = str(row["model"])
        if row["kind"] == "search" and _by_trials(runs.directories[row["path"]]):
            continue  # it trains no supernet, so there is nothing to measure
        expected = [model.removeprefix(SINGLE)] if model.startswith(SINGLE) else list(runs.tasks)
        lacking = [task for task in expected if task in runs.tasks and row[task] != row[task]]
        if lacking:
            found.append(f"{row['path']}: no metric of {', '.join(lacking)}; means of this model are missing")
    return found


def _by_trials(search: RunDirectory) -> bool:
    return issubclass(STRATEGIES[search.config.strategy.name], MultiTrialStrategy)


def _unlike(runs: Runs, experiment: str) -> list[str]:
    """Notes on differences, beside seed and model, between runs of one model, or of models that are compared."""
    frame = runs.frame[runs.frame["experiment"] == experiment]
    found = []
    for model, of in frame.groupby("model", sort=False):
        seeds = [(f"seed {row['seed']}", runs.recipes[row["path"]]) for row in of.to_dict("records")]
        if phrases := differing(seeds):
            found.append(f"{experiment}: the mean of {model} is over runs that differ: {listed(phrases)}")
    rows = frame.to_dict("records")
    trained = [(row["model"], runs.recipes[row["path"]]) for row in rows if row["kind"] != "search"]
    problems = [(row["model"], of_any_model(runs.recipes[row["path"]])) for row in rows]
    phrases = list(dict.fromkeys([*differing(trained), *differing(problems)]))
    if phrases and frame["model"].nunique() > 1:
        found.append(f"{experiment}: the compared models differ in more than the model: {listed(phrases)}")
    return found


def unlike_conditions(runs: Runs, by: str) -> list[str]:
    """Notes on searches that one key of the config puts together, although they differ in others."""
    found = []
    names = dict(zip(runs.frame["path"], runs.frame["experiment"], strict=True))
    for condition, paths in search_groups(runs, by).items():
        if phrases := differing([(names[path], runs.recipes[path]) for path in paths]):
            found.append(f"{condition}: this group has searches that differ: {listed(phrases)}")
    return found


def _missing_seeds(runs: Runs, experiment: str) -> list[str]:
    """Notes on models that lack seeds which others have, so that their means are over different seeds."""
    models = dict.fromkeys(runs.frame[runs.frame["experiment"] == experiment]["model"])
    lacking = {model: missing_seeds(runs, experiment, model) for model in models}
    parts = [f"{model} lacks {_numbered('seed', seeds)}" for model, seeds in lacking.items() if seeds]
    if not parts:
        return []
    return [f"{experiment}: the compared means are over different seeds: {listed(parts)}"]


def _numbered(noun: str, numbers: Sequence[int]) -> str:
    listed = ", ".join(map(str, numbers[:SHOWN])) + (", ..." if len(numbers) > SHOWN else "")
    return f"{noun}{'s' if len(numbers) > 1 else ''} {listed}"


def _budgets(runs: Runs, experiment: str) -> list[str]:
    """Notes on models that saw different numbers of samples; a search has its own budget by design."""
    rows = runs.frame[(runs.frame["experiment"] == experiment) & (runs.frame["kind"] != "search")]
    if rows["samples"].nunique() < 2:
        return []
    ranges = {str(model): sorted(set(group["samples"])) for model, group in rows.groupby("model", sort=False)}
    listed = "; ".join(f"{model} {' / '.join(map(str, seen))}" for model, seen in ranges.items())
    return [f"{experiment}: models were trained on different numbers of samples, so a comparison is unfair: {listed}"]


def _seeds(runs: Runs, experiment: str) -> list[str]:
    sizes = runs.frame[runs.frame["experiment"] == experiment].groupby("model", sort=False).size()
    alone = [str(model) for model, size in sizes.items() if size == 1]
    if not alone:
        return []
    return [f"{experiment}: models with only one run have no standard deviation: {', '.join(alone)}"]


def _searches(runs: Runs, experiment: str) -> list[str]:
    found = runs.found(experiment)
    name = runs.configs[experiment]
    if not found:
        return [f"{experiment}: no finished search, so no genotypes; make some with: atrc search {name}"]
    try:
        space = common_space(list(found.values()))
    except InputError as error:
        return [f"{experiment}: the genotypes of its searches are not analysed: {error}"]
    remarks = view_of(space).notes(runs, experiment)
    if len(found) == 1:
        remarks.append(
            f"{experiment}: only one search, so agreement between searches is missing; "
            f"give the config more seeds and make the others with: atrc search {name}"
        )
    return remarks


def _answer(runs: Runs, experiment: str) -> list[str]:
    """A note on a known answer that says nothing about the choices of the space."""
    paths = runs.searches(experiment)["path"]
    known = [one for path in paths if (one := Found.by(runs.directories[path])) is not None and one.answer]
    if not known or any(one.planted for one in known):
        return []
    pair = "<-".join(next(iter(known[0].answer)))
    return [
        f"{experiment}: what was found of the planted answer is not counted, since no choice of the space "
        f"{known[0].genotype.space!r} has the name of a pair of it, such as {pair}, or of a task that needs itself"
    ]


def _question(runs: Runs, experiment: str) -> list[str]:
    """Notes on what is missing to answer whether the retrained network beats the multi-task baseline."""
    if not runs.tasks:
        return []
    name = runs.configs[experiment]
    commands = {"multi": f"atrc train {name} --model multi", "retrain": f"atrc experiment {name}"}
    present = set(runs.frame[runs.frame["experiment"] == experiment]["model"])
    return [
        f"{experiment}: no finished {model!r} run, so the retrained network is not compared with the multi-task "
        f"baseline; make it with: {command}"
        for model, command in commands.items()
        if model not in present
    ]


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' if n != 1 else ''}"


_OF_EXPERIMENTS = (
    _random_weights,
    _missing_metrics,
    _unlike,
    _budgets,
    _missing_seeds,
    _seeds,
    _searches,
    _answer,
    _question,
)
"""Notes on one experiment, most serious first."""
