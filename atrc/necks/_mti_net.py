"""The decoder of MTI-Net (Vandenhende et al., ECCV 2020): feature propagation, then distillation at every scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from atrc.backbones import Pyramid
from atrc.distillation import PADNetC
from atrc.necks._base import NECKS, Necked
from atrc.necks._fpm import FPM

__all__ = ["MTINet"]


@NECKS.register("mti_net")
class MTINet(FPM):
    """`FPM`, followed by gated messages between the tasks' maps at each of the four scales (`PADNetC`).

    Args:
        scales: See `FPM`.
        outputs: See `FPM`.
        reduction: See `Propagation`.
    """

    def __init__(self, scales: Sequence[int], outputs: Mapping[str, int], *, reduction: int = 4) -> None:
        super().__init__(scales, outputs, reduction=reduction)
        self.distill = nn.ModuleList(PADNetC(dict.fromkeys(outputs, width), refine=False) for width in scales)

    def forward(self, pyramids: Mapping[str, Pyramid]) -> Necked:
        propagated, initial = super().forward(pyramids)
        refined = [
            distill({task: pyramid.maps[scale] for task, pyramid in propagated.items()}, {})
            for scale, distill in enumerate(self.distill)
        ]
        return Necked({task: Pyramid([maps[task] for maps in refined]) for task in propagated}, initial)
