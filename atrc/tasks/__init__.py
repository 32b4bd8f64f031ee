"""Dense-prediction tasks, one file each."""

from atrc.tasks._base import IGNORE, TASKS, Task

__all__ = ["IGNORE", "TASKS", "Task"]
