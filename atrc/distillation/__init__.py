"""Distillation modules, one file each: how task features are refined before the final prediction."""

from atrc.distillation._atrc import ATRC, RowFusion
from atrc.distillation._base import DISTILLATIONS, Distillation, Features
from atrc.distillation._none import NoDistillation
from atrc.distillation._supergraph import CPBlock, Supergraph

__all__ = [
    "ATRC",
    "DISTILLATIONS",
    "CPBlock",
    "Distillation",
    "Features",
    "NoDistillation",
    "RowFusion",
    "Supergraph",
]
