"""Metrics of dense prediction. They take decoded maps, never raw network output (see `atrc.tasks.Task.decode`).

They are loaded when they are first asked for, since torchmetrics, on which they are built, takes as long as torch.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from atrc.metrics.boundary import (
        BoundaryCounts,
        BoundaryCurve,
        BoundaryF,
        BoundaryScores,
        boundary_curve,
        boundary_scores,
        count_matches,
        match_boundaries,
    )
    from atrc.metrics.max_f import MaxF
    from atrc.metrics.mean_angle import MeanAngle
    from atrc.metrics.mean_iou import MeanIoU
    from atrc.metrics.rmse import FirstChannelError, RootMeanSquareError
else:
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "boundary": [
                *("BoundaryCounts", "BoundaryCurve", "BoundaryF", "BoundaryScores"),
                *("boundary_curve", "boundary_scores", "count_matches", "match_boundaries"),
            ],
            "max_f": ["MaxF"],
            "mean_angle": ["MeanAngle"],
            "mean_iou": ["MeanIoU"],
            "rmse": ["FirstChannelError", "RootMeanSquareError"],
        },
    )

__all__ = [
    "BoundaryCounts",
    "BoundaryCurve",
    "BoundaryF",
    "BoundaryScores",
    "FirstChannelError",
    "MaxF",
    "MeanAngle",
    "MeanIoU",
    "RootMeanSquareError",
    "boundary_curve",
    "boundary_scores",
    "count_matches",
    "match_boundaries",
]
