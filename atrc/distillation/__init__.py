"""Distillation modules, one file each. They refine the features of all tasks before the final prediction."""

from atrc.distillation._atrc import ATRC, RowFusion
from atrc.distillation._base import DISTILLATIONS, Distillation, Features
from atrc.distillation._cross_stitch import CrossStitch
from atrc.distillation._none import NoDistillation
from atrc.distillation._pad_a import PADNetA
from atrc.distillation._pad_b import PADNetB
from atrc.distillation._pad_c import PADNetC
from atrc.distillation._pap import PAP
from atrc.distillation._psd import PSD
from atrc.distillation._supergraph import CPBlock, Supergraph

__all__ = [
    "ATRC",
    "DISTILLATIONS",
    "PAP",
    "PSD",
    "CPBlock",
    "CrossStitch",
    "Distillation",
    "Features",
    "NoDistillation",
    "PADNetA",
    "PADNetB",
    "PADNetC",
    "RowFusion",
    "Supergraph",
]
