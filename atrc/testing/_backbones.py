"""The suite of backbones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from atrc.backbones import BACKBONES, Backbone
from atrc.testing._modules import check_evaluation, check_gradients, check_state, close, noise, seeded, stirred
from atrc.testing._parts import made, maker, refused, works
from searchspace import InputError

__all__ = ["check_backbone"]

BATCH = 2


def check_backbone(
    backbone: str | Callable[..., Backbone],
    options: Mapping[str, Any] | None = None,
    *,
    sizes: Sequence[tuple[int, int]] = ((32, 32), (47, 65)),
) -> None:
    """Checks that a backbone keeps the following promises.

    - For every size it returns one map per entry of ``channels`` and ``strides``. The maps have these channels, and
      the sizes that follow from ``grid(size)`` and the strides. A dictionary holds such a list for every task. The
      same works without weights on the device ``meta``, where resources are counted.
    - The maps of an image do not depend on other images of the batch, and the image is not changed.
    - In evaluation mode it returns the same twice, changes no state, and does not use the global generators.
    - Gradients reach every parameter.
    - torch's seed determines its weights. ``state_dict()`` holds its whole state, and can be saved and loaded
      strictly.
    - Images of other shapes are refused with a message of one line.
    - Its ``cuts``, if any, compute the same function stage by stage, and every parameter is in one stage.

    Args:
        backbone: Registered name; or a class or function that makes a backbone.
        options: Options of the backbone.
        sizes: (H, W) of the images, which the backbone must support. The last one is used for gradients.

    Raises:
        AssertionError: A promise is broken; the message says which.

    Example::

        def test_my_backbone() -> None:
            check_backbone(MyBackbone, {"width": 0.5})
    """
    name, make = maker(BACKBONES, backbone, options)
    net: Backbone = made(name, lambda: seeded(make), Backbone, options)
    facts = len(net.channels) == len(net.strides) > 0
    assert facts, f"{name} must have as many channels as strides, but has {net.channels} and {net.strides}"
    for size in sizes:
        _check_shapes(name, net, size)
        _check_shapes_without_weights(name, make, size)
    size = sizes[-1]
    image = noise(BATCH, 3, *size)
    _check_images(name, net.eval(), image)
    check_state(name, make, lambda one: _named(one(image)))
    _check_cuts(name, net, image)
    for shape in ((1, 1, *size), (3, *size)):
        refused(f"{name} must refuse images of shape {shape}", partial(net, torch.zeros(shape)), str(shape))
    small = torch.zeros(1, 3, 31, 64)
    try:
        net(small)
    except InputError:
        refused(f"{name} must refuse images that are too small in one line", lambda: net(small), "31")
    except Exception as error:
        raise AssertionError(
            f"{name} must take images of 31 x 64 pixels or refuse them, not fail as {type(error).__name__}: "
            "call atrc.backbones.check_image"
        ) from error
    check_gradients(name, net, lambda one: _named(one(image)))


def _named(maps: Any) -> dict[str, Tensor]:
    """Returns the maps with names for messages."""
    if isinstance(maps, Mapping):
        return {f"map {i} of {task}": x for task, own in maps.items() for i, x in enumerate(own)}
    return {f"map {i}": x for i, x in enumerate(maps)}


def _declared(net: Backbone, size: tuple[int, int]) -> list[tuple[int, ...]]:
    """Returns the declared ``(C, h, w)`` of every map: the finest from the grid, the others from their strides."""
    finest, grid = net.strides[0], net.grid(size)
    return [
        (channels, *(-(-side * finest // stride) for side in grid))
        for channels, stride in zip(net.channels, net.strides, strict=True)
    ]


def _check_shapes(name: str, net: Backbone, size: tuple[int, int]) -> None:
    with works(f"{name} must take images of {size[0]} x {size[1]} pixels"), torch.no_grad():
        maps = net.eval()(noise(BATCH, 3, *size))
    _compare(name, net, maps, size)


def _check_shapes_without_weights(name: str, make: Callable[[], Any], size: tuple[int, int]) -> None:
    promise = f"{name} must be made and run on the device meta, where networks are counted"
    with works(promise), torch.device("meta"), torch.no_grad():
        net = make().eval()
        maps = net(torch.zeros(BATCH, 3, *size))
    _compare(name, net, maps, size)


def _compare(name: str, net: Backbone, maps: Any, size: tuple[int, int]) -> None:
    expected = [(BATCH, *shape) for shape in _declared(net, size)]
    for own in maps.values() if isinstance(maps, Mapping) else [maps]:
        found = [tuple(x.shape) for x in own]
        assert found == expected, (
            f"{name} gives maps {found} of {size[0]} x {size[1]} pixels, "
            f"but its channels, strides and grid say {expected}: pad and crop, or declare what it gives"
        )


@torch.no_grad()
def _check_images(name: str, net: nn.Module, image: Tensor) -> None:
    kept = image.clone()
    both = {one: x.clone() for one, x in _named(net(image)).items()}
    assert torch.equal(image, kept), f"{name} changes the image that it is given: work on a copy"
    check_evaluation(name, net, lambda one: _named(one(image)))
    for one, x in _named(net(image[:1])).items():
        assert close(x, both[one][:1]), f"{name} gives {one} of an image differently when others are in the batch"


def _check_cuts(name: str, net: Backbone, image: Tensor) -> None:
    if not net.cuts:
        return
    stirred(net).eval()
    with torch.no_grad(), works(f"{name} must run in the parts that its cuts name"):
        stages = net.cut()
        maps = [image]
        for stage in stages:
            maps = stage(maps)
        whole = net(image)
    same = isinstance(whole, list) and len(whole) == len(maps) and all(map(torch.equal, maps, whole))
    assert same, f"the cuts of {name} give other maps than its forward(): let forward() be run_stages()"
    holders: dict[int, list[int]] = {id(parameter): [] for parameter in net.parameters()}
    for number, stage in enumerate(stages):
        for parameter in stage.parameters():
            holders[id(parameter)].append(number)
    for path, parameter in net.named_parameters():
        held = holders[id(parameter)]
        assert len(held) == 1, f"the parameter {path} of {name} must be in one of its cuts, but is in {len(held)}"
