"""Messages between tasks, the common base of PAD-Net's modules B and C."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from atrc.distillation._base import Distillation, Features
from atrc.layers import pointwise_bn_relu

__all__ = ["Messages"]


class Messages(Distillation):
    """``F'_t = refine_t(F_t + sum over s != t of message_ts(F_s))``.

    Args:
        channels: Task -> C.
        message: Function of C_s and C_t that builds the module from ``(B, C_s, H, W)`` to ``(B, C_t, H, W)``.
        refine: Whether a 1x1 conv-BN-ReLU follows the sum.
    """

    def __init__(
        self, channels: Mapping[str, int], message: Callable[[int, int], nn.Module], *, refine: bool = True
    ) -> None:
        super().__init__()
        self.messages = nn.ModuleDict(
            {
                target: nn.ModuleDict({s: message(channels[s], width) for s in channels if s != target})
                for target, width in channels.items()
            }
        )
        self.refine = nn.ModuleDict(
            {
                target: pointwise_bn_relu(width, width) if refine else nn.Identity()
                for target, width in channels.items()
            }
        )

    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        refined = {}
        for target, refine in self.refine.items():
            messages = self.messages[target].items()  # type: ignore[operator]
            joined = sum((message(features[source]) for source, message in messages), start=features[target])
            refined[target] = refine(joined)
        return refined
