"""ResNet-50 against the names of torchvision's release, and its dilation against the strides that it replaces."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from atrc.backbones import ResNet, resnet50

# A dozen of the tensors of the official resnet50-0676ba61.pth, with their shapes.
RELEASED = {
    "conv1.weight": (64, 3, 7, 7),
    "bn1.running_mean": (64,),
    "layer1.0.conv1.weight": (64, 64, 1, 1),
    "layer1.0.downsample.0.weight": (256, 64, 1, 1),
    "layer1.2.bn3.num_batches_tracked": (),
    "layer2.0.conv2.weight": (128, 128, 3, 3),
    "layer2.3.conv3.weight": (512, 128, 1, 1),
    "layer3.0.downsample.1.weight": (1024,),
    "layer3.5.bn2.bias": (256,),
    "layer4.0.conv1.weight": (512, 1024, 1, 1),
    "layer4.0.downsample.0.weight": (2048, 1024, 1, 1),
    "layer4.2.conv2.weight": (512, 512, 3, 3),
}


@pytest.fixture(scope="module")
def network() -> ResNet:
    torch.manual_seed(0)
    return resnet50().eval()


def test_names_of_the_release(network: ResNet) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert {name: shapes.get(name) for name in RELEASED} == RELEASED
    assert {name.split(".")[0] for name in shapes} == {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}
    assert len(shapes) == 318  # of the release's 320, two are the classifier's


def test_a_dilated_stage_is_the_strided_one_at_more_places(network: ResNet) -> None:
    """Every other pixel of the last map is what the network with an output stride of 32 computes."""
    x = torch.randn(1, 1024, 7, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    dilated = copy.deepcopy(network.layer4).double()  # sums of thousands of products differ in single precision
    strided = copy.deepcopy(dilated)
    for block in strided:
        block.conv2.dilation, block.conv2.padding = (1, 1), (1, 1)
    strided[0].conv2.stride = (2, 2)
    shortcut = strided[0].downsample[0]
    assert isinstance(shortcut, nn.Conv2d)
    shortcut.stride = (2, 2)
    with torch.no_grad():
        torch.testing.assert_close(dilated(x)[..., ::2, ::2], strided(x))
