"""Delta_m: the average gain of a multi-task model over single-task models."""

from __future__ import annotations

from collections.abc import Mapping

from searchspace.errors import InputError

__all__ = ["delta_m"]


def delta_m(
    metrics: Mapping[str, float],
    baselines: Mapping[str, float],
    higher_is_better: Mapping[str, bool],
) -> float:
    """Computes the average relative gain over single-task baselines, in percent (Sec. 4.1).

    ``Delta_m = mean over tasks of (-1)^g (M_m - M_b) / M_b``, where g = 1 if lower is better, else 0.

    Args:
        metrics: Task -> metric of the multi-task model.
        baselines: Task -> metric of the task's single-task model, in the same unit.
        higher_is_better: Task -> whether a higher metric is better; it may hold more tasks.

    Returns:
        The gain in percent; positive where the multi-task model is better.

    Raises:
        InputError: The tasks differ, there are none, a direction is missing, or a baseline is 0.

    Example:
        >>> delta_m({"semseg": 44.0, "depth": 0.5}, {"semseg": 40.0, "depth": 0.5}, {"semseg": True, "depth": False})
        5.0
    """
    if not metrics:
        raise InputError("Delta_m needs at least one task, got none")
    if unmatched := sorted(metrics.keys() ^ baselines.keys()):
        raise InputError(f"Delta_m compares the same tasks, but these are on one side only: {', '.join(unmatched)}")
    if undirected := sorted(metrics.keys() - higher_is_better.keys()):
        raise InputError(f"Delta_m needs to know whether higher is better for: {', '.join(undirected)}")
    if zero := sorted(task for task, baseline in baselines.items() if baseline == 0):
        raise InputError(f"Delta_m divides by the baseline, which is 0 for: {', '.join(zero)}")
    gains = (
        (metrics[task] - baseline) / baseline * (1 if higher_is_better[task] else -1)
        for task, baseline in baselines.items()
    )
    return 100 * sum(gains) / len(metrics)
