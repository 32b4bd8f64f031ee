"""Executes the runs of an experiment, several in parallel."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from atrc.config import Config, import_plugins
from atrc.engines import Processes, finished
from atrc.experiments._checks import Checks
from atrc.experiments._create import create_missing
from atrc.experiments.plan import plan_consensus, plan_retrain, plan_search, plan_train
from atrc.machine.kernels import compile_all
from atrc.runs import RunDirectory
from atrc.runs.names import CONSENSUS, expand_models
from atrc.training import Interrupted, execute, stop_requests
from atrc.training.scoring import needs_data
from searchspace import InputError

__all__ = ["execute_all", "execute_experiment", "execute_path"]

_EXECUTE = "atrc.experiments._execute:execute_path"
"""The function that workers execute."""
_MODULES = (__name__, "torchmetrics")
"""What takes time to import, and all runs need."""


def execute_experiment(
    config: Config,
    folder: Path | str,
    models: Iterable[str] = ("baselines",),
    *,
    jobs: int = 1,
    quiet: bool = False,
) -> None:
    """Executes a whole experiment: searches, networks of the found genotypes, and other models to compare with.

    Existing runs are continued from their last checkpoint; finished ones cost nothing.

    Args:
        config: The config.
        folder: Folder of the runs.
        models: See `create_train`. The ``consensus`` is that of all finished searches in the folder, after the
            searches of the config's seeds are done.
        jobs: Number of processes, see `execute_all`.
        quiet: True for no progress bars.

    Raises:
        InputError: A run in the folder has another config or another genotype (a run of the consensus: a genotype
            that is no longer the consensus), or two different runs would have one folder; see also `execute_all`.
        Interrupted: A signal stopped the runs. Every run that had begun left a checkpoint.
    """
    import_plugins(config)
    checks = Checks()
    wanted = plan_search(config, folder)
    searching = len(wanted)
    names = expand_models(config, models)
    wanted += plan_train(config, [model for model in names if model != CONSENSUS], folder)
    new = [run for run in wanted if not run.path.exists()]
    if new:
        checks.config(config)
    if any(run.spec.kind == "search" for run in new):
        checks.strategy(config)
    runs = create_missing(wanted, checks)
    execute_all(runs, jobs=jobs, quiet=quiet, checks=checks)
    found = plan_retrain(runs[:searching])
    if CONSENSUS in names:
        found += plan_consensus(config, folder)
    execute_all(create_missing(found, checks), jobs=jobs, quiet=quiet, checks=checks)


def execute_all(
    runs: Sequence[RunDirectory], *, jobs: int = 1, quiet: bool = False, checks: Checks | None = None
) -> None:
    """Executes runs, ``jobs`` at a time. Finished runs cost nothing.

    If there are more processes than runs, the others score the trials of searches. With one job, runs are executed
    one after the other in this process; the results are the same.

    Args:
        runs: Runs of any experiments.
        jobs: Number of processes, at least one.
        quiet: True for no progress bars.
        checks: The checks of the experiment, which skip what was checked before.

    Raises:
        Interrupted: A signal stopped the runs. Every run that had begun left a checkpoint.
        InputError: Some runs failed, for any reason. The other runs were finished first.
    """
    waiting = [run for run in runs if not run.finished]
    if not waiting:
        return
    for run in waiting:
        if run.upgraded:
            said = ", ".join(run.upgraded)
            print(
                f"{run.path} was made by an earlier version; it continues with the settings of that version: {said}",
                file=sys.stderr,
            )
    at_once, for_trials = min(jobs, len(waiting)), max(1, jobs // len(waiting))
    if at_once > 1:
        with suppress(Exception):  # a run whose data cannot be opened raises later by itself
            opening = [run.config for run in waiting if needs_data(run.spec.kind, run.config)]
            (checks or Checks()).data(opening)
        compile_all()  # otherwise every process would compile at the same time
        failed = _execute_in_processes(waiting, at_once, for_trials, quiet)
    else:
        failed = _execute_here(waiting, for_trials, quiet)
    if failed:
        told = "; ".join(f"{path}: {message.partition(chr(10))[0]}" for path, message in failed.items())
        raise InputError(f"{len(failed)} of {len(waiting)} runs failed: {told}")


def _execute_here(runs: Sequence[RunDirectory], for_trials: int, quiet: bool) -> dict[Path, str]:
    """Executes one run after the other.

    Returns:
        Path of a failed run -> its error message.
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
    """Executes several runs at a time; see `_execute_here`."""
    failed: dict[Path, str] = {}
    with stop_requests(insist=False) as stop, Processes(processes, _MODULES) as engine:
        options = {"slot": None, "jobs": for_trials, "quiet": quiet}
        paths = {engine.submit(_EXECUTE, path=str(run.path), **options): run.path for run in runs}
        for job in finished(engine, paths, stop):
            error = job.exception()
            if error is not None and not isinstance(error, Interrupted):
                failed[paths[job]] = str(error)
                _tell(paths[job], str(error))
    if stop.requested:
        raise Interrupted("stopped; the same command continues every unfinished run from its last checkpoint")
    return failed


def _tell(run: Path, message: str) -> None:
    print(f"\n{run}: {message}", file=sys.stderr)


def execute_path(path: str, slot: int, jobs: int, quiet: bool) -> None:
    """Executes a run in a worker process. Its progress bar is on the line of the worker."""
    execute(RunDirectory.open(path), quiet=quiet, position=slot, jobs=jobs)
