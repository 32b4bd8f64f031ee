"""Comparisons of strategies: anytime curves, ranks and tests, from the runs that `atrc compare` made.

Strategies are compared by Delta_m of the network that a search names, trained from scratch with the search's seed.
Each seed is a block: it draws the same initial weights and the same data order for every strategy.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis.bootstrap import bootstrap_mean
from analysis.figures import (
    FORMATS,
    Press,
    check_formats,
    draw_anytime,
    draw_confusion,
    draw_pareto,
    draw_ranks,
    draw_recovery,
    draw_recovery_against,
    draw_regret,
    save_figure,
)
from analysis.multitask import spread
from analysis.pareto import hypervolumes, trial_outcomes
from analysis.power import power_of_differences
from analysis.recipes import differing, listed, seen_data
from analysis.recovery import confusion, recovery
from analysis.regret import chance_regret, in_table
from analysis.sample_spread import samples_of_searches
from analysis.significance import LEVEL, differences, holm, hopeless, pairwise_tests
from analysis.spaces import common_space
from analysis.strategy_recovery import Points, found_along_the_way, recovery_along_the_way, recovery_tests
from analysis.tables import write_table
from analysis.views import view_of
from analysis.worth import Worth, worth_of
from atrc.config import Config
from atrc.experiments.comparison import SEARCH, incumbents, network_model
from atrc.runs import RunDirectory
from atrc.runs.names import run_path
from searchspace import InputError
from strategies import STRATEGIES, OneShotStrategy

__all__ = [
    "Recovery",
    "StrategyComparison",
    "compare_strategies",
    "genotype_agreement",
    "strategy_points",
    "strategy_table",
]

TOLERANCE = 0.1
"""Budgets that differ by more than this share of the largest are unequal."""


class Recovery(NamedTuple):
    """Recovery of planted answers by each strategy.

    Attributes:
        table: Table of `analysis.recovery.recovery`, the best strategy first.
        points: Table of `analysis.strategy_recovery.recovery_along_the_way`.
        tests: Table of `analysis.strategy_recovery.recovery_tests`, with ``p_holm``.
        confusion: Table of `analysis.recovery.confusion`.
    """

    table: pd.DataFrame
    points: pd.DataFrame
    tests: pd.DataFrame
    confusion: pd.DataFrame


@dataclass(frozen=True)
class StrategyComparison:
    """Tables, figures and notes of a comparison; made by `compare_strategies`.

    Attributes:
        points: Table of `strategy_points`.
        table: Table of `strategy_table`.
        tests: Table of `analysis.significance.pairwise_tests`.
        notes: Warnings to the reader, one line each.
        tables: Name -> CSV file.
        figures: Name -> its files, in the order of `analysis.figures.FORMATS`.
        recovery: Planted answers that each strategy found; None where the dataset names no answer.
        power: Differences that the seeds could have shown; see `analysis.power.power_of_differences`.
    """

    points: pd.DataFrame
    table: pd.DataFrame
    tests: pd.DataFrame
    notes: list[str]
    tables: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    recovery: Recovery | None = None
    power: pd.DataFrame = field(default_factory=pd.DataFrame)


def compare_strategies(
    config: Config,
    folder: str | Path,
    out: str | Path,
    *,
    unequal: bool = False,
    formats: Collection[str] = FORMATS,
    press: Press | None = None,
) -> StrategyComparison:
    """Makes every table and figure of a finished comparison.

    Args:
        config: A config with a ``compare`` section.
        folder: Folder of its runs.
        out: Folder for CSV files and figures.
        unequal: Whether strategies are ranked although budgets differ; figures and notes then say so.
        formats: Formats of figures; see `analysis.figures.save_figure`.
        press: Processes that write figures; see `analysis.analyze`.

    Raises:
        InputError: A run is missing or unfinished, or budgets differ and ``unequal`` is not set; or a format is
            unknown.
    """
    folder, out, chosen = Path(folder), Path(out), check_formats(formats)
    worth = worth_of(config, folder)
    points = strategy_points(config, folder, worth)
    found = points[points["fraction"] == 1.0]
    known = config.compare is not None and config.compare.networks != "none"
    notes = _budget_notes(found, unequal) + (_missing(found) if known else []) + _unlike(folder)
    table, tests = strategy_table(points), pairwise_tests(found)
    table["agreement"] = table["strategy"].map(genotype_agreement(config, folder))
    notes += _signed_ranks(tests) if known else []
    power = power_of_differences("delta_m", "%", differences(found).values(), int(tests["p"].notna().sum()))
    planted = found_along_the_way(config, folder)
    made = StrategyComparison(
        points, table, tests, notes, recovery=_recovery(planted) if planted else None, power=power
    )
    if made.recovery is not None:
        made.notes.extend(_permutations(made.recovery))
    for name, frame in (("points", points), ("table", table), ("tests", tests), ("power", power)):
        if len(frame) or name != "power":
            made.tables[name] = write_table(frame, out, name)
    warning = notes[0] if unequal and notes and notes[0].startswith("Unequal") else None
    measured = points.dropna(subset=["delta_m"])
    figures = {"anytime": draw_anytime(measured, worth.multi, warning)} if known else {}
    pivot = found.pivot(index="seed", columns="strategy", values="delta_m").dropna()
    if table["strategy"].nunique() > 2 and len(pivot) > 1:
        figures["ranks"] = draw_ranks(pivot, dict(zip(found["strategy"], found["kind"], strict=True)), warning)
    if made.recovery is not None:
        figures |= _recovered(made, made.recovery, out)
    if config.cost is not None:
        figures |= _costs(made, config, folder, out)
    if worth.answers is not None:
        samples = samples_of_searches(_searches(config, folder, one_shot=True), worth.answers)
        if len(samples):
            made.tables["samples"] = write_table(samples, out, "samples")
        figures["regret"] = draw_regret(found, chance_regret(worth.answers))
    save = save_figure if press is None else press.save
    made.figures.update({name: save(figure, out, name, chosen) for name, figure in figures.items()})
    return made


def _searches(config: Config, folder: Path, *, one_shot: bool) -> Iterator[tuple[str, RunDirectory]]:
    """Yields label and run of all one-shot searches, or of all others."""
    assert config.compare is not None
    for label, named in config.compare.strategies.items():
        if issubclass(STRATEGIES[named.name], OneShotStrategy) is one_shot:
            for seed in config.seeds:
                yield label, RunDirectory.open(run_path(folder, f"{SEARCH}{label}", seed))


def _missing(found: pd.DataFrame) -> list[str]:
    """Notes on searches whose networks have no Delta_m: they are in no mean and in no test."""
    lacking = found[found["delta_m"].isna()]
    if lacking.empty:
        return []
    if len(lacking) == len(found):
        raise InputError("no network of any search has a metric of every task, so there is nothing to compare")
    listed = "; ".join(f"{label} seed {', '.join(map(str, of['seed']))}" for label, of in lacking.groupby("strategy"))
    return [f"The networks of {listed} lack a metric; only the other seeds are paired."]


def _unlike(folder: Path) -> list[str]:
    """Notes on runs that saw other data, since a dataset was changed in its place. (Configs are compared before.)"""
    models = (f"{SEARCH}*", "single-*", "multi")
    paths = [path for model in models for path in sorted(folder.glob(f"{model}/seed*"))]
    seen = [(run.spec.model, seen_data(run)) for run in map(RunDirectory.open, paths) if run.finished]
    phrases = differing(seen)
    return [f"The compared runs used different data: {listed(phrases)}"] if phrases else []


def _signed_ranks(tests: pd.DataFrame) -> list[str]:
    tested = tests[tests["p"].notna()]
    if len(tests) and tested.empty:
        return ["No pair of strategies has two seeds in common, so none can be tested."]
    enough = 1 + math.ceil(math.log2(max(1, len(tested)) / LEVEL))
    return hopeless("signed-rank test", [2.0 ** (1 - n) for n in tested["n"]], enough)


def _permutations(found: Recovery) -> list[str]:
    """Notes on permutation tests that no outcome makes significant."""

    def smallest(n: int) -> float:
        return 2 / math.comb(2 * n, n)  # two of all exchanges of n searches a side are the most extreme

    runs = dict(zip(found.table["condition"], found.table["runs"], strict=True))
    tested = found.tests[found.tests["p"].notna()]
    pairs = [min(runs[row["one"]], runs[row["other"]]) for row in tested.to_dict("records")]
    enough = next(n for n in count(2) if smallest(n) * max(1, len(pairs)) <= LEVEL)
    return hopeless("permutation test of what was found", [smallest(n) for n in pairs], enough)


def _recovery(planted: Points) -> Recovery:
    """Counts what was found of what was planted."""
    found = {label: of[1.0] for label, of in planted.items()}
    tests = recovery_tests(found)
    return Recovery(
        recovery(found).sort_values("share", ascending=False, ignore_index=True),
        recovery_along_the_way(planted),
        tests.assign(p_holm=holm(tests["p"].to_list())),
        confusion(found),
    )


def _recovered(made: StrategyComparison, found: Recovery, out: Path) -> dict[str, Figure]:
    """Writes the tables of the recovery, and draws its figures."""
    for name, frame in found._asdict().items():
        file = "recovery" if name == "table" else f"recovery_{name}"
        made.tables[file] = write_table(frame, out, file)
    return {
        "recovery": draw_recovery(found.table),
        "recovery_points": draw_recovery_against(found.points, "samples"),
        "recovery_confusion": draw_confusion(found.confusion),
    }


def _costs(made: StrategyComparison, config: Config, folder: Path, out: Path) -> dict[str, Figure]:
    """Writes the trials of multi-trial strategies, and draws their score against their cost."""
    assert config.cost is not None
    outcomes = trial_outcomes([run for _, run in _searches(config, folder, one_shot=False)])
    if outcomes.empty:
        return {}
    for name, frame in (("trials", outcomes), ("hypervolume", hypervolumes(outcomes))):
        made.tables[name] = write_table(frame, out, name)
    return {"pareto": draw_pareto(outcomes, config.cost.measure.replace("_", "-"))}


def strategy_points(config: Config, folder: Path, worth: Worth | None = None) -> pd.DataFrame:
    """Genotypes that every search would have named along its way, and their Delta_m.

    Args:
        config: The config of the comparison.
        folder: Folder of its runs.
        worth: What genotypes are worth; by default as the config says.

    Returns:
        ``strategy`` (label), ``kind``, ``seed``, ``fraction`` of the budget, ``samples`` (the search's whole number),
        ``delta_m`` in percent against the mean of the single-task runs, ``network`` (folder), ``seconds`` and
        ``memory`` (bytes) of the search. Where a table of the same problem ships, also ``regret`` (points of Delta_m
        that the genotype's mean is behind the best one in the table) and ``place`` (its rank there, 1 is best).
    """
    assert config.compare is not None
    worth = worth or worth_of(config, folder)
    answers = worth.answers
    rows = []
    for label, named in config.compare.strategies.items():
        kind = STRATEGIES[named.name].kind
        for seed in config.seeds:
            run = RunDirectory.open(run_path(folder, f"{SEARCH}{label}", seed))
            result = run.result()
            for incumbent in incumbents(run, config.compare):
                genotype = incumbent.genotype
                rows.append(
                    {
                        "strategy": label,
                        "kind": kind,
                        "seed": seed,
                        "fraction": incumbent.fraction,
                        "samples": result.samples,
                        "delta_m": worth.delta_m(genotype, seed),
                        "network": network_model(genotype),
                        "seconds": result.seconds,
                        "memory": result.peak_memory,
                        **({} if answers is None else in_table(answers, genotype)),
                    }
                )
    return pd.DataFrame(rows)


def strategy_table(points: pd.DataFrame) -> pd.DataFrame:
    """One row per strategy, the best mean first.

    Returns:
        ``strategy``, ``kind``, ``n`` (seeds), ``delta_m_mean`` and ``delta_m_std`` in percent, ``delta_m_low`` and
        ``delta_m_high`` (bootstrap interval), ``rank`` (mean over the seeds that all strategies have, of the rank
        among them: 1 is best, ties share theirs), ``different`` (genotypes among the seeds), ``samples``,
        ``seconds``, ``memory`` (means); where a table ships, ``regret`` with ``regret_low`` and ``regret_high``, and
        ``place`` (means).
    """
    found = points[points["fraction"] == 1.0].copy()
    complete = ~found["seed"].isin(found[found["delta_m"].isna()]["seed"])
    found["rank"] = found[complete].groupby("seed")["delta_m"].rank(ascending=False)
    rows = []
    for (label, kind), of in found.groupby(["strategy", "kind"], sort=False):
        mean, std, n = spread(of["delta_m"].dropna())
        low, high = bootstrap_mean(of["delta_m"].dropna().to_numpy(float))
        rows.append(
            {
                "strategy": label,
                "kind": kind,
                "n": n,
                "delta_m_mean": mean,
                "delta_m_std": std,
                "delta_m_low": low,
                "delta_m_high": high,
                "rank": float(of["rank"].mean()),
                "different": of["network"].nunique(),
                "samples": float(of["samples"].mean()),
                "seconds": float(of["seconds"].mean()),
                "memory": float(pd.to_numeric(of["memory"]).mean()),
                **_mean_regret(of),
            }
        )
    return pd.DataFrame(rows).sort_values("delta_m_mean", ascending=False, ignore_index=True)


def _mean_regret(of: pd.DataFrame) -> dict[str, float]:
    if "regret" not in of:
        return {}
    low, high = bootstrap_mean(of["regret"].to_numpy(float))
    return {
        "regret": float(of["regret"].mean()),
        "regret_low": low,
        "regret_high": high,
        "place": float(of["place"].mean()),
    }


def _budget_notes(found: pd.DataFrame, unequal: bool) -> list[str]:
    means = found.groupby("strategy", sort=False)["samples"].mean()
    samples = {str(label): float(mean) for label, mean in means.items()}
    least, most = min(samples, key=samples.__getitem__), max(samples, key=samples.__getitem__)
    if samples[least] >= (1 - TOLERANCE) * samples[most]:
        return []
    text = f"nequal budgets: {least} used {samples[least]:.0f} images, {most} used {samples[most]:.0f}"
    if not unequal:
        raise InputError(f"u{text}; add --unequal to rank them anyway")
    return [f"U{text}."]


def genotype_agreement(config: Config, folder: Path) -> Mapping[str, float]:
    """Strategy -> how far two of its searches agree, in 0..1; see `analysis.views.SpaceView.agreement`.

    For ``cp`` it is the mean share of blocks with the same context, for ``bmtas`` that of task pairs and stages that
    are alike in both trees, for others that of choices with the same option. Strategies with one search are left out.
    """
    assert config.compare is not None
    result = {}
    for label in config.compare.strategies:
        runs = [RunDirectory.open(run_path(folder, f"{SEARCH}{label}", seed)) for seed in config.seeds]
        genotypes = [genotype for run in runs if (genotype := run.genotype()) is not None]
        if len(genotypes) > 1:
            result[label] = view_of(common_space(genotypes)).agreement(genotypes)
    return result
