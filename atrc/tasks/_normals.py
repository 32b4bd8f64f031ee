"""Surface normals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from atrc import metrics
from atrc.machine.files import writing
from atrc.machine.kernels import compiles, run_kernel
from atrc.machine.tensors import full_precision
from atrc.metrics.vectors import unit_vectors
from atrc.tasks._base import IGNORE, TASKS, Task
from atrc.tasks._labels import check_weight, first_bad_pixel
from atrc.tasks._losses import any_size, cross_entropy, expect_shape, mean_over
from atrc.tasks._spherical_kmeans import fibonacci_hemisphere, spherical_kmeans
from searchspace.errors import InputError
from searchspace.text import read_text

__all__ = ["Normals"]

_KERNEL = Path(__file__).with_name("nearest.c")
_IMAGES = 256
_NORMALS_PER_IMAGE = 400
_NORM_TOLERANCE = 0.05  # normals stored as 8-bit colours are off by up to 0.007


@TASKS.register("normals")
class Normals(Task):
    """Normals with the L1 loss on unit vectors; the auxiliary map classifies pixels by the nearest of R centroids.

    Labels are ``(B, 3, H, W)`` unit vectors in the image's axes (x right, y up, z towards the camera). A pixel is
    valid where its label is finite and not the zero vector.

    Args:
        weight: Weight in the total loss.
        centroids: R, the number of directions that the auxiliary map distinguishes; or a file with ``(R, 3)``
            directions, one per row: NPY, or text (``.txt``, ``.csv``) like the file that the paper's authors
            released.
        seed: Seed of the k-means in `fit`. It is unused if the centroids come from a file.

    Attributes:
        centroids: ``(R, 3)`` float32 unit vectors. Until `fit` or `load_state_dict` they are spread evenly over the
            half sphere that faces the camera. That is enough to build models and to count their resources.

    Raises:
        InputError: A weight is not > 0, there are fewer than 2 or more than 255 centroids, or a file does not hold
            directions.
    """

    paths = ("centroids",)

    name = "normals"
    metric_name = "mErr"
    metric_unit = "deg"
    higher_is_better = False
    fill = 0.0
    channels = 3

    centroids: Tensor

    def __init__(self, weight: float = 10.0, centroids: int | str | Path = 40, seed: int = 0) -> None:
        self.weight = check_weight("weight", weight)
        self._given = isinstance(centroids, str | Path)
        found = _read_directions(Path(centroids)) if isinstance(centroids, str | Path) else None
        self.regions = centroids if isinstance(centroids, int) else len(found if found is not None else ())
        if not 2 <= self.regions <= IGNORE:
            raise InputError(f"centroids must be 2..{IGNORE}, got {self.regions}")
        self.seed = seed
        self.centroids = torch.from_numpy(fibonacci_hemisphere(self.regions) if found is None else found).float()
        self._placed = self.centroids, self.centroids

    def loss(self, prediction: Tensor, label: Tensor) -> Tensor:
        expect_shape(prediction, label)
        valid = _valid(label)
        unit = unit_vectors(full_precision(prediction), dim=1)
        return mean_over(valid, (unit - torch.where(valid[:, None], label, 0)).abs().sum(1))

    @any_size
    def aux_loss(self, regions: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(regions, self.nearest_centroid(label))

    def nearest_centroid(self, label: Tensor) -> Tensor:
        """Returns the centroid nearest in angle to a ``(B, 3, H, W)`` label, ``(B, H, W)`` int64; 255 if invalid."""
        centroids = self._centroids_like(label)
        plain = label.device.type != "cpu" or label.dtype != torch.float32 or label.numel() == 0
        if plain or not compiles(_KERNEL):
            cosine = torch.einsum("kc,bchw->bkhw", centroids, label)
            return torch.where(_valid(label), cosine.max(1).indices, IGNORE)
        found = torch.empty(len(label), *label.shape[2:], dtype=torch.long)
        sizes = len(label), self.regions, found[0].numel(), IGNORE
        threads = min(len(label), torch.get_num_threads())
        arrays = label.contiguous(), centroids.contiguous(), found
        run_kernel(_KERNEL, "nearest_direction", threads, sizes, arrays)
        return found

    def _centroids_like(self, label: Tensor) -> Tensor:
        """Returns the centroids with the type and the device of a label; a training asks for the same ones always."""
        of, found = self._placed
        if of is not self.centroids or found.device != label.device or found.dtype != label.dtype:
            found = self.centroids.to(label)
            self._placed = self.centroids, found
        return found

    def metric(self) -> metrics.MeanAngle:
        return metrics.MeanAngle()

    def decode(self, prediction: Tensor) -> Tensor:
        """Normalises ``(B, 3, H, W)`` output to unit vectors."""
        return unit_vectors(full_precision(prediction), dim=1)

    def draw(self, label: np.ndarray) -> np.ndarray:
        """Draws ``(H, W, 3)`` normals n as ``(n + 1) / 2`` in red, green, blue; invalid pixels are black."""
        valid = np.isfinite(label).all(-1) & (label != 0).any(-1)
        colour = (np.where(valid[..., None], label, 0).clip(-1, 1) + 1) * 127.5
        return np.where(valid[..., None], colour, 0).round().astype(np.uint8)

    def flip_label(self, label: np.ndarray) -> np.ndarray:
        """Mirrors the map and negates x, since left and right swap."""
        flipped = label[:, ::-1].copy()
        flipped[..., 0] *= -1
        return flipped

    def check_label(self, label: np.ndarray) -> str | None:
        if label.ndim != 3 or label.shape[2] != 3:
            return f"shape is {label.shape}, expected (H, W, 3)"
        if not np.issubdtype(label.dtype, np.floating):
            return f"values are {label.dtype}, expected floating-point unit vectors"
        norm = np.linalg.norm(label.astype(np.float64), axis=-1)
        # This form of the condition makes a NaN norm bad, too.
        if (at := first_bad_pixel(~((norm == 0) | (np.abs(norm - 1) <= _NORM_TOLERANCE)))) is None:
            return None
        return f"norm {norm[at]:.4g} at row {at[0]}, column {at[1]}, must be 1 or (invalid) 0"

    def fit(self, labels: Iterable[np.ndarray], cache: Path) -> None:
        """Sets `centroids` by spherical k-means over a sample of the normals (Sec. 3.2.3), unless a file set them.

        The sample has up to 400 pixels of every label that is read. Of a `Sequence` at most 256 evenly spaced labels
        are read; of any other iterable, all labels. The result is kept in ``cache``. The key of the file depends on
        the sample, k and the seed, so that other data or settings never read a stale file. Delete the file to compute
        the centroids anew.

        Args:
            labels: ``(H, W, 3)`` normals of the training split.
            cache: Folder for ``normals_centroids_KEY.npy``; it is created if missing.

        Raises:
            InputError: No label has a valid normal.
        """
        if self._given:
            return
        sample = _sample_normals(labels, self.seed)
        if len(sample) == 0:
            raise InputError("the training labels have no valid surface normal to compute centroids from")
        facts = f"1 {self.regions} {self.seed}".encode()  # the leading 1 is the algorithm's version
        key = hashlib.sha256(facts + sample.tobytes()).hexdigest()[:16]
        path = cache / f"normals_centroids_{key}.npy"
        if path.exists():
            centroids = np.load(path, allow_pickle=False)
        else:
            centroids = spherical_kmeans(sample.astype(np.float64), self.regions, self.seed).astype(np.float32)
            with writing(path) as file:
                np.save(file, centroids)
        self.centroids = torch.from_numpy(centroids)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns ``{"centroids": (R, 3)}``."""
        return {"centroids": self.centroids.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        if shapes != {"centroids": (self.regions, 3)}:
            raise InputError(f"normals keep centroids of shape {(self.regions, 3)}, but the state has {shapes}")
        self.centroids = state["centroids"].detach().clone().to("cpu", torch.float32)


def _read_directions(path: Path) -> np.ndarray:
    """Reads ``(R, 3)`` float64 unit vectors from a file.

    Raises:
        InputError: The file is missing, is not readable, or holds something else.
    """
    try:
        if path.suffix.lower() == ".npy":
            found = np.load(path, allow_pickle=False)
        else:
            lines = read_text(path).replace(",", " ").splitlines()
            found = np.array([[float(word) for word in line.split()] for line in lines if line.strip()])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; centroids are a number, or a file of directions") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as directions ({' '.join(str(error).split())})") from None
    if found.ndim != 2 or found.shape[1] != 3 or found.dtype.kind not in "fiu":
        raise InputError(f"{path}: expected directions, R x 3 numbers, got {found.dtype} {found.shape}")
    length = np.linalg.norm(found, axis=1, keepdims=True)
    if not np.isfinite(length).all() or not length.all():
        raise InputError(f"{path}: a direction must be finite, and not of length 0")
    return np.asarray(found / length, np.float64)


def _valid(label: Tensor) -> Tensor:
    return label.isfinite().all(1) & (label != 0).any(1)


def _sample_normals(labels: Iterable[np.ndarray], seed: int) -> np.ndarray:
    """Draws ``(n, 3)`` float32 unit normals from the labels."""
    generator = np.random.default_rng(seed)
    drawn = [np.empty((0, 3), dtype=np.float32)]
    for label in _spaced(labels):
        normals = label[np.isfinite(label).all(-1) & (label != 0).any(-1)]
        if len(normals):
            chosen = generator.choice(len(normals), min(_NORMALS_PER_IMAGE, len(normals)), replace=False)
            drawn.append(normals[np.sort(chosen)].astype(np.float32))
    sample = np.concatenate(drawn)
    return sample / np.linalg.norm(sample, axis=1, keepdims=True)


def _spaced(labels: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields all labels of an iterable, but only evenly spaced ones of a long sequence."""
    if not isinstance(labels, Sequence):
        yield from labels
        return
    chosen = np.linspace(0, len(labels) - 1, min(len(labels), _IMAGES)).round()
    for index in chosen:
        yield labels[int(index)]
