"""Supernets, one class for every kind of search space."""

from atrc.supernets._base import SUPERNETS, FixedSelection, MultiTaskSupernet, supernet_of
from atrc.supernets._bmtas import BranchingSupernet, TreeCosts
from atrc.supernets._cp import ContextSupernet
from atrc.supernets._option_costs import option_costs

__all__ = [
    "SUPERNETS",
    "BranchingSupernet",
    "ContextSupernet",
    "FixedSelection",
    "MultiTaskSupernet",
    "TreeCosts",
    "option_costs",
    "supernet_of",
]
