"""The suite of backbones on every one in the tree, and on some that break one promise each."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from atrc.backbones import BACKBONES, PanelLayout, Tiny, check_image
from atrc.testing import check_backbone
from searchspace import InputError

OPTIONS: dict[str, dict[str, Any]] = {
    "timm": {"model": "test_convnext"},
    "panels": {"tasks": ["a", "b", "c"], "grid": 4, "width": 5},
}
"""Of those that cannot be built without any."""
SIZES = {"panels": [PanelLayout(3, 4).size]}


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_shipped(name: str) -> None:
    sizes = {"sizes": SIZES[name]} if name in SIZES else {}
    try:
        BACKBONES.create(name, OPTIONS.get(name, {}))
    except InputError as error:
        if "needs the package" not in str(error):
            raise
        pytest.skip(str(error))
    check_backbone(name, OPTIONS.get(name), **sizes)


def test_widths_of_tiny() -> None:
    check_backbone(Tiny, {"width": 0.5})


# -- backbones that break a promise ---------------------------------------------------------------------------------


class RoundsDown(Tiny):
    def forward(self, image: Tensor) -> list[Tensor]:
        height, width = image.shape[2:]
        maps = super().forward(image)
        return [x[:, :, : height // s, : width // s] for x, s in zip(maps, self.strides, strict=True)]


class SaysOtherChannels(Tiny):
    def __init__(self, width: float) -> None:
        super().__init__(width)
        self.channels = (1, 2, 3, 4)


class LacksStrides(Tiny):
    strides = (4, 8)


class TouchesTheImage(Tiny):
    def forward(self, image: Tensor) -> list[Tensor]:
        return super().forward(image.mul_(2))


class SeesTheBatch(Tiny):
    def forward(self, image: Tensor) -> list[Tensor]:
        return [x - x.mean(0, keepdim=True) for x in super().forward(image)]


class CountsCalls(Tiny):
    calls = 0

    def forward(self, image: Tensor) -> list[Tensor]:
        self.calls += 1
        return [x + self.calls for x in super().forward(image)]


class DrawsInForward(Tiny):
    def forward(self, image: Tensor) -> list[Tensor]:
        torch.rand(())
        return super().forward(image)


class NotFinite(Tiny):
    def forward(self, image: Tensor) -> list[Tensor]:
        return [x / 0 for x in super().forward(image)]


class LearnsInEvaluation(Tiny):
    def __init__(self, width: float) -> None:
        super().__init__(width)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, image: Tensor) -> list[Tensor]:
        self.seen += 1
        return super().forward(image)


class Idle(Tiny):
    cuts = ()

    def __init__(self, width: float) -> None:
        super().__init__(width)
        self.idle = nn.Parameter(torch.ones(3))

    def forward(self, image: Tensor) -> list[Tensor]:
        self.cuts = Tiny.cuts  # type: ignore[misc]
        maps = super().forward(image)
        del self.cuts
        return maps


class Outside(Tiny):
    """A parameter that no stage has."""

    def __init__(self, width: float) -> None:
        super().__init__(width)
        self.extra = nn.Parameter(torch.ones(3))


class ForgetsItsScale(Tiny):
    def __init__(self, width: float) -> None:
        super().__init__(width)
        self.scale = torch.rand(())

    def forward(self, image: Tensor) -> list[Tensor]:
        return [x * self.scale for x in super().forward(image)]


class NeverTheSame(Tiny):
    made = count()

    def __init__(self, width: float) -> None:
        super().__init__(width)
        nn.init.constant_(next(self.parameters()), float(next(self.made)))


class DrawsWithNumpy(Tiny):
    def __init__(self, width: float) -> None:
        super().__init__(width)
        np.random.rand()  # noqa: NPY002, what the suite is to catch


class TakesAnything(Tiny):
    def forward(self, image: Tensor) -> list[Tensor]:
        return self.run_stages(image)


class FailsOnSmall(Tiny):
    def forward(self, image: Tensor) -> list[Tensor]:
        if image.shape[-2] == 31:
            raise RuntimeError("too small")
        return super().forward(image)


class Wordy(Tiny):
    def forward(self, image: Tensor) -> list[Tensor]:
        try:
            check_image(image)
        except InputError as error:
            raise InputError(f"No!\n{error}") from None
        return super().forward(image)


class CutElsewhere(Tiny):
    def forward(self, image: Tensor) -> list[Tensor]:
        return [2 * x for x in super().forward(image)]


class AsksForValues(Tiny):
    def forward(self, image: Tensor) -> list[Tensor]:
        image.sum().item()
        return super().forward(image)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (RoundsDown, r"of 47 x 65 pixels, but its channels, strides and grid say .*: pad and crop"),
        (SaysOtherChannels, r"its channels, strides and grid say \[\(2, 1, 8, 8\)"),
        (LacksStrides, "must have as many channels as strides"),
        (TouchesTheImage, "changes the image that it is given"),
        (SeesTheBatch, "gives map 0 of an image differently when others are in the batch"),
        (CountsCalls, "gives map 0 differently the second time in evaluation mode"),
        (DrawsInForward, "in evaluation mode uses the global generator of torch"),
        (NotFinite, "gives map 0 with values that are not finite"),
        (LearnsInEvaluation, "changes its seen in evaluation mode"),
        (Idle, "gives idle no gradient"),
        (Outside, "the parameter extra of .* must be in one of its cuts, but is in 0"),
        (ForgetsItsScale, "gives map 0 differently after its state_dict\\(\\) was loaded"),
        (NeverTheSame, "torch's seed must fix the weights"),
        (DrawsWithNumpy, r"the construction of .* uses the global generator of numpy\.random"),
        (TakesAnything, r"must refuse images of shape \(1, 1, 47, 65\), not as RuntimeError"),
        (FailsOnSmall, "must take images of 31 x 64 pixels or refuse them, not fail as RuntimeError"),
        (Wordy, "the message has several lines"),
        (CutElsewhere, "the cuts of .* give other maps than its forward"),
        (AsksForValues, "must be made and run on the device meta"),
        (lambda width: nn.Identity(), r"must be an atrc\.backbones\.Backbone, but is Identity"),
    ],
)
def test_a_broken_promise_is_caught(broken: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message) as caught:
        check_backbone(broken, {"width": 0.25})
    assert "\n" not in str(caught.value)


def test_options_that_it_does_not_take_are_named() -> None:
    with pytest.raises(
        AssertionError, match=r"backbone 'tiny' must be made with the options .* did you mean 'width'"
    ):
        check_backbone("tiny", {"widht": 1})
