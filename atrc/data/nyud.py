"""NYUD-v2 in the multi-task pack ``NYUD_MT``. Its files are described in ``presets/datasets/nyud.yaml``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from atrc.data._base import DATASETS, DatasetInfo
from atrc.data.folder import Folder

__all__ = ["NYUD"]

ROOT = "NYUD_MT"
"""Default folder of the files."""
_Spec = str | Path | Mapping[str, Any]


@DATASETS.register("nyud")
class NYUD(Folder):
    """NYUD-v2: four tasks, 795 images for training and 654 for validation, all of 425 x 560 pixels.

    This is a `Folder` with other defaults. With all tasks, its cache takes about 5 MB per image, 7 GB in total.

    Args:
        split: ``train`` or ``val``.
        tasks: Any of semseg, depth, normals, edge.
        root: The folder ``NYUD_MT``, see `Folder`.
        spec: See `Folder`.
        size: ``(H, W)`` to resample to; by default, images that are not 425 x 560 are an error.
        cached: See `Folder`.
        skip_bad: See `Folder`.
    """

    def __init__(
        self,
        split: str,
        tasks: Iterable[str],
        *,
        root: str | Path | None = ROOT,
        spec: _Spec | None = "nyud",
        size: Sequence[int] | None = None,
        cached: bool = True,
        skip_bad: bool = False,
        **unknown: Any,
    ) -> None:
        super().__init__(split, tasks, root=root, spec=spec, size=size, cached=cached, skip_bad=skip_bad, **unknown)

    @classmethod
    def with_full_paths(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns absolute paths as for a `Folder`; without a root in the options, it uses the default."""
        return super().with_full_paths({"root": ROOT, **options})

    @classmethod
    def describe(
        cls,
        *,
        root: str | Path | None = ROOT,
        spec: _Spec | None = "nyud",
        size: Sequence[int] | None = None,
        **options: Any,
    ) -> DatasetInfo:
        return super().describe(root=root, spec=spec, size=size, **options)

    @classmethod
    def splits(cls, *, spec: _Spec = "nyud", **options: Any) -> tuple[str, ...]:
        return super().splits(spec=spec, **options)
