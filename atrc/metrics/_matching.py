"""One-to-one matching of predicted and true boundary pixels, and its counts for one image.

At every threshold the prediction is binarised, thinned, and matched to the ground truth within a tolerance. The
BSDS benchmark's approximate minimum-cost assignment is replaced by a maximum bipartite matching over the pixel pairs
within the tolerance, which has the same cardinality up to its approximation.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atrc.machine.kernels import compiled, compiles
from atrc.metrics._counts import BoundaryCounts
from atrc.metrics._thinning import thin

__all__ = ["BoolMap", "count_matches", "count_matches_plainly", "match_boundaries"]

BoolMap = NDArray[np.bool_]

_KERNEL = Path(__file__).with_name("boundary.c")
_PIXELS_AT_ONCE = 500_000  # number thinned together; it bounds the memory for full-size maps


def match_boundaries(prediction: BoolMap, truth: BoolMap, max_distance: float) -> tuple[BoolMap, BoolMap]:
    """Matches the largest possible number of boundary pixels one-to-one, each pair at most ``max_distance`` apart.

    Args:
        prediction: ``(H, W)`` bool.
        truth: ``(H, W)`` bool.
        max_distance: Euclidean distance in pixels, inclusive.

    Returns:
        ``(H, W)`` bool masks of the matched pixels of ``prediction`` and of ``truth``; both have the same number
        of pixels, the maximum. Which of several maximum matchings is found is not specified.
    """
    matched_prediction, matched_truth = np.zeros_like(prediction), np.zeros_like(truth)
    rows, columns = np.nonzero(prediction)
    count = int(np.count_nonzero(truth))
    if rows.size == 0 or count == 0:
        return matched_prediction, matched_truth

    # With a border as wide as the tolerance, offsets need no bounds check.
    margin = int(max_distance)
    width = truth.shape[1] + 2 * margin
    number = np.full((truth.shape[0] + 2 * margin, width), -1, dtype=np.int32)
    inside = number[margin : margin + truth.shape[0], margin : margin + truth.shape[1]]
    inside[truth] = np.arange(count, dtype=np.int32)
    near = _offsets(max_distance)
    flat = (rows + margin) * width + (columns + margin)
    candidates = number.ravel()[flat[:, None] + (near[:, 0] * width + near[:, 1])[None, :]]

    paired = candidates >= 0
    degree = paired.sum(1)
    reachable = np.flatnonzero(degree)
    if reachable.size == 0:
        return matched_prediction, matched_truth
    hits, partners = _maximum_matching(candidates[paired], degree[reachable], count)
    matched_prediction[rows[reachable[hits]], columns[reachable[hits]]] = True
    truth_rows, truth_columns = np.nonzero(truth)
    matched_truth[truth_rows[partners], truth_columns[partners]] = True
    return matched_prediction, matched_truth


def _maximum_matching(
    neighbours: np.ndarray, degree: np.ndarray, count: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Returns the matched vertices of both sides in a maximum bipartite matching.

    The matching is a maximum flow with unit capacities (Dinic, with the bound of Hopcroft and Karp). SciPy's
    ``maximum_bipartite_matching`` has the same cardinality. But on full-size maps, where 1,000 of 25,000 pixels stay
    unmatched, it takes most of a minute, and this takes half a second.

    Args:
        neighbours: Right neighbours of left vertex 0, then of vertex 1, ... in one array; increasing for each vertex.
        degree: Number of neighbours of each left vertex.
        count: Number of right vertices.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    left = degree.size
    source, sink = left + count, left + count + 1
    heads = np.concatenate((left + neighbours, np.full(count, sink), np.arange(left)))
    edges_out = np.concatenate((degree, np.ones(count, dtype=int), [left, 0]))
    starts = np.concatenate(([0], np.cumsum(edges_out)))
    capacity = np.ones(heads.size, dtype=np.int32)
    graph = csr_array((capacity, heads.astype(np.int32), starts.astype(np.int32)), shape=(sink + 1, sink + 1))
    flow = maximum_flow(graph, source, sink, method="dinic").flow
    # The flow matrix is antisymmetric: the sink's row holds what it receives, negated.
    of_source, of_sink = slice(*flow.indptr[source : source + 2]), slice(*flow.indptr[sink : sink + 2])
    lefts = flow.indices[of_source][flow.data[of_source] > 0]
    rights = flow.indices[of_sink][flow.data[of_sink] < 0] - left
    return lefts, rights


@lru_cache(maxsize=64)
def _offsets(max_distance: float) -> NDArray[np.int64]:
    """Returns ``(n, 2)`` row and column offsets within ``max_distance``, in raster order."""
    reach = int(max_distance)
    steps = np.arange(-reach, reach + 1)
    offsets = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    return offsets[(offsets**2).sum(1) <= max_distance**2]


def count_matches(
    prediction: np.ndarray,
    truths: Sequence[BoolMap],
    thresholds: Sequence[float],
    max_distance: float,
    valid: BoolMap | None = None,
) -> BoundaryCounts:
    """Counts the boundary pixels of one image at every threshold.

    A predicted pixel is a true positive if any annotator matches it; recall sums over the annotators. With one
    annotator the counts are unique. With several annotators they may depend on which maximum matching is found, since
    a pixel that one annotator leaves out may be matched by another.

    The function runs in C, without Python's lock; without a compiler, it calls `count_matches_plainly`.

    Args:
        prediction: ``(H, W)`` float, boundary probability.
        truths: One ``(H, W)`` bool map per annotator, used as given (the benchmark does not thin them).
        thresholds: Increasing thresholds. A pixel is predicted if its probability is at or above the threshold.
        max_distance: Euclidean distance in pixels, inclusive.
        valid: ``(H, W)`` bool; other pixels are dropped from the truths and, after thinning, the prediction.
    """
    if not compiles(_KERNEL):
        return count_matches_plainly(prediction, truths, thresholds, max_distance, valid)
    valid = np.ones(prediction.shape, dtype=bool) if valid is None else valid
    near = _offsets(max_distance)
    arrays = (
        prediction.astype(np.float64, order="C"),
        np.asarray(thresholds, dtype=prediction.dtype).astype(np.float64),
        np.stack([np.asarray(truth, dtype=bool) for truth in truths]),
        np.ascontiguousarray(valid, dtype=bool),
        half_widths := np.bincount(near[:, 0] - near[0, 0]) // 2,
        np.ascontiguousarray(near[np.argsort((near**2).sum(1), kind="stable")]),
        counts := np.zeros((4, len(thresholds)), dtype=np.int64),
    )
    sizes = *prediction.shape, max(1, int(max_distance)), len(thresholds), len(truths), len(half_widths), len(near)
    status = compiled(_KERNEL).count_boundaries(
        *map(ctypes.c_int64, sizes), *(ctypes.c_void_p(array.ctypes.data) for array in arrays)
    )
    if status:
        raise MemoryError("not enough memory for the maps of the boundary measure")
    return BoundaryCounts(*counts)


def count_matches_plainly(
    prediction: np.ndarray,
    truths: Sequence[BoolMap],
    thresholds: Sequence[float],
    max_distance: float,
    valid: BoolMap | None = None,
) -> BoundaryCounts:
    """Computes `count_matches` with NumPy and SciPy only, many times slower."""
    if valid is not None:
        truths = [truth & valid for truth in truths]
    counts = np.zeros((4, len(thresholds)), dtype=np.int64)
    counts[3] = sum(int(np.count_nonzero(truth)) for truth in truths)
    for steps, thinned in _thinned_maps(prediction, thresholds):
        predicted = thinned if valid is None else thinned & valid
        hit = np.zeros_like(predicted)
        matched_truth = 0
        for truth in truths:
            matched, matched_by = match_boundaries(predicted, truth, max_distance)
            hit |= matched
            matched_truth += int(np.count_nonzero(matched_by))
        counts[:3, steps] = np.array([[np.count_nonzero(hit)], [np.count_nonzero(predicted)], [matched_truth]])
    return BoundaryCounts(*counts)


def _thinned_maps(prediction: np.ndarray, thresholds: Sequence[float]) -> Iterator[tuple[slice, BoolMap]]:
    """Yields every different, non-empty binary map of ``prediction``, thinned, with the thresholds that give it."""
    edges = np.asarray(thresholds, dtype=prediction.dtype)
    # Binary maps of increasing thresholds are nested, so equal numbers of pixels mean equal maps.
    sizes = np.array([np.count_nonzero(prediction >= edge) for edge in edges])
    starts = np.flatnonzero(np.diff(sizes, prepend=-1))
    ends = np.append(starts[1:], len(edges))
    together = max(1, _PIXELS_AT_ONCE // prediction.size)
    for first in range(0, len(starts), together):
        batch = slice(first, first + together)
        maps = thin(prediction >= edges[starts[batch], None, None])
        for start, end, thinned in zip(starts[batch], ends[batch], maps, strict=True):
            if sizes[start]:
                yield slice(start, end), thinned
