"""Experiments: the runs of one config, planned, created, and executed side by side.

A full experiment is the searches, the found networks trained from scratch, and the baselines, with the same seeds::

    runs/NAME/search/seed0      runs/NAME/retrain/seed0      runs/NAME/multi/seed0      runs/NAME/single-TASK/seed0
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from multiprocessing.connection import wait
from multiprocessing.queues import Queue
from pathlib import Path
from typing import NamedTuple

import torch

from atrc.build import (
    build_backbone,
    build_dataset,
    build_search_network,
    build_space,
    build_tasks,
    describe_dataset,
    import_plugins,
    model_genotype,
)
from atrc.config import Config, Named
from atrc.measures import MEASURES
from atrc.runs import RunDirectory, RunSpec, refuse_existing
from atrc.trackers import check_trackers
from atrc.training import Interrupted, execute, pick_device, stop_requests
from atrc.training.scoring import SCORERS
from searchspace import Costs, Genotype, InputError
from strategies import MultiTrialStrategy, OneShotStrategy, build_strategy

__all__ = [
    "Planned",
    "changed_keys",
    "check",
    "check_strategy",
    "create_missing",
    "create_retrain",
    "create_search",
    "create_train",
    "default_jobs",
    "execute_all",
    "execute_experiment",
    "expand_models",
    "open_made_with",
    "run_path",
]

RETRAIN, SEARCH = "retrain", "search"


def expand_models(config: Config, models: Iterable[str]) -> list[str]:
    """Model names with the short forms written out: ``single`` is one per task, ``baselines`` those and ``multi``."""
    single = [f"single-{task}" for task in config.tasks]
    short = {"single": single, "baselines": [*single, "multi"]}
    return list(dict.fromkeys(name for model in models for name in short.get(model, [model])))


def check(config: Config) -> None:
    """Builds what a run will need, so that a mistake shows before the first step and before a folder is made."""
    import_plugins(config)
    check_trackers(config.trackers)
    pick_device(config.device)
    tasks = build_tasks(config, describe_dataset(config))
    build_backbone(config, report=lambda loaded: print(loaded.summary(), file=sys.stderr))
    with torch.device("meta"):
        build_search_network(config, tasks, pretrained=False)


def check_strategy(config: Config) -> None:
    """Builds the config's strategy, so that a wrong knob, scorer or cost shows before a folder is made."""
    space = build_space(config)
    strategy = build_strategy(config.strategy.name, space, seed=0, knobs=config.strategy.options)
    if isinstance(strategy, MultiTrialStrategy):
        SCORERS[config.trials.scorer.name]
    if config.cost is not None:
        MEASURES[config.cost.measure]
        if isinstance(strategy, OneShotStrategy):
            strategy.charge(Costs({choice: dict.fromkeys(options, 0.0) for choice, options in space.items()}), 0.0)


def create_search(config: Config, out: Path) -> list[RunDirectory]:
    """New search runs ``out/search/seedK``, one for each of the config's seeds."""
    check(config)
    check_strategy(config)
    return _create([Planned(out, RunSpec("search", SEARCH, seed), config, None) for seed in config.seeds])


def create_train(config: Config, models: Sequence[str], out: Path) -> list[RunDirectory]:
    """New training runs ``out/MODEL/seedK`` of stand-alone networks.

    Args:
        config: The config.
        models: Names as `atrc.build.model_genotype` takes them, or the short forms of `expand_models`.
        out: The experiment's folder.
    """
    check(config)
    planned = []
    for model in expand_models(config, models):
        genotype = model_genotype(config, model)
        planned += [Planned(out, RunSpec("train", group(model), seed), config, genotype) for seed in config.seeds]
    return _create(planned)


def group(model: str) -> str:
    """The folder of a model's runs, and its name in tables."""
    return Path(model).stem if model.endswith(".json") else model.replace("-label", "_label")


def create_retrain(searches: Sequence[RunDirectory], out: Path | None = None) -> list[RunDirectory]:
    """New runs that train found genotypes from scratch, with the seed and the config of their search.

    Args:
        searches: Finished searches.
        out: The experiment's folder; default: that of each search.

    Raises:
        InputError: One is not a search, or not finished.
    """
    planned = []
    for search in searches:
        if search.spec.kind != "search":
            raise InputError(f"run {search.path} is not a search: it trained {search.spec.model!r}")
        search.result()  # raises where it is not finished
        folder = out or search.path.parent.parent
        source = os.path.relpath(search.path, run_path(folder, RETRAIN, search.spec.seed))
        spec = RunSpec("train", RETRAIN, search.spec.seed, source=source)
        planned.append(Planned(folder, spec, search.config, search.genotype()))
    return _create(planned)


class Planned(NamedTuple):
    """What `RunDirectory.create` needs of one run."""

    folder: Path
    spec: RunSpec
    config: Config
    genotype: Genotype | None = None

    @property
    def path(self) -> Path:
        return run_path(self.folder, self.spec.model, self.spec.seed)


def run_path(folder: Path, model: str, seed: int) -> Path:
    """Where a run of an experiment lies."""
    return folder / group(model) / f"seed{seed}"


def _create(planned: Sequence[Planned]) -> list[RunDirectory]:
    """All of them or none: one that is in the way is found before the first is made."""
    for run in planned:
        refuse_existing(run.path)
    _open_data(planned)
    return [RunDirectory.create(run.path, run.spec, run.config, run.genotype) for run in planned]


def _open_data(planned: Sequence[Planned]) -> None:
    """Opens the splits of new runs: files that cannot be used show now, and what a first use prepares serves all.

    It comes last of what is checked, since it may take minutes.
    """
    opened: list[tuple[Named, list[str]]] = []
    for config in (run.config for run in planned):
        wanted = config.dataset, list(config.tasks)
        if wanted not in opened:
            opened.append(wanted)
            import_plugins(config)
            for split in ("train", "val"):
                build_dataset(config, split)


def create_missing(planned: Sequence[Planned]) -> list[RunDirectory]:
    """The runs that are there, made with the same config, and new ones for the rest, in the order of the plan.

    Raises:
        InputError: One was made with another config.
    """
    there = {run.path: open_made_with(run.path, run.config) for run in planned if run.path.exists()}
    _open_data([run for run in planned if run.path not in there])
    return [
        there.get(run.path) or RunDirectory.create(run.path, run.spec, run.config, run.genotype) for run in planned
    ]


def open_made_with(path: Path, config: Config) -> RunDirectory:
    """An existing run of this config, whichever seeds were asked for.

    Raises:
        InputError: It was made with another config.
    """
    run = RunDirectory.open(path)
    changed = changed_keys(run, config)
    if changed:
        raise InputError(
            f"run {path} was made with another config ({', '.join(changed)} changed); "
            "give another --out, or remove it"
        )
    return run


def changed_keys(run: RunDirectory, config: Config) -> list[str]:
    """What a run's config has otherwise than this one, whichever seeds were asked for."""
    one, other = run.config.model_dump(), config.model_dump()
    return [key for key in one if key != "seeds" and one[key] != other[key]]


def execute_experiment(
    config: Config,
    folder: Path,
    models: Iterable[str] = ("baselines",),
    *,
    jobs: int | None = None,
    quiet: bool = False,
) -> None:
    """All of an experiment: searches, what they found trained from scratch, and other models to compare it with.

    Runs that are there already are continued where they were left; finished ones cost nothing.

    Args:
        config: The config.
        folder: Where the runs go.
        models: See `create_train`.
        jobs: Runs at a time; None for `default_jobs`.
        quiet: No progress bars.

    Raises:
        InputError: A run in the folder was made with another config; see also `execute_all`.
        Interrupted: Stopped by a signal; every run that had begun left a checkpoint.
    """
    at_once = jobs or default_jobs(config)
    searches = _existing_or_new(config, folder, SEARCH)
    trained = [run for name in expand_models(config, models) for run in _existing_or_new(config, folder, name)]
    execute_all([*searches, *trained], jobs=at_once, quiet=quiet)
    missing = [run for run in searches if not run_path(folder, RETRAIN, run.spec.seed).exists()]
    found = [RunDirectory.open(run_path(folder, RETRAIN, run.spec.seed)) for run in searches if run not in missing]
    execute_all([*found, *create_retrain(missing)], jobs=at_once, quiet=quiet)


def _existing_or_new(config: Config, folder: Path, model: str) -> list[RunDirectory]:
    """One run per seed: those that are there, made with the same config, and new ones for the rest."""
    paths = {seed: run_path(folder, model, seed) for seed in config.seeds}
    runs = [open_made_with(path, config) for path in paths.values() if path.exists()]
    fresh = [seed for seed, path in paths.items() if not path.exists()]
    if fresh:
        rest = config.model_copy(update={"seeds": fresh})
        runs += create_search(rest, folder) if model == SEARCH else create_train(rest, [model], folder)
    return runs


def default_jobs(config: Config) -> int:
    """Runs at a time: one per core on a CPU, where that is faster than many cores on one run; else one."""
    on_gpu = torch.cuda.is_available() and config.device in ("auto", "cuda")
    return 1 if on_gpu else max(1, min(os.cpu_count() or 1, 4))


def execute_all(runs: Sequence[RunDirectory], *, jobs: int = 1, quiet: bool = False) -> None:
    """Executes runs, ``jobs`` at a time, the cores shared between them. Finished ones cost nothing.

    Raises:
        Interrupted: Stopped by a signal; every run that had begun left a checkpoint.
        InputError: Some runs failed; the others were finished first.
    """
    waiting = [run for run in runs if not run.finished]
    jobs = min(jobs, len(waiting))
    if not waiting:
        return
    if jobs <= 1:
        for run in waiting:
            execute(run, quiet=quiet)
        return
    _prepare_data(waiting)
    context = multiprocessing.get_context("spawn")
    queue: Queue[Path | None] = context.Queue()
    for path in [*(run.path for run in waiting), *[None] * jobs]:
        queue.put(path)
    threads = max(1, (os.cpu_count() or 1) // jobs)
    workers = [context.Process(target=_work, args=(queue, threads, slot, quiet)) for slot in range(jobs)]
    passed_on = False
    with stop_requests(insist=False) as stop:
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            wait([worker.sentinel for worker in workers if worker.is_alive()], timeout=1.0)
            if stop.requested and not passed_on:
                passed_on = True
                for worker in workers:
                    worker.terminate()
        queue.cancel_join_thread()  # runs that nobody took need not be read before this process may end
    if stop.requested:
        raise Interrupted("stopped; every unfinished run left a checkpoint, and the same command continues them")
    failed = [str(run.path) for run in waiting if not run.finished]
    if failed:
        raise InputError(f"{len(failed)} of {len(waiting)} runs failed: {', '.join(failed)}")


def _prepare_data(runs: Sequence[RunDirectory]) -> None:
    """Fills the dataset caches once, before many processes would each do it."""
    seen = set()
    for run in runs:
        key = run.config.dataset.model_dump_json()
        if key not in seen:
            seen.add(key)
            import_plugins(run.config)
            for split in ("train", "val"):
                build_dataset(run.config, split)


def _work(queue: Queue[Path | None], threads: int, slot: int, quiet: bool) -> None:
    """A process that executes runs until the queue says None; Ctrl-C reaches the parent, which sends SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    for path in iter(queue.get, None):
        try:
            execute(RunDirectory.open(path), quiet=quiet, position=slot)
        except Interrupted:
            return
        except InputError as error:
            print(f"\n{path}: {error}", file=sys.stderr)
