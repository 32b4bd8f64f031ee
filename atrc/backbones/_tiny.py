"""A small backbone for laptops, continuous integration and first experiments.

A residual encoder (He et al., CVPR 2016) with a top-down path (Lin et al., "Feature Pyramid Networks for
Object Detection", CVPR 2017): a coarse map sees the whole image after a few layers, and the top-down path carries
this information to stride 4, where the heads work. It is made to learn from random weights within a few hundred steps
on images of about 100 pixels, on two CPU cores.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from atrc.backbones._base import BACKBONES, Backbone, Maps, check_image, deeper
from atrc.layers import BasicBlock, conv_bn, conv_bn_relu, init_from_scratch
from atrc.resizing import resize
from searchspace.errors import InputError

__all__ = ["Tiny"]

STEM_WIDTH = 16
WIDTHS = (24, 32, 48, 64)
# The second block is at stride 32, which gives most of the receptive field; stride 4 takes most of the time.
BLOCKS = (1, 1, 1, 2)


def _stage1(net: Any, maps: Maps) -> Maps:
    # Channels last is a quarter faster on a CPU at these widths; results are the same.
    return [net.get_submodule("stages.0")(net.stem(maps[0].contiguous(memory_format=torch.channels_last)))]


def _stage4(net: Any, maps: Maps) -> Maps:
    """Computes the last stage and the top-down path."""
    maps = [*maps, net.get_submodule("stages.3")(maps[-1])]
    for i in reversed(range(len(net.merges))):
        coarse = resize(net.laterals[i](maps[i + 1]), maps[i].shape[-2:])
        maps[i] = net.merges[i](maps[i] + coarse)
    return maps


@BACKBONES.register("tiny")
class Tiny(Backbone):
    """Residual encoder with a top-down path: 250 784 parameters, 24 + 32 + 48 + 64 = 168 channels at width 1.

    Weights are drawn by `init_from_scratch`.

    Args:
        width: Factor on all numbers of channels (rounded, at least 1); parameters grow with its square.

    Raises:
        InputError: ``width`` is not a positive finite number.
    """

    name = "tiny"
    cuts = (
        (_stage1, ("stem", "stages.0")),
        deeper("stages.1"),
        deeper("stages.2"),
        (_stage4, ("stages.3", "laterals", "merges")),
    )

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        if not (width > 0 and math.isfinite(width)):
            raise InputError(f"the tiny backbone needs a positive, finite width, but got {width=}")
        stem, *widths = (max(1, round(width * channels)) for channels in (STEM_WIDTH, *WIDTHS))
        self.channels = tuple(widths)
        self.stem = nn.Sequential(conv_bn_relu(3, stem, stride=2), conv_bn_relu(stem, widths[0], stride=2))
        self.stages = nn.ModuleList(
            _stage(inputs, outputs, stride, blocks)
            for (inputs, outputs), stride, blocks in zip(
                pairwise([widths[0], *widths]), (1, 2, 2, 2), BLOCKS, strict=True
            )
        )
        self.laterals = nn.ModuleList(nn.Sequential(*conv_bn(coarse, fine, 1)) for fine, coarse in pairwise(widths))
        self.merges = nn.ModuleList(conv_bn_relu(fine, fine) for fine in widths[:-1])
        init_from_scratch(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        check_image(image)
        return self.run_stages(image)


def _stage(inputs: int, outputs: int, stride: int, blocks: int) -> nn.Sequential:
    rest = (BasicBlock(outputs, outputs) for _ in range(blocks - 1))
    return nn.Sequential(BasicBlock(inputs, outputs, stride), *rest)
