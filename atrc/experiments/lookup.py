"""Searches that look genotypes up in a table: many strategies and seeds, in one folder.

::

    runs/NAME-lookup/lookup.yaml       what was asked: table, strategies, seeds, budget; and where it was made
    runs/NAME-lookup/searches.jsonl    the journal: a line per finished group of searches
    runs/NAME-lookup/searches.csv.gz   a row whenever the genotype that a search would name changed, and at the end

A search is done in milliseconds, so it gets no run directory and no database of its own. Seconds are those that the
trainings took when the table was made.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from atrc.config import Config, Named, parse_config
from atrc.cpbench import TABLE, TableScores, answers_of, require_table, table_for
from atrc.engines import Processes, finished
from atrc.machine.files import write_text, writing
from atrc.machine.journal import Journal
from atrc.machine.threads import threads_of_a_run
from atrc.runs.environment import environment
from atrc.setup import Setup
from atrc.training import Interrupted, stop_requests
from searchspace import InputError, SearchSpace
from searchspace.answers import Answers
from searchspace.table import SpaceTable
from searchspace.yaml_text import write_yaml
from strategies import STRATEGIES, Budget, MultiTrialStrategy, Search, build_strategy

__all__ = ["FORMAT", "Looked", "default_strategies", "look_up"]

FORMAT = "atrc-lookup/1"
CHUNK = 10
"""Searches of one job, and of one line of the journal."""
_SEARCH = "atrc.experiments.lookup:search_group"
_MODULES = (__name__,)


@dataclass(frozen=True)
class Looked:
    """What is looked up.

    Attributes:
        config: The config: its space, its table (see `atrc.cpbench.table_for`) and the options of its scorer.
        strategies: Label -> strategy with its knobs.
        seeds: Label -> number of searches; their seeds are 0, 1, 2, ...
        trials: Budget of a search, in trials of the full budget.
    """

    config: Config
    strategies: Mapping[str, Named]
    seeds: Mapping[str, int]
    trials: int

    @property
    def asked(self) -> dict[str, Any]:
        """Everything that the results depend on but the seeds, as plain values."""
        scorer = self.config.trials.scorer
        table, space = _table(self.config)
        return {
            "format": FORMAT,
            "table": str(table.file.name),
            "sha256": hashlib.sha256(table.file.read_bytes()).hexdigest(),
            "scorer": scorer.options if scorer.name == TABLE else {},
            "choices": list(space),
            "trials": self.trials,
            "strategies": {label: {"name": named.name, **named.options} for label, named in self.strategies.items()},
        }


def default_strategies(config: Config, names: Sequence[str] = ()) -> dict[str, Named]:
    """Returns the strategies of a look-up: label -> strategy with its knobs.

    Args:
        config: The config.
        names: The wanted labels of its section ``compare``, or names of strategies. By default all multi-trial ones
            of this section; where there is none, all that can search the space.

    Raises:
        InputError: A name is unknown or that of a one-shot strategy, or there is none.
    """
    space = Setup.of(config).space
    compared = {} if config.compare is None else dict(config.compare.strategies)
    if names:
        chosen = {name: compared.get(name, Named(name=name)) for name in names}
    else:
        chosen = compared or {name: Named(name=name) for name in STRATEGIES}
    found = {}
    for label, named in sorted(chosen.items()):
        entry = STRATEGIES[named.name]
        if issubclass(entry, MultiTrialStrategy):
            if names or compared or build_strategy(named.name, space, seed=0).supports(space):
                found[label] = named
        elif names:
            raise InputError(f"strategy {label!r} is one-shot: it trains a supernet, and cannot look genotypes up")
    if not found:
        raise InputError(f"config {config.name!r} names no multi-trial strategy; only these can look genotypes up")
    return found


def look_up(looked: Looked, folder: Path, *, jobs: int = 1, quiet: bool = False) -> Path:
    """Runs the searches that the folder does not have yet.

    Args:
        looked: The searches.
        folder: Folder of the results; made if missing.
        jobs: Number of processes.
        quiet: True for no progress bar.

    Returns:
        Path of ``searches.csv.gz``.

    Raises:
        InputError: There is no table, a strategy cannot search the space, the folder holds searches of other
            settings, or a search failed. The others were finished.
        Interrupted: A signal stopped it. What was finished is kept.
    """
    space = Setup.of(looked.config).space
    _scores(looked.config.to_yaml())
    for named in looked.strategies.values():
        build_strategy(named.name, space, seed=0, knobs=named.options)
    journal = Journal(folder / "searches.jsonl", looked.asked)
    rows = dict(_found(journal))
    missing = _groups(looked, set(rows))
    failed: list[str] = []
    searches = sum(len(seeds) for _, seeds in missing)
    bar = tqdm(total=searches, desc="look up", unit="search", disable=quiet, dynamic_ncols=True)
    with stop_requests(insist=False) as stop, bar, Processes(min(jobs, max(1, len(missing))), _MODULES) as engine:
        jobs_of = {
            engine.submit(
                _SEARCH,
                config=looked.config.to_yaml(),
                name=looked.strategies[label].name,
                knobs=looked.strategies[label].options,
                seeds=seeds,
                trials=looked.trials,
            ): (label, seeds)
            for label, seeds in missing
        }
        for job in finished(engine, jobs_of, stop):
            label, seeds = jobs_of[job]
            error = job.exception()
            if error is None:
                line = {"strategy": label, "seeds": seeds, "rows": job.result()}
                journal.append(line)
                rows.update(_by_seed(line))
                bar.update(len(seeds))
            elif not isinstance(error, Interrupted):
                failed.append(f"{label}: {error}")
    path = _write(looked, folder, rows)
    if stop.requested:
        raise Interrupted("stopped; the same command continues with the searches that are missing")
    if failed:
        raise InputError(f"{len(failed)} groups of searches failed, e.g. {failed[0].splitlines()[0]}")
    return path


def _groups(looked: Looked, done: set[tuple[str, int]]) -> list[tuple[str, list[int]]]:
    """Returns groups of searches that are missing. Strategies take turns, so that a slow one does not end alone."""
    groups = []
    for place, label in enumerate(looked.strategies):
        seeds = [seed for seed in range(looked.seeds[label]) if (label, seed) not in done]
        groups += [(first, place, label, seeds[first : first + CHUNK]) for first in range(0, len(seeds), CHUNK)]
    return [(label, seeds) for _, _, label, seeds in sorted(groups)]


def _found(journal: Journal) -> Iterator[tuple[tuple[str, int], list[list[Any]]]]:
    """Yields the searches that a journal has: (label, seed) -> rows."""
    for where, line in journal.read():
        try:
            yield from _by_seed(line)
        except (KeyError, TypeError, IndexError) as error:
            raise InputError(f"{where}: no searches ({error!r})") from None


def _by_seed(line: Mapping[str, Any]) -> Iterator[tuple[tuple[str, int], list[list[Any]]]]:
    for seed in line["seeds"]:
        yield (line["strategy"], seed), [row for row in line["rows"] if row[0] == seed]


def search_group(
    config: str, name: str, knobs: Mapping[str, Any], seeds: Sequence[int], trials: int
) -> list[list[Any]]:
    """Runs searches of a strategy in a worker process.

    Returns:
        Rows: seed, trials, samples, seconds, place of the named genotype's options, score.
    """
    scores, answers, space, full = _scores(config)
    rows: list[list[Any]] = []
    with threads_of_a_run(1), stop_requests(insist=True) as stop:
        for seed in seeds:
            if stop.requested:
                raise Interrupted("stopped between two searches")
            strategy = build_strategy(name, space, seed=seed, knobs=knobs)
            assert isinstance(strategy, MultiTrialStrategy)
            search = Search(strategy, score=scores.reseeded(seed), budget=Budget(samples=trials * full))
            named = None
            for event in search:
                if event.kind == "told" and event.named is not None and event.named != named:
                    named = event.named
                    rows.append(_row(seed, search, space, answers, named))
            rows.append(_row(seed, search, space, answers, search.genotype()))
    return rows


def _row(seed: int, search: Search, space: SearchSpace, answers: Answers, named: Any) -> list[Any]:
    spent = search.spent
    return [
        seed,
        spent.trials,
        spent.samples,
        round(spent.seconds, 3),
        list(space.encode(named)),
        answers.regret(named),
        answers.rank(named),
    ]


@functools.lru_cache(maxsize=1)
def _scores(config: str) -> tuple[TableScores, Answers, SearchSpace, int]:
    """Reads the table of a config: scores, answers, the space, and the images of a trial of the full budget."""
    parsed = parse_config(config, "config")
    table, space = _table(parsed)
    answers = answers_of(parsed, space)
    if answers is None:
        require_table(parsed)
    assert answers is not None
    scorer = parsed.trials.scorer
    options = {"draw": "seed", **(scorer.options if scorer.name == TABLE else {})}
    scores = TableScores(
        table,
        space,
        answers.column,
        lower_is_better=answers.sign < 0,
        draw=options["draw"],
        full=parsed.trials.steps * parsed.search.batch_size,
    )
    return scores, answers, space, scores.largest


def _table(config: Config) -> tuple[SpaceTable, SearchSpace]:
    space: SearchSpace = Setup.of(config).space
    scorer = config.trials.scorer
    return table_for(config, space, scorer.options.get("file") if scorer.name == TABLE else None), space


def _write(looked: Looked, folder: Path, rows: Mapping[tuple[str, int], Sequence[Sequence[Any]]]) -> Path:
    """Writes ``lookup.yaml`` and ``searches.csv.gz``."""
    space: SearchSpace = Setup.of(looked.config).space
    table = [
        {
            "strategy": label,
            **dict(zip(("seed", "trials", "samples", "seconds"), row, strict=False)),
            **space.decode(row[4]),
            "regret": row[5],
            "place": row[6],
        }
        for (label, _), of in sorted(rows.items())
        for row in of
    ]
    answers = answers_of(looked.config, space)
    assert answers is not None
    regrets = [answers.regret(genotype) for genotype in answers.means]
    about = {
        **looked.asked,
        "name": looked.config.name,
        "seeds": dict(looked.seeds),
        "budget": looked.trials * _scores(looked.config.to_yaml())[3],
        "column": answers.column,
        "genotypes": len(answers.means),
        "chance": float(pd.Series(regrets).mean()),
        "made": environment(1),
    }
    path = folder / "searches.csv.gz"
    text = io.StringIO()
    pd.DataFrame(table).to_csv(text, index=False, float_format="%.10g", lineterminator="\n")
    with writing(path) as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        packed.write(text.getvalue().encode())
    write_text(folder / "lookup.yaml", write_yaml(about))
    return path
