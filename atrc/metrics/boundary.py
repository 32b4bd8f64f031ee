"""ODS-F, OIS-F and AP of boundary maps, as the BSDS benchmark defines them, without MATLAB.

At every threshold, predicted pixels are matched to those of the ground truth (`match_boundaries`). Counts over the
data set give a precision-recall curve. The optimal-dataset-scale F (ODS-F) is the best F on it, the
optimal-image-scale F (OIS-F) lets every image choose its threshold, and the average precision (AP) is the area under
the curve (Arbelaez et al., "Contour Detection and Hierarchical Image Segmentation", PAMI 2011).

Maps are evaluated as given. The benchmark first suppresses non-maxima; here this is left to the caller, since it is a
step of the detector (the paper's networks are scored on their output).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from atrc.machine.threads import side_by_side
from atrc.metrics._counts import BoundaryCounts
from atrc.metrics._matching import BoolMap, count_matches, count_matches_plainly, match_boundaries
from searchspace.errors import InputError

__all__ = [
    "BoundaryCounts",
    "BoundaryCurve",
    "BoundaryF",
    "BoundaryScores",
    "boundary_curve",
    "boundary_scores",
    "count_matches",
    "count_matches_plainly",
    "match_boundaries",
]


class BoundaryCurve(NamedTuple):
    """Precision, recall and F (0..1) at every threshold, each ``(T,)`` float64."""

    threshold: Tensor
    precision: Tensor
    recall: Tensor
    f: Tensor


class BoundaryScores(NamedTuple):
    """The scores that the benchmark prints, in percent, and the ODS threshold in 0..1.

    ODS uses the threshold that is best for the whole data set, OIS the best threshold of every image. AP is the area
    under the precision-recall curve.
    """

    ods_f: float
    ods_threshold: float
    ods_precision: float
    ods_recall: float
    ois_f: float
    ap: float


def boundary_curve(counts: BoundaryCounts, thresholds: Sequence[float]) -> BoundaryCurve:
    """Computes precision, recall and F over all images, at every threshold.

    Args:
        counts: ``(N, T)`` each; N may be 0.
        thresholds: T thresholds.
    """
    total = counts.total()
    rates = map(torch.from_numpy, (total.precision, total.recall, total.f))
    return BoundaryCurve(torch.tensor(thresholds, dtype=torch.float64), *rates)


def boundary_scores(counts: BoundaryCounts, thresholds: Sequence[float]) -> BoundaryScores:
    """Computes ODS-F with its threshold, precision and recall; OIS-F; AP.

    For OIS-F, counts are summed over images at the threshold with each image's best F. For AP, the precision is
    interpolated linearly at the recalls 0, 0.01 .. 1. It is 0 outside the measured recalls. AP is 0.01 times the sum.
    Of thresholds that are equally good, or have the same recall, the lowest counts.

    Args:
        counts: ``(N, T)`` each; N may be 0.
        thresholds: T increasing thresholds.
    """
    total = counts.total()
    ods = int(total.f.argmax())
    return BoundaryScores(
        ods_f=100 * float(total.f[ods]),
        ods_threshold=thresholds[ods],
        ods_precision=100 * float(total.precision[ods]),
        ods_recall=100 * float(total.recall[ods]),
        ois_f=100 * float(counts.at(counts.own_best()).total().f),
        ap=100 * _average_precision(total),
    )


def _average_precision(total: BoundaryCounts) -> float:
    recall, first = np.unique(total.recall, return_index=True)
    if recall.size < 2:  # a single point has no area
        return 0.0
    grid = np.arange(101) / 100
    return float(np.interp(grid, recall, total.precision[first], left=0.0, right=0.0).sum() / 100)


class BoundaryF(Metric):
    """ODS-F in percent (Sec. 4.1); also OIS-F, AP and the curve.

    It keeps the counts of every image, 3 kB each. The best F is taken over the thresholds only; the benchmark's
    script also interpolates precision and recall between neighbouring thresholds.

    Args:
        max_distance: Tolerance as a share of the image diagonal: 0.011 on NYUD-v2, 0.0075 on PASCAL-Context and
            BSDS500.
        thresholds: Number n of thresholds, k / (n + 1) for k = 1 .. n. The benchmark's 99 are 0.01 .. 0.99. Fewer are
            faster, and their score is at most that of the 99.
        ignore: Label value of pixels that do not count, in the ground truth or in the prediction.

    F is 0 if nothing is predicted or the ground truth has no boundary.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    image_counts: list[Tensor] | Tensor

    def __init__(self, max_distance: float = 0.011, thresholds: int = 99, ignore: int = 255) -> None:
        super().__init__()
        if not 0 <= max_distance < 1:
            raise InputError(f"max_distance is a share of the diagonal, 0 <= d < 1, got {max_distance}")
        if thresholds < 1:
            raise InputError(f"thresholds must be at least 1, got {thresholds}")
        self.max_distance = max_distance
        self.thresholds = tuple(step / (thresholds + 1) for step in range(1, thresholds + 1))
        self.ignore = ignore
        self.add_state("image_counts", [], dist_reduce_fx="cat")  # (n, 4, T) each

    def update(self, prediction: Tensor, label: Tensor | Sequence[Tensor]) -> None:
        """Counts one batch; the matching runs on the CPU.

        Args:
            prediction: ``(B, H, W)`` boundary probability.
            label: ``(B, H, W)`` 0, 1 or `ignore`; or a sequence of these, one per annotator. A pixel that any
                annotator ignores does not count.

        Raises:
            InputError: The shapes differ, or there is no annotator.
        """
        annotators = [label] if isinstance(label, Tensor) else list(label)
        if not annotators:
            raise InputError("an image needs at least one ground truth, got none")
        for annotator in annotators:
            if prediction.ndim != 3 or annotator.shape != prediction.shape:
                raise InputError(
                    f"prediction {tuple(prediction.shape)} and label {tuple(annotator.shape)} must be (B, H, W)"
                )
        maps = prediction.detach().float().cpu().numpy()
        truths = np.stack([annotator.detach().cpu().numpy() for annotator in annotators], axis=1)

        def count(index: int) -> np.ndarray:
            truth = truths[index]
            return np.stack(self.count(maps[index], list(truth == 1), (truth != self.ignore).all(0)))

        found = side_by_side(count, range(len(maps)))
        if found:
            assert isinstance(self.image_counts, list)
            self.image_counts.append(torch.from_numpy(np.stack(found)).to(self.device))

    def count(
        self, prediction: np.ndarray, truths: Sequence[BoolMap], valid: BoolMap | None = None
    ) -> BoundaryCounts:
        """Returns the ``(T,)`` counts of one image without adding them to the metric; see `count_matches`.

        Args:
            prediction: ``(H, W)`` float, boundary probability.
            truths: One ``(H, W)`` bool map per annotator.
            valid: ``(H, W)`` bool; other pixels do not count.
        """
        tolerance = self.max_distance * float(np.hypot(*prediction.shape))
        return count_matches(prediction, truths, self.thresholds, tolerance, valid)

    def counts(self) -> BoundaryCounts:
        """Returns the ``(N, T)`` counts of every image, over all processes; those of a merged metric come first."""
        with self.sync_context():
            return self._counts()

    def curve(self) -> BoundaryCurve:
        """Computes precision, recall and F at every threshold, over all processes."""
        return BoundaryCurve(*(of.to(self.device) for of in boundary_curve(self.counts(), self.thresholds)))

    def scores(self) -> BoundaryScores:
        """Computes ODS-F with its threshold, precision and recall; OIS-F; AP: over all processes."""
        return boundary_scores(self.counts(), self.thresholds)

    def compute(self) -> Tensor:
        """Returns the ODS-F in percent, a scalar."""
        return torch.tensor(100 * self._counts().total().f.max(), device=self.device)

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Synchronises like torchmetrics, but allows processes that have seen no image."""
        if isinstance(self.image_counts, list) and not self.image_counts:
            self.image_counts = [torch.zeros(0, 4, len(self.thresholds), dtype=torch.int64, device=self.device)]
        super().sync(*args, **kwargs)

    def _counts(self) -> BoundaryCounts:
        kept = [self.image_counts] if isinstance(self.image_counts, Tensor) else self.image_counts
        nothing = torch.zeros(0, 4, len(self.thresholds), dtype=torch.int64)
        return BoundaryCounts(*torch.cat([nothing, *(counts.cpu() for counts in kept)]).numpy().swapaxes(0, 1))
