"""Batches, the input of networks, losses and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from atrc.data.transforms import View
from searchspace.errors import InputError

__all__ = ["Batch", "collate", "image_windows", "label_tensor"]


@dataclass(frozen=True)
class Batch:
    """B samples of one size.

    Attributes:
        image: ``(B, 3, H, W)`` float32, normalised.
        labels: Task name -> ``(B, H, W)`` int64 class map (255 = ignore), ``(B, H, W)`` float32 map (depth), or
            ``(B, C, H, W)`` float32 (normals). If the dataset has a `DatasetInfo.grid`, H x W is its size.
        valid: ``(B, 1, H, W)`` bool, False on padding.
        ids: Ids of the samples.
        padded: Whether ``valid`` may be False anywhere; None to look. A look at a mask on a GPU waits for the GPU, so
            the batch looks once, when it is made, and knows the answer wherever it goes.
    """

    image: Tensor
    labels: Mapping[str, Tensor]
    valid: Tensor
    ids: list[str]
    padded: bool | None = None

    def __post_init__(self) -> None:
        if self.padded is None:
            object.__setattr__(self, "padded", not bool(self.valid.all()))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def mask(self) -> Tensor | None:
        """``valid`` for a network, or None if nothing is padded."""
        return self.valid if self.padded else None

    @property
    def label_size(self) -> tuple[int, int]:
        """``(h, w)`` of the label maps, or of the image if there are no labels."""
        of = next(iter(self.labels.values()), self.image)
        return int(of.shape[-2]), int(of.shape[-1])

    def to(self, device: torch.device | str) -> Batch:
        """Returns the batch on ``device``. The copy is asynchronous if the batch is in pinned memory."""
        pinned = self.image.device.type == "cpu" and self.image.is_pinned()
        return replace(
            self,
            image=self.image.to(device, non_blocking=pinned),
            labels={name: label.to(device, non_blocking=pinned) for name, label in self.labels.items()},
            valid=self.valid.to(device, non_blocking=pinned),
        )

    def pin_memory(self) -> Batch:
        """Returns the batch in page-locked memory, from which a GPU can copy while it computes."""
        return replace(
            self,
            image=self.image.pin_memory(),
            labels={name: label.pin_memory() for name, label in self.labels.items()},
            valid=self.valid.pin_memory(),
        )


def collate(views: Sequence[View]) -> Batch:
    """Joins views of one size and with the same tasks into one batch.

    Raises:
        InputError: The sizes differ; the message names the two samples.
    """
    first = views[0]
    for view in views[1:]:
        if view.image.shape != first.image.shape:
            raise InputError(
                f"samples of one batch must have one size, but {first.id!r} is {_size(first)} "
                f"and {view.id!r} is {_size(view)}: set the dataset's size, or let the transform pad"
            )
    return Batch(
        image=torch.from_numpy(
            np.stack([view.image.transpose(2, 0, 1) for view in views]).astype(np.float32, copy=False)
        ),
        labels={name: label_tensor([view.labels[name] for view in views]) for name in first.labels},
        valid=torch.from_numpy(np.stack([view.valid for view in views]))[:, None],
        ids=[view.id for view in views],
    )


def image_windows(valid: Tensor) -> list[tuple[slice, slice]]:
    """Returns for every sample of a ``(B, 1, H, W)`` mask the rows and columns of its image; the rest is padding."""
    masks = valid[:, 0].cpu().numpy()
    return [(_extent(mask.any(1)), _extent(mask.any(0))) for mask in masks]


def _extent(line: np.ndarray) -> slice:
    """Returns the slice from the first True to the last."""
    inside = np.flatnonzero(line)
    return slice(int(inside[0]), int(inside[-1]) + 1)


def label_tensor(labels: Sequence[np.ndarray]) -> Tensor:
    """Stacks ``(H, W)`` or ``(H, W, C)`` label maps, channels first: whole numbers as int64, others as float32."""
    stacked = np.stack([label if label.ndim == 2 else label.transpose(2, 0, 1) for label in labels])
    dtype = np.float32 if np.issubdtype(stacked.dtype, np.floating) else np.int64
    return torch.from_numpy(stacked.astype(dtype, copy=False))


def _size(view: View) -> str:
    return " x ".join(str(side) for side in view.image.shape[:2])
