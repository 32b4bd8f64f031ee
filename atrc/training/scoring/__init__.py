"""How a genotype is scored for a search: by training it, with a supergraph's weights, or by looking it up."""

from atrc.training.scoring._base import SCORERS, Score, Scorer, Setting
from atrc.training.scoring._inherit import InheritScorer, inherited_loss
from atrc.training.scoring._table import TableScorer
from atrc.training.scoring._train import TrainScorer

__all__ = [
    "SCORERS",
    "InheritScorer",
    "Score",
    "Scorer",
    "Setting",
    "TableScorer",
    "TrainScorer",
    "inherited_loss",
]
