"""A backbone that sees a few pixels at a time: what lies around them is known through contexts alone."""

from __future__ import annotations

from torch import Tensor

from atrc.backbones._base import BACKBONES, Backbone, check_image
from atrc.layers import conv_bn_relu, init_from_scratch
from searchspace import InputError

__all__ = ["Patches"]


@BACKBONES.register("patches")
class Patches(Backbone):
    """Two 3x3 convolutions of stride 2, each with BN and ReLU: one map at stride 4, whose pixels see 7 x 7 pixels.

    With heads that see one pixel of the map (`PointwiseHeads`), context-pooling blocks are the only way to the rest
    of the image. So it matters more than elsewhere which contexts they use.

    Args:
        width: Channels of the map; the first convolution has half as many.

    Raises:
        InputError: ``width`` is smaller than 2.
    """

    name = "patches"
    strides = (4,)

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        if width < 2:
            raise InputError(f"the backbone 'patches' needs a width of at least 2, got {width=}")
        self.channels = (width,)
        self.layers = conv_bn_relu(3, width // 2, stride=2).append(conv_bn_relu(width // 2, width, stride=2))
        init_from_scratch(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Returns the map ``(B, width, ceil(H / 4), ceil(W / 4))`` of images ``(B, 3, H, W)``, in a list."""
        check_image(image)
        return [self.layers(image)]
