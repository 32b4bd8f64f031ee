"""Stand-alone networks: single-task and multi-task baselines, fixed contexts, a found genotype."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from atrc.distillation import Distillation
from atrc.networks._trunk import Decoder, Encoder, Predictions, Trunk, on_grid
from atrc.tasks import Task

__all__ = ["MultiTaskNetwork"]


class MultiTaskNetwork(Trunk):
    """A stand-alone network.

    Args:
        backbone: The backbone, which gives maps for all tasks; a branched one gives maps for each task.
        tasks: Task name -> task, at least one.
        distillation: Distillation module for the channels of `Decoder.channels`. Its ``region_tasks`` get auxiliary
            heads.
        decoder: Neck and heads; the default is that of Sec. 3.1.
    """

    def __init__(
        self,
        backbone: Encoder,
        tasks: Mapping[str, Task],
        distillation: Distillation,
        decoder: Decoder | None = None,
    ) -> None:
        super().__init__(backbone, tasks, distillation.region_tasks, decoder or Decoder())
        self.distillation = distillation

    def forward(self, image: Tensor, valid: Tensor | None = None) -> Predictions:
        """Predicts images ``(B, 3, H, W)``; ``valid`` ``(B, 1, H, W)`` bool is False on padding."""
        encoded = self.encode(image)
        features, regions, _ = encoded
        return self.finish(self.distillation(features, regions, on_grid(valid, features)), encoded)

    def parts(self) -> dict[str, list[nn.Module]]:
        return {**super().parts(), "blocks": [self.distillation], "fuse": self.distillation.fusion()}
