"""Executes a run from its newest checkpoint to its result.

The run directory alone defines a run, so new, resumed and killed runs are executed in the same way. On a CPU, neither
interruptions nor other processes change a bit of the result. The state covers weights, optimiser, strategy and random
generators; the order of data follows from the seed and the step; the number of threads follows from the config.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from tqdm import tqdm

from atrc.machine.devices import pick_device
from atrc.machine.imports import without_collections
from atrc.machine.kernels import compile_all
from atrc.machine.memory import keep_memory, reset_peak_memory
from atrc.machine.stopping import stop_requests
from atrc.machine.threads import threads_of_a_run
from atrc.runs import Result, RunDirectory
from atrc.setup import Setup
from atrc.trackers import tracked
from atrc.training._one_shot_run import OneShotRun
from atrc.training._search_run import SearchRun, drive, search_budget
from atrc.training._training_run import execute_training
from atrc.training._trials_run import TrialsRun
from strategies import STRATEGIES, MultiTrialStrategy, OneShotStrategy

__all__ = ["execute"]


def execute(run: RunDirectory, *, quiet: bool = False, position: int = 0, jobs: int = 1) -> Result:
    """Executes a run to its end, from the newest checkpoint if there is one, and returns the result.

    Args:
        run: The run. A finished run returns its result at once.
        quiet: True for no progress bars.
        position: Line of the progress bar, if several runs share a screen.
        jobs: Number of processes that score the trials of a search.

    Raises:
        Interrupted: SIGINT or SIGTERM arrived. A checkpoint was written.
        InputError: A part of the config does not exist or does not fit.
    """
    if run.finished:
        return run.result()
    keep_memory()
    compile_all()
    setup = Setup.of(run.config)
    device = pick_device(run.config.device)
    reset_peak_memory(device)
    with tracked(run), threads_of_a_run(run.config.threads):
        if run.spec.kind == "train":
            _load_metrics(setup)
            return execute_training(run, setup, device, quiet=quiet, position=position)
        strategy = _strategy_of(run, setup)
        return _search(run, setup, strategy, device, quiet=quiet, position=position, jobs=jobs)


def _search(
    run: RunDirectory,
    setup: Setup,
    strategy: OneShotStrategy | MultiTrialStrategy,
    device: torch.device,
    *,
    quiet: bool,
    position: int,
    jobs: int,
) -> Result:
    """Searches to the end, from the newest checkpoint if there is one."""
    with stop_requests(insist=True) as stop, _bar(run, quiet, position) as bar:
        if isinstance(strategy, OneShotStrategy):
            _load_metrics(setup)
            found: SearchRun = OneShotRun(run, setup, strategy, device, stop, bar)
        else:
            found = TrialsRun(run, setup, strategy, device, stop, bar, jobs)
        drive(found, stop)
        bar.close()
        run.write_genotype(strategy.space.canonical(found.search.genotype()))
        result = found.result(quiet, position)
    run.write_result(result)
    return result


def _load_metrics(setup: Setup) -> None:
    """Loads what the evaluation will need (torchmetrics), in less time than it would take there."""
    with without_collections():
        for task in setup.tasks.values():
            task.metric()


def _bar(run: RunDirectory, quiet: bool, position: int) -> tqdm[Any]:
    budget = search_budget(run.config)
    in_seconds = budget.seconds is not None
    return tqdm(
        total=budget.seconds if in_seconds else budget.samples,
        desc=f"{run.spec.model} seed {run.spec.seed}",
        unit="s" if in_seconds else "image",
        disable=quiet,
        position=position,
        leave=position == 0,
        dynamic_ncols=True,
    )


def _strategy_of(run: RunDirectory, setup: Setup) -> OneShotStrategy | MultiTrialStrategy:
    """Builds the strategy of a search."""
    name, knobs = run.config.strategy.name, run.config.strategy.options
    if "storage" in inspect.signature(STRATEGIES[name]).parameters:
        knobs.setdefault("distinct", not run.config.trials.repeat)
        if knobs.get("storage") is None:
            # Without a storage from the user, the study is kept in the run directory.
            knobs |= {"storage": f"sqlite:///{run.path.resolve() / 'study.db'}", "shared": False}
        elif knobs.get("study") is None:
            study = f"{run.config.name}-{run.spec.model}-{name}-seed{run.spec.seed}"
            knobs |= {"study": study, "join": False}
    strategy = setup.strategy(run.spec.seed, knobs)
    assert isinstance(strategy, OneShotStrategy | MultiTrialStrategy)
    return strategy
