"""Strategies that search within one training of a supernet, one algorithm a file."""

from strategies.one_shot._base import Choosing, OneShotStrategy
from strategies.one_shot._darts import DARTS, DARTSSecondOrder
from strategies.one_shot._drnas import DrNAS, sample_dirichlet
from strategies.one_shot._dsnas import DSNAS
from strategies.one_shot._enas import ENAS
from strategies.one_shot._fair_darts import FairDARTS
from strategies.one_shot._fixed import Fixed, resolve_genotype
from strategies.one_shot._gdas import GDAS
from strategies.one_shot._gumbel_entropy import GumbelEntropy, entropy_at_gap, entropy_below, probability_gap
from strategies.one_shot._gumbel_entropy_bilevel import GumbelEntropyBiLevel
from strategies.one_shot._logits import LogitStrategy
from strategies.one_shot._mtl_nas import MTLNAS
from strategies.one_shot._proxyless import ProxylessNAS
from strategies.one_shot._single_path import SPOS, RandomWeightSharing, SinglePath
from strategies.one_shot._snas import SNAS

__all__ = [
    "DARTS",
    "DSNAS",
    "ENAS",
    "GDAS",
    "MTLNAS",
    "SNAS",
    "SPOS",
    "Choosing",
    "DARTSSecondOrder",
    "DrNAS",
    "FairDARTS",
    "Fixed",
    "GumbelEntropy",
    "GumbelEntropyBiLevel",
    "LogitStrategy",
    "OneShotStrategy",
    "ProxylessNAS",
    "RandomWeightSharing",
    "SinglePath",
    "entropy_at_gap",
    "entropy_below",
    "probability_gap",
    "resolve_genotype",
    "sample_dirichlet",
]
