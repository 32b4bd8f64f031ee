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

import torch

from atrc.build import (
    build_backbone,
    build_dataset,
    build_search_network,
    build_tasks,
    cp_space,
    describe_dataset,
    import_plugins,
    model_genotype,
)
from atrc.config import Config
from atrc.runs import RunDirectory, RunSpec
from atrc.training import Interrupted, execute, pick_device
from searchspace import Genotype, InputError
from strategies import build_strategy

__all__ = ["create_retrain", "create_search", "create_train", "default_jobs", "execute_all", "expand_models"]

RETRAIN, SEARCH = "retrain", "search"


def expand_models(config: Config, models: Iterable[str]) -> list[str]:
    """Model names with the short forms written out: ``single`` is one per task, ``baselines`` those and ``multi``."""
    single = [f"single-{task}" for task in config.tasks]
    short = {"single": single, "baselines": [*single, "multi"]}
    return list(dict.fromkeys(name for model in models for name in short.get(model, [model])))


def check(config: Config) -> None:
    """Builds what a run will need, so that a mistake shows before the first step and before a folder is made."""
    import_plugins(config)
    pick_device(config.device)
    tasks = build_tasks(config, describe_dataset(config))
    build_backbone(config, report=lambda loaded: print(loaded.summary(), file=sys.stderr))
    with torch.device("meta"):
        build_search_network(config, tasks, pretrained=False)


def create_search(config: Config, out: Path) -> list[RunDirectory]:
    """New search runs ``out/search/seedK``, one for each of the config's seeds."""
    check(config)
    build_strategy(config.strategy.name, cp_space(config), seed=0, knobs=config.strategy.options)
    return _create(out, [(RunSpec("search", SEARCH, seed), None) for seed in config.seeds], config)


def create_train(config: Config, models: Sequence[str], out: Path) -> list[RunDirectory]:
    """New training runs ``out/MODEL/seedK`` of stand-alone networks.

    Args:
        config: The config.
        models: Names as `atrc.build.model_genotype` takes them, or the short forms of `expand_models`.
        out: The experiment's folder.
    """
    check(config)
    planned: list[tuple[RunSpec, Genotype | None]] = []
    for model in expand_models(config, models):
        genotype = model_genotype(config, model)
        name = Path(model).stem if model.endswith(".json") else model.replace("-label", "_label")
        planned += [(RunSpec("train", name, seed), genotype) for seed in config.seeds]
    return _create(out, planned, config)


def create_retrain(searches: Sequence[RunDirectory], out: Path | None = None) -> list[RunDirectory]:
    """New runs that train found genotypes from scratch, with the seed and the config of their search.

    Args:
        searches: Finished searches.
        out: The experiment's folder; default: that of each search.

    Raises:
        InputError: One is not a search, or not finished.
    """
    runs = []
    for search in searches:
        if search.spec.kind != "search":
            raise InputError(f"run {search.path} is not a search: it trained {search.spec.model!r}")
        search.result()  # raises where it is not finished
        path = (out or search.path.parent.parent) / RETRAIN / f"seed{search.spec.seed}"
        spec = RunSpec("train", RETRAIN, search.spec.seed, source=os.path.relpath(search.path, path))
        runs.append(RunDirectory.create(path, spec, search.config, search.genotype()))
    return runs


def _create(out: Path, planned: Sequence[tuple[RunSpec, Genotype | None]], config: Config) -> list[RunDirectory]:
    paths = [out / spec.model / f"seed{spec.seed}" for spec, _ in planned]
    for path in paths:
        if path.exists():
            raise InputError(
                f"run directory {path} already exists; continue it with: atrc resume {path}, or give another --out"
            )
    return [
        RunDirectory.create(path, spec, config, genotype)
        for path, (spec, genotype) in zip(paths, planned, strict=True)
    ]


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
    with _Stoppable() as stop:
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            wait([worker.sentinel for worker in workers if worker.is_alive()], timeout=1.0)
            if stop.requested and not stop.passed_on:
                stop.passed_on = True
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


class _Stoppable:
    """Remembers SIGINT and SIGTERM instead of dying of them."""

    def __init__(self) -> None:
        self.requested = False
        self.passed_on = False

    def __enter__(self) -> _Stoppable:
        self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in self._before:
            signal.signal(number, self._ask)
        return self

    def _ask(self, *_: object) -> None:
        self.requested = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
