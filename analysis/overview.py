"""All tables and figures of a set of runs, written into one folder.

Tables hold all experiments; figures are one per experiment, named ``FIGURE-EXPERIMENT`` where there are several.
Every figure's numbers are in a CSV of the same name. The same runs give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.agreement import Agreement, agreement
from analysis.attention import attention_maps, attention_table
from analysis.blocks import Blocks
from analysis.comparison import as_frame, compare
from analysis.correlation import correlate
from analysis.figures import (
    draw_agreement,
    draw_attention,
    draw_confusion,
    draw_correlation,
    draw_curves,
    draw_delta_m,
    draw_distances,
    draw_freezing,
    draw_genotypes,
    draw_importance,
    draw_predictions,
    draw_proportions,
    draw_recovery,
    draw_recovery_against,
    draw_resources,
    draw_sampled,
    draw_trajectory,
    draw_trees,
    save_figure,
    words_of,
)
from analysis.genotypes import conditions, context_space, distances, matrices, proportions, with_consensus
from analysis.load import Runs, load_runs
from analysis.multitask import summarize, with_delta_m
from analysis.notes import notes, unlike_conditions
from analysis.power import power_of_runs
from analysis.predictions import examples_table, prediction_examples
from analysis.recovery import VARIED, Found, confusion, found_by_searches, important_blocks, recovery, with_planted
from analysis.sampled import ranked_by_stage, sampled_against_retrained
from analysis.source_importance import (
    importance_against_agreement,
    kept_importance,
    measure_importance,
    source_importance,
)
from analysis.spaces import space_found
from analysis.tables import write_table
from analysis.trajectory import block_probabilities, freeze_times, search_trajectory, training_curves
from analysis.trees import stage_costs, tree_agreement, trees
from atrc.inference import open_run
from atrc.runs import RunDirectory
from atrc.runs.checkpoint import latest
from searchspace import BMTASSpace, CPSpace, Genotype, InputError, SearchSpace

__all__ = ["Analysis", "Drawing", "analyze"]


@dataclass(frozen=True)
class Drawing:
    """A figure that `analyze` made.

    Attributes:
        kind: What it shows, e.g. ``"importance"``.
        experiment: Whose runs; None: of all experiments.
        pdf: For papers.
        png: For slides.
        svg: For pages.
        table: Its numbers, as CSV.
    """

    kind: str
    experiment: str | None
    pdf: Path
    png: Path
    svg: Path
    table: Path


@dataclass(frozen=True)
class Analysis:
    """What `analyze` made.

    Attributes:
        runs: What was read.
        out: The folder.
        tables: Name -> CSV file.
        figures: Name -> figure, in a reader's order.
        notes: What is missing and why, one line each.
        paired: How Delta_m chose its baselines.
    """

    runs: Runs
    out: Path
    tables: dict[str, Path] = field(default_factory=dict)
    figures: dict[str, Drawing] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    paired: bool = False

    def add_table(self, kind: str, table: pd.DataFrame, experiment: str | None = None) -> None:
        """Writes ``KIND.csv``, or ``KIND-EXPERIMENT.csv`` of several experiments; without rows, nothing."""
        if not table.empty:
            name = self._name(kind, experiment)
            self.tables[name] = write_table(table, self.out, name)

    def add_figure(
        self, kind: str, table: pd.DataFrame, draw: Callable[[], Figure], experiment: str | None = None
    ) -> None:
        """Writes a figure and the table of its numbers; nothing where the table has no rows."""
        self.add_table(kind, table, experiment)
        if not table.empty:
            name = self._name(kind, experiment)
            files = save_figure(draw(), self.out, name)
            self.figures[name] = Drawing(kind, experiment, *files, self.tables[name])

    def _name(self, kind: str, experiment: str | None) -> str:
        if experiment is None or len(self.runs.experiments) == 1:
            return kind
        slug = re.sub(r"[^\w.-]+", "-", experiment).strip("-")
        return f"{kind}-{slug}"


def analyze(
    paths: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    paired: bool = False,
    by: str | None = None,
    networks: bool = True,
    quiet: bool = False,
) -> Analysis:
    """Makes every table and figure that the runs allow.

    Args:
        paths: Run directories, or directories that hold some; one or several.
        out: Folder for CSV, PDF, PNG and SVG files; made if missing, files of the same names are replaced.
        paired: Compare with the single-task run of the same seed; see `analysis.multitask`.
        by: What searches of one bar of Fig. 7 have in common; see `analysis.genotypes.conditions`.
        networks: Whether trained networks are run, where their checkpoints are there, for the importance of blocks
            (kept in the runs, so only once), attention maps, and predictions beside the ground truth.
        quiet: No progress bars.

    Returns:
        What was made, and in ``notes`` what could not be.

    Raises:
        InputError: See `analysis.load.load_runs`.
    """
    runs = load_runs(paths)
    spaces = {experiment: space_found(runs, experiment) for experiment in runs.experiments}
    without_trees = [experiment for experiment, space in spaces.items() if not isinstance(space, BMTASSpace)]
    found = conditions(runs, by, without_trees)  # what is wrong with it stops before anything is written
    remarks = notes(runs, paired=paired) + (unlike_conditions(runs, by) if by else [])
    analysis = Analysis(runs, Path(out), notes=remarks, paired=paired)
    analysis.add_table("runs", with_delta_m(runs, paired=paired))
    analysis.add_table("summary", summarize(runs, paired=paired))
    analysis.add_table("comparison", as_frame(compare(runs, paired=paired)))
    for experiment, space in spaces.items():
        part = _Part(analysis, experiment)
        _performance(part)
        trained: list[RunDirectory] = []
        if isinstance(space, BMTASSpace):
            _trees(part, space)
        if isinstance(space, CPSpace):
            searches = _genotypes(part)
            if networks:
                trained = _trained(part, quiet=quiet)
            _importance(part, searches)
        if trained:
            _attention(part, trained[0])
        if networks:
            _predictions(part)
        _training(part, space)
    _proportions(analysis, found)
    _recovery(analysis, found_by_searches(runs, by, without_trees))
    return analysis


@dataclass(frozen=True)
class _Part:
    """What is made of one experiment."""

    analysis: Analysis
    experiment: str

    @property
    def runs(self) -> Runs:
        return self.analysis.runs

    @property
    def paired(self) -> bool:
        return self.analysis.paired

    def table(self, kind: str, table: pd.DataFrame) -> None:
        self.analysis.add_table(kind, table, self.experiment)

    def figure(self, kind: str, table: pd.DataFrame, draw: Callable[[], Figure]) -> None:
        self.analysis.add_figure(kind, table, draw, self.experiment)


def _performance(part: _Part) -> None:
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
        _correlation(part, "ranks", ranks, ("search", "retrain"), labels)


def _correlation(
    part: _Part, kind: str, table: pd.DataFrame, columns: tuple[str, str], labels: tuple[str, str]
) -> None:
    x, y = (table[column] for column in columns)
    found = correlate(x.to_numpy(float), y.to_numpy(float))
    part.table(f"{kind}_correlation", found)
    part.figure(kind, table, lambda: draw_correlation(x, y, found, labels))


def _genotypes(part: _Part) -> Agreement | None:
    """What was chosen, beside what was planted, and how reliably; the agreement of several searches."""
    found = part.runs.found(part.experiment)
    genotypes = list(found.values())
    tiles = matrices(with_planted(part.runs, part.experiment, with_consensus(part.runs, part.experiment)))
    space = context_space(genotypes)
    part.figure("genotypes", tiles, lambda: draw_genotypes(tiles, space.contexts))
    if len(genotypes) < 2:
        return None
    result = agreement(genotypes)
    part.table("agreement_overall", result.overall.assign(runs=result.runs))
    part.figure("agreement", result.table, lambda: draw_agreement(result))
    if len(genotypes) > 2:
        apart = distances(found)
        table = apart.rename_axis(index="run").reset_index()
        part.figure("distances", table, lambda: draw_distances(apart, len(space)))
    return result


def _trees(part: _Part, space: BMTASSpace) -> None:
    """Which tasks share which stages, and how far searches agree on it."""
    found = part.runs.found(part.experiment)
    search = part.runs.directories[part.runs.searches(part.experiment)["path"].iloc[0]]
    table = trees(found, stage_costs(search.config, space))
    alike = tree_agreement(list(found.values())) if len(found) > 1 else None
    if alike is not None:
        part.table("trees_agreement", alike.table)
        part.table("trees_overall", alike.overall.assign(runs=alike.runs))
    part.figure("trees", table, lambda: draw_trees(table, None if alike is None else alike.mean))


def _importance(part: _Part, searches: Agreement | None) -> None:
    """Fig. 6, of what is kept in the runs."""
    table = source_importance(part.runs, part.experiment)
    part.figure("importance", table, lambda: draw_importance(table))
    if searches is not None and not table.empty:
        both = importance_against_agreement(table, searches.table)
        labels = "Importance of a block", "Run pairs that agree (share)"
        _correlation(part, "importance_agreement", both, ("importance", "agreement"), labels)


def _trained(part: _Part, *, quiet: bool) -> list[RunDirectory]:
    """The retrained networks that can be run, their importance measured."""
    frame = part.runs.frame
    rows = frame[(frame["experiment"] == part.experiment) & (frame["model"] == "retrain")]
    runs = [part.runs.directories[path] for path in rows["path"]]
    trained = [run for run in runs if latest(run.checkpoints) is not None]
    if lacking := [run for run in runs if run not in trained and kept_importance(run) is None]:
        part.analysis.notes.append(
            f"{part.experiment}: importance and attention need checkpoints, which {lacking[0].path} has not"
            + (f", and {len(lacking) - 1} more" if len(lacking) > 1 else "")
        )
    for run in trained:
        measure_importance(run, quiet=quiet)
    return trained


def _attention(part: _Part, run: RunDirectory) -> None:
    """Fig. 3: self-attention of every task at the middle of the first validation image."""
    opened = open_run(run, run.config.device)
    dataset = opened.split("val")
    if dataset.info.grid is not None:  # maps of features do not lie over the image, so neither does attention
        return
    image = dataset[0].image
    pixel = image.shape[0] // 2, image.shape[1] // 2
    maps = attention_maps(Blocks(opened.network, opened.predictor.genotype), image, dataset.info.size, pixel)
    part.figure("attention", attention_table(maps), lambda: draw_attention(image, pixel, maps))


def _predictions(part: _Part) -> None:
    examples = prediction_examples(part.runs, part.experiment)
    part.figure("predictions", examples_table(examples), lambda: draw_predictions(examples, part.runs.tasks))


def _training(part: _Part, space: SearchSpace | None) -> None:
    words = words_of(space)
    trajectory = search_trajectory(part.runs, part.experiment)
    blocks = block_probabilities(part.runs, part.experiment)
    part.table("trajectory_blocks", blocks)
    part.figure("trajectory", trajectory, lambda: draw_trajectory(trajectory, blocks, words))
    frozen = freeze_times(part.runs, part.experiment)
    part.figure("freezing", frozen, lambda: draw_freezing(frozen, words))
    curves = training_curves(part.runs, part.experiment)
    part.figure("curves", curves, lambda: draw_curves(curves))


def _proportions(analysis: Analysis, found: Mapping[str, Sequence[Genotype]]) -> None:
    """Fig. 7: all conditions in one figure, but those whose genotypes do not go together."""
    parts = []
    for condition, genotypes in found.items():
        try:
            shares = proportions(genotypes)
        except InputError as error:
            analysis.notes.append(f"{condition}: no shares of context types, since {error}")
        else:
            parts.append(shares.assign(condition=condition, runs=len(genotypes)))
    if not parts:
        return
    table = pd.concat(parts, ignore_index=True)
    table = table[["condition", "runs", *(column for column in table if column not in ("condition", "runs"))]]
    analysis.add_figure("proportions", table, lambda: draw_proportions(table))


def _recovery(analysis: Analysis, found: Mapping[str, Sequence[Found]]) -> None:
    """Of datasets whose answer is known: what was found of it, all conditions in one figure."""
    if not found:
        return
    table, confused = recovery(found), confusion(found)
    analysis.add_figure("recovery", table, lambda: draw_recovery(table))
    analysis.add_figure("recovery_confusion", confused, lambda: draw_confusion(confused))
    for column in VARIED:
        if table[column].nunique() > 1:
            analysis.add_figure(f"recovery_{column}", table, partial(draw_recovery_against, table, column))
    parts = [important_blocks(analysis.runs, experiment) for experiment in analysis.runs.experiments]
    important = pd.concat(parts, ignore_index=True)
    what = "planted blocks that are the most important of their row"
    analysis.add_figure("recovery_importance", important, lambda: draw_recovery(important, what))
