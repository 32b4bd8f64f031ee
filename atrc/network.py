"""Multi-task networks: a shared backbone, a head per task, a distillation module, a prediction layer per task.

`MultiTaskNetwork` holds every network that is trained on its own: single-task and multi-task baselines, fixed
contexts, a found genotype. `SearchNetwork` holds the supergraph, runs under selections, and derives the former.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from atrc.backbones import Backbone, stack_scales
from atrc.data import Batch
from atrc.distillation import ATRC, Distillation, Supergraph
from atrc.heads import AuxiliaryHead, TaskHead, prediction_layer
from atrc.tasks import Task
from searchspace import CPSpace, Genotype, Selection

__all__ = [
    "MultiTaskNetwork",
    "Predictions",
    "SearchNetwork",
    "atrc_network",
    "feature_channels",
    "multi_task_loss",
    "on_grid",
]


@dataclass(frozen=True)
class Predictions:
    """Raw outputs on the stride-4 grid.

    Attributes:
        final: Task -> ``(B, channels, h, w)``.
        regions: Task -> ``(B, R, h, w)`` logits of the auxiliary maps, for the tasks that have one.
    """

    final: Mapping[str, Tensor]
    regions: Mapping[str, Tensor]


class _Trunk(nn.Module):
    """What both networks share: everything but the distillation."""

    def __init__(self, backbone: Backbone, tasks: Mapping[str, Task], region_tasks: frozenset[str]) -> None:
        super().__init__()
        self.tasks = dict(tasks)
        self.backbone = backbone
        inputs = sum(backbone.channels)
        self.channels = dict.fromkeys(tasks, feature_channels(backbone))
        self.heads = nn.ModuleDict({name: TaskHead(inputs, self.channels[name]) for name in tasks})
        self.auxiliary = nn.ModuleDict(
            {name: AuxiliaryHead(inputs, task.regions) for name, task in tasks.items() if name in region_tasks}
        )
        self.predict = nn.ModuleDict(
            {name: prediction_layer(self.channels[name], task.channels) for name, task in tasks.items()}
        )

    def encode(self, image: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Features F_n ``(B, C, h, w)`` and region maps A_n ``(B, R_n, h, w)`` of an image ``(B, 3, H, W)``."""
        stacked = stack_scales(self.backbone(image))
        features = {name: head(stacked) for name, head in self.heads.items()}
        regions = {name: head(stacked) for name, head in self.auxiliary.items()}
        return features, regions

    def finish(self, refined: Mapping[str, Tensor], regions: Mapping[str, Tensor]) -> Predictions:
        """Final predictions from refined features."""
        return Predictions({name: layer(refined[name]) for name, layer in self.predict.items()}, regions)


class MultiTaskNetwork(_Trunk):
    """A stand-alone network.

    Args:
        backbone: Four scales; C of every task is a quarter of their summed channels.
        tasks: Task name -> task, at least one.
        distillation: Built for C channels a task; its ``region_tasks`` get auxiliary heads.
    """

    def __init__(self, backbone: Backbone, tasks: Mapping[str, Task], distillation: Distillation) -> None:
        super().__init__(backbone, tasks, distillation.region_tasks)
        self.distillation = distillation

    def forward(self, image: Tensor, valid: Tensor | None = None) -> Predictions:
        """Predictions for images ``(B, 3, H, W)``; ``valid`` ``(B, 1, H, W)`` bool is False on padding."""
        features, regions = self.encode(image)
        return self.finish(self.distillation(features, regions, on_grid(valid, features)), regions)


class SearchNetwork(_Trunk):
    """The supernet of the cp space.

    Args:
        backbone_factory: Gives a new backbone; called once here and once for every derived network.
        tasks: Task name -> task.
        space: The cp space of these tasks.
        hidden: d of the blocks; default C // 2.
        contexts: Options per context type.
        dropout: Of derived networks; there is none in search.
        fused: See `Supergraph`.
        checkpoint: See `Supergraph`.
    """

    def __init__(
        self,
        backbone_factory: Callable[[], Backbone],
        tasks: Mapping[str, Task],
        space: CPSpace,
        *,
        hidden: int | None = None,
        contexts: Mapping[str, Mapping[str, Any]] | None = None,
        dropout: float = 0.05,
        fused: bool = True,
        checkpoint: bool = False,
    ) -> None:
        super().__init__(backbone_factory(), tasks, frozenset(tasks))
        self._backbone_factory = backbone_factory
        options: dict[str, Any] = {"hidden": hidden, "contexts": contexts, "fused": fused, "checkpoint": checkpoint}
        self._derived = {**options, "dropout": dropout}
        self.space = space
        self.supergraph = Supergraph(self.channels, space, **options)

    def forward(self, image: Tensor, selection: Selection, valid: Tensor | None = None) -> Predictions:
        """Predictions under a selection; otherwise as `MultiTaskNetwork.forward`."""
        features, regions = self.encode(image)
        refined = self.supergraph(features, regions, selection, on_grid(valid, features))
        return self.finish(refined, regions)

    def loss(self, batch: Batch, selection: Selection) -> Tensor:
        """Total training loss of a batch under a selection."""
        return multi_task_loss(self(batch.image, selection, batch.valid), batch, self.tasks)[0]

    def derive(self, genotype: Genotype) -> MultiTaskNetwork:
        """A newly initialised network with the genotype's contexts."""
        return atrc_network(self._backbone_factory(), self.tasks, genotype, **self._derived)


def atrc_network(
    backbone: Backbone, tasks: Mapping[str, Task], genotype: Genotype, **options: Any
) -> MultiTaskNetwork:
    """A stand-alone network with the genotype's contexts; ``options`` are those of `ATRC`."""
    channels = dict.fromkeys(tasks, feature_channels(backbone))
    return MultiTaskNetwork(backbone, tasks, ATRC(channels, genotype, **options))


def feature_channels(backbone: Backbone) -> int:
    """C: the channels of every task's features, a quarter of the backbone's stacked maps."""
    return sum(backbone.channels) // 4


def multi_task_loss(
    predictions: Predictions, batch: Batch, tasks: Mapping[str, Task]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum over tasks of weight x (final + auxiliary loss), at the labels' resolution.

    Returns:
        The total, and its unweighted parts, detached: ``{"semseg": ..., "semseg.aux": ...}``.
    """
    parts: dict[str, Tensor] = {}
    total = batch.image.new_zeros(())
    for name, task in tasks.items():
        label = batch.labels[name]
        size = (int(label.shape[-2]), int(label.shape[-1]))
        loss = task.loss(_resize(predictions.final[name], size), label)
        parts[name] = loss.detach()
        if name in predictions.regions:
            auxiliary = task.aux_loss(_resize(predictions.regions[name], size), label)
            parts[f"{name}.aux"] = auxiliary.detach()
            loss = loss + auxiliary
        total = total + task.weight * loss
    return total, parts


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def on_grid(valid: Tensor | None, features: Mapping[str, Tensor]) -> Tensor | None:
    """The validity mask on the features' grid; None where nothing is padded, which costs nothing."""
    if valid is None or bool(valid.all()):
        return None
    size = next(iter(features.values())).shape[2:]
    return F.interpolate(valid.float(), size, mode="nearest").bool()
