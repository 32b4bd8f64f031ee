"""Experiments: the runs of one config, planned, created, and executed side by side.

A full experiment is the searches, the found networks trained from scratch, and the baselines, with the same seeds::

    runs/NAME/search/seed0      runs/NAME/retrain/seed0      runs/NAME/multi/seed0      runs/NAME/single-TASK/seed0

On demand there is ``runs/NAME/consensus/seed0`` as well: what most searches found, block by block.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import suppress
from pathlib import Path

import psutil
import torch

from atrc.build import (
    RANDOM_WEIGHTS,
    build_backbone,
    build_search_network,
    build_space,
    build_tasks,
    describe_dataset,
    import_plugins,
    lacks_weights,
)
from atrc.config import Config
from atrc.engines import Processes
from atrc.machine.devices import pick_device
from atrc.measures import MEASURES
from atrc.plan import (
    Planned,
    changed_keys,
    create_missing,
    create_planned,
    open_data,
    open_made_with,
    plan_consensus,
    plan_retrain,
    plan_search,
    plan_train,
)
from atrc.runs import RunDirectory
from atrc.runs.names import CONSENSUS, RETRAIN, SEARCH, expand_models, group, run_path
from atrc.trackers import check_trackers
from atrc.training import Interrupted, execute, stop_requests
from atrc.training.augmentation import training_transform
from atrc.training.scoring import SCORERS
from searchspace import InputError
from strategies import MultiTrialStrategy, OneShotStrategy, build_strategy
from strategies._base import refuse_unsupported

__all__ = [
    "CONSENSUS",
    "RETRAIN",
    "SEARCH",
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
    "group",
    "open_made_with",
    "run_path",
]


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
    if lacks_weights(config):
        print(f"config {config.name}: the backbone {config.backbone.name} {RANDOM_WEIGHTS}", file=sys.stderr)
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
    return create_planned(plan_search(config, out))


def create_train(config: Config, models: Sequence[str], out: Path | str) -> list[RunDirectory]:
    """New training runs ``out/MODEL/seedK`` of stand-alone networks.

    Args:
        config: The config.
        models: Names as `atrc.build.model_genotype` takes them, the short forms of `expand_models`, or ``consensus``
            for what the finished searches in ``out`` agree on. The runs of a genotype file have the name of the file.
        out: The experiment's folder.

    Raises:
        InputError: A run that is there already, or two different ones that would have one folder. None is made then.
    """
    check(config)
    return create_planned(plan_train(config, models, out))


def create_retrain(searches: Sequence[RunDirectory], out: Path | str | None = None) -> list[RunDirectory]:
    """New runs that train found genotypes from scratch, with the seed and the config of their search.

    Args:
        searches: Finished searches.
        out: The experiment's folder; default: that of each search.

    Raises:
        InputError: One is not a search, or not finished; or two of them would be retrained in one folder. No run is
            made then.
    """
    return create_planned(plan_retrain(searches, out))


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
        models: See `create_train`. The ``consensus`` is that of all finished searches in the folder, once those of
            the config's seeds are done.
        jobs: Number of processes, see `execute_all`.
        quiet: No progress bars.

    Raises:
        InputError: A run in the folder was made with another config or of another genotype (one of the consensus:
            of what is none any more), or two different ones would have one folder; see also `execute_all`.
        Interrupted: Stopped by a signal; every run that had begun left a checkpoint.
    """
    import_plugins(config)
    wanted = plan_search(config, folder)
    searching = len(wanted)
    names = expand_models(config, models)
    wanted += plan_train(config, [model for model in names if model != CONSENSUS], folder)
    new = [run for run in wanted if not run.path.exists()]
    if new:
        check(config)
    if any(run.spec.kind == "search" for run in new):
        check_strategy(config)
    runs = create_missing(wanted)
    execute_all(runs, jobs=jobs, quiet=quiet)
    found = plan_retrain(runs[:searching])
    if CONSENSUS in names:
        found += plan_consensus(config, folder)
    execute_all(create_missing(found), jobs=jobs, quiet=quiet)


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
        open_data([Planned(run.path, run.spec, run.config) for run in runs])
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
