"""What stands between a backbone's maps and the distillation: task heads, auxiliary heads, prediction layers."""

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
