"""Many searches of a table: every strategy with many seeds, in minutes, since nothing is trained.

::

    runs/NAME-lookup/parts.jsonl        the journal: what is searched, then a line per strategy and few seeds
    runs/NAME-lookup/lookup.yaml        table, budget and strategies, written when the command ends
    runs/NAME-lookup/searches.csv.gz    a row whenever the genotype that a search names changed, and one at its end

A journal is only ever appended to, so a killed command loses no more than the searches that were running.

===================  ==========================================================================================
column               content
===================  ==========================================================================================
``strategy``         label of the strategy
``seed``             seed of the search
``trials``           number of trials so far
``samples``          number of images that the trainings of these trials took
``seconds``          seconds that they took when the table was made
a choice             option of the named genotype; a column for every choice of the space
``score``            mean of the named genotype over its seeds in the table, at the largest budget
``regret``           how much worse this mean is than the best one, in the unit of the column; at least 0; NaN if
                     one of its trainings failed
``rank``             place of this mean among all genotypes; 1 is best
===================  ==========================================================================================
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from atrc.config import Config, Named
from atrc.cpbench import TABLE
from atrc.engines import Processes, finished
from atrc.experiments._lookup_search import Bench, build
from atrc.experiments.paths import absolute_paths
from atrc.machine.files import write_gzip, write_text
from atrc.machine.journal import Journal
from atrc.machine.stopping import Interrupted, stop_requests
from atrc.runs.environment import environment
from searchspace import InputError
from searchspace.errors import did_you_mean
from searchspace.yaml_text import write_yaml
from strategies import STRATEGIES, MultiTrialStrategy
from strategies._base import refuse_unsupported

__all__ = ["CARD", "COLUMNS", "FORMAT", "SEARCHES", "Lookup", "plan_lookup", "run_lookup"]

FORMAT = "atrc-lookup/1"
CARD, SEARCHES, JOURNAL = "lookup.yaml", "searches.csv.gz", "parts.jsonl"
COLUMNS = ("strategy", "seed", "trials", "samples", "seconds"), ("score", "regret", "rank")
"""Names of the columns before and after those of the choices."""
PART = 5
"""Number of searches in one job of a worker."""
_SEARCH = "atrc.experiments._lookup_search:search_part"
_MODULES = ("atrc.experiments._lookup_search",)


@dataclass(frozen=True)
class Lookup:
    """A plan of many searches of a table.

    Attributes:
        config: The config, with absolute paths.
        bench: Its table.
        options: Options of the scorer `table`.
        strategies: Label -> registered strategy with its knobs.
        seeds: Label -> number of searches, with the seeds 0, 1, ...
        trials: Number of trials of a search.
    """

    config: Config
    bench: Bench = field(repr=False)
    options: Mapping[str, Any]
    strategies: Mapping[str, Named]
    seeds: Mapping[str, int]
    trials: int

    @property
    def header(self) -> dict[str, Any]:
        """What the searches of one folder have in common."""
        scorer = self.bench.scorer
        return {
            "format": FORMAT,
            "table": hashlib.sha256(scorer.table.file.read_bytes()).hexdigest(),
            "column": scorer.column,
            "lower_is_better": scorer.lower_is_better,
            "draw": scorer.draw,
            "trials": self.trials,
            "repeat": self.config.trials.repeat,
            "choices": list(self.bench.space),
        }


def plan_lookup(
    config: Config,
    names: Sequence[str] = (),
    *,
    seeds: int = 100,
    few: Mapping[str, int] | None = None,
    trials: int = 60,
) -> Lookup:
    """Plans searches of the table of a config: of the scorer `table`, if the config has it, else of the space.

    Args:
        config: The config. Strategies have the knobs of its ``compare`` section, if it has one.
        names: Labels of that section, or registered names; by default all multi-trial strategies that can search the
            space. Those that cannot are named on stderr.
        seeds: Number of searches with each strategy.
        few: Label -> another number of searches.
        trials: Number of trials of a search.

    Raises:
        InputError: There is no table, a name is unknown, or a strategy that was named cannot search the space.
    """
    if config.cost is not None:
        raise InputError("atrc lookup compares by the score alone; leave out the cost: -s cost=null")
    settings = absolute_paths(config)
    scorer = settings.trials.scorer
    options = scorer.options if scorer.name == TABLE else {"draw": "seed"}
    bench = Bench(settings, options)
    if taken := sorted(set(bench.space) & {*COLUMNS[0], *COLUMNS[1]}):
        raise InputError(f"a choice must not have the name of a column of {SEARCHES}: {', '.join(taken)}")
    known = _known(settings)
    for name in (*names, *(few or {})):
        if name not in known:
            one_shot = "; it is one-shot, and trains a supernet instead of scoring genotypes"
            said = one_shot if name in STRATEGIES else did_you_mean(name, known)
            raise InputError(f"strategy {name!r} is no multi-trial strategy{said}; known: {', '.join(known)}")
    chosen = {name: known[name] for name in names or known}
    able = {name: named for name, named in chosen.items() if _can_search(bench, named, refuse=bool(names))}
    if left_out := [name for name in chosen if name not in able]:
        print(f"left out, since they cannot search the space: {', '.join(left_out)}", file=sys.stderr)
    return Lookup(settings, bench, options, able, {name: (few or {}).get(name, seeds) for name in able}, trials)


def _known(config: Config) -> dict[str, Named]:
    """Label -> multi-trial strategy: those of the section ``compare``, then all others as they are registered."""
    given = {} if config.compare is None else dict(config.compare.strategies)
    every = given | {name: Named(name=name) for name in sorted(STRATEGIES) if name not in given}
    return {label: named for label, named in every.items() if issubclass(STRATEGIES[named.name], MultiTrialStrategy)}


def _can_search(bench: Bench, named: Named, *, refuse: bool) -> bool:
    strategy = build(bench, named.name, named.options, 0)
    if refuse:
        refuse_unsupported(strategy, ("score",))
    return strategy.supports(bench.space)


def run_lookup(plan: Lookup, folder: Path, *, jobs: int = 1, quiet: bool = False) -> Path:
    """Runs the searches that the folder does not have yet, several at a time, and writes its files.

    Args:
        plan: The searches.
        folder: The folder. It may have searches of the same table and budget with other strategies or more seeds.
        jobs: Number of processes.
        quiet: True for no progress bar.

    Returns:
        Path of ``searches.csv.gz``.

    Raises:
        InputError: The folder has searches of another table, budget or strategy, or a search failed. The others were
            finished.
        Interrupted: A signal stopped it. The folder has what was finished.
    """
    journal = Journal(folder / JOURNAL, plan.header)
    made = list(_made(journal))
    missing = list(_missing(plan, made, folder))
    try:
        for part in _searched(plan, missing, jobs, quiet):
            journal.append(part)
            made.append(part)
    finally:
        path = _write(plan, folder, made)
    return path


def _made(journal: Journal) -> Iterator[dict[str, Any]]:
    """Yields the searches that a journal has."""
    for where, line in journal.read():
        if lacking := {"strategy", "made", "seeds", "searches"} - line.keys():
            raise InputError(f"{where}: the key {min(lacking)!r} is missing")
        yield line


def _missing(plan: Lookup, made: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Yields labels with the seeds of one job each: the first seeds of all strategies, then further ones."""
    done: dict[str, set[int]] = {label: set() for label in plan.strategies}
    for part in made:
        label = part["strategy"]
        if label not in done:
            continue
        if part["made"] != plan.strategies[label].model_dump(mode="json"):
            raise InputError(
                f"{folder} has searches of {label!r} with other knobs: {part['made']}; choose another folder with -o"
            )
        done[label] |= set(part["seeds"])
    for first in range(0, max(plan.seeds.values(), default=0), PART):
        for label, number in plan.seeds.items():
            seeds = [seed for seed in range(first, min(first + PART, number)) if seed not in done[label]]
            if seeds:
                yield label, seeds


def _searched(
    plan: Lookup, missing: Sequence[tuple[str, list[int]]], jobs: int, quiet: bool
) -> Iterator[dict[str, Any]]:
    """Runs jobs, and yields a line of the journal for each, as they end."""
    if not missing:
        return
    failed: dict[str, str] = {}
    common = {"config": plan.config.to_yaml(), "options": json.dumps(plan.options), "trials": plan.trials}
    bar = tqdm(
        total=sum(len(seeds) for _, seeds in missing),
        desc=plan.config.name,
        unit="search",
        disable=quiet,
        dynamic_ncols=True,
    )
    with stop_requests(insist=False) as stop, Processes(min(jobs, len(missing)), _MODULES) as engine, bar:
        submitted = {}
        for label, seeds in missing:
            named = plan.strategies[label]
            job = engine.submit(_SEARCH, name=named.name, knobs=named.options, seeds=seeds, **common)
            submitted[job] = label, seeds
        for job in finished(engine, submitted, stop):
            label, seeds = submitted[job]
            error = job.exception()
            if error is None:
                made = plan.strategies[label].model_dump(mode="json")
                yield {"strategy": label, "made": made, "seeds": seeds, "searches": job.result()}
            elif not isinstance(error, Interrupted):
                failed.setdefault(label, str(error))
            bar.update(len(seeds))
    if stop.requested:
        raise Interrupted("stopped; the same command continues with the searches that are missing")
    if failed:
        said = "; ".join(f"{label}: {message.splitlines()[0]}" for label, message in failed.items())
        raise InputError(f"searches failed: {said}")


def _write(plan: Lookup, folder: Path, made: Sequence[Mapping[str, Any]]) -> Path:
    """Writes the searches and their card. The same searches give the same bytes of ``searches.csv.gz``."""
    answers, table, space = plan.bench.answers, plan.bench.scorer.table, plan.bench.space
    labels = list(dict.fromkeys([*plan.strategies, *(part["strategy"] for part in made)]))
    found = sorted(
        (labels.index(part["strategy"]), seed, part["strategy"], rows)
        for part in made
        for seed, rows in zip(part["seeds"], part["searches"], strict=True)
    )
    path, text = folder / SEARCHES, io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS[0], *space, *COLUMNS[1]])
    for _, seed, label, rows in found:
        for trials, samples, seconds, indices, *placed in rows:
            options = space.decode(indices).values()
            writer.writerow([label, seed, trials, samples, seconds, *options, *placed])
    write_gzip(path, text.getvalue())
    header = plan.header
    strategies = {part["strategy"]: part["made"] for part in made}
    card = {
        "format": FORMAT,
        "name": plan.config.name,
        "table": {"name": table.file.name.partition(".")[0], "file": str(table.file), "sha256": header["table"]},
        **{key: header[key] for key in ("column", "lower_is_better", "draw", "trials", "repeat", "choices")},
        "genotypes": len(answers.means),
        "largest_regret": max(regret for one in answers.means if not math.isnan(regret := answers.regret(one))),
        "best": {"mean": answers.means[answers.best], "choices": dict(answers.best)},
        "strategies": {
            label: {"strategy": strategies[label], "seeds": sum(of == label for _, _, of, _ in found)}
            for label in labels
            if label in strategies
        },
        "made": environment(1),
    }
    write_text(folder / CARD, write_yaml(card))
    return path
