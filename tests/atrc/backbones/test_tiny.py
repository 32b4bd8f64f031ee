"""The tiny backbone: its size, its width option, and that it learns what only context tells."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from atrc.backbones import Tiny, resize, stack_scales
from searchspace.errors import InputError


@pytest.mark.parametrize(("width", "channels"), [(1.0, (24, 32, 48, 64)), (0.5, (12, 16, 24, 32))])
def test_width_multiplies_the_channels(width: float, channels: tuple[int, ...]) -> None:
    tiny = Tiny(width=width)
    assert tiny.channels == channels
    assert tuple(x.shape[1] for x in tiny(torch.zeros(2, 3, 64, 64))) == channels


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_widths_are_refused(width: float) -> None:
    with pytest.raises(InputError, match="width"):
        Tiny(width=width)


def test_learns_a_label_that_a_far_corner_decides() -> None:
    """A bright patch gets class 1, or class 2 where the opposite corner is marked."""
    torch.manual_seed(0)
    tiny = Tiny()
    head = nn.Conv2d(sum(tiny.channels), 3, 1)
    optimiser = torch.optim.SGD([*tiny.parameters(), *head.parameters()], lr=0.05, momentum=0.9)

    def batch() -> tuple[Tensor, Tensor]:
        image = torch.randn(8, 3, 64, 48) * 0.1
        marked = torch.rand(8) < 0.5
        image[marked, :, :8, :8] += 2.0
        image[:, :, 40:60, 24:44] += 1.0
        label = torch.zeros(8, 64, 48, dtype=torch.long)
        label[:, 40:60, 24:44] = 1 + marked.long()[:, None, None]
        return image, label

    def loss() -> Tensor:
        image, label = batch()
        return functional.cross_entropy(resize(head(stack_scales(tiny(image))), label.shape[-2:]), label)

    for _ in range(40):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    with torch.no_grad():
        # The patch is an eighth of the image: guessing between its two classes would cost 0.09.
        assert loss() < 0.06
