"""Sizes and reach of the registered backbones. See tests/atrc/testing for what all promise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from atrc.backbones import BACKBONES, Backbone, Panels, resize, stack_scales
from searchspace.errors import InputError

# Those of the HRNet trunks are the authors' counts, that of ResNet-50 is 25 557 032 without its classifier.
PARAMETERS = {"hrnet18": 3_860_720, "hrnet48": 65_325_120, "resnet50": 23_508_032, "tiny": 250_784}
OPTIONS = {"timm": {"model": "test_convnext"}}
"""Of those that cannot be built without any."""
DILATED = {"resnet50": (4, 8, 16, 16)}
"""Strides of those that do not halve the grid four times, and do not fuse scales."""


SHORT_SIGHTED = {"patches": (4,)}
"""Strides of those that see a few pixels on purpose."""
ONE_FOR_EACH_TASK = {"panels"}
"""What gives maps for every task, of pictures of its own: see test_panels.py."""


@pytest.fixture(scope="module", params=sorted(set(BACKBONES) - ONE_FOR_EACH_TASK))
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return seeded(request.param)


def seeded(name: str) -> Backbone:
    torch.manual_seed(0)
    try:
        backbone: Backbone = BACKBONES.create(name, OPTIONS.get(name, {}))
    except InputError as error:
        if "needs the package" not in str(error):
            raise
        pytest.skip(str(error))
    return backbone


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_parameter_count(backbone: Backbone) -> None:
    if backbone.name not in PARAMETERS:
        pytest.skip(f"no count is published for {backbone.name}")
    count = sum(p.numel() for p in backbone.parameters())
    assert count == PARAMETERS[backbone.name]
    assert f"{count:,}".replace(",", " ") in str(BACKBONES[backbone.name].__doc__)


def test_strides(backbone: Backbone) -> None:
    assert backbone.strides == (DILATED | SHORT_SIGHTED).get(backbone.name, (4, 8, 16, 32))


def test_a_corner_is_seen_from_the_opposite_one(backbone: Backbone) -> None:
    """On the finest map already, where scales are fused."""
    if backbone.name in SHORT_SIGHTED:
        pytest.skip("it sees a few pixels on purpose")
    x = image(1, 3, 64, 64).requires_grad_()
    level = -1 if backbone.name in {*DILATED, "timm test_convnext"} else 0
    backbone.eval()(x)[level][0, :, 0, 0].sum().backward()
    assert x.grad is not None
    assert x.grad[0, :, -8:, -8:].abs().max() > 0


def test_patches_see_seven_pixels() -> None:
    x = image(1, 3, 64, 64).requires_grad_()
    seeded("patches").eval()(x)[0][0, :, 5, 6].sum().backward()
    assert x.grad is not None
    rows, columns = x.grad[0].abs().sum(0).nonzero().unbind(1)
    seen = [(int(side.min()), int(side.max())) for side in (rows, columns)]
    assert seen == [(4 * 5 - 3, 4 * 5 + 3), (4 * 6 - 3, 4 * 6 + 3)]


def test_stack_scales_puts_each_scale_at_its_place() -> None:
    maps = [image(1, 2, 7, 9), image(1, 3, 4, 5), image(1, 4, 2, 3), image(1, 5, 1, 2)]
    stacked = stack_scales(maps)
    assert stacked.shape == (1, 14, 7, 9)
    assert torch.equal(stacked[:, :2], maps[0])
    assert torch.equal(stacked[:, 5:9], resize(maps[2], (7, 9)))


def test_resize_interpolates_between_pixel_centres() -> None:
    # Centres of 4 outputs over 2 inputs lie at 1/4 steps: 0, 1/4, 3/4 and 1 of the way from 0 to 1.
    row = resize(torch.tensor([[[[0.0, 1.0]]]]), (1, 4))
    assert row.flatten().tolist() == [0.0, 0.25, 0.75, 1.0]


def test_a_backbone_without_cuts_is_not_branched() -> None:
    with pytest.raises(InputError, match="does not say where it can be branched"):
        Panels(["a"]).cut()
