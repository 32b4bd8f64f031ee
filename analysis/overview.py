"""All tables and figures of a set of runs, written into one folder.

Tables hold all experiments; figures are one per experiment, named ``FIGURE-EXPERIMENT`` where there are several.
Every figure's numbers are in a CSV of the same name. The same runs give the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from analysis.differences import as_frame, compare_models
from analysis.figures import (
    FORMATS,
    Press,
    Words,
    check_formats,
    draw_confusion,
    draw_curves,
    draw_delta_m,
    draw_freezing,
    draw_predictions,
    draw_proportions,
    draw_recovery,
    draw_recovery_against,
    draw_regret,
    draw_resources,
    draw_sampled,
    draw_trajectory,
)
from analysis.genotypes import conditions, proportions
from analysis.load import Runs, load_runs
from analysis.lookup import analyze_lookup, find_lookups
from analysis.multitask import summarize, with_delta_m
from analysis.notes import notes, unlike_conditions
from analysis.output import Analysis, Part
from analysis.power import power_of_runs
from analysis.predictions import examples_table, prediction_examples
from analysis.recovery import VARIED, Found, confusion, found_by_searches, important_blocks, recovery
from analysis.regret import regret_of_searches
from analysis.sampled import ranked_by_stage, sampled_against_retrained
from analysis.spaces import space_found
from analysis.trajectory import block_probabilities, freeze_times, search_trajectory, training_curves
from analysis.views import shared_view, view_of
from searchspace import Genotype, InputError

__all__ = ["analyze"]


def analyze(
    paths: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    paired: bool = False,
    by: str | None = None,
    networks: bool = True,
    formats: Collection[str] = FORMATS,
    press: Press | None = None,
    quiet: bool = False,
) -> Analysis:
    """Makes every table and figure that the runs allow.

    Args:
        paths: Run directories, folders of ``atrc lookup``, or directories that hold some; one or several.
        out: Folder for CSV files and figures; made if missing, files of the same names are replaced.
        paired: Whether the baseline is the single-task run of the same seed; see `analysis.multitask`.
        by: Key of the config that searches of one bar of Fig. 7 have in common; see
            `analysis.genotypes.conditions`.
        networks: Whether trained networks are run, where their checkpoints are there, for the importance of blocks
            (kept in the runs, so only once), attention maps, and predictions beside the ground truth.
        formats: Formats of figures, of ``pdf``, ``png`` and ``svg``. The report shows ``svg``.
        press: Processes that write figures beside this one; the files are the same, and all there when the context of
            the press is left. None: each figure is written at once.
        quiet: Whether progress bars are left out.

    Returns:
        The files that were made, and in ``notes`` those that could not be.

    Raises:
        InputError: A format is unknown; see also `analysis.load.load_runs`.
    """
    chosen = check_formats(formats)
    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    folders = find_lookups(given)
    only_lookups = folders and not any(next(path.rglob("run.json"), None) for path in given)
    runs = Runs.none() if only_lookups else load_runs(given)
    spaces = {experiment: space_found(runs, experiment) for experiment in runs.experiments}
    views = {experiment: view_of(space) for experiment, space in spaces.items()}
    counted = [experiment for experiment, view in views.items() if view.shares]
    found = conditions(runs, by, counted)  # what is wrong with it stops before anything is written
    remarks = notes(runs, paired=paired) + (unlike_conditions(runs, by) if by else [])
    analysis = Analysis(runs, Path(out), notes=remarks, paired=paired, formats=chosen, press=press)
    for folder in folders:
        place = analysis.out if only_lookups and len(folders) == 1 else analysis.out / folder.resolve().name
        analysis.lookups.append(analyze_lookup(folder, place, formats=chosen, press=press))
    if runs.frame.empty:
        return analysis
    analysis.add_table("runs", with_delta_m(runs, paired=paired))
    analysis.add_table("summary", summarize(runs, paired=paired))
    analysis.add_table("comparison", as_frame(compare_models(runs, paired=paired)))
    for experiment, view in views.items():
        part = Part(analysis, experiment, networks, quiet)
        _performance(part)
        if spaces[experiment] is not None:
            view.analyse(part, runs.found(experiment))
        regret = regret_of_searches(runs, experiment)
        part.figure("regret", regret, partial(draw_regret, regret))
        if networks:
            _predictions(part)
        _training(part, view.words)
    _proportions(analysis, found, shared_view(spaces.values()).words)
    _recovery(analysis, found_by_searches(runs, by, counted))
    return analysis


def _performance(part: Part) -> None:
    runs, experiment = part.runs, part.experiment
    frame = with_delta_m(runs, paired=part.paired)
    points = frame[frame["experiment"] == experiment].dropna(subset=["delta_m"])[["model", "seed", "delta_m"]]
    part.figure("delta_m", points, lambda: draw_delta_m(points))
    models = summarize(runs, paired=part.paired)
    costs = models[(models["experiment"] == experiment) & models["delta_m_mean"].notna()]
    if len(costs) > 1:
        costs = costs[["model", "n", "delta_m_mean", "delta_m_std", "parameters", "multiply_adds"]]
        part.figure("resources", costs, lambda: draw_resources(costs))
    part.table("power", power_of_runs(runs, experiment, paired=part.paired))
    sampled = sampled_against_retrained(runs, paired=part.paired)
    bars = sampled[sampled["experiment"] == experiment]
    part.figure("sampled", bars, lambda: draw_sampled(bars, runs.tasks))
    ranks = ranked_by_stage(runs, experiment, paired=part.paired)
    if len(ranks) > 2:
        labels = r"$\Delta_m$ as sampled [%]", r"$\Delta_m$ retrained [%]"
        part.correlation("ranks", ranks, ("search", "retrain"), labels)


def _predictions(part: Part) -> None:
    examples = prediction_examples(part.runs, part.experiment)
    part.figure("predictions", examples_table(examples), lambda: draw_predictions(examples, part.runs.tasks))


def _training(part: Part, words: Words) -> None:
    trajectory = search_trajectory(part.runs, part.experiment)
    blocks = block_probabilities(part.runs, part.experiment)
    part.table("trajectory_blocks", blocks)
    part.figure("trajectory", trajectory, lambda: draw_trajectory(trajectory, blocks, words))
    frozen = freeze_times(part.runs, part.experiment)
    part.figure("freezing", frozen, lambda: draw_freezing(frozen, words))
    curves = training_curves(part.runs, part.experiment)
    part.figure("curves", curves, lambda: draw_curves(curves))


def _proportions(analysis: Analysis, found: Mapping[str, Sequence[Genotype]], words: Words) -> None:
    """Fig. 7: all conditions in one figure, except those with genotypes of different spaces."""
    parts = []
    for condition, genotypes in found.items():
        try:
            shares = proportions(genotypes)
        except InputError as error:
            analysis.notes.append(f"{condition}: the shares of chosen options are missing: {error}")
        else:
            parts.append(shares.assign(condition=condition, runs=len(genotypes)))
    if not parts:
        return
    table = pd.concat(parts, ignore_index=True)
    table = table[["condition", "runs", *(column for column in table if column not in ("condition", "runs"))]]
    analysis.add_figure("proportions", table, lambda: draw_proportions(table, words))


def _recovery(analysis: Analysis, found: Mapping[str, Sequence[Found]]) -> None:
    """Recovery of what was planted, for datasets whose answer is known; all conditions in one figure."""
    if not found:
        return
    table, confused = recovery(found), confusion(found)
    view = shared_view(space_found(analysis.runs, experiment) for experiment in analysis.runs.experiments)
    found_choices = f"planted {view.words.choice}s that were found"
    analysis.add_figure("recovery", table, lambda: draw_recovery(table, found_choices))
    analysis.add_figure("recovery_confusion", confused, lambda: draw_confusion(confused))
    for column in VARIED:
        if table[column].nunique() > 1:
            analysis.add_figure(f"recovery_{column}", table, partial(draw_recovery_against, table, column))
    parts = [important_blocks(analysis.runs, experiment) for experiment in analysis.runs.experiments]
    important = pd.concat(parts, ignore_index=True)
    what = "planted blocks that are the most important of their row"
    analysis.add_figure("recovery_importance", important, lambda: draw_recovery(important, what))
