"""The suite of distillation modules on every one in the tree, and on some that break one promise each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from atrc.distillation import ATRC, DISTILLATIONS, Distillation, Features
from atrc.testing import check_distillation
from searchspace import CPSpace


@pytest.mark.parametrize("name", sorted(set(DISTILLATIONS) - {"atrc"}))
def test_shipped(name: str) -> None:
    check_distillation(name)


@pytest.mark.parametrize("context", ["none", "global", "local", "t_label", "s_label"])
def test_every_context(context: str) -> None:
    check_distillation(lambda channels: ATRC(channels, CPSpace(list(channels)).uniform(context)))


def test_a_module_with_options() -> None:
    check_distillation("pap", {"steps": 2, "hidden": 3})


# -- modules that break a promise -----------------------------------------------------------------------------------


class Toy(Distillation):
    """Keeps every promise: a convolution a task, and the first task's regions for all."""

    def __init__(self, channels: Mapping[str, int]) -> None:
        super().__init__()
        self.region_tasks = frozenset(list(channels)[:1])
        self.mix = nn.ModuleDict({task: nn.Conv2d(width, width, 1) for task, width in channels.items()})

    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        (read,) = (regions[task].mean(1, keepdim=True) for task in self.region_tasks)
        return {task: mix(features[task]) + read for task, mix in self.mix.items()}


def test_the_toy_keeps_every_promise() -> None:
    check_distillation(Toy)


class LosesATask(Toy):
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        return {task: x for task, x in super().forward(features, regions).items() if task != "depth"}


class Shrinks(Toy):
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        return {task: x[..., 1:] for task, x in super().forward(features, regions).items()}


class ReadsMore(Toy):
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        return {task: x + regions["depth"].mean() for task, x in super().forward(features, regions).items()}


class ReadsWhatIsThere(Toy):
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        more = regions.get("depth", torch.zeros(())).mean()
        return {task: x + more for task, x in super().forward(features, regions).items()}


class NamesOthers(Toy):
    def __init__(self, channels: Mapping[str, int]) -> None:
        super().__init__(channels)
        self.region_tasks = frozenset({"normals"})


class GoesByOrder(Toy):
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        first = next(iter(features.values())).mean(1, keepdim=True)
        return {task: x + first for task, x in super().forward(features, regions).items()}


class SeesTheBatch(Toy):
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        return {task: x + x.mean(0, keepdim=True) for task, x in super().forward(features, regions).items()}


class AnyMaskCounts(Toy):
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        more = 0 if valid is None else 1
        return {task: x + more for task, x in super().forward(features, regions).items()}


class DividesByTheMask(Toy):
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        mask = 1 if valid is None else valid.float()
        return {task: x / mask for task, x in super().forward(features, regions).items()}


class WritesIntoFeatures(Toy):
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        if not torch.is_grad_enabled():
            features["depth"].add_(1)
        return super().forward(features, regions)


class CountsCalls(Toy):
    calls = 0

    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        self.calls += 1
        return {task: x + self.calls for task, x in super().forward(features, regions).items()}


class DrawsInForward(Toy):
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        torch.rand(())
        return super().forward(features, regions)


class LearnsInEvaluation(Toy):
    def __init__(self, channels: Mapping[str, int]) -> None:
        super().__init__(channels)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        self.seen += 1
        return super().forward(features, regions)


class ForgetsItsScale(Toy):
    def __init__(self, channels: Mapping[str, int]) -> None:
        super().__init__(channels)
        self.scale = float(torch.rand(()))

    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        return {task: x * self.scale for task, x in super().forward(features, regions).items()}


class Idle(Toy):
    def __init__(self, channels: Mapping[str, int]) -> None:
        super().__init__(channels)
        self.idle = nn.Parameter(torch.ones(3))


class CutsATaskOff(Toy):
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        return super().forward({**features, "depth": features["depth"].detach()}, regions)


class TwoTasksOnly(Toy):
    def __init__(self, channels: Mapping[str, int]) -> None:
        _, _ = channels
        super().__init__(channels)


class EqualChannelsOnly(Toy):
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        everything = sum(features[task] for task in self.mix)
        return {task: x + everything for task, x in super().forward(features, regions).items()}


class AsksForValues(Toy):
    def forward(self, features: Features, regions: Features, valid: Tensor | None = None) -> dict[str, Tensor]:
        features["depth"].sum().item()
        return super().forward(features, regions)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (LosesATask, "but every task's must be as its features"),
        (Shrinks, "but every task's must be as its features"),
        (ReadsMore, r"must run with the regions of its region_tasks alone \(semseg\): KeyError"),
        (ReadsWhatIsThere, "when the regions of other tasks change: name all that it reads in region_tasks"),
        (NamesOthers, r"the region_tasks of .* name \['normals'\]"),
        (GoesByOrder, "when the tasks come in another order"),
        (SeesTheBatch, "when other images are in the batch"),
        (AnyMaskCounts, "under a mask that is all valid: that is no mask"),
        (DividesByTheMask, "values that are not finite where the image is padded"),
        (WritesIntoFeatures, "changes the maps that it is given"),
        (CountsCalls, "differently the second time in evaluation mode"),
        (DrawsInForward, "in evaluation mode uses the global generator of torch"),
        (LearnsInEvaluation, "changes its seen in evaluation mode"),
        (ForgetsItsScale, "differently after its state_dict\\(\\) was loaded"),
        (Idle, "gives idle no gradient"),
        (CutsATaskOff, "gives the features of depth no gradient"),
        (TwoTasksOnly, "must be made for the tasks semseg, depth, edge: ValueError"),
        (EqualChannelsOnly, "must run for tasks of different channels, or refuse them when it is made"),
        (AsksForValues, "must run on the device meta, where multiply-adds are counted"),
        (lambda channels: nn.Identity(), r"must be an atrc\.distillation\.Distillation"),
    ],
)
def test_a_broken_promise_is_caught(broken: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message) as caught:
        check_distillation(broken)
    assert "\n" not in str(caught.value)
