"""Designs of heads: what they read, what they give, and what they leave alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from atrc.backbones import Pyramid, resize
from atrc.heads import ASPP, HEADS, FCNHeads, ShallowHeads

SCALES = (8, 12, 16, 20)
DESIGNS = {
    "shallow": {},
    "shallow with ASPP": {"aspp": True, "rates": [1, 2]},
    "fcn": {"channels": 10, "skip": 4},
    "fcn with ASPP": {"channels": 10, "skip": 4, "aspp": True, "rates": [2]},
}


def pyramid() -> Pyramid:
    generator = torch.Generator().manual_seed(0)
    grids = ((27, 35), (14, 18), (7, 9), (4, 5))
    return Pyramid([torch.randn(2, c, *grid, generator=generator) for c, grid in zip(SCALES, grids, strict=True)])


@pytest.mark.parametrize("design", list(DESIGNS))
def test_features_and_region_maps_lie_on_the_finest_grid(design: str) -> None:
    torch.manual_seed(0)
    heads = HEADS.create(design.partition(" ")[0], DESIGNS[design], SCALES)
    maps = [x.requires_grad_() for x in pyramid().maps]
    features = heads.task_head()(Pyramid(maps))
    assert features.shape == (2, heads.channels, 27, 35)
    features.square().mean().backward()
    assert maps[0].grad is not None
    assert maps[-1].grad is not None
    auxiliary = heads.auxiliary_head(6)
    for x in maps:
        x.grad = None
    regions = auxiliary(Pyramid(maps))
    assert regions.shape == (2, 6, 27, 35)
    regions.square().mean().backward()
    assert all(x.grad is None for x in maps), "auxiliary losses do not reach the backbone"
    assert all(p.grad is not None for p in auxiliary.parameters())


@torch.no_grad()
def test_aspp_by_hand() -> None:
    torch.manual_seed(0)
    module = ASPP(8, 6, rates=(2, 3)).eval()
    x = torch.randn(2, 8, 9, 11)

    def conv(layers, y, dilation=1):  # a fresh norm scales by 1 / sqrt(1 + eps)
        weight = layers[0].weight
        return F.relu(
            F.conv2d(y, weight, padding=dilation * (weight.shape[2] // 2), dilation=dilation) / (1 + 1e-5) ** 0.5
        )

    mean = conv(module.image, x.mean((2, 3), keepdim=True)).expand(2, 6, 9, 11)
    branches = [conv(module.point, x), conv(module.atrous[0], x, 2), conv(module.atrous[1], x, 3), mean]
    torch.testing.assert_close(module(x), conv(module.join, torch.cat(branches, 1)))


@torch.no_grad()
def test_fcn_heads_read_the_deepest_map_beside_the_finest() -> None:
    torch.manual_seed(0)
    head = FCNHeads(SCALES, channels=10, skip=4).task_head().eval()
    maps = pyramid().maps
    deep, fine = resize(head.reduce(maps[-1]), (27, 35)), head.skip(maps[0])
    torch.testing.assert_close(head(Pyramid(maps)), head.join(torch.cat([deep, fine], 1)))


def test_default_widths() -> None:
    assert ShallowHeads((18, 36, 72, 144)).channels == 67
    assert FCNHeads((256, 512, 1024, 2048)).channels == 256


def test_a_pyramid_is_stacked_once() -> None:
    maps = pyramid()
    assert maps.stacked is maps.stacked
    assert maps.stacked.shape == (2, sum(SCALES), 27, 35)
