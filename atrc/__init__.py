"""Multi-task networks with searched contexts: tasks, datasets, networks, training, runs, and the command line.

A module is loaded when one of its names is first used: ``import atrc.config`` does not import torch.
"""

from typing import TYPE_CHECKING

import lazy_loader

import atrc._moved  # noqa: F401 - former names of modules

if TYPE_CHECKING:
    from atrc._version import __version__
    from atrc.config import Config, load_config
    from atrc.distillation import ATRC, Supergraph
    from atrc.experiments import create_retrain, create_search, create_train, execute_all, execute_experiment
    from atrc.inference import open_run
    from atrc.problem import Problem
    from atrc.runs import RunDirectory, find_runs
    from atrc.setup import Setup
else:
    # A name here must not be that of a module, since it would hide the module.
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "_version": ["__version__"],
            "config": ["Config", "load_config"],
            "distillation": ["ATRC", "Supergraph"],
            "experiments": ["create_retrain", "create_search", "create_train", "execute_all", "execute_experiment"],
            "inference": ["open_run"],
            "problem": ["Problem"],
            "runs": ["RunDirectory", "find_runs"],
            "setup": ["Setup"],
        },
    )

__all__ = [
    "ATRC",
    "Config",
    "Problem",
    "RunDirectory",
    "Setup",
    "Supergraph",
    "__version__",
    "create_retrain",
    "create_search",
    "create_train",
    "execute_all",
    "execute_experiment",
    "find_runs",
    "load_config",
    "open_run",
]
