"""HRNet against the numbers and names of its release."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from atrc.backbones import HRNet, hrnet18
from atrc.backbones._hrnet import Exchange

# A dozen of the tensors of the official hrnet_w18_small_model_v2.pth, with their shapes.
RELEASED = {
    "conv1.weight": (64, 3, 3, 3),
    "bn2.running_var": (64,),
    "layer1.0.conv3.weight": (256, 64, 1, 1),
    "layer1.0.downsample.1.weight": (256,),
    "layer1.1.bn3.num_batches_tracked": (),
    "transition1.0.0.weight": (18, 256, 3, 3),
    "transition1.1.0.0.weight": (36, 256, 3, 3),
    "transition2.2.0.1.bias": (72,),
    "transition3.3.0.0.weight": (144, 72, 3, 3),
    "stage2.0.branches.0.0.conv1.weight": (18, 18, 3, 3),
    "stage2.0.fuse_layers.0.1.0.weight": (18, 36, 1, 1),
    "stage3.2.fuse_layers.2.0.0.0.weight": (18, 18, 3, 3),
    "stage3.2.fuse_layers.2.0.1.0.weight": (72, 18, 3, 3),
    "stage4.1.branches.3.1.bn2.weight": (144,),
    "stage4.1.fuse_layers.3.0.2.1.running_mean": (144,),
}


@pytest.fixture(scope="module")
def network() -> HRNet:
    torch.manual_seed(0)
    return hrnet18().eval()


def test_names_of_the_release(network: HRNet) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert {name: shapes.get(name) for name in RELEASED} == RELEASED
    # The parts of the trunk and no other, and nothing held for the identities.
    roots = {name.split(".")[0] for name in shapes}
    assert roots == {
        *("conv1", "bn1", "conv2", "bn2", "layer1"),
        *("transition1", "transition2", "transition3", "stage2", "stage3", "stage4"),
    }
    assert not any(name.startswith(("transition2.0", "stage2.0.fuse_layers.1.1")) for name in shapes)


def test_maps_of_the_papers_image(network: HRNet) -> None:
    with torch.no_grad():
        maps = network(torch.zeros(1, 3, 425, 560))
    assert [tuple(x.shape) for x in maps] == [
        *((1, 18, 107, 140), (1, 36, 54, 70)),
        *((1, 72, 27, 35), (1, 144, 14, 18)),
    ]


def test_an_exchange_is_the_sum_written_out() -> None:
    torch.manual_seed(0)
    module = Exchange((3, 4, 5), blocks=1).eval()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.running_mean)
    maps = [torch.randn(2, 3, 13, 11), torch.randn(2, 4, 7, 6), torch.randn(2, 5, 4, 3)]
    state = module.state_dict()

    def norm(x: torch.Tensor, prefix: str) -> torch.Tensor:
        mean, var, weight, bias = (
            state[f"{prefix}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def conv_norm(x: torch.Tensor, prefix: str, stride: int = 1) -> torch.Tensor:
        weight = state[f"{prefix}.0.weight"]
        y = functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        return norm(y, f"{prefix}.1")

    def enlarge(x: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, (13, 11), mode="bilinear", align_corners=False)

    with torch.no_grad():
        a, b, c = (branch(x) for branch, x in zip(module.branches, maps, strict=True))
        f = "fuse_layers"
        finest = a + enlarge(conv_norm(b, f"{f}.0.1")) + enlarge(conv_norm(c, f"{f}.0.2"))
        coarsest = (
            conv_norm(conv_norm(a, f"{f}.2.0.0", 2).relu(), f"{f}.2.0.1", 2) + conv_norm(b, f"{f}.2.1.0", 2) + c
        )
        out = module(maps)
    torch.testing.assert_close(out[0], finest.relu())
    torch.testing.assert_close(out[2], coarsest.relu())
    assert out[1].shape == maps[1].shape
