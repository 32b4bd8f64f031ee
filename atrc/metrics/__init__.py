"""Metrics of dense prediction. They take decoded maps, never raw network output (see `atrc.tasks.Task.decode`)."""

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
from atrc.metrics.rmse import RootMeanSquareError

__all__ = [
    "BoundaryCounts",
    "BoundaryCurve",
    "BoundaryF",
    "BoundaryScores",
    "MaxF",
    "MeanAngle",
    "MeanIoU",
    "RootMeanSquareError",
    "boundary_curve",
    "boundary_scores",
    "count_matches",
    "match_boundaries",
]
