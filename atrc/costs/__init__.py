"""Costs of modules: counts of parameters and multiply-adds, and registered measures."""

from atrc.costs._counting import Counter, Resources, count_module, count_multiply_adds, count_parameters
from atrc.costs._measures import MEASURES, Measure

__all__ = [
    "MEASURES",
    "Counter",
    "Measure",
    "Resources",
    "count_module",
    "count_multiply_adds",
    "count_parameters",
]
