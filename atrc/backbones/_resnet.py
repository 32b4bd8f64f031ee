"""ResNet (He et al., CVPR 2016), dilated for dense prediction: the backbone of Table 5.

The last stage keeps the grid of the one before and dilates its convolutions instead (Chen et al., "Rethinking Atrous
Convolution", 2017), so that the deepest maps lie at stride 16. Tensors carry the names of torchvision's ImageNet
checkpoints, which `atrc.backbones.load_weights` reads as they are.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from atrc.backbones._base import BACKBONES, Backbone, Maps, check_image, deeper
from atrc.layers import Bottleneck, conv_bn, init_from_scratch

__all__ = ["ResNet", "resnet50"]

STEM_WIDTH = 64


def _stage1(net: Any, maps: Maps) -> Maps:
    return [net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(maps[0])))))]


class ResNet(Backbone):
    """A ResNet of bottleneck blocks with an output stride of 16.

    The stride of a stage is in the 3x3 convolution of its first block, as in torchvision's checkpoints.

    Args:
        name: Name of the network in messages.
        blocks: Numbers of blocks of the four stages.
    """

    strides = (4, 8, 16, 16)
    cuts = (
        (_stage1, ("conv1", "bn1", "relu", "maxpool", "layer1")),
        deeper("layer2"),
        deeper("layer3"),
        deeper("layer4"),
    )

    def __init__(self, name: str, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.name = name
        widths = tuple(STEM_WIDTH * 2**stage for stage in range(4))
        self.channels = tuple(Bottleneck.expansion * width for width in widths)
        self.conv1, self.bn1 = conv_bn(3, STEM_WIDTH, 7, stride=2)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = (STEM_WIDTH, *self.channels[:3])
        self.layer1 = _stage(inputs[0], widths[0], blocks[0])
        self.layer2 = _stage(inputs[1], widths[1], blocks[1], stride=2)
        self.layer3 = _stage(inputs[2], widths[2], blocks[2], stride=2)
        self.layer4 = _stage(inputs[3], widths[3], blocks[3], dilation=2)
        init_from_scratch(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        check_image(image)
        return self.run_stages(image)


def _stage(inputs: int, width: int, blocks: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Returns a stage. Its first block is not dilated, since its input still has the neighbours of the finer grid."""
    outputs = Bottleneck.expansion * width
    rest = (Bottleneck(outputs, width, dilation=dilation) for _ in range(blocks - 1))
    return nn.Sequential(Bottleneck(inputs, width, stride=stride), *rest)


@BACKBONES.register("resnet50")
def resnet50() -> ResNet:
    """Builds ResNet-50 with an output stride of 16: 23 508 032 parameters; 256, 512, 1024 and 2048 channels.

    Its checkpoint is torchvision's ``resnet50-0676ba61.pth`` (or ``resnet50-11ad3fa6.pth``).
    """
    return ResNet("resnet50", blocks=(3, 4, 6, 3))
