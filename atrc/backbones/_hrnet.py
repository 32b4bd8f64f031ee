"""HRNetV2: parallel branches at four resolutions that exchange features repeatedly.

Source: Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", TPAMI 2020.

Only the trunk is built (stem, layer1, transitions, stages 2 to 4), without the classification head. Its
tensors carry the names of the official ImageNet release, so `atrc.backbones.load_weights` reads a downloaded
checkpoint as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from atrc.backbones._base import BACKBONES, Backbone, Cut, Maps, check_image
from atrc.layers import BasicBlock, Bottleneck, conv_bn, conv_bn_relu, init_from_scratch
from atrc.resizing import resize

__all__ = ["HRNet", "HRNetConfig", "hrnet18", "hrnet48"]

STEM_WIDTH = 64


@dataclass(frozen=True)
class HRNetConfig:
    """The size of an HRNet.

    Attributes:
        name: Name of the network in messages.
        bottlenecks: Number of bottleneck blocks of stage 1.
        modules: Numbers of exchange modules of stages 2, 3 and 4.
        blocks: Number of basic blocks per branch of a module.
        widths: Channels of the four branches, finest first.
    """

    name: str
    bottlenecks: int
    modules: tuple[int, int, int]
    blocks: int
    widths: tuple[int, int, int, int]


def _stage1(net: Any, maps: Maps) -> Maps:
    x = net.relu(net.bn1(net.conv1(maps[0])))
    x = net.relu(net.bn2(net.conv2(x)))
    return [net.layer1(x)]


def _after(transition: str, stage: str) -> Cut:
    def run(net: Any, maps: Maps) -> Maps:
        branches = [layer(x) for layer, x in zip(getattr(net, transition), [*maps, maps[-1]], strict=True)]
        entered: Maps = getattr(net, stage)(branches)
        return entered

    return run, (transition, stage)


class HRNet(Backbone):
    """The trunk of an HRNetV2.

    Weights are drawn by `init_from_scratch` (Kaiming normal, batch norms at identity), which is the official choice
    for training from scratch. `atrc.backbones.load_weights` replaces them.

    Args:
        config: Size of the network.
    """

    cuts = (
        (_stage1, ("conv1", "bn1", "conv2", "bn2", "relu", "layer1")),
        _after("transition1", "stage2"),
        _after("transition2", "stage3"),
        _after("transition3", "stage4"),
    )

    def __init__(self, config: HRNetConfig) -> None:
        super().__init__()
        self.name = config.name
        self.channels = config.widths
        self.conv1, self.bn1 = conv_bn(3, STEM_WIDTH, stride=2)
        self.conv2, self.bn2 = conv_bn(STEM_WIDTH, STEM_WIDTH, stride=2)
        self.relu = nn.ReLU(inplace=True)

        wide = Bottleneck.expansion * STEM_WIDTH
        self.layer1 = nn.Sequential(
            *(Bottleneck(STEM_WIDTH if i == 0 else wide, STEM_WIDTH) for i in range(config.bottlenecks))
        )
        w, (n2, n3, n4) = config.widths, config.modules
        self.transition1 = _transition([wide], w[:2])
        self.stage2 = nn.Sequential(*(Exchange(w[:2], config.blocks) for _ in range(n2)))
        self.transition2 = _transition(w[:2], w[:3])
        self.stage3 = nn.Sequential(*(Exchange(w[:3], config.blocks) for _ in range(n3)))
        self.transition3 = _transition(w[:3], w)
        self.stage4 = nn.Sequential(*(Exchange(w, config.blocks) for _ in range(n4)))
        init_from_scratch(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        check_image(image)
        return self.run_stages(image)


class Exchange(nn.Module):
    """One multi-resolution module: blocks on every branch, then every branch receives the sum of all.

    Args:
        widths: Channels per branch, finest first.
        blocks: Basic blocks per branch.
    """

    def __init__(self, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width, width) for _ in range(blocks))) for width in widths
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_message(widths, source, target) for source in range(len(widths)))
            for target in range(len(widths))
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Turns maps ``(B, C_s, H_s, W_s)``, finest first, into maps of the same shapes."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return [self.relu(fuse(maps, layers, maps[i].shape[-2:])) for i, layers in enumerate(self.fuse_layers)]


def fuse(maps: Sequence[Tensor], layers: nn.Module, size: Sequence[int]) -> Tensor:
    """Computes the sum over branches s of layers[s](maps[s]), each resized to ``size``: ``(B, C_target, *size)``.

    A coarser branch is projected before it is enlarged, so that the 1x1 convolution runs on fewer pixels.
    """
    messages = [resize(layer(x), size) for layer, x in zip(layers.children(), maps, strict=True)]
    total = messages[0]
    for message in messages[1:]:
        total = total + message
    return total


def _message(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """Returns the layers that branch ``target`` applies to the map of branch ``source`` before it is enlarged."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(*conv_bn(widths[source], widths[target], 1))
    halvings = [conv_bn_relu(widths[source], widths[source], stride=2) for _ in range(target - source - 1)]
    return nn.Sequential(*halvings, nn.Sequential(*conv_bn(widths[source], widths[target], stride=2)))


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """Returns one layer per branch of the next stage; the last opens a new branch from the coarsest map so far."""
    layers: list[nn.Module] = [
        nn.Identity() if old == new else conv_bn_relu(old, new) for old, new in zip(before, after[:-1], strict=True)
    ]
    # One more container, as in the official release, where a transition may halve several times.
    return nn.ModuleList([*layers, nn.Sequential(conv_bn_relu(before[-1], after[-1], stride=2))])


@BACKBONES.register("hrnet18")
def hrnet18() -> HRNet:
    """Builds HRNetV2-W18-small-v2, the small backbone of the ATRC paper: 3 860 720 parameters, 270 channels in all.

    Its checkpoint is the official ``hrnet_w18_small_model_v2.pth`` (in timm: ``hrnet_w18_small_v2``).
    """
    return HRNet(HRNetConfig("hrnet18", bottlenecks=2, modules=(1, 3, 2), blocks=2, widths=(18, 36, 72, 144)))


@BACKBONES.register("hrnet48")
def hrnet48() -> HRNet:
    """Builds HRNetV2-W48, the large backbone of the ATRC paper: 65 325 120 parameters, 720 channels in all.

    Its checkpoint is the official ``hrnetv2_w48_imagenet_pretrained.pth`` (in timm: ``hrnet_w48``).
    """
    return HRNet(HRNetConfig("hrnet48", bottlenecks=4, modules=(1, 4, 3), blocks=4, widths=(48, 96, 192, 384)))
