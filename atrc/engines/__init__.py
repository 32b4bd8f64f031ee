"""Engines, which execute jobs in parallel. An engine knows no runs and no searches; it gets functions by name."""

from atrc.engines._local import JobFailed, Processes, WorkerDied

__all__ = ["JobFailed", "Processes", "WorkerDied"]
