"""The suite of distillation modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from atrc.costs import count_module
from atrc.distillation import DISTILLATIONS, Distillation
from atrc.testing._modules import check_evaluation, check_gradients, check_state, close, noise, seeded, stirred
from atrc.testing._parts import maker, refused, works
from searchspace import InputError

__all__ = ["check_distillation"]

TASKS = ("semseg", "depth", "edge")
REGIONS = {"semseg": 6, "depth": 5, "edge": 2}
BATCH, CHANNELS, SIZE = 2, 8, (7, 9)

Maps = dict[str, Tensor]
Make = Callable[[Mapping[str, int]], Any]


def check_distillation(module: str | Callable[..., Distillation], options: Mapping[str, Any] | None = None) -> None:
    """Checks that a distillation module keeps the following promises.

    - It works for two and for three tasks. It accepts tasks of different channels, or refuses them with a message of
      one line.
    - Every refined map has the shape of the task's features, also on a grid of odd size and for a batch of one. Its
      multiply-adds can be counted.
    - It reads the regions of its ``region_tasks`` and of no other task.
    - The order of the tasks does not matter. The maps of an image do not depend on other images of the batch.
    - A mask without padding has the same effect as no mask. With padding, all maps are finite.
    - It changes neither features nor regions nor the mask.
    - In evaluation mode it returns the same twice, changes no state, and does not use the global generators.
    - Gradients reach every parameter and the features of every task.
    - torch's seed determines its weights. ``state_dict()`` holds its whole state, and can be saved and loaded
      strictly.

    Args:
        module: Registered name; or a class or function that makes a module, given task -> C.
        options: Options of the module.

    Raises:
        AssertionError: A promise is broken; the message says which.

    Example::

        def test_my_module() -> None:
            check_distillation(MyModule, {"steps": 2})
    """
    name, make = maker(DISTILLATIONS, module, options)
    for tasks in (TASKS[:2], TASKS):
        _check_tasks(name, make, tasks)
    _check_different_channels(name, make)


def _check_tasks(name: str, make: Make, tasks: tuple[str, ...]) -> None:
    channels = dict.fromkeys(tasks, CHANNELS)
    with works(f"{name} must be made for the tasks {', '.join(tasks)}"):
        net = seeded(lambda: make(channels))
    assert isinstance(net, Distillation), f"{name} must be an atrc.distillation.Distillation"
    foreign = set(net.region_tasks) - set(tasks)
    assert not foreign, f"the region_tasks of {name} name {sorted(foreign)}, but its tasks are {list(tasks)}"
    features, regions = inputs(channels)
    read = {task: regions[task] for task in net.region_tasks}
    stirred(net).eval()
    _check_shapes(name, net, features, read)
    _check_shapes(name, net, *({task: x[:1] for task, x in of.items()} for of in (features, read)))
    _check_count(name, net, features, read)
    with torch.no_grad():
        _check_values(name, net, features, regions)
    check_state(name, lambda: make(channels), lambda one: one(features, read))
    leaves = {task: x.clone().requires_grad_() for task, x in features.items()}
    named = {f"the features of {task}": x for task, x in leaves.items()}
    check_gradients(name, seeded(lambda: make(channels)), lambda one: one(leaves, read), inputs=named)


def inputs(channels: Mapping[str, int]) -> tuple[Maps, Maps]:
    """Returns random features and regions of tasks."""
    features = {task: noise(BATCH, width, *SIZE, seed=i) for i, (task, width) in enumerate(channels.items())}
    regions = {task: noise(BATCH, REGIONS[task], *SIZE, seed=10 + i) for i, task in enumerate(channels)}
    return features, regions


def _check_shapes(name: str, net: Distillation, features: Maps, regions: Maps) -> None:
    read = ", ".join(regions) or "no task"
    with torch.no_grad(), works(f"{name} must run with the regions of its region_tasks alone ({read})"):
        refined = net(features, regions)
    _compare(name, refined, features)


def _compare(name: str, refined: Maps, features: Maps) -> None:
    found = {task: tuple(x.shape) for task, x in refined.items()}
    expected = {task: tuple(x.shape) for task, x in features.items()}
    assert found == expected, f"{name} gives maps {found}, but every task's must be as its features: {expected}"


def _check_count(name: str, net: Distillation, features: Maps, regions: Maps) -> None:
    with works(f"{name} must run on the device meta, where multiply-adds are counted"):
        on_meta = [{task: x.to("meta") for task, x in of.items()} for of in (features, regions)]
        count_module(net, on_meta)


def _check_values(name: str, net: Distillation, features: Maps, regions: Maps) -> None:
    valid = torch.ones(BATCH, 1, *SIZE, dtype=torch.bool)
    valid[1, :, 5:] = False
    kept = [x.clone() for x in (*features.values(), *regions.values(), valid)]
    expected = {task: x.clone() for task, x in net(features, regions).items()}
    padded = net(features, regions, valid)
    for x, before in zip((*features.values(), *regions.values(), valid), kept, strict=True):
        assert torch.equal(x, before), f"{name} changes the maps that it is given: work on copies"
    for task, x in padded.items():
        assert x.isfinite().all(), f"{name} gives {task} values that are not finite where the image is padded"
    read = {task: regions[task] for task in net.region_tasks}
    check_evaluation(name, net, lambda one: one(features, read))

    def compare(found: Mapping[str, Tensor], promise: str, part: slice = slice(None)) -> None:
        for task, x in found.items():
            assert close(x, expected[task][part]), f"{name} gives {task} differently {promise}"

    everything = torch.ones_like(valid)
    compare(net(features, regions, everything), "under a mask that is all valid: that is no mask")
    turned = [dict(reversed(of.items())) for of in (features, regions)]
    compare(net(*turned), "when the tasks come in another order: look maps up by the task's name")
    changed = {task: x if task in net.region_tasks else x + 1 for task, x in regions.items()}
    compare(net(features, changed), "when the regions of other tasks change: name all that it reads in region_tasks")
    alone = [{task: x[:1] for task, x in of.items()} for of in (features, regions)]
    compare(net(*alone), "when other images are in the batch", slice(1))


def _check_different_channels(name: str, make: Make) -> None:
    channels = {"semseg": 6, "depth": 8}
    try:
        net = seeded(lambda: make(channels))
    except InputError:
        refused(f"{name} must refuse different channels in one line", lambda: make(channels))
        return
    except Exception as error:
        raise AssertionError(
            f"{name} must be made for tasks of different channels or refuse them, not fail as "
            f"{type(error).__name__}: raise searchspace.InputError"
        ) from error
    features, regions = inputs(channels)
    with works(f"{name} must run for tasks of different channels, or refuse them when it is made"), torch.no_grad():
        refined = net.eval()(features, regions)
    _compare(name, refined, features)
