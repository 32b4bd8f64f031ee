"""Reads pretrained weights into a backbone, and reports exactly what was and was not read.

Most checkpoints hold more than the backbone and were saved by other code: wrapped in a container, with prefixed
names, with a classifier at the end. `load_weights` handles these and reports the rest.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atrc.backbones._base import Backbone
from searchspace.errors import InputError

__all__ = ["LoadReport", "Mismatch", "load_weights"]

CONTAINERS = ("state_dict", "model_state_dict", "model_state", "model")
PREFIXES = ("module.", "backbone.", "encoder.", "model.")
CLASSIFIERS = frozenset(
    ("incre_modules", "downsamp_modules", "final_layer", "classifier", "head", "last_layer", "fc")
)
EXAMPLES_SHOWN = 3


@dataclass(frozen=True)
class Mismatch:
    """A tensor whose name fits, but not its shape."""

    name: str
    here: tuple[int, ...]
    in_file: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.here} here, {self.in_file} in the file"


@dataclass(frozen=True)
class LoadReport:
    """The result of loading a checkpoint, for every tensor of the backbone and of the checkpoint.

    Attributes:
        backbone: Name of the backbone.
        path: Path of the checkpoint.
        matched: Tensors of the backbone that were loaded.
        missing: Tensors of the backbone that the file lacks; they keep their values.
        unexpected: Entries of the file that the backbone lacks (names as in the file).
        ignored: Entries of the file that belong to a classifier (names as in the file).
        mismatched: Tensors whose shapes differ; they keep their values.
    """

    backbone: str
    path: Path
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    ignored: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]

    @property
    def complete(self) -> bool:
        """True if every tensor of the backbone was loaded."""
        return not self.missing and not self.mismatched

    def summary(self) -> str:
        """Returns one line on the loaded tensors, and one more for each kind of tensor that was not loaded.

        For example ``"hrnet18: 1 012 of 1 012 tensors loaded from w18.pth (234 ignored: classifier)"``.
        """
        total = len(self.matched) + len(self.missing) + len(self.mismatched)
        head = f"{self.backbone}: {_count(len(self.matched))} of {_count(total)} tensors loaded from {self.path}"
        if self.ignored:
            head += f" ({_count(len(self.ignored))} ignored: classifier)"
        if not self.complete:
            head += "; INCOMPLETE, the others keep their values"
        kinds: tuple[tuple[str, Sequence[object]], ...] = (
            ("missing in the file", self.missing),
            ("of another shape", self.mismatched),
            ("in the file only", self.unexpected),
        )
        return "\n".join([head, *(f"  {_count(len(x))} {kind}: {_examples(x)}" for kind, x in kinds if x)])


def load_weights(backbone: Backbone, path: str | Path) -> LoadReport:
    """Loads the tensors of a checkpoint that fit by name and shape into ``backbone``, in place.

    Containers (``{"state_dict": ...}`` and the like) are opened, the prefixes that wrappers add (``module.``,
    ``backbone.``, ``encoder.``, ``model.``) are dropped if the backbone has no such name, and classifiers are left
    out. Only tensors are read from the file, never Python objects. Batch norms' step counters, which old checkpoints
    lack, are not counted as missing.

    Args:
        backbone: Backbone to load into; unchanged if an error is raised.
        path: File of ``torch.save``, or a ``.safetensors`` file (needs the library of that name).

    Returns:
        A report. A checkpoint that fits partly is loaded, with `LoadReport.complete` false.

    Raises:
        InputError: The file does not exist, is no checkpoint or a truncated one, has two entries for one tensor,
            or has no tensor that fits.
    """
    path = Path(path)
    entries = _read(path)
    own = backbone.state_dict()
    ignored: list[str] = []
    unexpected: list[str] = []
    sources: dict[str, str] = {}
    for entry in entries:
        name = _own_name(entry, own)
        if name not in own:
            (ignored if name.split(".")[0] in CLASSIFIERS else unexpected).append(entry)
        elif name in sources:
            raise InputError(
                f"{path} has two entries for {name} of {backbone.name}: {sources[name]} and {entry}; "
                "save one of them alone"
            )
        else:
            sources[name] = entry

    fitting = {n: entries[e] for n, e in sources.items() if entries[e].shape == own[n].shape}
    mismatched = tuple(
        Mismatch(n, tuple(own[n].shape), tuple(entries[e].shape)) for n, e in sources.items() if n not in fitting
    )
    if not any(not _is_counter(name) for name in fitting):
        why = f"of another shape: {mismatched[0]}" if mismatched else f"it holds {_examples(list(entries))}"
        raise InputError(f"no tensor of {path} fits {backbone.name}, which has {_examples(list(own))}; {why}")
    backbone.load_state_dict(fitting, strict=False)
    return LoadReport(
        backbone=backbone.name,
        path=path,
        matched=tuple(fitting),
        missing=tuple(name for name in own if name not in sources and not _is_counter(name)),
        unexpected=tuple(unexpected),
        ignored=tuple(ignored),
        mismatched=mismatched,
    )


def _read(path: Path) -> Mapping[str, Tensor]:
    """Reads the named tensors of a checkpoint file."""
    if not path.is_file():
        raise InputError(f"no weights file at {path}")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    while isinstance(content, Mapping):
        inner = next((content[key] for key in CONTAINERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    tensors = {}
    if isinstance(content, Mapping):
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise InputError(f"{path} holds no named tensors; expected a state dict, alone or under {CONTAINERS}")
    return tensors


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises at least six unrelated types for a damaged file
        if "Unsupported global" in str(error):
            raise InputError(
                f"{path} holds Python objects besides tensors, which are not loaded for safety; "
                "save its state dict alone with torch.save"
            ) from error
        raise InputError(f"{path} is not a checkpoint, or a truncated one ({_first_line(error)})") from error


def _read_safetensors(path: Path) -> Any:
    try:
        load_file = importlib.import_module("safetensors.torch").load_file
    except ImportError as error:
        raise InputError(f"reading {path} needs the safetensors library: pip install safetensors") from error
    try:
        return load_file(str(path), device="cpu")
    except Exception as error:  # SafetensorError, which cannot be named without the library, or OSError
        raise InputError(f"{path} is not a checkpoint, or a truncated one ({_first_line(error)})") from error


def _own_name(entry: str, own: Mapping[str, Tensor]) -> str:
    """Drops prefixes of an entry's name one by one, until the name is in ``own`` or no prefix is left."""
    name = entry
    while name not in own:
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            break
        name = name.removeprefix(prefix)
    return name


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _count(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _examples(items: Sequence[object]) -> str:
    more = ", ..." if len(items) > EXAMPLES_SHOWN else ""
    return ", ".join(str(item) for item in items[:EXAMPLES_SHOWN]) + more
