"""Searches of a table, one strategy with several seeds at a time. A worker process reads the table once."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from atrc.config import Config, parse_config
from atrc.cpbench import TABLE
from atrc.machine.stopping import Interrupted, Stop, stop_requests
from atrc.machine.threads import threads_of_a_run
from atrc.setup import Setup
from atrc.training.scoring import SCORERS, Scoring, TableScorer
from searchspace import Genotype
from searchspace.answers import Answers
from strategies import STRATEGIES, Budget, MultiTrialStrategy, Search

__all__ = ["Bench", "build", "search_part"]

_STORED = ("storage", "study", "join", "shared")
"""Knobs of strategies that keep their trials in a database; here they keep them in memory."""


class Bench:
    """A table with its space and its answers.

    Args:
        config: A config, whose space the table has.
        options: Options of the scorer `table`.

    Attributes:
        setup: The setup of the config.
        space: The space.
        scorer: The scorer, for the seed 0.
        answers: Mean, regret and rank of every genotype.

    Raises:
        InputError: There is no table, or it does not fit; see `TableScorer` and `Answers`.
    """

    def __init__(self, config: Config, options: Mapping[str, Any]) -> None:
        self.setup = Setup.of(config)
        self.space = self.setup.space
        scoring = Scoring.without_images(self.setup, seed=0, device=torch.device("cpu"), stop=Stop())
        self.scorer: TableScorer = SCORERS.create(TABLE, options, scoring)
        self.answers = Answers(
            self.scorer.table, self.space, self.scorer.column, lower_is_better=self.scorer.lower_is_better
        )
        self._placed: dict[Genotype, tuple[float, float, int]] = {}

    def placed(self, genotype: Genotype) -> tuple[float, float, int]:
        """Returns the mean of a genotype over its seeds, its regret and its rank; see `Answers`."""
        if genotype not in self._placed:
            answers = self.answers
            regret, rank = answers.regret(genotype), answers.rank(genotype)
            self._placed[genotype] = answers.means[genotype], regret, rank
        return self._placed[genotype]

    def search(self, strategy: MultiTrialStrategy, trials: int, stop: Stop) -> list[list[Any]]:
        """Runs a search, whose strategy has its seed.

        Returns:
            A row whenever the genotype that the search names has changed, and one at its end: number of trials, of
            images and of seconds, indices of the options, mean, regret and rank of the genotype.

        Raises:
            Interrupted: Somebody asked to stop.
        """
        scorer = self.scorer.of_seed(strategy.seed)
        search = Search(strategy, score=scorer, budget=Budget(trials=trials), repeat=self.setup.config.trials.repeat)
        named: Genotype | None = None
        rows: list[list[Any]] = []
        for event in search:
            if stop.requested:
                raise Interrupted("stopped within a search")
            if event.kind == "told" and event.named is not None and event.named != named:
                named = event.named
                rows.append(self._row(search, named))
        if not rows or rows[-1][0] != search.spent.trials:
            rows.append(self._row(search, search.genotype()))
        return rows

    def _row(self, search: Search, genotype: Genotype) -> list[Any]:
        spent = search.spent
        encoded = list(self.space.encode(genotype))
        return [spent.trials, spent.samples, round(spent.seconds, 6), encoded, *self.placed(genotype)]


def build(bench: Bench, name: str, knobs: Mapping[str, Any], seed: int) -> MultiTrialStrategy:
    """Builds a multi-trial strategy. One that keeps its trials in a database keeps them in memory.

    Raises:
        InputError: The strategy does not exist, or a knob is wrong.
    """
    given = dict(knobs)
    if "storage" in inspect.signature(STRATEGIES[name]).parameters:
        given = {knob: value for knob, value in given.items() if knob not in _STORED}
        given.setdefault("distinct", not bench.setup.config.trials.repeat)
    strategy: MultiTrialStrategy = STRATEGIES.create(name, given, bench.space, seed=seed)
    return strategy


def search_part(
    config: str, options: str, name: str, knobs: Mapping[str, Any], seeds: Sequence[int], trials: int
) -> list[list[list[Any]]]:
    """Runs the searches of one strategy with several seeds, in a worker process.

    Args:
        config: Text of the config.
        options: Options of the scorer, as JSON.
        name: Registered name of the strategy.
        knobs: Its knobs.
        seeds: Seeds, one for each search.
        trials: Number of trials of a search.

    Returns:
        The rows of each search; see `Bench.search`.

    Raises:
        Interrupted: Somebody asked to stop.
    """
    bench = _bench(config, options)
    with stop_requests(insist=True) as stop, threads_of_a_run(1):
        return [bench.search(build(bench, name, knobs, seed), trials, stop) for seed in seeds]


@functools.lru_cache(maxsize=1)
def _bench(config: str, options: str) -> Bench:
    return Bench(parse_config(config, "config"), json.loads(options))
