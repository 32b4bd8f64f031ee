"""Executing a run: from its directory to its result, from wherever it was left.

A run is defined by its directory alone, so a new run, a resumed one and one that was killed take the same path. On a
CPU the result is the same to the last bit however often it was interrupted, and whatever runs beside it: the state
covers weights, optimiser, strategy and random generators, the data order follows from the seed and the step, and the
number of threads from the config.
"""

from __future__ import annotations

from atrc.build import import_plugins
from atrc.machine.devices import pick_device
from atrc.machine.memory import keep_memory, reset_peak_memory
from atrc.machine.threads import threads_of_a_run
from atrc.runs import Result, RunDirectory
from atrc.trackers import tracked
from atrc.training._open import build_run_strategy
from atrc.training._search_run import execute_search
from atrc.training._training_run import execute_training

__all__ = ["execute"]


def execute(run: RunDirectory, *, quiet: bool = False, position: int = 0, jobs: int = 1) -> Result:
    """Runs to the end, starting from the newest checkpoint if there is one.

    Args:
        run: A finished run gives its result at once.
        quiet: No progress bars.
        position: Line of the progress bar, where several runs share a screen.
        jobs: Processes that score the trials of a search.

    Raises:
        Interrupted: SIGINT or SIGTERM came; a checkpoint was written.
        InputError: The config names something that does not exist or does not fit.
    """
    if run.finished:
        return run.result()
    keep_memory()
    import_plugins(run.config)
    device = pick_device(run.config.device)
    reset_peak_memory(device)
    with tracked(run), threads_of_a_run(run.config.threads):
        strategy = build_run_strategy(run)
        if strategy is None:
            return execute_training(run, device, quiet=quiet, position=position)
        return execute_search(run, strategy, device, quiet=quiet, position=position, jobs=jobs)
