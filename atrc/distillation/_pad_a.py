"""PAD-Net's module A (Xu et al., CVPR 2018), which works like NDDR-CNN (Gao et al., CVPR 2019)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from atrc.distillation._base import DISTILLATIONS, Distillation, Features
from atrc.layers import pointwise_bn_relu

__all__ = ["PADNetA"]


@DISTILLATIONS.register("pad_a")
class PADNetA(Distillation):
    """A 1x1 conv-BN-ReLU per task, each of which reduces the concatenated features of all tasks.

    Args:
        channels: Task -> C.
    """

    def __init__(self, channels: Mapping[str, int]) -> None:
        super().__init__()
        self.tasks = tuple(channels)
        together = sum(channels.values())
        self.reduce = nn.ModuleDict({task: pointwise_bn_relu(together, width) for task, width in channels.items()})

    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        together = torch.cat([features[task] for task in self.tasks], dim=1)
        return {task: reduce(together) for task, reduce in self.reduce.items()}
