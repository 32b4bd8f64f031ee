"""How a genotype is scored for a search: by training it, with a supernet's weights, or by looking it up."""

from atrc._moved import former_names
from atrc.training.scoring._base import SCORERS, Score, Scorer, Scoring, build_scorer, needs_data
from atrc.training.scoring._inherit import InheritedScorer, InheritScorer
from atrc.training.scoring._table import TableScorer
from atrc.training.scoring._train import TrainScorer

__all__ = [
    "SCORERS",
    "InheritScorer",
    "InheritedScorer",
    "Score",
    "Scorer",
    "Scoring",
    "TableScorer",
    "TrainScorer",
    "build_scorer",
    "needs_data",
]

__getattr__ = former_names(__name__)
