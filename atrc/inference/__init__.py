"""Uses trained runs: opens them, evaluates them, and predicts with them."""

from atrc.inference._open import NoNetwork, Opened, open_run
from atrc.inference._predictor import Predictor
from atrc.inference.evaluation import as_label, decode_predictions, evaluate, evaluate_split, update_metrics
from atrc.inference.prediction_files import PredictionFiles

__all__ = [
    "NoNetwork",
    "Opened",
    "PredictionFiles",
    "Predictor",
    "as_label",
    "decode_predictions",
    "evaluate",
    "evaluate_split",
    "open_run",
    "update_metrics",
]
