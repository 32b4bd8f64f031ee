"""Heads, which follow a backbone's maps: task heads, auxiliary heads and prediction layers."""

from atrc.heads._aspp import ASPP
from atrc.heads._auxiliary import AuxiliaryHead, prediction_layer
from atrc.heads._base import HEADS, Heads
from atrc.heads._fcn import FCNHeads
from atrc.heads._pointwise import PointwiseHeads
from atrc.heads._shallow import ShallowHeads

__all__ = [
    "ASPP",
    "HEADS",
    "AuxiliaryHead",
    "FCNHeads",
    "Heads",
    "PointwiseHeads",
    "ShallowHeads",
    "prediction_layer",
]
