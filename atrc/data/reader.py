"""Reads images and labels of a `FolderSpec` from their files, at the training size."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from atrc.data.decode import LABEL_SUFFIXES, image_size, orientation, read_image, read_label, resize_image
from atrc.data.derive import boundaries, class_map, looked_up, measured_map, positives, resize_any
from atrc.data.errors import check_label, expect_size, named, no_root, times
from atrc.data.readable import IMAGE
from atrc.data.resample import resize_nearest
from atrc.data.spec import RESIZE_OF_TASK, FolderSpec, InJson, LabelSpec, as_lookup
from atrc.tasks import IGNORE, TASKS, Task
from searchspace.errors import InputError
from searchspace.text import read_text

__all__ = ["FolderReader", "LabelRule", "read_ids", "task_options"]


def task_options(spec: FolderSpec, root: Path | None) -> dict[str, dict[str, Any]]:
    """Returns task name -> keyword arguments of its class, from a spec.

    Raises:
        InputError: The class names are in a JSON file, and the file is missing or no root is given.
    """
    return {name: {**_classes(name, label, root), **label.options} for name, label in spec.tasks.items()}


def _classes(name: str, label: LabelSpec, root: Path | None) -> dict[str, Any]:
    if label.classes is None:
        return {}
    if not isinstance(label.classes, InJson):
        return {"classes": label.classes}
    names = label.classes.read(root)
    if not isinstance(names, list) or not all(isinstance(entry, str) for entry in names):
        raise InputError(f"{label.classes.json_file}: {label.classes.key!r} is not a list of names (task {name!r})")
    return {"classes": names}


def read_ids(path: Path, split: str, exclude: Collection[str] = ()) -> list[str]:
    """Reads the ids of a split's file, in its order and without the excluded ones; blank lines are skipped.

    Raises:
        InputError: The file is missing, lists no id, lists an id twice, or lists only excluded ids.
    """
    try:
        lines = read_text(path).splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; it should list the ids of split {split!r}, one per line") from None
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path}: not readable as a list of ids ({error})") from None
    ids = [line.strip() for line in lines if line.strip()]
    if not ids:
        raise InputError(f"{path}: empty; it should list the ids of split {split!r}, one per line")
    seen: set[str] = set()
    for entry in ids:
        if entry in seen:
            raise InputError(f"{path}: lists id {entry!r} twice")
        seen.add(entry)
    kept = [entry for entry in ids if entry not in exclude]
    if not kept:
        raise InputError(f"{path}: every id of split {split!r} is excluded")
    return kept


@dataclass(frozen=True)
class LabelRule:
    """A `LabelSpec` together with everything that it refers to.

    Attributes:
        task: Task that checks the values.
        spec: Section of the YAML.
        options: Arguments of the task's class.
        lookup: Lookup table, or None.
        source: Rule of the task whose labels this one is made from, or None.
    """

    task: Task
    spec: LabelSpec
    options: Mapping[str, Any]
    lookup: Mapping[int, int] | None = None
    source: LabelRule | None = None

    @property
    def is_class_map(self) -> bool:
        """True if labels are classes. The task's ``fill`` tells: it is 255 for class maps."""
        return self.task.fill == IGNORE

    @property
    def pattern(self) -> str:
        """Pattern of the file that the label is made from, directly or through other labels."""
        return self.source.pattern if self.source is not None else str(self.spec.file)

    @property
    def facts(self) -> list[Any]:
        """Returns all facts that determine the label of a file, and whether the task accepts it."""
        own = self.spec.model_dump(exclude={"options", "classes", "lookup"})
        table = sorted((self.lookup or {}).items())
        return [own, dict(self.options), table, self.source.facts if self.source is not None else None]

    def from_values(self, values: np.ndarray) -> np.ndarray:
        """Returns the label for a file's values, at the file's size; with `boundaries`, the class map behind them."""
        spec = self.spec
        if self.source is not None:
            values, ignore = self.source.from_values(values), [IGNORE]
        else:
            # A mask is often stored as 0 and 255, and then 255 is a positive value.
            ignore = spec.ignore if spec.ignore is not None else [] if spec.positive else [IGNORE]
        if not self.is_class_map:
            return measured_map(
                values,
                scale=spec.scale,
                offset=spec.offset,
                invalid=spec.invalid,
                signs=spec.signs,
                unit=spec.unit,
            )
        if spec.positive is not None:
            return positives(values, spec.positive, ignore=ignore)
        if self.lookup is not None:
            return looked_up(values, self.lookup, ignore=ignore)
        return class_map(values, ignore=ignore, offset=spec.offset)

    def resized(self, label: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Resizes a label of `from_values` to ``size``; with `boundaries`, finds them afterwards."""
        if self.spec.boundaries:
            # After resizing: a line found at full size would break where the label shrinks a lot.
            return boundaries(resize_nearest(label, size))
        is_file = self.source is None
        resize = self.spec.resize or (RESIZE_OF_TASK.get(self.task.name, "nearest") if is_file else "nearest")
        return resize_any(label, size) if resize == "any" else resize_nearest(label, size)


@dataclass
class FolderReader:
    """Reads the images and labels that a spec describes.

    Args:
        spec: Description of the files.
        root: Folder of the dataset.
        size: ``(H, W)`` of the images and labels that are returned.
        exact: Whether files must already have this size.

    Raises:
        InputError: The root or a file that the spec reads values from is missing, or a task's section has a key that
            does not fit its kind of label.
    """

    spec: FolderSpec
    root: Path
    size: tuple[int, int]
    exact: bool = False
    rules: dict[str, LabelRule] = field(init=False)

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise InputError(no_root(self.root, self.spec.name, self._layout(), self.spec.download))
        self._options = task_options(self.spec, self.root)
        self.rules = {name: self._rule(name) for name in self.spec.tasks}

    def image_file(self, entry: str) -> Path:
        """Returns the image file of id ``entry``."""
        return self.root / self.spec.images.format(id=entry)

    def label_file(self, entry: str, task: str) -> Path:
        """Returns the file that the label of id ``entry`` is made from."""
        return self.root / self.rules[task].pattern.format(id=entry)

    def facts(self, part: str) -> list[Any]:
        """Returns all facts, apart from the files, that determine a part's arrays and whether it is accepted."""
        image = [self.spec.images, self.exact, self.size]
        return image if part == IMAGE else [*image, self.rules[part].facts]

    def files(self, entry: str, part: str) -> list[Path]:
        """Returns all files that a part (the image or a task's label) of id ``entry`` depends on."""
        image = self.image_file(entry)
        return [image] if part == IMAGE else [self.label_file(entry, part), image]

    def read(self, entry: str, part: str) -> np.ndarray:
        """Reads `image` or one of `labels`."""
        return self.image(entry) if part == IMAGE else self.labels(entry, [part])[part]

    def image(self, entry: str) -> np.ndarray:
        """Reads an image as ``(H, W, 3)`` uint8.

        Raises:
            InputError: The file is missing or unreadable, or the image has a wrong size.
        """
        file = self.image_file(entry)
        image = read_image(file)
        if self.exact and image.shape[:2] != self.size:
            raise InputError(
                f"{file}: image is {times(image.shape[:2])}, those of {self.spec.name} are {times(self.size)}; "
                "set the dataset's size, [height, width], to have all resampled"
            )
        return resize_image(image, self.size)

    def remarks(self, entry: str) -> list[str]:
        """Returns remarks on suspicious files of id ``entry``; unreadable files get none."""
        file = self.image_file(entry)
        try:
            turn = orientation(file)
        except InputError:
            return []
        if turn == 1:
            return []
        return [
            f"{file}: its EXIF tag says that viewers turn it (orientation {turn}); image and labels are read as they "
            "are stored, so a label that was drawn on the turned image does not lie on it"
        ]

    def labels(self, entry: str, tasks: Iterable[str]) -> dict[str, np.ndarray]:
        """Reads task name -> ``(H, W)`` or ``(H, W, C)``, see `atrc.data.Sample`.

        Raises:
            InputError: A file is missing or unreadable, the label's size is not the image's, or a value is not
                allowed; the message names the file.
        """
        read = cache(read_label)  # several labels may come from one file
        image = self.image_file(entry)
        size = image_size(image)
        return {task: self._label(self.label_file(entry, task), task, read, image, size) for task in tasks}

    def _label(
        self, file: Path, task: str, read: Callable[[Path], np.ndarray], image: Path, size: tuple[int, int]
    ) -> np.ndarray:
        rule = self.rules[task]
        with named(file, task):
            values = read(file)
            expect_size(values, image, size)
            if values.dtype == np.uint8 and rule.is_class_map:
                label = _by_value(values, rule.from_values)
            else:
                label = rule.from_values(values)
            if not rule.spec.boundaries:
                check_label(rule.task, label)
            return rule.resized(label, self.size)

    def _layout(self) -> list[str]:
        labels = [label.file for label in self.spec.tasks.values() if label.file]
        return [*self.spec.splits.values(), self.spec.images, *dict.fromkeys(labels)]

    def _rule(self, name: str) -> LabelRule:
        spec = self.spec.tasks[name]
        try:
            task = TASKS[name](**self._options[name])
        except (TypeError, ValueError) as error:
            raise InputError(f"tasks.{name} of {self.spec.name}: {error}") from None
        lookup = spec.lookup
        if isinstance(lookup, InJson):
            try:
                lookup = as_lookup(lookup.read(self.root))
            except InputError:
                raise
            except ValueError as error:
                raise InputError(f"{self.root / spec.lookup.json_file}: {spec.lookup.key!r}: {error}") from None  # type: ignore[union-attr]
        source = self._rule(spec.source) if spec.source is not None else None
        rule = LabelRule(task, spec, self._options[name], lookup, source)
        self._check_kind(name, rule)
        return rule

    def _check_kind(self, name: str, rule: LabelRule) -> None:
        """Refuses keys that do not fit the kind of label, instead of ignoring them."""
        spec, where = rule.spec, f"tasks.{name} of {self.spec.name}"
        suffix = Path(rule.pattern).suffix.lower()
        if suffix not in LABEL_SUFFIXES:
            raise InputError(f"{where}: {rule.pattern}: labels are read from {' or '.join(LABEL_SUFFIXES)}")
        if rule.source is not None and not rule.source.is_class_map:
            raise InputError(f"{where}: 'from' needs a task with classes, and {spec.source!r} is measured")
        foreign = (
            {"scale": spec.scale != 1, "invalid": spec.invalid is not None, "signs": spec.signs, "unit": spec.unit}
            if rule.is_class_map
            else {
                "from": spec.source,
                "classes": spec.classes,
                "ignore": spec.ignore,
                "lookup": spec.lookup,
                "positive": spec.positive,
                "boundaries": spec.boundaries,
                "resize: any": spec.resize == "any",
            }
        )
        for key, given in foreign.items():
            if given:
                kind = "class map" if rule.is_class_map else "measured map"
                raise InputError(f"{where}: {key!r} does not apply, the labels of {name!r} are a {kind}")
        if rule.is_class_map and not spec.offset.is_integer():
            raise InputError(f"{where}: 'offset' must be a whole number for a class map, got {spec.offset}")
        if spec.offset and (spec.lookup or spec.positive or spec.source):
            raise InputError(f"{where}: 'offset' goes with none of 'from', 'lookup' and 'positive'")


def _by_value(values: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Returns ``function(values)`` for a pixel-wise function, computed once per uint8 value that occurs."""
    if values.ndim != 2:
        return function(values)
    present = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    table = np.zeros(256, np.uint8)
    table[present] = function(present[None].astype(np.uint8))[0]
    return table[values]
