"""Experiments: the runs of one config, planned, created, and executed side by side.

A full experiment is the searches, the found networks trained from scratch, and the baselines, with the same seeds::

    runs/NAME/search/seed0      runs/NAME/retrain/seed0      runs/NAME/multi/seed0      runs/NAME/single-TASK/seed0
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from atrc.build import (
    build_backbone,
    build_search_network,
    build_space,
    build_tasks,
    describe_dataset,
    import_plugins,
    model_genotype,
    open_splits,
)
from atrc.config import Config, Named, config_value
from atrc.engines import Processes
from atrc.measures import MEASURES
from atrc.runs import RunDirectory, RunSpec, refuse_existing
from atrc.trackers import check_trackers
from atrc.training import Interrupted, execute, pick_device, stop_requests
from atrc.training.augmentation import training_transform
from atrc.training.scoring import SCORERS
from searchspace import Genotype, InputError
from strategies import MultiTrialStrategy, OneShotStrategy, build_strategy
from strategies._base import refuse_unsupported

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
    "execute_path",
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
    info = describe_dataset(config)
    tasks = build_tasks(config, info)
    training_transform(config.augmentation, info)
    backbone = build_backbone(config, report=lambda loaded: print(loaded.summary(), file=sys.stderr))
    backbone.grid(info.size)  # says so where it takes no images of this size
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
    refuse_unsupported(strategy, ("score",) if config.cost is None else ("score", "cost"))
    stage = strategy.second_stage() if isinstance(strategy, OneShotStrategy) else None
    if stage is not None and config.trials.images is not None and config.search.seconds is None:
        needed = min(stage.trials, space.size) * (config.trials.images + config.trials.recalibration)
        budget = config.search.steps * config.search.batch_size
        if needed + config.search.batch_size > budget:
            raise InputError(
                f"a budget of {budget:,} images (search.steps x search.batch_size) is too small for strategy "
                f"{strategy.name!r}: its second stage takes up to {needed:,} images, {config.trials.images} held-out "
                f"and {config.trials.recalibration} training ones for each of {min(stage.trials, space.size)} "
                "genotypes"
            )


def create_search(config: Config, out: Path | str) -> list[RunDirectory]:
    """New search runs ``out/search/seedK``, one for each of the config's seeds."""
    check(config)
    check_strategy(config)
    return _create([Planned(Path(out), RunSpec("search", SEARCH, seed), config, None) for seed in config.seeds])


def create_train(config: Config, models: Sequence[str], out: Path | str) -> list[RunDirectory]:
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
        planned += [
            Planned(Path(out), RunSpec("train", group(model), seed), config, genotype) for seed in config.seeds
        ]
    return _create(planned)


def group(model: str) -> str:
    """The folder of a model's runs, and its name in tables."""
    return Path(model).stem if model.endswith(".json") else model.replace("-label", "_label")


def create_retrain(searches: Sequence[RunDirectory], out: Path | str | None = None) -> list[RunDirectory]:
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
        folder = search.path.parent.parent if out is None else Path(out)
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


def run_path(folder: Path | str, model: str, seed: int) -> Path:
    """Where a run of an experiment lies."""
    return Path(folder) / group(model) / f"seed{seed}"


def _create(planned: Sequence[Planned]) -> list[RunDirectory]:
    """All of them or none: one that is in the way is found before the first is made."""
    for run in planned:
        refuse_existing(run.path)
    _open_data(planned)
    return [RunDirectory.create(run.path, run.spec, run.config, run.genotype) for run in planned]


def _open_data(planned: Sequence[Planned]) -> None:
    """Opens the splits of all runs: files that cannot be used show now, and what a first use prepares serves all.

    It comes last of what is checked, since it may take minutes.
    """
    opened: list[tuple[Named, list[str]]] = []
    for config in (run.config for run in planned):
        wanted = config.dataset, list(config.tasks)
        if wanted not in opened:
            opened.append(wanted)
            import_plugins(config)
            open_splits(config, build_tasks(config, describe_dataset(config)))


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


def open_made_with(path: Path | str, config: Config) -> RunDirectory:
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
    """Config keys in which the run differs, whichever seeds were asked for.

    What an earlier version did, and a config could not say then, is no difference.
    """
    one, other = run.config.model_dump(), config.model_dump()
    for key in (said.partition("=")[0] for said in run.upgraded):
        *path, last = key.split(".")
        section = other
        for part in path:
            section = section[part]
        section[last] = config_value(run.config, key)
    return [key for key in one if key != "seeds" and one[key] != other[key]]


def execute_experiment(
    config: Config,
    folder: Path | str,
    models: Iterable[str] = ("baselines",),
    *,
    jobs: int = 1,
    quiet: bool = False,
) -> None:
    """All of an experiment: searches, what they found trained from scratch, and other models to compare it with.

    Runs that are there already are continued where they were left; finished ones cost nothing.

    Args:
        config: The config.
        folder: Where the runs go.
        models: See `create_train`.
        jobs: Number of processes, see `execute_all`.
        quiet: No progress bars.

    Raises:
        InputError: A run in the folder was made with another config; see also `execute_all`.
        Interrupted: Stopped by a signal; every run that had begun left a checkpoint.
    """
    folder = Path(folder)
    searches = _existing_or_new(config, folder, SEARCH)
    trained = [run for name in expand_models(config, models) for run in _existing_or_new(config, folder, name)]
    execute_all([*searches, *trained], jobs=jobs, quiet=quiet)
    missing = [run for run in searches if not run_path(folder, RETRAIN, run.spec.seed).exists()]
    found = [RunDirectory.open(run_path(folder, RETRAIN, run.spec.seed)) for run in searches if run not in missing]
    execute_all([*found, *create_retrain(missing)], jobs=jobs, quiet=quiet)


def _existing_or_new(config: Config, folder: Path, model: str) -> list[RunDirectory]:
    """One run per seed: those that are there, made with the same config, and new ones for the rest."""
    paths = {seed: run_path(folder, model, seed) for seed in config.seeds}
    runs = [open_made_with(path, config) for path in paths.values() if path.exists()]
    fresh = [seed for seed, path in paths.items() if not path.exists()]
    if fresh:
        rest = config.model_copy(update={"seeds": fresh})
        runs += create_search(rest, folder) if model == SEARCH else create_train(rest, [model], folder)
    return runs


PROCESS_MEMORY, PIXEL_MEMORY = 600 * 2**20, 7 * 2**10
"""Bytes of a run on a CPU: of its process, and for every pixel of a batch.

No published run takes more. The largest ``peak_memory`` in their result.json is 734 MiB with 8 images of 48 x 64,
1008 with 12 of 96 x 64, and 1247 with 8 of 96 x 128. They have the backbone ``tiny``; larger ones take more a pixel.
"""


def default_jobs(config: Config) -> int:
    """Runs at a time: on a GPU one, on a CPU as many as its cores and its free memory allow.

    Raises:
        InputError: The config names a device, a plugin or a dataset that does not exist.
    """
    if pick_device(config.device).type != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores // config.threads, psutil.virtual_memory().available // run_memory(config)))


def run_memory(config: Config) -> int:
    """Bytes that a run on a CPU takes, estimated from its images and its batch size."""
    import_plugins(config)
    height, width = describe_dataset(config).size
    batch = max(config.search.batch_size, config.train.batch_size)
    return PROCESS_MEMORY + PIXEL_MEMORY * height * width * batch


def execute_all(runs: Sequence[RunDirectory], *, jobs: int = 1, quiet: bool = False) -> None:
    """Executes runs, ``jobs`` at a time. Finished ones cost nothing.

    Processes that are left, where there are fewer runs, score the trials of the searches among them. With one job the
    runs are executed in this process, one after the other; the results are the same.

    Args:
        runs: Runs of any experiments.
        jobs: Number of processes, at least one.
        quiet: No progress bars.

    Raises:
        Interrupted: Stopped by a signal; every run that had begun left a checkpoint.
        InputError: Some runs failed, for whatever reason; the others were finished first.
    """
    waiting = [run for run in runs if not run.finished]
    if not waiting:
        return
    for run in waiting:
        if run.upgraded:
            said = ", ".join(run.upgraded)
            print(f"{run.path}: made by an earlier version, continued as it was made: {said}", file=sys.stderr)
    at_once, for_trials = min(jobs, len(waiting)), max(1, jobs // len(waiting))
    if at_once > 1:
        failed = _execute_in_processes(waiting, at_once, for_trials, quiet)
    else:
        failed = _execute_here(waiting, for_trials, quiet)
    if failed:
        told = "; ".join(f"{path}: {message.partition(chr(10))[0]}" for path, message in failed.items())
        raise InputError(f"{len(failed)} of {len(waiting)} runs failed: {told}")


def _execute_here(runs: Sequence[RunDirectory], for_trials: int, quiet: bool) -> dict[Path, str]:
    """Executes one run after the other.

    Returns:
        What was wrong with those that failed.
    """
    failed: dict[Path, str] = {}
    for run in runs:
        try:
            execute(run, quiet=quiet, jobs=for_trials)
        except Interrupted:
            raise
        except InputError as error:
            failed[run.path] = str(error)
        except Exception as error:  # a run may fail in any way, and must not end the others
            traceback.print_exc()
            failed[run.path] = f"{type(error).__name__}: {error}"
        if run.path in failed and len(runs) > 1:
            _tell(run.path, failed[run.path])
    return failed


def _execute_in_processes(
    runs: Sequence[RunDirectory], processes: int, for_trials: int, quiet: bool
) -> dict[Path, str]:
    """As `_execute_here`, several runs at a time."""
    with suppress(Exception):  # a run whose data cannot be opened says so itself
        _open_data([Planned(run.path, run.spec, run.config) for run in runs])
    failed: dict[Path, str] = {}
    with stop_requests(insist=False) as stop, Processes(processes) as engine:
        options = {"slot": None, "jobs": for_trials, "quiet": quiet}
        paths = {
            engine.submit("atrc.experiment:execute_path", path=str(run.path), **options): run.path for run in runs
        }
        unfinished, passed_on = set(paths), False
        while unfinished:
            done, unfinished = wait(unfinished, timeout=0.5, return_when=FIRST_COMPLETED)
            for job in done:
                error = job.exception()
                if isinstance(error, Interrupted):
                    stop.requested = True  # also where somebody stopped that process alone
                elif error is not None:
                    failed[paths[job]] = str(error)
                    _tell(paths[job], str(error))
            if stop.requested and not passed_on:
                passed_on = True
                engine.stop()
    if stop.requested:
        raise Interrupted("stopped; every unfinished run left a checkpoint, and the same command continues them")
    return failed


def _tell(run: Path, message: str) -> None:
    print(f"\n{run}: {message}", file=sys.stderr)


def execute_path(path: str, slot: int, jobs: int, quiet: bool) -> None:
    """Executes a run in a worker process; its progress bar has the worker's line."""
    execute(RunDirectory.open(path), quiet=quiet, position=slot, jobs=jobs)
