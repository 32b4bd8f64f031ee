"""Experiments: the runs of one config, planned, created, and executed side by side.

A full experiment is the searches, the found networks trained from scratch, and the baselines, with the same seeds::

    runs/NAME/search/seed0      runs/NAME/retrain/seed0      runs/NAME/multi/seed0      runs/NAME/single-TASK/seed0
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any, NamedTuple

import psutil
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
from atrc.engines import Processes
from atrc.measures import MEASURES
from atrc.runs import RunDirectory, RunSpec, refuse_existing
from atrc.trackers import check_trackers
from atrc.training import Interrupted, execute, pick_device, stop_requests
from atrc.training.scoring import SCORERS
from searchspace import Genotype, InputError
from strategies import MultiTrialStrategy, OneShotStrategy, build_strategy
from strategies._search import refuse_unsupported

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
    """Fails early on files that cannot be used, and fills caches once for all runs.

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
    """Config keys in which the run differs, whichever seeds were asked for.

    What an earlier version did, and a config could not say then, is no difference.
    """
    one, other = run.config.model_dump(), config.model_dump()
    for path in (said.partition("=")[0].split(".") for said in run.upgraded):
        _set(other, path, _value(one, path))
    return [key for key in one if key != "seeds" and one[key] != other[key]]


def _value(data: dict[str, Any], path: Sequence[str]) -> Any:
    for key in path:
        data = data[key]
    return data


def _set(data: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *parents, last = path
    _value(data, parents)[last] = value


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


RUN_MEMORY = 500 * 2**20, 8 * 2**10
"""Bytes of a run on a CPU: of the process, and for every pixel of a batch. Measured on the published searches, which
take 734 MiB with 8 images of 48 x 64 and 1247 MiB with 8 of 96 x 128; larger backbones take more for every pixel."""


def default_jobs(config: Config) -> int:
    """Runs at a time: on a GPU one, on a CPU as many as its cores and its free memory allow."""
    if torch.cuda.is_available() and config.device in ("auto", "cuda"):
        return 1
    height, width = describe_dataset(config).size
    process, pixel = RUN_MEMORY
    run = process + pixel * height * width * max(config.search.batch_size, config.train.batch_size)
    return max(1, min(len(os.sched_getaffinity(0)) // config.threads, psutil.virtual_memory().available // run))


def execute_all(runs: Sequence[RunDirectory], *, jobs: int = 1, quiet: bool = False) -> None:
    """Executes runs, ``jobs`` at a time. Finished ones cost nothing.

    Processes that are left, where there are fewer runs, score the trials of the searches among them. With one job the
    runs are executed in this process, one after the other; the results are the same.

    Raises:
        Interrupted: Stopped by a signal; every run that had begun left a checkpoint.
        InputError: Some runs failed; the others were finished first.
    """
    waiting = [run for run in runs if not run.finished]
    if not waiting:
        return
    for run in waiting:
        if run.upgraded:
            said = ", ".join(run.upgraded)
            print(f"{run.path}: made by an earlier version, continued as it was made: {said}", file=sys.stderr)
    _open_data([Planned(run.path, run.spec, run.config) for run in waiting])
    at_once = min(jobs, len(waiting))
    for_trials = max(1, jobs // len(waiting))
    failed = (
        _execute_here(waiting, for_trials, quiet)
        if at_once == 1
        else _execute_in(waiting, at_once, for_trials, quiet)
    )
    if failed:
        told = "; ".join(f"{path}: {error}" for path, error in failed.items())
        raise InputError(f"{len(failed)} of {len(waiting)} runs failed: {told}")


def _execute_here(runs: Sequence[RunDirectory], for_trials: int, quiet: bool) -> dict[Path, Exception]:
    failed: dict[Path, Exception] = {}
    for run in runs:
        try:
            execute(run, quiet=quiet, jobs=for_trials)
        except InputError as error:
            failed[run.path] = error
    return failed


def _execute_in(
    runs: Sequence[RunDirectory], processes: int, for_trials: int, quiet: bool
) -> dict[Path, BaseException]:
    failed: dict[Path, BaseException] = {}
    with stop_requests(insist=False) as stop, Processes(processes) as engine:
        jobs: dict[Future[Any], Path] = {
            engine.submit(
                "atrc.experiment:execute_path", path=str(run.path), slot=None, jobs=for_trials, quiet=quiet
            ): (run.path)
            for run in runs
        }
        unfinished, passed_on = set(jobs), False
        while unfinished:
            done, unfinished = wait(unfinished, timeout=0.5, return_when=FIRST_COMPLETED)
            for job in done:
                error = job.exception()
                if error is not None and not isinstance(error, Interrupted):
                    failed[jobs[job]] = error
                    print(f"\n{jobs[job]}: {error}", file=sys.stderr)
            if stop.requested and not passed_on:
                passed_on = True
                engine.stop()
    if stop.requested:
        raise Interrupted("stopped; every unfinished run left a checkpoint, and the same command continues them")
    return failed


def execute_path(path: str, slot: int, jobs: int, quiet: bool) -> None:
    """Executes a run in a worker process; its progress bar has the worker's line."""
    execute(RunDirectory.open(path), quiet=quiet, position=slot, jobs=jobs)
