"""Recovery of planted answers by searches, for datasets whose answer is known (`atrc.data.Dataset.answer`).

A pair that needs a context counts: its block is found where a search gave it that context. A pair that needs nothing
has no wrong answer, since an idle block does no harm; how often it was left empty is told apart.

The need of a pair is that of its block. A space without blocks may have a choice with the name of a task: it meets
what this task needs from itself.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.bootstrap import bootstrap
from analysis.genotypes import search_groups
from analysis.load import Runs, once
from analysis.source_importance import importance_of
from analysis.spaces import common_space
from atrc.config import Config
from atrc.data import DATASETS, Answer
from atrc.runs import RunDirectory
from searchspace import NONE, Genotype, SearchSpace, block
from searchspace.calls import call_with_options

__all__ = [
    "NOTHING",
    "VARIED",
    "Found",
    "answer_of",
    "confusion",
    "found_by_searches",
    "importance_sentences",
    "important_blocks",
    "recovery",
    "recovery_sentences",
    "with_planted",
]

ENUMERATED = 1_000_000
"""Largest number of combinations of options that is looked through for the chance of a space with constraints."""
VARIED = ("samples", "strength", "noise")
"""Columns by which conditions may differ, and on which the recovery of a search depends."""
NOTHING = "nothing"
"""Name of the planted context of a pair that needs nothing."""
COUNTED = ["condition", "runs", "found", "of", "share", "low", "high", "chance"]
FURTHER = ["left_empty", "idle", "strategy", "samples", "strength", "noise"]


@dataclass(frozen=True)
class Found:
    """Result of one search on a problem whose answer is known.

    Attributes:
        genotype: The genotype that the search named.
        answer: The planted contexts.
        strategy: Registered name of the strategy.
        samples: Number of images that the search took.
    """

    genotype: Genotype
    answer: Answer
    strategy: str
    samples: int

    @classmethod
    def by(cls, search: RunDirectory) -> Found | None:
        """Reads the result of a finished search; None where its dataset names no answer."""
        genotype, answer = search.genotype(), answer_of(search.config)
        if genotype is None or answer is None:
            return None
        return cls(genotype, answer, search.config.strategy.name, search.result().samples)

    @property
    def planted(self) -> dict[str, str]:
        """Choice -> the planted option, for the pairs that need one and that the space has."""
        needs = ((_choice(*pair, self.genotype), need.context) for pair, need in self.answer.items())
        return {choice: option for choice, option in needs if choice is not None}

    @property
    def idle(self) -> list[str]:
        """The choices of the pairs that need nothing."""
        return [
            choice
            for target in self.answer.tasks
            for source in self.answer.tasks
            if (target, source) not in self.answer and (choice := _choice(target, source, self.genotype)) is not None
        ]

    @property
    def may_be_empty(self) -> list[str]:
        """The choices of `idle` that have an option for nothing, ``none``."""
        space = common_space([self.genotype])
        return [choice for choice in self.idle if NONE in space[choice]]

    @property
    def hits(self) -> int:
        """Number of planted choices that were found."""
        return sum(self.genotype[choice] == option for choice, option in self.planted.items())


def _choice(target: str, source: str, choices: Container[str]) -> str | None:
    """The choice that decides what a target gets from a source; None where there is none among ``choices``."""
    names = [block(target, source), target] if target == source else [block(target, source)]
    return next((name for name in names if name in choices), None)


def answer_of(config: Config) -> Answer | None:
    """The planted answer of the config's dataset; None where it names none."""
    dataset = DATASETS[config.dataset.name]
    answer: Answer | None = call_with_options(
        f"dataset {config.dataset.name!r}", dataset.answer, config.dataset.options
    )
    return answer


def found_by_searches(
    runs: Runs, by: str | None = None, experiments: Sequence[str] | None = None
) -> dict[str, list[Found]]:
    """Condition (see `analysis.genotypes.conditions`) -> results of its searches.

    A search is left out if its dataset names no answer, or if its space has no choice for any planted pair.
    """
    found = {
        condition: [one for path in paths if (one := Found.by(runs.directories[path])) is not None and one.planted]
        for condition, paths in search_groups(runs, by, experiments).items()
    }
    return {condition: of for condition, of in found.items() if of}


def with_planted(runs: Runs, experiment: str, found: Mapping[str, Genotype]) -> dict[str, Genotype]:
    """The genotypes of an experiment after what was planted, under the name ``planted``, if it is known.

    Where a pair needs nothing, that genotype has ``none``.
    """
    searches = runs.searches(experiment)["path"]
    answer = answer_of(runs.directories[searches.iloc[0]].config) if len(searches) else None
    if answer is None or not found:
        return dict(found)
    space = common_space(list(found.values()))
    planted = {_choice(*pair, space): need.context for pair, need in answer.items()}
    choices = {choice: planted.get(choice, NONE) for choice in space}
    if any(option not in space[choice] for choice, option in choices.items()):
        return dict(found)
    return {"planted": space.genotype(choices), **found}


def recovery_sentences(table: pd.DataFrame, choice: str = "block") -> list[str]:
    """Sentences on the rows of `recovery`; ``choice`` is what the space calls its choices."""
    return [
        f"{row['condition']}: {row['found']} of {row['of']} planted {choice}s were found in {row['runs']} searches "
        f"({100 * row['share']:.0f} %"
        + (f", 95 % interval {100 * row['low']:.0f} to {100 * row['high']:.0f} %" if row["runs"] > 1 else "")
        + f"; by chance {100 * row['chance']:.0f} %)"
        + (
            f"; {row['left_empty']} of {row['idle']} {choice}s that no task needs were left empty"
            if row["idle"]
            else ""
        )
        for row in table.to_dict("records")
    ]


def importance_sentences(table: pd.DataFrame) -> list[str]:
    """Sentences on the rows of `important_blocks`."""
    return [
        f"{row['condition']}: in {row['runs']} retrained networks, {row['found']} of {row['of']} planted blocks are "
        f"the most important ones of their row (by chance {100 * row['chance']:.0f} %)"
        for row in table.to_dict("records")
    ]


def recovery(conditions: Mapping[str, Sequence[Found]]) -> pd.DataFrame:
    """Counts how much of what was planted was found.

    Args:
        conditions: Condition -> results of its runs.

    Returns:
        One row a condition: ``condition``, ``runs``, ``found`` and ``of`` (planted blocks over all runs), ``share``
        (0..1), ``low`` and ``high`` (its 95 % bootstrap interval over runs, since the blocks of one run depend on one
        another; missing for one run), ``chance`` (share that genotypes drawn uniformly from the space reach),
        ``left_empty`` and ``idle`` (pairs that need nothing: how many blocks were left empty, of how many that may
        be), ``strategy`` (of several: their names), ``samples`` (images of a search), ``strength`` and ``noise`` (of
        planted pairs; means).
    """
    rows = [
        (
            condition,
            *_counted([one.hits for one in of], [len(one.planted) for one in of]),
            _weighted((_chance(one), len(one.planted)) for one in of),
            sum(one.genotype[choice] == NONE for one in of for choice in one.may_be_empty),
            sum(len(one.may_be_empty) for one in of),
            ", ".join(dict.fromkeys(one.strategy for one in of)),
            float(np.mean([one.samples for one in of])),
            float(np.mean([need.strength for one in of for need in one.answer.values()])),
            float(np.mean([need.noise for one in of for need in one.answer.values()])),
        )
        for condition, of in conditions.items()
    ]
    return pd.DataFrame(rows, columns=[*COUNTED, *FURTHER])


def _counted(hits: Sequence[int], planted: Sequence[int]) -> tuple[int, int, int, float, float, float]:
    """Runs, found, of, share, low, high."""
    found, of = np.array(hits), np.array(planted)
    low, high = bootstrap(lambda drawn: found[drawn].sum(1) / of[drawn].sum(1), len(found))
    return len(found), int(found.sum()), int(of.sum()), float(found.sum() / of.sum()), low, high


def _weighted(values: Iterable[tuple[float, int]]) -> float:
    given = list(values)
    return sum(value * weight for value, weight in given) / sum(weight for _, weight in given)


def _chance(found: Found) -> float:
    """Share of the planted choices that a uniformly drawn genotype makes; NaN where that takes too long to count."""
    shares = _option_shares(common_space([found.genotype]), found.planted)
    return sum(shares) / len(shares)


def _option_shares(space: SearchSpace, planted: Mapping[str, str]) -> list[float]:
    """Share of all genotypes that make each planted choice."""
    if not space.constrained:
        return [1 / len(space[choice]) for choice in planted]
    if space.size > ENUMERATED:
        return [math.nan] * len(planted)
    genotypes = list(space.enumerate())
    return [sum(one[choice] == option for one in genotypes) / len(genotypes) for choice, option in planted.items()]


def confusion(conditions: Mapping[str, Sequence[Found]]) -> pd.DataFrame:
    """Counts planted options against found ones.

    Returns:
        One row for each pair of options that met: ``condition``, ``planted`` (`NOTHING` where nothing is needed),
        ``found``, ``count``, ``share`` (of the blocks where that was planted, 0..1).
    """
    rows = [
        (condition, planted, one.genotype[choice])
        for condition, of in conditions.items()
        for one in of
        for choice, planted in [*one.planted.items(), *((choice, NOTHING) for choice in one.idle)]
    ]
    frame = pd.DataFrame(rows, columns=["condition", "planted", "found"])
    counts = frame.groupby(["condition", "planted", "found"], sort=False).size().rename("count").reset_index()
    total = counts.groupby(["condition", "planted"])["count"].transform("sum")
    return counts.assign(share=counts["count"] / total)


@once
def important_blocks(runs: Runs, experiment: str, model: str = "retrain") -> pd.DataFrame:
    """Counts planted blocks among the important ones of trained networks.

    From the row of every target, as many blocks are taken as were planted in it: those of largest importance
    (`analysis.importance`). A row where every block was planted, or none, says nothing and is left out; blocks of a
    planted pair in which the network has no context count as missed.

    Returns:
        As `recovery`, without what concerns empty blocks: one row, or none where nothing was measured.
    """
    rows = runs.frame[(runs.frame["experiment"] == experiment) & (runs.frame["model"] == model)]
    hits, planted, chances = [], [], []
    for path in rows["path"]:
        directory = runs.directories[path]
        answer, kept = answer_of(directory.config), importance_of(runs, path)
        if answer is None or kept is None:
            continue
        counts = [_most_important(of, answer) for _, of in kept.groupby("target", sort=False)]
        told = [(found, of, blocks) for found, of, blocks in counts if 0 < of < blocks]
        if told:
            hits.append(sum(found for found, _, _ in told))
            planted.append(sum(of for _, of, _ in told))
            chances.append((sum(of * of / blocks for _, of, blocks in told) / planted[-1], planted[-1]))
    if not hits:
        return pd.DataFrame(columns=COUNTED)
    return pd.DataFrame([(experiment, *_counted(hits, planted), _weighted(chances))], columns=COUNTED)


def _most_important(of_target: pd.DataFrame, answer: Answer) -> tuple[int, int, int]:
    """For one target: planted blocks among the most important ones, planted blocks, blocks."""
    target = str(of_target["target"].iloc[0])
    drops = of_target.groupby("source", sort=False)["drop"].mean()
    planted = [source for source in drops.index if (target, source) in answer]
    first = drops.sort_values(ascending=False, kind="stable").index[: len(planted)]
    return sum(source in planted and drops[source] > 0 for source in first), len(planted), len(drops)
