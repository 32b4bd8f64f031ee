"""Comparisons of strategies: anytime curves, ranks and tests, from the runs that `atrc compare` made.

What is compared is Delta_m of the network that a search names, trained from scratch with the search's seed. Each seed
is a block: the same seed draws the same networks' initial weights and the same data order for every strategy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from scipy import stats

from analysis.agreement import Agreement, agreement
from analysis.bootstrap import bootstrap_mean
from analysis.figures import (
    draw_anytime,
    draw_confusion,
    draw_pareto,
    draw_ranks,
    draw_recovery,
    draw_recovery_against,
    save_figure,
)
from analysis.multitask import spread
from analysis.pareto import hypervolumes, trial_outcomes
from analysis.recovery import confusion, recovery
from analysis.spaces import common_space
from analysis.strategy_recovery import Points, found_along_the_way, recovery_along_the_way, recovery_tests
from analysis.tables import write_table
from analysis.trees import TreeAgreement, tree_agreement
from atrc.comparison import SEARCH, incumbents, network_model
from atrc.config import Config
from atrc.experiment import run_path
from atrc.metrics.delta_m import delta_m
from atrc.runs import RunDirectory
from atrc.tasks import TASKS
from searchspace import BMTASSpace, CPSpace, InputError, SearchSpace
from strategies import STRATEGIES, OneShotStrategy

__all__ = [
    "Recovery",
    "StrategyComparison",
    "compare_strategies",
    "comparison_screen",
    "genotype_agreement",
    "holm",
    "pairwise_tests",
    "strategy_points",
    "strategy_table",
]

_AGREEMENTS: dict[type[SearchSpace], Callable[..., Agreement | TreeAgreement]] = {
    CPSpace: agreement,
    BMTASSpace: tree_agreement,
}
"""Kind of space -> what two of its genotypes have in common."""

TOLERANCE = 0.1
"""Budgets that differ by more than this share of the largest are unequal."""


class Recovery(NamedTuple):
    """What strategies found of what was planted.

    Attributes:
        table: See `analysis.recovery.recovery`; the best first.
        points: See `analysis.strategy_recovery.recovery_along_the_way`.
        tests: See `analysis.strategy_recovery.recovery_tests`, with ``p_holm``.
        confusion: See `analysis.recovery.confusion`.
    """

    table: pd.DataFrame
    points: pd.DataFrame
    tests: pd.DataFrame
    confusion: pd.DataFrame


@dataclass(frozen=True)
class StrategyComparison:
    """What `compare_strategies` made.

    Attributes:
        points: See `strategy_points`.
        table: See `strategy_table`.
        tests: See `pairwise_tests`.
        notes: What a reader must know, one line each.
        tables: Name -> CSV file.
        figures: Name -> its files: PDF, PNG and SVG.
        recovery: What each strategy found of what was planted; None where the dataset names no answer.
    """

    points: pd.DataFrame
    table: pd.DataFrame
    tests: pd.DataFrame
    notes: list[str]
    tables: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    recovery: Recovery | None = None


def compare_strategies(
    config: Config, folder: str | Path, out: str | Path, *, unequal: bool = False
) -> StrategyComparison:
    """Makes every table and figure of a finished comparison.

    Args:
        config: With its ``compare`` section.
        folder: Where its runs are.
        out: Folder for CSV, PDF and PNG files.
        unequal: Rank although budgets differ; figures and notes then say so.

    Raises:
        InputError: A run is missing or unfinished, or budgets differ and ``unequal`` is not set.
    """
    folder, out = Path(folder), Path(out)
    points = strategy_points(config, folder)
    found = points[points["fraction"] == 1.0]
    notes = _budget_notes(found, unequal)
    table, tests = strategy_table(points), pairwise_tests(found)
    table["agreement"] = table["strategy"].map(genotype_agreement(config, folder))
    blocks = found["seed"].nunique()
    if len(tests) and 2 ** (1 - blocks) > 0.05:
        notes.append(
            f"With {blocks} seeds the signed-rank test cannot give a p below {2 ** (1 - blocks):.3g}: "
            "it cannot call any pair different, whatever the results."
        )
    planted = found_along_the_way(config, folder)
    made = StrategyComparison(points, table, tests, notes, recovery=_recovery(planted) if planted else None)
    for name, frame in (("points", points), ("table", table), ("tests", tests)):
        made.tables[name] = write_table(frame, out, name)
    warning = notes[0] if unequal and notes and notes[0].startswith("Unequal") else None
    multi = _multi_task(config, folder)
    made.figures["anytime"] = save_figure(draw_anytime(points, multi, warning), out, "anytime")
    if table["strategy"].nunique() > 2 and blocks > 1:
        pivot = found.pivot(index="seed", columns="strategy", values="delta_m")
        made.figures["ranks"] = save_figure(
            draw_ranks(pivot, dict(zip(found["strategy"], found["kind"], strict=True)), warning), out, "ranks"
        )
    if made.recovery is not None:
        _write_recovery(made, made.recovery, out)
    if config.cost is not None:
        _costs(made, config, folder, out)
    return made


def _recovery(planted: Points) -> Recovery:
    """What was found of what was planted."""
    found = {label: of[1.0] for label, of in planted.items()}
    tests = recovery_tests(found)
    return Recovery(
        recovery(found).sort_values("share", ascending=False, ignore_index=True),
        recovery_along_the_way(planted),
        tests.assign(p_holm=holm(tests["p"].to_list())),
        confusion(found),
    )


def _write_recovery(made: StrategyComparison, found: Recovery, out: Path) -> None:
    """Its tables and figures."""
    for name, frame in found._asdict().items():
        file = "recovery" if name == "table" else f"recovery_{name}"
        made.tables[file] = write_table(frame, out, file)
    figures = {
        "recovery": draw_recovery(found.table),
        "recovery_points": draw_recovery_against(found.points, "samples"),
        "recovery_confusion": draw_confusion(found.confusion),
    }
    made.figures.update({name: save_figure(figure, out, name) for name, figure in figures.items()})


def _costs(made: StrategyComparison, config: Config, folder: Path, out: Path) -> None:
    """Score against cost of the multi-trial strategies' trials."""
    assert config.compare is not None
    assert config.cost is not None
    runs = [
        RunDirectory.open(run_path(folder, f"{SEARCH}{label}", seed))
        for label, named in config.compare.strategies.items()
        if not issubclass(STRATEGIES[named.name], OneShotStrategy)
        for seed in config.seeds
    ]
    outcomes = trial_outcomes(runs)
    if outcomes.empty:
        return
    for name, frame in (("trials", outcomes), ("hypervolume", hypervolumes(outcomes))):
        made.tables[name] = write_table(frame, out, name)
    made.figures["pareto"] = save_figure(draw_pareto(outcomes, config.cost.measure.replace("_", "-")), out, "pareto")


def strategy_points(config: Config, folder: Path) -> pd.DataFrame:
    """What every search would have named along its way, and what that is worth.

    Returns:
        ``strategy`` (label), ``kind``, ``seed``, ``fraction`` of the budget, ``samples`` (the search's whole number),
        ``delta_m`` in percent against the mean of the single-task runs, ``network`` (folder), ``seconds`` and
        ``memory`` (bytes) of the search.
    """
    assert config.compare is not None
    base = _single_tasks(config, folder)
    rows = []
    for label, named in config.compare.strategies.items():
        kind = STRATEGIES[named.name].kind
        for seed in config.seeds:
            run = RunDirectory.open(run_path(folder, f"{SEARCH}{label}", seed))
            result = run.result()
            for incumbent in incumbents(run, config.compare):
                network = network_model(incumbent.genotype)
                metrics = RunDirectory.open(run_path(folder / "networks", network, seed)).result().metrics
                rows.append(
                    {
                        "strategy": label,
                        "kind": kind,
                        "seed": seed,
                        "fraction": incumbent.fraction,
                        "samples": result.samples,
                        "delta_m": delta_m(metrics, base, _directions(config)),
                        "network": network,
                        "seconds": result.seconds,
                        "memory": result.peak_memory,
                    }
                )
    return pd.DataFrame(rows)


def strategy_table(points: pd.DataFrame) -> pd.DataFrame:
    """One row per strategy, the best mean first.

    Returns:
        ``strategy``, ``kind``, ``n`` (seeds), ``delta_m_mean`` and ``delta_m_std`` in percent, ``delta_m_low`` and
        ``delta_m_high`` (bootstrap interval), ``rank`` (mean over seeds of the rank among strategies, 1 is best,
        ties share theirs), ``different`` (genotypes among the seeds), ``samples``, ``seconds``, ``memory`` (means).
    """
    found = points[points["fraction"] == 1.0].copy()
    found["rank"] = found.groupby("seed")["delta_m"].rank(ascending=False)
    rows = []
    for (label, kind), of in found.groupby(["strategy", "kind"], sort=False):
        mean, std, n = spread(of["delta_m"])
        low, high = bootstrap_mean(of["delta_m"].to_numpy(float))
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
            }
        )
    return pd.DataFrame(rows).sort_values("delta_m_mean", ascending=False, ignore_index=True)


def pairwise_tests(found: pd.DataFrame) -> pd.DataFrame:
    """Wilcoxon's signed-rank test of every pair of strategies, paired by seed, with Holm's correction.

    Args:
        found: ``strategy``, ``seed``, ``delta_m``: one row per search.

    Returns:
        ``one``, ``other``, ``difference`` (mean of one minus other, percent), ``p`` (two-sided) and ``p_holm``.
    """
    pivot = found.pivot(index="seed", columns="strategy", values="delta_m").dropna()
    rows = []
    for one, other in combinations(dict.fromkeys(found["strategy"]), 2):
        difference = (pivot[one] - pivot[other]).to_numpy(float)
        p = float(stats.wilcoxon(difference).pvalue) if len(difference) > 1 and difference.any() else 1.0
        rows.append({"one": one, "other": other, "difference": float(difference.mean()), "p": p})
    frame = pd.DataFrame(rows, columns=["one", "other", "difference", "p"])
    return frame.assign(p_holm=holm(frame["p"].to_list()))


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for their number, in the order given (Holm, 1979): the family-wise error rate is kept."""
    order = sorted(range(len(p)), key=lambda index: p[index])
    corrected, largest = [0.0] * len(p), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - place) * p[index]))
        corrected[index] = largest
    return corrected


def _budget_notes(found: pd.DataFrame, unequal: bool) -> list[str]:
    means = found.groupby("strategy", sort=False)["samples"].mean()
    samples = {str(label): float(mean) for label, mean in means.items()}
    least, most = min(samples, key=samples.__getitem__), max(samples, key=samples.__getitem__)
    if samples[least] >= (1 - TOLERANCE) * samples[most]:
        return []
    text = f"nequal budgets: {least} learnt from {samples[least]:.0f} images, {most} from {samples[most]:.0f}"
    if not unequal:
        raise InputError(f"u{text}; rank them all the same with --unequal")
    return [f"U{text}."]


def _directions(config: Config) -> dict[str, bool]:
    return {name: TASKS[name].higher_is_better for name in config.tasks}


def _single_tasks(config: Config, folder: Path) -> dict[str, float]:
    """Task -> mean over seeds of its single-task runs."""
    return {
        task: float(
            np.mean(
                [
                    RunDirectory.open(run_path(folder, f"single-{task}", seed)).result().metrics[task]
                    for seed in config.seeds
                ]
            )
        )
        for task in config.tasks
    }


def _multi_task(config: Config, folder: Path) -> float:
    """Mean Delta_m of the multi-task baseline."""
    base = _single_tasks(config, folder)
    runs = [RunDirectory.open(run_path(folder, "multi", seed)) for seed in config.seeds]
    return float(np.mean([delta_m(run.result().metrics, base, _directions(config)) for run in runs]))


def genotype_agreement(config: Config, folder: Path) -> Mapping[str, float]:
    """Strategy -> how far two of its searches agree, in 0..1: the mean share of blocks with the same context, or of
    task pairs and stages that are alike in both trees; only for these spaces."""
    assert config.compare is not None
    result = {}
    for label in config.compare.strategies:
        runs = [RunDirectory.open(run_path(folder, f"{SEARCH}{label}", seed)) for seed in config.seeds]
        genotypes = [genotype for run in runs if (genotype := run.genotype()) is not None]
        if len(genotypes) > 1:
            kinds = type(common_space(genotypes)).__mro__
            if measure := next((_AGREEMENTS[kind] for kind in kinds if kind in _AGREEMENTS), None):
                result[label] = measure(genotypes).mean
    return result


def comparison_screen(made: StrategyComparison) -> list[RenderableType]:
    """The table for a terminal, then the pairs that differ and the notes."""
    table = Table(box=None, pad_edge=False)
    table.add_column("strategy", no_wrap=True)
    for head in ("Δm, %", "95 % interval", "mean rank", "agreement", "images", "s", "peak MiB"):
        table.add_column(head, justify="right", no_wrap=head.startswith("Δm"))
    for row in made.table.to_dict("records"):
        share = row.get("agreement", math.nan)
        table.add_row(
            Text(str(row["strategy"])),
            f"{row['delta_m_mean']:+.2f} ± {_number(row['delta_m_std'])}",
            f"{_number(row['delta_m_low'], '+')} .. {_number(row['delta_m_high'], '+')}",
            f"{row['rank']:.1f}",
            "" if math.isnan(share) else f"{100 * share:.0f} %",
            f"{row['samples']:.0f}",
            f"{row['seconds']:.0f}",
            "" if math.isnan(row["memory"]) else f"{row['memory'] / 2**20:.0f}",
        )
    differ = made.tests[made.tests["p_holm"] < 0.05]
    lines = [
        f"{row['one']} and {row['other']} differ by {row['difference']:+.2f} (p = {row['p_holm']:.3f}, Holm)"
        for row in differ.to_dict("records")
    ] or [f"No two of the {len(made.table)} strategies differ at p < 0.05 (signed-rank test, Holm's correction)."]
    return [table, *map(Text, lines), *_recovery_screen(made.recovery), *map(Text, made.notes)]


def _recovery_screen(found: Recovery | None) -> list[RenderableType]:
    if found is None:
        return []
    table = Table(title="Of the planted blocks", title_justify="left", box=None, pad_edge=False)
    for head in ("strategy", "found", "share", "95 % interval", "chance"):
        table.add_column(head, justify="left" if head == "strategy" else "right")
    for row in found.table.to_dict("records"):
        blocks = f"{row['found']} of {row['of']}"
        percent = {name: f"{100 * row[name]:.0f}" for name in ("share", "low", "high", "chance")}
        interval = f"{percent['low']} .. {percent['high']} %"
        table.add_row(
            Text(str(row["condition"])), blocks, f"{percent['share']} %", interval, f"{percent['chance']} %"
        )
    differ = found.tests[found.tests["p_holm"] < 0.05]
    lines = [
        f"{row['one']} and {row['other']} differ by {100 * row['difference']:+.0f} points of what they find "
        f"(p = {row['p_holm']:.2g}, permutation test, Holm)"
        for row in differ.to_dict("records")
    ] or ["No two strategies differ in what they find at p < 0.05 (permutation test, Holm's correction)."]
    return [table, *map(Text, lines)]


def _number(value: float, sign: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:{sign}.2f}"
