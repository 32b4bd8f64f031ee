"""Experiments: many runs, planned, made, and executed side by side.

A full experiment is the searches, the found networks trained from scratch, and the baselines, with the same seeds::

    runs/NAME/search/seed0      runs/NAME/retrain/seed0      runs/NAME/multi/seed0      runs/NAME/single-TASK/seed0

On demand there is ``runs/NAME/consensus/seed0`` as well: what most searches found, block by block.
"""

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
