"""Where jobs run, and how many at once. An engine knows no run and no search: it is given functions by name."""

from atrc.engines._local import JobFailed, Processes, WorkerDied

__all__ = ["JobFailed", "Processes", "WorkerDied"]
