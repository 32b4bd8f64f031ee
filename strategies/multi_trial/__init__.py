"""Strategies that are asked for genotypes and told their scores, one algorithm a file. Needs no torch."""

from strategies.multi_trial._asha import ASHA
from strategies.multi_trial._bananas import BANANAS
from strategies.multi_trial._base import MultiTrialStrategy, Scored, Trial
from strategies.multi_trial._evolution import RegularizedEvolution
from strategies.multi_trial._fidelity import MultiFidelity
from strategies.multi_trial._genetic import GeneticAlgorithm
from strategies.multi_trial._grid import GridSearch
from strategies.multi_trial._hyperband import Hyperband, SuccessiveHalving
from strategies.multi_trial._local_search import LocalSearch
from strategies.multi_trial._random import RandomSearch
from strategies.multi_trial._reinforce import Reinforce

__all__ = [
    "ASHA",
    "BANANAS",
    "GeneticAlgorithm",
    "GridSearch",
    "Hyperband",
    "LocalSearch",
    "MultiFidelity",
    "MultiTrialStrategy",
    "RandomSearch",
    "RegularizedEvolution",
    "Reinforce",
    "Scored",
    "SuccessiveHalving",
    "Trial",
]
