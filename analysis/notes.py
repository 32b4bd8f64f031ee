"""What is missing from a set of runs, and what helps: one line each."""

from __future__ import annotations

from pathlib import Path

from analysis.load import SINGLE, Runs
from analysis.multitask import missing_baselines
from analysis.spaces import space_found
from searchspace import BMTASSpace, CPSpace

__all__ = ["notes"]

NAMED = 3


def notes(runs: Runs, *, paired: bool = False) -> list[str]:
    """Everything that a reader of the tables should know before trusting them, most serious first."""
    found = [*_unfinished(runs.unfinished), *missing_baselines(runs, paired=paired)]
    for experiment in runs.experiments:
        found += [*_missing_metrics(runs, experiment), *_budgets(runs, experiment), *_seeds(runs, experiment)]
        found += [*_searches(runs, experiment), *_question(runs, experiment)]
    return found


def _unfinished(paths: tuple[Path, ...]) -> list[str]:
    if not paths:
        return []
    named = ", ".join(map(str, paths[:NAMED])) + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")
    return [f"{_count(len(paths), 'unfinished run')} left out: {named}; continue one with: atrc resume {paths[0]}"]


def _missing_metrics(runs: Runs, experiment: str) -> list[str]:
    found = []
    for row in runs.frame[runs.frame["experiment"] == experiment].to_dict("records"):
        model = str(row["model"])
        expected = [model.removeprefix(SINGLE)] if model.startswith(SINGLE) else list(runs.tasks)
        lacking = [task for task in expected if task in runs.tasks and row[task] != row[task]]
        if lacking:
            found.append(f"{row['path']}: no metric of {', '.join(lacking)}; means of this model are missing")
    return found


def _budgets(runs: Runs, experiment: str) -> list[str]:
    """Models that saw different numbers of samples; a search has its own budget by design."""
    rows = runs.frame[(runs.frame["experiment"] == experiment) & (runs.frame["kind"] != "search")]
    if rows["samples"].nunique() < 2:
        return []
    ranges = {str(model): sorted(set(group["samples"])) for model, group in rows.groupby("model", sort=False)}
    listed = "; ".join(f"{model} {' / '.join(map(str, seen))}" for model, seen in ranges.items())
    return [f"{experiment}: models were trained for different numbers of samples, so they do not compare: {listed}"]


def _seeds(runs: Runs, experiment: str) -> list[str]:
    sizes = runs.frame[runs.frame["experiment"] == experiment].groupby("model", sort=False).size()
    alone = [str(model) for model, size in sizes.items() if size == 1]
    if not alone:
        return []
    return [f"{experiment}: one run only, so no standard deviation, of: {', '.join(alone)}"]


def _searches(runs: Runs, experiment: str) -> list[str]:
    found = runs.found(experiment)
    name = runs.configs[experiment]
    if not found:
        return [f"{experiment}: no finished search, so no genotypes; make some with: atrc search {name}"]
    space = space_found(runs, experiment)
    if not isinstance(space, CPSpace | BMTASSpace):
        return [f"{experiment}: its genotypes are not all of one cp space, which the analysis of context types reads"]
    remarks = []
    if isinstance(space, BMTASSpace):
        remarks.append(
            f"{experiment}: its searches found trees, which have no context types: their shares, and agreement on, "
            "importance and attention of blocks are left out"
        )
    if len(found) == 1:
        remarks.append(
            f"{experiment}: one search only, so agreement between searches is missing; "
            f"give the config more seeds and make the others with: atrc search {name}"
        )
    return remarks


def _question(runs: Runs, experiment: str) -> list[str]:
    """What lacks for the question whether the retrained network beats the multi-task baseline."""
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
