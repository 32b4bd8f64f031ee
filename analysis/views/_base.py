"""The view of any space, from which the views of single kinds of spaces derive."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from analysis.agreement import Agreement, agreement
from analysis.figures import CHOICES, Words, draw_agreement, draw_choices, draw_distances
from analysis.figures.style import shown, text_colour
from analysis.genotypes import distances, listing, with_consensus
from analysis.load import Runs
from analysis.output import Caption, Part, Tiles
from analysis.spaces import common_space, options_of
from analysis.tables import DASH
from searchspace import Genotype, SearchSpace
from searchspace.registry import Registry

__all__ = ["VIEWS", "SpaceView"]

COLUMNS = 6
"""Most searches whose genotypes stand side by side on a screen."""


class SpaceView:
    """Tells the analysis how to treat searches of a space. This one serves any space.

    A subclass registered in `VIEWS` replaces what it knows better. It is used for its ``space_type`` and all spaces
    that derive from it, until one of them has a view of its own.

    Attributes:
        space_type: The kind of space.
        words: Words and colours for choices and options in figures.
        captions: Kind of figure -> its caption in the report, before the report's own. Kinds that no chapter of the
            report has are shown under "What was found".
        shares: Whether shares of options mean something, so that they are counted (Fig. 7).
        shares_backbone: Whether all networks of the space run one whole backbone once, so that the table of resources
            may count it once for all.
    """

    space_type: ClassVar[type[SearchSpace]] = SearchSpace
    words: ClassVar[Words] = CHOICES
    captions: ClassVar[Mapping[str, Caption]] = {
        "proportions": Caption(
            "What was chosen (Fig. 7)",
            "Share of every option, over all choices and all searches. Bars: 95 % bootstrap interval over searches.",
        ),
        "agreement": Caption(
            "How reliably it was chosen",
            "Share of pairs of searches that picked the same option, choice by choice. Bars: 95 % bootstrap interval "
            "over searches.",
        ),
        "distances": Caption(
            "How much do searches differ?",
            "Number of choices in which two found genotypes differ. The tree joins the nearest ones first.",
        ),
    }
    shares: ClassVar[bool] = True
    shares_backbone: ClassVar[bool] = False

    def analyse(self, part: Part, found: Mapping[str, Genotype]) -> None:
        """Writes tables and figures of what an experiment's searches found.

        Args:
            part: The experiment's part of the analysis, to which files and notes are added.
            found: Run -> genotype, at least one, all of one space.
        """
        table = listing(with_consensus(part.runs, part.experiment))
        options = options_of(common_space(list(found.values())))
        part.figure("genotypes", table, lambda: draw_choices(table, options, self.words))
        self.reliability(part, found)

    def reliability(self, part: Part, found: Mapping[str, Genotype]) -> Agreement | None:
        """Writes how far several searches agree, and how far they lie apart; returns their agreement, if several."""
        genotypes = list(found.values())
        if len(genotypes) < 2:
            return None
        result = agreement(genotypes)
        part.table("agreement_overall", result.overall.assign(runs=result.runs))
        part.figure("agreement", result.table, lambda: draw_agreement(result, self.words))
        if len(genotypes) > 2:
            apart, choices = distances(found), len(common_space(genotypes))
            table = apart.rename_axis(index="run").reset_index()
            part.figure("distances", table, lambda: draw_distances(apart, choices, self.words))
        return result

    def agreement(self, genotypes: Sequence[Genotype]) -> float:
        """Agreement of searches, in 0..1: here the mean, over choices, of the share of run pairs that agree.

        Args:
            genotypes: At least two, of one space.
        """
        return agreement(genotypes).mean

    def on_screen(self, runs: Runs, experiment: str) -> list[RenderableType]:
        """Shows the genotypes that an experiment's searches found, on a terminal."""
        found = runs.found(experiment)
        every = with_consensus(runs, experiment)
        names = shown(list(every), COLUMNS)
        table = Table(box=None, pad_edge=False)
        for head in (self.words.choice, *names):
            table.add_column(Text(head))
        for choice in common_space(list(found.values())):
            table.add_row(Text(self.words.title(choice)), *(Text(every[name][choice]) for name in names))
        parts: list[RenderableType] = [Text(f"\nGenotypes ({self.words.choice}s in rows)", style="bold"), table]
        if left_out := len(every) - len(names):
            parts.append(Text(f"and {left_out} more, which genotypes.csv of the analysis holds"))
        return [*parts, *self.agreement_lines(list(found.values()))]

    def agreement_lines(self, genotypes: Sequence[Genotype]) -> list[Text]:
        """The agreement of several searches, in words; nothing for one."""
        if len(genotypes) < 2:
            return []
        result = agreement(genotypes)
        kappa = DASH if math.isnan(result.kappa) else f"{result.kappa:.2f}"
        return [
            Text(
                f"Agreement of {result.runs} searches: {100 * result.mean:.0f} % of run pairs pick the same "
                f"{self.words.option.lower()} (mean over {self.words.choice}s); beyond chance, Fleiss' kappa {kappa}"
            )
        ]

    def on_page(self, runs: Runs, experiment: str) -> Tiles | None:
        """Shows the genotypes that an experiment's searches found, in the report; None: figures are enough."""
        every = with_consensus(runs, experiment)
        names, space = shown(list(every)), common_space(list(every.values()))
        looks = self.looks(options_of(space))
        rows = [
            (
                self.words.title(choice),
                [(every[name][choice], f"{name}: {looks[every[name][choice]]['title']}") for name in names],
            )
            for choice in space
        ]
        said = f"Rows: {self.words.choice}s; columns: {', '.join(names)}, in this order."
        return Tiles({"genotypes": rows}, looks, said, len(every) - len(names))

    def looks(self, options: Sequence[str]) -> dict[str, dict[str, str]]:
        """Option -> how its tiles look; see `analysis.output.Tiles`."""
        colours, short, titles = (of(options) for of in (self.words.colours, self.words.letters, self.words.titles))
        return {
            name: {
                "colour": colours[name],
                "ink": text_colour(colours[name]),
                "short": short[name],
                "title": titles[name],
            }
            for name in options
        }

    def notes(self, runs: Runs, experiment: str) -> list[str]:
        """Notes on analyses that are left out for searches of this space, one line each."""
        name = next(iter(runs.found(experiment).values())).space
        return [
            f"{experiment}: importance and attention are left out: they need the context-pooling blocks of the space "
            f"'cp', but its searches found genotypes of {name!r}"
        ]

    def released(self, space: SearchSpace) -> Mapping[str, Genotype]:
        """Published genotypes of a space: their label in the table of resources -> genotype."""
        return {}


VIEWS: Registry[type[SpaceView]] = Registry("view", "atrc.views")
"""Views by name; `view_of` finds the one for a space."""
