"""The search module of the benchmarks, with 67 -> 33 channels and batch 2 like HRNet18 in the paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from atrc.bench._base import Setting
from atrc.distillation import Supergraph
from searchspace import SPACES, Selection

__all__ = ["CHANNELS", "REGIONS", "Maps", "build_module", "sizes", "step"]

CHANNELS = 67

REGIONS = {"semseg": 40, "depth": 40, "normals": 40, "edge": 2, "human_parts": 7, "saliency": 2}
"""Number of label regions of every task; the first four are the tasks of NYUD-v2."""


def sizes(setting: Setting) -> list[tuple[int, int]]:
    """Returns (H, W) of the maps: a quarter of 256 x 320 and of NYUD-v2's 425 x 560."""
    return [(16, 20)] if setting.quick else [(64, 80), (107, 140)]


def build_module(
    tasks: Sequence[str], setting: Setting, *, fused: bool = True, form: str = "auto", checkpoint: bool = False
) -> Supergraph:
    """Builds the search module. Its weights do not depend on the form in which it runs."""
    torch.manual_seed(0)
    module = Supergraph(
        dict.fromkeys(tasks, CHANNELS),
        contexts_of(tasks),
        contexts={"local": {"form": form}},
        fused=fused,
        checkpoint=checkpoint,
    )
    for name, parameter in module.named_parameters():
        if name.endswith("out.1.weight"):  # it starts at zero, where no gradient reaches the blocks
            torch.nn.init.ones_(parameter)
    return module.to(setting.device)


def contexts_of(tasks: Sequence[str]) -> Any:
    """The context-pooling space of tasks."""
    return SPACES.create("cp", {"tasks": tuple(tasks)})


@dataclass
class Maps:
    """Random features, region maps, and gradients of the refined features, by task."""

    features: dict[str, Tensor]
    regions: dict[str, Tensor]
    cotangents: dict[str, Tensor]

    @classmethod
    def draw(cls, tasks: Sequence[str], setting: Setting, size: tuple[int, int], batch: int = 2) -> Maps:
        def normal(channels: int) -> Tensor:
            return torch.randn(batch, channels, *size, device=setting.device)

        return cls(
            {task: normal(CHANNELS).relu().requires_grad_() for task in tasks},
            {task: normal(REGIONS[task]).requires_grad_() for task in tasks},
            {task: normal(CHANNELS) for task in tasks},
        )


def step(module: Supergraph, select: Callable[[], Selection], maps: Maps) -> None:
    """Runs a forward and a backward pass under a new selection."""
    module.zero_grad(set_to_none=True)
    for leaf in (*maps.features.values(), *maps.regions.values()):
        leaf.grad = None
    outputs = module(maps.features, maps.regions, select())
    torch.autograd.backward([outputs[task] for task in maps.cotangents], list(maps.cotangents.values()))
