"""Unit vectors that are spread over a sphere, either evenly or by spherical k-means on data."""

from __future__ import annotations

import numpy as np

__all__ = ["fibonacci_hemisphere", "spherical_kmeans"]


def fibonacci_hemisphere(count: int) -> np.ndarray:
    """Returns ``(count, 3)`` float64 unit vectors that are spread evenly over the half sphere z > 0."""
    index = np.arange(count) + 0.5
    z = 1 - index / count
    radius = np.sqrt(1 - z**2)
    turn = index * np.pi * (3 - np.sqrt(5))
    return np.stack((radius * np.cos(turn), radius * np.sin(turn), z), axis=1)


def spherical_kmeans(vectors: np.ndarray, count: int, seed: int = 0, iterations: int = 100) -> np.ndarray:
    """Finds centroids that maximise the sum of the cosines between every vector and its nearest centroid.

    The first centroids are drawn as in k-means++, with ``1 - cosine`` as the squared distance. Then assignments and
    normalised means alternate until no vector changes its centroid. A centroid that loses all its vectors stays where
    it is.

    Args:
        vectors: ``(n, 3)`` unit vectors, n >= 1.
        count: k, the number of centroids.
        seed: Seed of the generator. The same vectors and seed give the same centroids.
        iterations: Largest number of alternations.

    Returns:
        ``(count, 3)`` float64 unit vectors.
    """
    generator = np.random.default_rng(seed)
    centroids = np.empty((count, vectors.shape[1]))
    centroids[0] = vectors[generator.integers(len(vectors))]
    far = np.full(len(vectors), np.inf)
    for k in range(1, count):
        far = np.minimum(far, 1 - vectors @ centroids[k - 1])
        # With the offset the draw is defined even if there are fewer different vectors than centroids.
        share = np.cumsum(far.clip(min=0) + 1e-12)
        centroids[k] = vectors[np.searchsorted(share, generator.random() * share[-1])]

    nearest = np.full(len(vectors), -1)
    for _ in range(iterations):
        before, nearest = nearest, (vectors @ centroids.T).argmax(1)
        if np.array_equal(before, nearest):
            break
        sums = np.stack(
            [np.bincount(nearest, weights=vectors[:, axis], minlength=count) for axis in range(3)], axis=1
        )
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = np.where(length > 1e-12, sums / length.clip(min=1e-12), centroids)
    return centroids
