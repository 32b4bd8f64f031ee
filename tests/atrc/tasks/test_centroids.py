"""The centroids of the normals task: spread, fitted, cached, checkpointed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from atrc.tasks import Normals
from atrc.tasks._spherical_kmeans import fibonacci_hemisphere, spherical_kmeans
from searchspace.errors import InputError


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def scenes(count: int, seed: int = 0) -> list[np.ndarray]:
    """Noisy normals of three planes, with some invalid pixels."""
    rng = np.random.default_rng(seed)
    planes = unit(np.array([[0, 0, 1.0], [1, 0, 0.3], [0, 1, 0.2]]))
    maps = []
    for _ in range(count):
        label = unit(planes[rng.integers(0, 3, (8, 9))] + 0.02 * rng.standard_normal((8, 9, 3)))
        label[0, :2] = 0
        maps.append(label.astype(np.float32))
    return maps


def test_default_faces_the_camera_and_spreads() -> None:
    centroids = Normals().centroids
    assert centroids.shape == (40, 3)
    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(40))
    assert (centroids[:, 2] > 0).all()
    cosine = centroids @ centroids.T - 2 * torch.eye(40)
    assert cosine.max() < np.cos(np.radians(10))


def test_kmeans_finds_planes_and_never_leaves_the_sphere() -> None:
    vectors = np.concatenate([label[(label != 0).any(-1)] for label in scenes(4)]).astype(np.float64)
    centroids = spherical_kmeans(vectors, 3)
    planes = unit(np.array([[0, 0, 1.0], [1, 0, 0.3], [0, 1, 0.2]]))
    assert (planes @ centroids.T).max(1).min() > 0.999
    np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1)


def test_kmeans_with_fewer_directions_than_centroids() -> None:
    centroids = spherical_kmeans(np.tile([0.0, 0.0, 1.0], (5, 1)), 4)
    np.testing.assert_allclose(centroids, np.tile([0.0, 0.0, 1.0], (4, 1)))


def test_kmeans_fits_better_than_the_default() -> None:
    vectors = unit(np.random.default_rng(0).normal((0, 0, 3), 1, (500, 3)))
    fitted = (vectors @ spherical_kmeans(vectors, 10).T).max(1).mean()
    assert fitted > (vectors @ fibonacci_hemisphere(10).T).max(1).mean()


def test_nearest_centroid_of_the_centroids_themselves() -> None:
    task = Normals()
    label = torch.cat((task.centroids, torch.zeros(1, 3))).T.reshape(1, 3, 1, 41)
    assert task.nearest_centroid(label).flatten().tolist() == [*range(40), 255]


def test_fit_is_deterministic_and_cached(tmp_path: Path) -> None:
    first, again, elsewhere = (Normals(centroids=5) for _ in range(3))
    first.fit(scenes(3), tmp_path / "a")
    (cached,) = (tmp_path / "a").iterdir()
    before = cached.stat().st_mtime_ns
    again.fit(iter(scenes(3)), tmp_path / "a")
    elsewhere.fit(scenes(3), tmp_path / "b")
    assert cached.stat().st_mtime_ns == before
    assert torch.equal(first.centroids, again.centroids)
    assert torch.equal(first.centroids, elsewhere.centroids)
    np.testing.assert_array_equal(np.load(cached), first.centroids.numpy())


def test_other_data_count_or_seed_get_a_file_of_their_own(tmp_path: Path) -> None:
    for task, labels in (
        (Normals(centroids=5), scenes(3)),
        (Normals(centroids=5), scenes(3, seed=1)),
        (Normals(centroids=6), scenes(3)),
        (Normals(centroids=5, seed=1), scenes(3)),
    ):
        task.fit(labels, tmp_path)
        assert task.centroids.shape == (task.regions, 3)
    assert len([path for path in tmp_path.iterdir() if path.suffix == ".npy"]) == 4
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".npy"]


def test_a_long_sequence_is_read_in_part(tmp_path: Path) -> None:
    label, read = scenes(1)[0], []

    class Labels(list):
        def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]
            read.append(index)
            return label

    Normals(centroids=3).fit(Labels([None] * 1000), tmp_path)
    assert (len(read), read[0], read[-1]) == (256, 0, 999)


def test_no_valid_normal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no valid surface normal"):
        Normals().fit([np.zeros((4, 4, 3), np.float32)], tmp_path)


def test_state_goes_to_a_new_object(tmp_path: Path) -> None:
    fitted, fresh = Normals(centroids=5), Normals(centroids=5)
    fitted.fit(scenes(2), tmp_path)
    torch.save(fitted.state_dict(), tmp_path / "state.pt")
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(fresh.centroids, fitted.centroids)
    for wrong in ({}, {"centroids": torch.zeros(40, 3)}, {"other": torch.zeros(5, 3)}):
        with pytest.raises(InputError, match="normals keep centroids"):
            fresh.load_state_dict(wrong)


@pytest.mark.parametrize("name", ["directions.npy", "directions.txt", "directions.csv"])
def test_a_file_of_directions_is_used_as_it_is(name: str, tmp_path: Path) -> None:
    """Such as the 40 x 3 that the paper's authors released; nothing is fitted then."""
    directions = unit(np.random.default_rng(0).normal((0, 0, 3), 1, (40, 3)))
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, directions)
    else:
        np.savetxt(path, directions, delimiter="," if name.endswith(".csv") else " ")
    task = Normals(centroids=str(path))
    assert task.regions == 40
    task.fit(scenes(2), tmp_path / "cache")
    np.testing.assert_allclose(task.centroids.numpy(), directions, atol=1e-6)
    assert not (tmp_path / "cache").exists()
    label = torch.from_numpy(directions.T.reshape(1, 3, 8, 5).astype(np.float32))
    assert task.nearest_centroid(label).flatten().tolist() == list(range(40))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 0 0\n0 1\n", "not readable as directions"),
        ("1 0\n0 1\n", r"expected directions, R x 3 numbers, got float64 \(2, 2\)"),
        ("1 0 0\n0 0 0\n", "not of length 0"),
        ("1 0 0\n0 nan 0\n", "must be finite"),
        ("one two three\n", "not readable as directions"),
        ("1 0 0\n", r"centroids must be 2\.\.255, got 1"),
    ],
)
def test_a_file_that_holds_no_directions(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "directions.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        Normals(centroids=path)
    with pytest.raises(InputError, match="no such file; centroids are a number, or a file of directions"):
        Normals(centroids=tmp_path / "none.npy")
