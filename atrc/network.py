"""Multi-task networks: backbone, neck, a head per task, a distillation module, a prediction layer per task.

`MultiTaskNetwork` holds every network that is trained on its own: single-task and multi-task baselines, fixed
contexts, a found genotype. A `SearchNetwork` runs under selections, and derives the former; see `atrc.supernets`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atrc.backbones import Backbone, BranchedBackbone, Pyramid
from atrc.config import Model
from atrc.data import Batch
from atrc.distillation import Distillation
from atrc.heads import Heads, ShallowHeads, prediction_layer
from atrc.necks import Neck
from atrc.tasks import Task
from searchspace import CostModel, Genotype, Registry, SearchSpace, Selection

if TYPE_CHECKING:
    from atrc.measures import Measure

__all__ = [
    "SUPERNETS",
    "Decoder",
    "Encoded",
    "MultiTaskNetwork",
    "Predictions",
    "SearchNetwork",
    "multi_task_loss",
    "on_grid",
]


@dataclass(frozen=True)
class Predictions:
    """Raw outputs on the stride-4 grid.

    Attributes:
        final: Task -> ``(B, channels, h, w)``.
        regions: Task -> ``(B, R, h, w)`` logits of the auxiliary maps, for the tasks that have one.
        initial: Task -> predictions of a neck, ``(B, channels, h_s, w_s)``; empty without one.
    """

    final: Mapping[str, Tensor]
    regions: Mapping[str, Tensor]
    initial: Mapping[str, Sequence[Tensor]] = field(default_factory=dict)


torch.export.register_dataclass(Predictions, serialized_type_name="atrc.Predictions")  # so that networks export


class Encoded(NamedTuple):
    """What a network knows of an image before distillation.

    Attributes:
        features: F_n ``(B, C, h, w)`` of every task.
        regions: A_n ``(B, R_n, h, w)`` of the tasks that have an auxiliary head.
        initial: See `Predictions`.
    """

    features: dict[str, Tensor]
    regions: dict[str, Tensor]
    initial: Mapping[str, Sequence[Tensor]]


@dataclass(frozen=True)
class Decoder:
    """How the maps of a backbone become the features of tasks.

    Attributes:
        heads: A design of heads, given the channels of the maps.
        neck: A neck, given these and the channels of every task's prediction; None for none.
    """

    heads: Callable[[Sequence[int]], Heads] = ShallowHeads
    neck: Callable[[Sequence[int], Mapping[str, int]], Neck] | None = None

    def channels(self, backbone: Backbone | BranchedBackbone, tasks: Mapping[str, Task]) -> dict[str, int]:
        """Task -> C of its features."""
        return dict.fromkeys(tasks, self.heads(backbone.channels).channels)


class _Trunk(nn.Module):
    """What all networks share: everything but the distillation."""

    def __init__(
        self,
        backbone: Backbone | BranchedBackbone,
        tasks: Mapping[str, Task],
        region_tasks: frozenset[str],
        decoder: Decoder,
    ) -> None:
        super().__init__()
        self.tasks = dict(tasks)
        self.backbone = backbone
        design = decoder.heads(backbone.channels)
        self.channels = dict.fromkeys(tasks, design.channels)
        outputs = {name: task.channels for name, task in tasks.items()}
        self.neck = decoder.neck(backbone.channels, outputs) if decoder.neck else None
        self.heads = nn.ModuleDict({name: design.task_head() for name in tasks})
        self.auxiliary = nn.ModuleDict(
            {name: design.auxiliary_head(task.regions) for name, task in tasks.items() if name in region_tasks}
        )
        self.predict = nn.ModuleDict({name: prediction_layer(design.channels, n) for name, n in outputs.items()})

    def encode(self, image: Tensor, selection: Selection | None = None) -> Encoded:
        """Features and region maps of images ``(B, 3, H, W)``; ``selection`` is for a backbone that is searched."""
        maps = self.backbone(image) if selection is None else self.backbone(image, selection)
        pyramids: Mapping[str, Pyramid]
        if isinstance(maps, Mapping):
            pyramids = {name: Pyramid(own) for name, own in maps.items()}
        else:
            pyramids = dict.fromkeys(self.tasks, Pyramid(maps))
        initial: Mapping[str, Sequence[Tensor]] = {}
        if self.neck is not None:
            pyramids, initial = self.neck(pyramids)
        features = {name: head(pyramids[name]) for name, head in self.heads.items()}
        regions = {name: head(pyramids[name]) for name, head in self.auxiliary.items()}
        return Encoded(features, regions, initial)

    def finish(self, refined: Mapping[str, Tensor], encoded: Encoded) -> Predictions:
        """Final predictions from refined features."""
        final = {name: layer(refined[name]) for name, layer in self.predict.items()}
        return Predictions(final, encoded.regions, encoded.initial)


class MultiTaskNetwork(_Trunk):
    """A stand-alone network.

    Args:
        backbone: Maps for all tasks, or of a branched one for each.
        tasks: Task name -> task, at least one.
        distillation: Built for the channels that `Decoder.channels` tells; its ``region_tasks`` get auxiliary heads.
        decoder: Neck and heads; the default is that of Sec. 3.1.
    """

    def __init__(
        self,
        backbone: Backbone | BranchedBackbone,
        tasks: Mapping[str, Task],
        distillation: Distillation,
        decoder: Decoder | None = None,
    ) -> None:
        super().__init__(backbone, tasks, distillation.region_tasks, decoder or Decoder())
        self.distillation = distillation

    def forward(self, image: Tensor, valid: Tensor | None = None) -> Predictions:
        """Predictions for images ``(B, 3, H, W)``; ``valid`` ``(B, 1, H, W)`` bool is False on padding."""
        encoded = self.encode(image)
        features, regions, _ = encoded
        return self.finish(self.distillation(features, regions, on_grid(valid, features)), encoded)


class SearchNetwork(_Trunk, ABC):
    """A supernet of a space; a subclass is built as ``Class(make_backbone, tasks, space, decoder, model)``.

    Attributes:
        space_type: The kind of space that it is a supernet of.
        space: The space.
    """

    space_type: ClassVar[type[SearchSpace]]
    space: Any

    @abstractmethod
    def forward(self, image: Tensor, selection: Selection, valid: Tensor | None = None) -> Predictions:
        """Predictions under a selection; otherwise as `MultiTaskNetwork.forward`."""

    def loss(self, batch: Batch, selection: Selection) -> Tensor:
        """Total training loss of a batch under a selection."""
        return multi_task_loss(self(batch.image, selection, batch.valid), batch, self.tasks)[0]

    @abstractmethod
    def costs(self, measure: Measure, size: tuple[int, int], device: torch.device) -> CostModel:
        """What genotypes cost.

        Args:
            measure: Of cost.
            size: (H, W) of an image.
            device: Where a measure that computes modules does so.
        """

    @abstractmethod
    def derive(self, genotype: Genotype) -> MultiTaskNetwork:
        """A newly initialised network of a genotype."""

    @staticmethod
    @abstractmethod
    def stand_alone(
        make_backbone: Callable[[], Any],
        tasks: Mapping[str, Task],
        genotype: Genotype,
        decoder: Decoder,
        model: Model,
    ) -> MultiTaskNetwork:
        """What `derive` gives, without a supernet."""


SUPERNETS: Registry[type[SearchNetwork]] = Registry("supernet", "atrc.supernets")
"""One for every kind of space that networks of this package are searched in."""


def multi_task_loss(
    predictions: Predictions, batch: Batch, tasks: Mapping[str, Task]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum over tasks of weight x (final + auxiliary + initial losses), at the labels' resolution.

    Returns:
        The total, and its unweighted parts, detached: ``{"semseg": ..., "semseg.aux": ..., "semseg.initial0": ...}``.
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
        for scale, initial in enumerate(predictions.initial.get(name, ())):
            early = task.loss(_resize(initial, size), label)
            parts[f"{name}.initial{scale}"] = early.detach()
            loss = loss + early
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
