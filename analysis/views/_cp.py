"""The view of the context-pooling space, and of spaces derived from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.columns import Columns
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from analysis.agreement import Agreement
from analysis.attention import attention_maps, attention_table
from analysis.blocks import Blocks
from analysis.figures import BLOCKS, Words, draw_attention, draw_genotypes, draw_importance
from analysis.figures.style import MANY, context_colours, context_titles, short_labels, shown, text_colour
from analysis.genotypes import matrices, with_consensus
from analysis.load import Runs
from analysis.output import Caption, Part, Tiles
from analysis.recovery import with_planted
from analysis.source_importance import (
    importance_against_agreement,
    kept_importance,
    measure_importance,
    source_importance,
)
from analysis.spaces import context_space
from analysis.views._base import VIEWS, SpaceView
from atrc.inference import open_run
from atrc.runs import RunDirectory
from atrc.runs.checkpoint import latest
from searchspace import RELEASED, CPSpace, Genotype, SearchSpace, block, from_codes

__all__ = ["CPView"]


@VIEWS.register("cp")
class CPView(SpaceView):
    """Matrices of context types, their agreement, and the importance and attention of trained blocks."""

    space_type: ClassVar[type[SearchSpace]] = CPSpace
    words: ClassVar[Words] = BLOCKS
    captions: ClassVar[Mapping[str, Caption]] = {
        "proportions": Caption(
            "What was chosen (Fig. 7)",
            "Share of every context type, over all blocks and all searches. Bars: 95 % bootstrap interval over "
            "searches.",
        ),
        "agreement": Caption(
            "How reliably it was chosen",
            "Share of pairs of searches that picked the same context, block by block. Rows are targets, columns "
            "sources.",
        ),
        "distances": Caption(
            "How much do searches differ?",
            "Number of blocks in which two found genotypes differ. The tree joins the nearest ones first.",
        ),
        "importance": Caption(
            "How important is every source to every target? (Fig. 6)",
            "Drop of Δm when the output of a block is permuted over the held-out images, so that images get the "
            "output for others. A block that is cut has exactly 0.",
        ),
        "importance_agreement": Caption(
            "Is the choice more reliable where it matters?",
            "A dot per block. The paper reports a correlation of 0.43. Intervals: 95 %, bootstrap over blocks.",
        ),
        "attention": Caption(
            "Where a pixel looks (Fig. 3)",
            "Weights with which the pixel under the cross reads its own task's map, in the chosen context. Each map "
            "is scaled to its largest weight.",
        ),
    }
    shares_backbone: ClassVar[bool] = True

    def analyse(self, part: Part, found: Mapping[str, Genotype]) -> None:
        """Writes genotypes beside what was planted, agreement, importance and attention."""
        tiles = matrices(with_planted(part.runs, part.experiment, with_consensus(part.runs, part.experiment)))
        contexts = context_space(list(found.values())).contexts
        part.figure("genotypes", tiles, lambda: draw_genotypes(tiles, contexts))
        searches = self.reliability(part, found)
        trained = _trained(part) if part.networks else []
        _importance(part, searches)
        if trained:
            _attention(part, trained[0])

    def on_screen(self, runs: Runs, experiment: str) -> list[RenderableType]:
        """Matrices of the found genotypes, of what was planted and of the consensus, then the agreement."""
        found = runs.found(experiment)
        contexts = context_space(list(found.values())).contexts
        titles, short = context_titles(contexts), short_labels(contexts)
        legend = ", ".join(f"{short[context]} {titles[context]}" for context in contexts)
        parts: list[RenderableType] = [Text(f"\nGenotypes (rows: target, columns: source; {legend})", style="bold")]
        beside = with_planted(runs, experiment, found)
        panels = [_matrix(run, genotype) for run, genotype in list(beside.items())[:MANY]]
        if consensus := with_consensus(runs, experiment).get("consensus"):
            panels.append(_matrix("consensus", consensus))
        parts.append(Columns(panels, padding=(0, 3)))
        if len(beside) > MANY:
            parts.append(Text(f"and {len(beside) - MANY} more, which genotypes.csv of the analysis holds"))
        return [*parts, *self.agreement_lines(list(found.values()))]

    def on_page(self, runs: Runs, experiment: str) -> Tiles:
        """A matrix for every search, for what was planted and for the consensus."""
        found = with_planted(runs, experiment, with_consensus(runs, experiment))
        names, space = shown(list(found)), context_space(list(found.values()))
        looks = self.looks(space.contexts)
        tasks = {task: runs.tasks[task].title if task in runs.tasks else task for task in space.tasks}

        def rows(genotype: Genotype) -> Sequence[tuple[str, Sequence[tuple[str, str]]]]:
            return [
                (
                    tasks[target],
                    [
                        (context, f"{tasks[target]} from {tasks[source]}: {looks[context]['title']}")
                        for source in space.tasks
                        for context in [genotype[block(target, source)]]
                    ],
                )
                for target in space.tasks
            ]

        said = "Rows: target tasks; columns: source tasks, in the same order."
        return Tiles({name: rows(found[name]) for name in names}, looks, said, len(found) - len(names))

    def notes(self, runs: Runs, experiment: str) -> list[str]:
        """Nothing: all analyses read this space."""
        return []

    def released(self, space: SearchSpace) -> Mapping[str, Genotype]:
        """The released genotypes that are of this space."""
        return {
            f"ATRC, released {name}": from_codes(tasks, codes)
            for name, (tasks, codes) in RELEASED.items()
            if CPSpace(tasks) == space
        }


def _matrix(title: str, genotype: Genotype) -> Table:
    space = context_space([genotype])
    short, colours = short_labels(space.contexts), context_colours(space.contexts)
    table = Table(
        title=Text(title), box=None, padding=(0, 0), show_header=False, title_justify="left", min_width=len(title)
    )
    for target in space.tasks:
        cells = []
        for source in space.tasks:
            context = genotype[block(target, source)]
            style = f"{text_colour(colours[context])} on {colours[context]}"
            cells.append(Text(f" {short[context]:^2}", style=style))
        table.add_row(Text(f"{target.replace('_', ' ')} "), *cells)
    return table


def _trained(part: Part) -> list[RunDirectory]:
    """The retrained networks that can be run, their importance measured."""
    frame = part.runs.frame
    rows = frame[(frame["experiment"] == part.experiment) & (frame["model"] == "retrain")]
    runs = [part.runs.directories[path] for path in rows["path"]]
    trained = [run for run in runs if latest(run.checkpoints) is not None]
    if lacking := [run for run in runs if run not in trained and kept_importance(run) is None]:
        part.note(
            f"importance and attention need checkpoints, which are missing in {lacking[0].path}"
            + (f", and {len(lacking) - 1} more" if len(lacking) > 1 else "")
        )
    for run in trained:
        measure_importance(run, quiet=part.quiet)
    return trained


def _importance(part: Part, searches: Agreement | None) -> None:
    """Fig. 6, from the numbers that are kept in the runs."""
    table = source_importance(part.runs, part.experiment)
    part.figure("importance", table, lambda: draw_importance(table))
    if searches is not None and not table.empty:
        both = importance_against_agreement(table, searches.table)
        labels = "Importance of a block", "Run pairs that agree (share)"
        part.correlation("importance_agreement", both, ("importance", "agreement"), labels)


def _attention(part: Part, run: RunDirectory) -> None:
    """Fig. 3: self-attention of every task at the middle of the first validation image."""
    opened = open_run(run, run.config.device)
    dataset = opened.split("val")
    if dataset.info.grid is not None:  # maps of features do not lie over the image, so neither does attention
        return
    image = dataset[0].image
    pixel = image.shape[0] // 2, image.shape[1] // 2
    maps = attention_maps(Blocks(opened.network, opened.predictor.genotype), image, dataset.info.size, pixel)
    part.figure("attention", attention_table(maps), lambda: draw_attention(image, pixel, maps))
