"""Networks of timm: the maps of a backbone from every kind of them, weights under timm's names, clear refusals."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from atrc.backbones import BACKBONES, Timm, load_weights
from atrc.backbones._timm import _import_timm, _levels
from searchspace.errors import InputError

# A network for every way in which timm hands out features, and for every grid of sizes: timm's own test networks are
# small ones of the architectures that their names say.
GRIDS = {
    "test_resnet": 1,
    "test_convnext": 32,  # containers taken apart; rounds sizes down
    "test_efficientnet": 1,  # a class of its own for features
    "mvitv2_tiny": 1,  # wrapped
    "mobilevitv2_050": 64,  # an even number of pixels in its last map
    "mambaout_femto": 1,  # channels last
    "hrnet_w18_small_v2": 32,  # fails on odd sizes
    "swin_tiny_patch4_window7_224": 32,  # channels last, and an image size that must be lifted
}


@pytest.fixture(scope="module")
def timm() -> Any:
    """The package, or a skipped test. That it is installed is not enough: its torchvision has to fit torch."""
    try:
        return _import_timm()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=GRIDS)
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def network(timm: Any, model: str) -> Timm:
    torch.manual_seed(0)
    return Timm(model)


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_without_timm_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"pip install 'atrc\[timm\]'") as caught:
        BACKBONES.create("timm", {"model": "resnet18"})
    assert "\n" not in str(caught.value)


def test_it_is_listed_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert "timm" in BACKBONES
    with pytest.raises(InputError, match="'model'"):
        BACKBONES.create("timm", {})


@pytest.mark.parametrize(
    ("strides", "kept"),
    [
        ([4, 8, 16, 32], (0, 1, 2, 3)),
        ([2, 4, 8, 16, 32], (1, 2, 3, 4)),
        ([1, 2, 4, 8, 16, 32], (2, 3, 4, 5)),
        ([2, 4, 8, 16, 32, 64], (1, 2, 3, 4)),
        ([4, 4, 8, 16, 32], (1, 2, 3, 4)),
        ([2, 4, 8, 16, 16], (1, 2, 3, 4)),
        ([2, 4, 4, 4, 4], (1, 2, 3, 4)),
    ],
)
def test_four_maps_are_kept_from_stride_4(strides: list[int], kept: tuple[int, ...]) -> None:
    assert _levels("it", strides) == kept


@pytest.mark.parametrize(
    ("strides", "said"),
    [
        ([16] * 12, "it has 12 maps at strides 16;"),
        ([4, 8, 16], "it has 3 maps at strides 4, 8, 16;"),
        ([8, 8, 16, 32, 64], "it has 5 maps at strides 8, 16, 32, 64;"),
        ([2, 2, 4, 8, 16], "it has 5 maps at strides 2, 4, 8, 16;"),
        ([], "it has 0 maps that timm knows of;"),
    ],
)
def test_other_maps_are_refused(strides: list[int], said: str) -> None:
    with pytest.raises(InputError) as caught:
        _levels("it", strides)
    assert str(caught.value) == f"{said} a backbone needs 4, the finest at stride 4"


def test_the_grid_of_sizes_is_found(network: Timm, model: str) -> None:
    assert network._grid == GRIDS[model]
    assert network.training


@pytest.mark.parametrize("size", [(64, 96), (107, 140), (32, 33)])
def test_maps_of_a_backbone(network: Timm, size: tuple[int, int]) -> None:
    with torch.no_grad():
        maps = network.eval()(image(2, 3, *size))
    assert network.strides == (4, 8, 16, 32)
    assert [tuple(x.shape) for x in maps] == [
        (2, channels, *(-(-length // stride) for length in size))
        for channels, stride in zip(network.channels, network.strides, strict=True)
    ]


def test_padding_moves_nothing(network: Timm) -> None:
    """A map's first pixels, which padding on the other side does not reach, are those of the padded image's maps."""
    x = image(1, 3, 107, 140)
    padded = nn.functional.pad(x, (0, -140 % network._grid, 0, -107 % network._grid))
    with torch.no_grad():
        maps, whole = network.eval()(x), network.network(padded)
    for ours, theirs in zip(maps, whole, strict=True):
        if network._channels_last:
            theirs = theirs.permute(0, 3, 1, 2)
        assert torch.equal(ours, theirs[..., : ours.shape[-2], : ours.shape[-1]])


def test_gradients_reach_every_parameter(network: Timm) -> None:
    """Some are zero: timm starts residual branches at zero."""
    x = image(2, 3, 107, 140).requires_grad_()
    maps = network.train()(x)
    torch.autograd.backward(maps, [torch.randn_like(y) for y in maps])
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    assert x.grad is not None
    assert x.grad[..., -4:, -4:].abs().max() > 0
    network.zero_grad()


def test_weights_of_the_whole_network_are_read(timm: Any, model: str, network: Timm, tmp_path: Path) -> None:
    torch.manual_seed(7)
    whole = timm.create_model(model).eval()
    torch.save(whole.state_dict(), tmp_path / "weights.pth")
    report = load_weights(network, tmp_path / "weights.pth")
    assert report.complete
    assert report.summary().startswith(f"timm {model}: ")
    weights = whole.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in network.state_dict().items())
    # The one stretches its map of an image of this size, the other has the method in recent versions only.
    if model not in {"mobilevitv2_050", "hrnet_w18_small_v2"}:
        x = image(1, 3, 224, 224)
        with torch.no_grad():
            theirs = whole.forward_intermediates(x, intermediates_only=True)
            assert all(torch.equal(a, b) for a, b in zip(network.eval()(x), theirs[-4:], strict=True))


def test_a_network_that_holds_it_is_saved_and_read(network: Timm) -> None:
    holder = nn.ModuleDict({"before": nn.Linear(1, 1), "backbone": network.eval(), "after": nn.Linear(1, 1)})
    other = copy.deepcopy(holder)
    for parameter in other.parameters():
        nn.init.ones_(parameter)
    other.load_state_dict(holder.state_dict())
    names = list(holder.state_dict())
    assert names[0] == "before.weight"
    assert names[-1] == "after.bias"
    assert not any(".network." in name for name in names)
    x = image(1, 3, 64, 64)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(holder["backbone"](x), other["backbone"](x), strict=True))


def test_strides_follow_the_options(timm: Any) -> None:
    network = Timm("test_resnet", output_stride=16)
    assert network.strides == (4, 8, 16, 16)
    with torch.no_grad():
        assert [x.shape[-1] for x in network(image(2, 3, 47, 65))] == [17, 9, 5, 5]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "resnt18"}, "timm has no model 'resnt18'; the nearest are resnet18, "),
        ({"model": 18}, "timm has no model 18"),
        ({"model": "resnet18.unknown"}, "timm cannot make resnet18.unknown: "),
        ({"model": "test_resnet", "widht": 2}, "timm cannot make test_resnet with widht=2: "),
        ({"model": "test_vit"}, "timm test_vit has "),
        ({"model": "gcvit_xxtiny"}, "timm gcvit_xxtiny does not take images of any size, as a backbone must: "),
    ],
)
def test_refusals(timm: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        BACKBONES.create("timm", options)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_weights_that_timm_fetches(timm: Any, tmp_path: Path) -> None:
    """From a file in place of a download, which takes the same way through timm."""
    path = tmp_path / "weights.pth"
    options = {"model": "test_resnet", "pretrained": True, "pretrained_cfg_overlay": {"file": str(path)}}
    with pytest.raises(InputError, match=r"FileNotFoundError.*; give a weights file with backbone\.weights$"):
        BACKBONES.create("timm", options)
    weights = timm.create_model("test_resnet").state_dict()
    torch.save(weights, path)
    network = BACKBONES.create("timm", options)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in network.state_dict().items())
