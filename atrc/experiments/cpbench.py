"""Makes tables of a space: trains every genotype of it, from scratch and with several seeds.

::

    runs/cpbench/NAME.jsonl     the journal: the config, then a line per trained network
    runs/cpbench/NAME.csv.gz    the table (`atrc.cpbench`), written when the command ends
    runs/cpbench/NAME.yaml      its card

A journal is only ever appended to, so a killed command loses no more than the networks that were in training.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from atrc.config import Config, parse_config
from atrc.cpbench import Network, Tabled, budget_steps, recipe_of, results_of, write_table
from atrc.engines import Processes, finished
from atrc.experiments._checks import Checks
from atrc.machine.devices import pick_device
from atrc.machine.journal import Journal
from atrc.machine.kernels import compile_all
from atrc.machine.memory import keep_memory
from atrc.machine.stopping import Stop
from atrc.machine.threads import threads_of_a_run
from atrc.networks import MULTI
from atrc.runs.environment import environment
from atrc.setup import Setup
from atrc.training import Interrupted, stop_requests
from atrc.training._budgets import train_and_measure
from searchspace import Genotype, InputError
from searchspace.table import Row

__all__ = ["Reproduced", "make_table", "networks_of", "reproduced", "train_networks"]

FORMAT = "atrc-cpbench-journal/1"
LARGEST = 10_000
"""Largest number of genotypes that are tabled."""
_TRAIN = "atrc.experiments.cpbench:train_entry"
_MODULES = (__name__, "torchmetrics")


def networks_of(config: Config, genotypes: Iterable[Genotype] | None = None) -> list[Network]:
    """Returns the networks of a table: baselines first, then all genotypes with one seed after the other.

    Args:
        config: The config.
        genotypes: The genotypes; by default all of the space.

    Raises:
        InputError: The space has too many genotypes.
    """
    space = Setup.of(config).space
    if genotypes is None and space.size > LARGEST:
        raise InputError(
            f"space {space.name!r} has up to {space.size:.3g} genotypes, too many for a table (at most {LARGEST}); "
            "choose some of them with --sample"
        )
    wanted = list(space.enumerate() if genotypes is None else genotypes)
    models = [*(f"single-{task}" for task in config.tasks), MULTI]
    baselines = [Network(model, None, seed) for seed in config.seeds for model in models]
    return [*baselines, *(Network("", genotype, seed) for seed in config.seeds for genotype in wanted)]


def make_table(
    config: Config,
    folder: Path,
    genotypes: Sequence[Genotype] | None = None,
    *,
    jobs: int = 1,
    quiet: bool = False,
) -> Path | None:
    """Trains the networks that the journal does not have yet, then writes the table and its card.

    Args:
        config: The config, whose name names the files.
        folder: Folder of the files.
        genotypes: The genotypes; by default all of the space.
        jobs: Number of processes.
        quiet: True for no progress bar.

    Returns:
        Path of the table, see `write_table`.

    Raises:
        InputError: The journal is of another config or is damaged, or trainings failed. The others were finished.
        Interrupted: A signal stopped it. The table has what was finished.
    """
    checks = Checks()
    checks.config(config)
    wanted = networks_of(config, genotypes)
    journal = Journal(folder / f"{config.name}.jsonl", {"format": FORMAT, "config": recipe_of(config)})
    made = dict(_made(journal, config))
    missing = [network for network in wanted if network not in made]
    if missing:
        checks.data([config])
    compile_all()  # otherwise every process would compile at the same time
    try:
        for network, points in train_networks(config, missing, jobs=jobs, quiet=quiet):
            choices = None if network.genotype is None else dict(network.genotype)
            journal.append({"model": network.model, "genotype": choices, "seed": network.seed, "points": points})
            made[network] = points
    finally:
        path = write_table(folder, config, made, expected=len(wanted), made=environment(config.threads))
    return path


def _made(journal: Journal, config: Config) -> Iterator[tuple[Network, list[dict[str, Any]]]]:
    """Yields the networks that a journal has, with what was measured."""
    space = Setup.of(config).space
    for where, line in journal.read():
        try:
            choices = line["genotype"]
            genotype = None if choices is None else space.genotype(choices)
            yield Network(line["model"], genotype, line["seed"]), line["points"]
        except (InputError, KeyError, TypeError) as error:
            raise InputError(f"{where}: no trained network ({error})") from None


def train_networks(
    config: Config, networks: Sequence[Network], *, jobs: int = 1, quiet: bool = False
) -> Iterator[tuple[Network, list[dict[str, Any]]]]:
    """Trains networks, several at a time, and yields each with what was measured at every budget, as they end.

    Raises:
        InputError: Trainings failed; the others were finished first.
        Interrupted: A signal stopped it.
    """
    if not networks:
        return
    failed: list[str] = []
    with stop_requests(insist=False) as stop:
        ended = _here(config, networks) if jobs == 1 else _in_processes(config, networks, jobs, stop)
        for network, outcome in tqdm(
            ended,
            total=len(networks),
            desc=config.name,
            unit="network",
            disable=quiet,
            dynamic_ncols=True,
            smoothing=0.02,
        ):
            if isinstance(outcome, Interrupted):
                stop.requested = True
            elif isinstance(outcome, BaseException):
                failed.append(f"{network.genotype or network.model} seed {network.seed}: {outcome}")
            else:
                yield network, outcome
            if stop.requested and jobs == 1:
                break
    if stop.requested:
        raise Interrupted("stopped; the same command continues with the networks that are missing")
    if failed:
        raise InputError(f"{len(failed)} of {len(networks)} networks failed, e.g. {failed[0].splitlines()[0]}")


Outcome = list[dict[str, Any]] | BaseException
"""What was measured at every budget, or why not."""


def _here(config: Config, networks: Sequence[Network]) -> Iterator[tuple[Network, Outcome]]:
    """Trains networks in this process, one after the other."""
    for network in networks:
        try:
            yield network, train_entry(**_job(config, network))
        except (InputError, Interrupted) as error:
            yield network, error


def _in_processes(
    config: Config, networks: Sequence[Network], jobs: int, stop: Stop
) -> Iterator[tuple[Network, Outcome]]:
    """Trains networks in worker processes, and yields them as they end."""
    with Processes(min(jobs, len(networks)), _MODULES) as engine:
        submitted = {engine.submit(_TRAIN, **_job(config, network)): network for network in networks}
        for job in finished(engine, submitted, stop):
            yield submitted[job], job.exception() or job.result()


def _job(config: Config, network: Network) -> dict[str, Any]:
    """Returns the arguments of `train_entry`."""
    choices = None if network.genotype is None else dict(network.genotype)
    return {"config": config.to_yaml(), "model": network.model, "choices": choices, "seed": network.seed}


def train_entry(config: str, model: str, choices: Mapping[str, str] | None, seed: int) -> list[dict[str, Any]]:
    """Trains one network, and returns its `Measured` as dictionaries."""
    setup = _setup(config)
    genotype = None if choices is None else setup.space.genotype(choices)
    device = pick_device(setup.config.device)
    with threads_of_a_run(setup.config.threads), stop_requests(insist=True) as stop:
        steps = budget_steps(setup.config)
        found = train_and_measure(setup, model, genotype, seed=seed, steps=steps, device=device, stop=stop)
    return [asdict(point) for point in found]


@functools.lru_cache(maxsize=1)
def _setup(config: str) -> Setup:
    keep_memory()
    compile_all()
    return Setup.of(parse_config(config, "config"))


@dataclass(frozen=True)
class Reproduced:
    """A network of a table that was trained again.

    Attributes:
        genotype: Its genotype.
        seed: Its seed.
        difference: The largest relative difference of a result, at any budget; seconds do not count.
        column: The result that differs most; empty if none does.
    """

    genotype: Genotype
    seed: int
    difference: float
    column: str

    @property
    def equal(self) -> bool:
        """Whether all results are the same to the last bit."""
        return not self.column


def reproduced(table: Tabled, number: int, draw: int = 0, *, jobs: int = 1, quiet: bool = False) -> list[Reproduced]:
    """Trains some networks of a table again, and compares them with it.

    Args:
        table: The table.
        number: Number of networks.
        draw: Seed of their random draw.
        jobs: Number of processes.
        quiet: True for no progress bar.
    """
    config = table.card.config
    space = Setup.of(config).space
    rows: dict[Network, list[Row]] = {}
    for row in table.read().rows():
        network = Network("", space.genotype(row.choices), int(row.number("seed")))
        rows.setdefault(network, []).append(row)
    drawn = random.Random(draw).sample(list(rows), min(number, len(rows)))
    made = dict(train_networks(config, drawn, jobs=jobs, quiet=quiet))
    return [_compared(network, rows[network], made[network]) for network in drawn]


def _compared(network: Network, rows: Sequence[Row], points: Sequence[Mapping[str, Any]]) -> Reproduced:
    """Compares the rows of a network with what was measured anew."""
    by_steps = {point["steps"]: results_of(point) for point in points}
    apart: dict[str, float] = {}
    for row in rows:
        for column, now in by_steps[int(row.number("steps"))].items():
            then = row.number(column)
            if column != "seconds" and then != now:
                apart[column] = max(apart.get(column, 0.0), abs(now - then) / max(abs(then), 1e-12))
    worst = max(apart, key=apart.__getitem__, default="")
    assert network.genotype is not None
    return Reproduced(network.genotype, network.seed, apart.get(worst, 0.0), worst)
