"""Strategies of Optuna and NNI behind our two interfaces. A library is imported when a strategy of it is built."""

from strategies.adapters._nni_evolution import NNIRegularizedEvolution
from strategies.adapters._nni_one_shot import NNIDARTS, NNIGumbelDARTS, NNIProxyless, NNIRandomOneShot
from strategies.adapters._nni_tuners import NNITPE, NNIEvolution, NNIGridSearch, NNIRandom
from strategies.adapters._optuna import OptunaStrategy
from strategies.adapters._optuna_samplers import (
    OptunaBruteForce,
    OptunaGP,
    OptunaNSGAII,
    OptunaQMC,
    OptunaRandom,
    OptunaTPE,
)

__all__ = [
    "NNIDARTS",
    "NNITPE",
    "NNIEvolution",
    "NNIGridSearch",
    "NNIGumbelDARTS",
    "NNIProxyless",
    "NNIRandom",
    "NNIRandomOneShot",
    "NNIRegularizedEvolution",
    "OptunaBruteForce",
    "OptunaGP",
    "OptunaNSGAII",
    "OptunaQMC",
    "OptunaRandom",
    "OptunaStrategy",
    "OptunaTPE",
]
