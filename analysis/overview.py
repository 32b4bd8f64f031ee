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
from analysis.attention import attention_maps, attention_table
from analysis.blocks import Blocks
from analysis.comparison import as_frame, compare
from analysis.correlation import correlate
from analysis.figures import (
    draw_agreement,
    draw_attention,
    draw_correlation,
    draw_curves,
    draw_delta_m,
    draw_distances,
    draw_freezing,
    draw_genotypes,
    draw_importance,
    draw_proportions,
    draw_resources,
    draw_sampled,
    draw_trajectory,
    save_figure,
)
from analysis.genotypes import conditions, consensus, context_space, distances, matrices, proportions
from analysis.load import Runs, load_runs
from analysis.multitask import summarize, with_delta_m
from analysis.notes import has_context_genotypes, notes
from analysis.sampled import ranked_by_stage, sampled_against_retrained
from analysis.source_importance import (
    importance_against_agreement,
    kept_importance,
    measure_importance,
    source_importance,
)
from analysis.tables import write_table
from analysis.trajectory import block_probabilities, freeze_times, search_trajectory, training_curves
from atrc.build import build_dataset
from atrc.runs import RunDirectory
from atrc.training import load_learner, pick_device
from atrc.training.checkpoint import latest
from searchspace import Genotype

__all__ = ["Analysis", "analyze"]


@dataclass(frozen=True)
class Analysis:
    """What `analyze` made.

    Attributes:
        runs: What was read.
        out: The folder.
        tables: Name -> CSV file.
        figures: Name -> its files: PDF, PNG and SVG.
        notes: What is missing and why, one line each.
        paired: How Delta_m chose its baselines.
    """

    runs: Runs
    out: Path
    tables: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, tuple[Path, ...]] = field(default_factory=dict)
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


def analyze(
    paths: Iterable[Path | str],
    out: Path,
    *,
    paired: bool = False,
    by: str | None = None,
    networks: bool = True,
    quiet: bool = False,
) -> Analysis:
    """Makes every table and figure that the runs allow.

    Args:
        paths: Run directories, or directories that hold some.
        out: Folder for CSV, PDF, PNG and SVG files; made if missing, files of the same names are replaced.
        paired: Compare with the single-task run of the same seed; see `analysis.multitask`.
        by: What searches of one bar of Fig. 7 have in common; see `analysis.genotypes.conditions`.
        networks: Whether trained networks are run, where their checkpoints are there, for the importance of blocks
            (kept in the runs, so only once) and attention maps.
        quiet: No progress bars.

    Returns:
        What was made, and in ``notes`` what could not be.

    Raises:
        InputError: See `analysis.load.load_runs`.
    """
    runs = load_runs(paths)
    found = conditions(runs, by)  # what is wrong with it stops before anything is written
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
            if networks:
                _measure(analysis, experiment, suffix, quiet=quiet)
            _importance(analysis, experiment, suffix)
    _proportions(analysis, found)
    return analysis


def _performance(analysis: Analysis, experiment: str, suffix: str) -> None:
    frame = with_delta_m(analysis.runs, paired=analysis.paired)
    points = frame[frame["experiment"] == experiment].dropna(subset=["delta_m"])[["model", "seed", "delta_m"]]
    analysis.add_figure(f"delta_m{suffix}", points, lambda: draw_delta_m(points))
    sampled = sampled_against_retrained(analysis.runs, paired=analysis.paired)
    bars = sampled[sampled["experiment"] == experiment]
    analysis.add_figure(f"sampled{suffix}", bars, lambda: draw_sampled(bars, analysis.runs.tasks))
    ranks = ranked_by_stage(analysis.runs, experiment, paired=analysis.paired)
    if len(ranks) > 2:
        labels = r"$\Delta_m$ as sampled [%]", r"$\Delta_m$ retrained [%]"
        _correlation(analysis, f"ranks{suffix}", ranks, ("search", "retrain"), labels)
    models = summarize(analysis.runs, paired=analysis.paired)
    costs = models[(models["experiment"] == experiment) & models["delta_m_mean"].notna()]
    if len(costs) > 1:
        costs = costs[["model", "n", "delta_m_mean", "delta_m_std", "parameters", "multiply_adds"]]
        analysis.add_figure(f"resources{suffix}", costs, lambda: draw_resources(costs))


def _correlation(
    analysis: Analysis, name: str, table: pd.DataFrame, columns: tuple[str, str], labels: tuple[str, str]
) -> None:
    x, y = (table[column] for column in columns)
    found = correlate(x.to_numpy(float), y.to_numpy(float))
    analysis.add_table(f"{name}_correlation", found)
    analysis.add_figure(name, table, lambda: draw_correlation(x, y, found, labels))


def _training(analysis: Analysis, experiment: str, suffix: str) -> None:
    curves = training_curves(analysis.runs, experiment)
    analysis.add_figure(f"curves{suffix}", curves, lambda: draw_curves(curves))
    trajectory = search_trajectory(analysis.runs, experiment)
    blocks = block_probabilities(analysis.runs, experiment)
    analysis.add_table(f"trajectory_blocks{suffix}", blocks)
    analysis.add_figure(f"trajectory{suffix}", trajectory, lambda: draw_trajectory(trajectory, blocks))
    frozen = freeze_times(analysis.runs, experiment)
    analysis.add_figure(f"freezing{suffix}", frozen, lambda: draw_freezing(frozen))


def _genotypes(analysis: Analysis, experiment: str, suffix: str) -> None:
    found = analysis.runs.found(experiment)
    genotypes = list(found.values())
    panels = found | ({"consensus": consensus(genotypes)} if len(genotypes) > 1 else {})
    tiles, contexts = matrices(panels), context_space(genotypes).contexts
    analysis.add_figure(f"genotypes{suffix}", tiles, lambda: draw_genotypes(tiles, contexts))
    if len(genotypes) > 1:
        result = agreement(genotypes)
        analysis.add_table(f"agreement_overall{suffix}", result.overall.assign(runs=result.runs))
        analysis.add_figure(f"agreement{suffix}", result.table, lambda: draw_agreement(result))
    if len(genotypes) > 2:
        apart = distances(found)
        table = apart.rename_axis(index="run").reset_index()
        blocks = len(context_space(genotypes))
        analysis.add_figure(f"distances{suffix}", table, lambda: draw_distances(apart, blocks))


def _measure(analysis: Analysis, experiment: str, suffix: str, *, quiet: bool) -> None:
    """What needs trained networks: the importance of the retrained ones' blocks, and an example of attention."""
    frame = analysis.runs.frame
    rows = frame[(frame["experiment"] == experiment) & (frame["model"] == "retrain")]
    runs = [analysis.runs.directories[path] for path in rows["path"]]
    trained = [run for run in runs if latest(run.checkpoints) is not None]
    if lacking := [run for run in runs if run not in trained and kept_importance(run) is None]:
        analysis.notes.append(
            f"{experiment}: importance and attention need checkpoints, which {lacking[0].path} has not"
            + (f", and {len(lacking) - 1} more" if len(lacking) > 1 else "")
        )
    for run in trained:
        measure_importance(run, quiet=quiet)
    if trained:
        _attention(analysis, trained[0], suffix)


def _attention(analysis: Analysis, run: RunDirectory, suffix: str) -> None:
    """Fig. 3: self-attention of every task at the middle of the first validation image."""
    learner = load_learner(run, pick_device(run.config.device))
    dataset = build_dataset(run.config, "val", learner.tasks)
    image = dataset[0].image
    pixel = image.shape[0] // 2, image.shape[1] // 2
    maps = attention_maps(Blocks(learner.network, learner.genotype()), image, dataset.info.size, pixel)
    analysis.add_figure(f"attention{suffix}", attention_table(maps), lambda: draw_attention(image, pixel, maps))


def _importance(analysis: Analysis, experiment: str, suffix: str) -> None:
    table = source_importance(analysis.runs, experiment)
    analysis.add_figure(f"importance{suffix}", table, lambda: draw_importance(table))
    both = importance_against_agreement(analysis.runs, experiment)
    if not both.empty:
        labels = "Importance of a block", "Run pairs that agree (share)"
        _correlation(analysis, f"importance_agreement{suffix}", both, ("importance", "agreement"), labels)


def _proportions(analysis: Analysis, found: dict[str, list[Genotype]]) -> None:
    """Fig. 7: all conditions in one figure."""
    runs = analysis.runs
    if not any(has_context_genotypes(runs, experiment) for experiment in runs.experiments):
        return
    parts = [
        proportions(genotypes).assign(condition=condition, runs=len(genotypes))
        for condition, genotypes in found.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    table = table[["condition", "runs", *(column for column in table if column not in ("condition", "runs"))]]
    analysis.add_figure("proportions", table, lambda: draw_proportions(table))


def _slug(experiment: str) -> str:
    return re.sub(r"[^\w.-]+", "-", experiment).strip("-")
