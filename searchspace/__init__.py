"""What can be chosen: spaces, genotypes and selections. The package imports no network, no data and no strategy."""

import warnings
from typing import Any

from searchspace.benchmark import BenchmarkSpace
from searchspace.bmtas import BMTASSpace
from searchspace.consensus import Consensus, Vote, find_consensus
from searchspace.costs import CostModel, Costs
from searchspace.cp import CANDIDATES, NONE, CPSpace, block
from searchspace.errors import InputError, UnknownNameError
from searchspace.genotype import Genotype
from searchspace.registry import Registry
from searchspace.released import RELEASED, from_codes, load_genotype, parse_released
from searchspace.selection import Selection, Weighted
from searchspace.space import SPACES, SearchSpace, best_fit
from searchspace.supernet import Supernet
from searchspace.toy import ToySpace
from searchspace.yaml_form import build_space, dump_space, load_space

__all__ = [
    "CANDIDATES",
    "NONE",
    "RELEASED",
    "SPACES",
    "BMTASSpace",
    "BenchmarkSpace",
    "CPSpace",
    "Consensus",
    "CostModel",
    "Costs",
    "Genotype",
    "InputError",
    "Registry",
    "SearchSpace",
    "Selection",
    "Supernet",
    "ToySpace",
    "UnknownNameError",
    "Vote",
    "Weighted",
    "best_fit",
    "block",
    "build_space",
    "dump_space",
    "find_consensus",
    "from_codes",
    "load_genotype",
    "load_space",
    "parse_released",
]


def __getattr__(name: str) -> Any:
    if name == "CONTEXTS":  # the former name, which is that of a registry in atrc
        warnings.warn("searchspace.CONTEXTS is now searchspace.CANDIDATES", DeprecationWarning, stacklevel=2)
        return CANDIDATES
    raise AttributeError(f"module 'searchspace' has no attribute {name!r}")
