"""Engines, which execute jobs in parallel. An engine gets functions by name; it knows no runs and no searches."""

from atrc.engines._finished import finished
from atrc.engines._local import JobFailed, Processes, WorkerDied

__all__ = ["JobFailed", "Processes", "WorkerDied", "finished"]
