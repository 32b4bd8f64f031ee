"""Training, evaluation and checkpoints."""

from atrc.machine.stopping import Interrupted, stop_requests
from atrc.runs.checkpoint import load_checkpoint, save_checkpoint
from atrc.training._execute import execute
from atrc.training._open import NoNetwork, evaluate_split, load_learner
from atrc.training.evaluation import as_label, decode_predictions, evaluate, measure
from atrc.training.learner import Learner, SearchLearner, WeightLearner, learning_rate

__all__ = [
    "Interrupted",
    "Learner",
    "NoNetwork",
    "SearchLearner",
    "WeightLearner",
    "as_label",
    "decode_predictions",
    "evaluate",
    "evaluate_split",
    "execute",
    "learning_rate",
    "load_checkpoint",
    "load_learner",
    "measure",
    "save_checkpoint",
    "stop_requests",
]
