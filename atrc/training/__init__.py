"""Executes runs, from the run directory to the result."""

from atrc._moved import former_names
from atrc.machine.stopping import Interrupted, stop_requests
from atrc.training._execute import execute
from atrc.training.learner import Learner, SearchLearner, WeightLearner, learning_rate

__all__ = [
    "Interrupted",
    "Learner",
    "SearchLearner",
    "WeightLearner",
    "execute",
    "learning_rate",
    "stop_requests",
]

__getattr__ = former_names(__name__)
