"""Supernets, one file for every kind of search space."""

from atrc.network import SUPERNETS, SearchNetwork
from atrc.supernets._branching import BranchingSearchNetwork
from atrc.supernets._contexts import ContextSearchNetwork, atrc_network
from atrc.supernets._tree_costs import TreeCosts

__all__ = [
    "SUPERNETS",
    "BranchingSearchNetwork",
    "ContextSearchNetwork",
    "SearchNetwork",
    "TreeCosts",
    "atrc_network",
]
