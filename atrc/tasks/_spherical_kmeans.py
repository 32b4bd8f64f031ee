"""Unit vectors spread over a sphere: evenly, or where data lies (spherical k-means)."""

from __future__ import annotations

import numpy as np

__all__ = ["fibonacci_hemisphere", "spherical_kmeans"]


def fibonacci_hemisphere(count: int) -> np.ndarray:
    """``(count, 3)`` float64 unit vectors spread evenly over the half sphere z > 0."""
    index = np.arange(count) + 0.5
    z = 1 - index / count
    radius = np.sqrt(1 - z**2)
    turn = index * np.pi * (3 - np.sqrt(5))
    return np.stack((radius * np.cos(turn), radius * np.sin(turn), z), axis=1)


def spherical_kmeans(vectors: np.ndarray, count: int, seed: int = 0, iterations: int = 100) -> np.ndarray:
    """Centroids that maximise the sum of every vector's cosine with its nearest one.

    Seeds as k-means++ does, with ``1 - cosine`` as the squared distance, then alternates assignment and normalised
    mean until no vector changes its centroid. A centroid that loses all its vectors stays where it is.

    Args:
        vectors: ``(n, 3)`` unit vectors, n >= 1.
        count: k.
        seed: Of the generator; the same vectors and seed give the same centroids.
        iterations: The most alternations.

    Returns:
        ``(count, 3)`` float64 unit vectors.
    """
    generator = np.random.default_rng(seed)
    centroids = np.empty((count, vectors.shape[1]))
    centroids[0] = vectors[generator.integers(len(vectors))]
    far = np.full(len(vectors), np.inf)
    for k in range(1, count):
        far = np.minimum(far, 1 - vectors @ centroids[k - 1])
        # The offset keeps the draw defined when there are fewer different vectors than centroids.
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
