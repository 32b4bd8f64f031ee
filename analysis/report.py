"""All tables and figures of a set of runs, written into one folder.

Tables hold all experiments; figures are one per experiment, named ``FIGURE-EXPERIMENT`` where there are several.
Every figure's numbers are in a CSV of the same name. The same runs give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.agreement import agreement
from analysis.comparison import as_frame, compare
from analysis.figures import (
    draw_agreement,
    draw_curves,
    draw_delta_m,
    draw_genotypes,
    draw_proportions,
    draw_sampled,
    draw_trajectory,
    save_figure,
)
from analysis.genotypes import consensus, context_space, matrices, proportions
from analysis.load import Runs, load_runs
from analysis.multitask import summarize, with_delta_m
from analysis.notes import has_context_genotypes, notes
from analysis.sampled import sampled_against_retrained
from analysis.tables import write_table
from analysis.trajectory import block_probabilities, search_trajectory, training_curves

__all__ = ["Analysis", "analyze"]


@dataclass(frozen=True)
class Analysis:
    """What `analyze` made.

    Attributes:
        runs: What was read.
        out: The folder.
        tables: Name -> CSV file.
        figures: Name -> (PDF file, PNG file).
        notes: What is missing and why, one line each.
        paired: How Delta_m chose its baselines.
    """

    runs: Runs
    out: Path
    tables: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, tuple[Path, Path]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    paired: bool = False

    def add_table(self, name: str, table: pd.DataFrame) -> None:
        """Writes ``name.csv``; a table without rows is not written."""
        if not table.empty:
            self.tables[name] = write_table(table, self.out, name)

    def add_figure(self, name: str, table: pd.DataFrame, draw: Callable[[], Figure]) -> None:
        """Writes a figure and the table of its numbers; nothing where the table has no rows."""
        self.add_table(name, table)
        if not table.empty:
            self.figures[name] = save_figure(draw(), self.out, name)


def analyze(paths: Iterable[Path | str], out: Path, *, paired: bool = False) -> Analysis:
    """Makes every table and figure that the runs allow.

    Args:
        paths: Run directories, or directories that hold some.
        out: Folder for CSV, PDF and PNG files; made if missing, files of the same names are replaced.
        paired: Compare with the single-task run of the same seed; see `analysis.multitask`.

    Returns:
        What was made, and in ``notes`` what could not be.

    Raises:
        InputError: See `analysis.load.load_runs`.
    """
    runs = load_runs(paths)
    analysis = Analysis(runs, Path(out), notes=notes(runs, paired=paired), paired=paired)
    analysis.add_table("runs", with_delta_m(runs, paired=paired))
    analysis.add_table("summary", summarize(runs, paired=paired))
    analysis.add_table("comparison", as_frame(compare(runs, paired=paired)))
    for experiment in runs.experiments:
        suffix = f"-{_slug(experiment)}" if len(runs.experiments) > 1 else ""
        _performance(analysis, experiment, suffix)
        _training(analysis, experiment, suffix)
        if has_context_genotypes(runs, experiment):
            _genotypes(analysis, experiment, suffix)
    _proportions(analysis)
    return analysis


def _performance(analysis: Analysis, experiment: str, suffix: str) -> None:
    frame = with_delta_m(analysis.runs, paired=analysis.paired)
    points = frame[frame["experiment"] == experiment].dropna(subset=["delta_m"])[["model", "seed", "delta_m"]]
    analysis.add_figure(f"delta_m{suffix}", points, lambda: draw_delta_m(points))
    sampled = sampled_against_retrained(analysis.runs, paired=analysis.paired)
    bars = sampled[sampled["experiment"] == experiment]
    analysis.add_figure(f"sampled{suffix}", bars, lambda: draw_sampled(bars, analysis.runs.tasks))


def _training(analysis: Analysis, experiment: str, suffix: str) -> None:
    curves = training_curves(analysis.runs, experiment)
    analysis.add_figure(f"curves{suffix}", curves, lambda: draw_curves(curves))
    trajectory = search_trajectory(analysis.runs, experiment)
    blocks = block_probabilities(analysis.runs, experiment)
    analysis.add_table(f"trajectory_blocks{suffix}", blocks)
    analysis.add_figure(f"trajectory{suffix}", trajectory, lambda: draw_trajectory(trajectory, blocks))


def _genotypes(analysis: Analysis, experiment: str, suffix: str) -> None:
    found = analysis.runs.found(experiment)
    genotypes = list(found.values())
    panels = found | ({"consensus": consensus(genotypes)} if len(genotypes) > 1 else {})
    tiles, contexts = matrices(panels), context_space(genotypes).contexts
    analysis.add_figure(f"genotypes{suffix}", tiles, lambda: draw_genotypes(tiles, contexts))
    if len(genotypes) > 1:
        result = agreement(genotypes)
        table = result.blocks.reset_index().melt(id_vars="target", value_name="agreement")
        table = table.assign(mean=result.mean, fleiss_kappa=result.kappa, runs=result.runs)
        analysis.add_figure(f"agreement{suffix}", table, lambda: draw_agreement(result))


def _proportions(analysis: Analysis) -> None:
    """Fig. 7: all experiments in one figure, each a condition."""
    runs = analysis.runs
    parts = [
        proportions(list(runs.found(experiment).values())).assign(condition=experiment)
        for experiment in runs.experiments
        if has_context_genotypes(runs, experiment)
    ]
    if parts:
        table = pd.concat(parts, ignore_index=True)
        table = table[["condition", *(column for column in table if column != "condition")]]
        analysis.add_figure("proportions", table, lambda: draw_proportions(table))


def _slug(experiment: str) -> str:
    return re.sub(r"[^\w.-]+", "-", experiment).strip("-")
