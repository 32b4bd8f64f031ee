"""Experiments: plans many runs, makes their folders, and executes them in parallel.

A full experiment has searches, the found networks trained from scratch, and baselines, all with the same seeds::

    runs/NAME/search/seed0      runs/NAME/retrain/seed0      runs/NAME/multi/seed0      runs/NAME/single-TASK/seed0

On request, ``runs/NAME/consensus/seed0`` trains the genotype that most searches agree on, block by block.
"""

from atrc.machine.imports import without_collections

with without_collections():  # torch comes with them
    from atrc.experiments._checks import Checks
    from atrc.experiments._create import (
        create_missing,
        create_planned,
        create_retrain,
        create_search,
        create_train,
        open_made_with,
    )
    from atrc.experiments._execute import execute_all, execute_experiment
    from atrc.experiments._jobs import default_jobs, run_memory
    from atrc.experiments.changes import changed_keys
    from atrc.experiments.plan import Planned

__all__ = [
    "Checks",
    "Planned",
    "changed_keys",
    "create_missing",
    "create_planned",
    "create_retrain",
    "create_search",
    "create_train",
    "default_jobs",
    "execute_all",
    "execute_experiment",
    "open_made_with",
    "run_memory",
]
