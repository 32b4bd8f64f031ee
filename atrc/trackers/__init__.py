"""Experiment trackers, which send the log of a run to other tools as well (config key ``trackers``)."""

from atrc.trackers._base import TRACKERS, Tracker, check_trackers, tracked
from atrc.trackers._tensorboard import TensorBoard

__all__ = ["TRACKERS", "TensorBoard", "Tracker", "check_trackers", "tracked"]
