"""How it is chosen: search strategies, one file each. Knows search spaces; knows no image and no file format."""

from strategies._base import STRATEGIES, DataUse, MultiTrialStrategy, OneShotStrategy, Strategy, build_strategy
from strategies._categorical import Categorical, entropy, gumbel_noise, gumbel_softmax
from strategies._fixed import Fixed, resolve_genotype
from strategies._gumbel_entropy import GumbelEntropy, entropy_below, probability_gap
from strategies._step import search_step

__all__ = [
    "STRATEGIES",
    "Categorical",
    "DataUse",
    "Fixed",
    "GumbelEntropy",
    "MultiTrialStrategy",
    "OneShotStrategy",
    "Strategy",
    "build_strategy",
    "entropy",
    "entropy_below",
    "gumbel_noise",
    "gumbel_softmax",
    "probability_gap",
    "resolve_genotype",
    "search_step",
]
