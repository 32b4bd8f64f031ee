"""The suite of datasets on every one in the tree, and on some that break one promise each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packs import write_nyud, write_pascal
from PIL import Image

from atrc.config import NO_DATASET
from atrc.data import DATASETS, Dataset, DatasetInfo, Sample
from atrc.testing import check_dataset
from searchspace import InputError, UnknownNameError

ANSWER = {"a": {"a": "global", "b": "t_label"}, "b": {"a": "none"}}
SPEC = {
    "name": "Test pack",
    "images": "images/{id}.png",
    "splits": {"train": "train.txt", "val": "train.txt"},
    "size": [17, 23],
    "tasks": {
        "semseg": {"file": "semseg/{id}.png", "classes": 5},
        "saliency": {"from": "semseg", "positive": ">0"},
        "edge": {"from": "semseg", "boundaries": True},
    },
}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path / "cache"))


def write_folder(root: Path) -> Path:
    generator = np.random.default_rng(0)
    for folder, shape, most in (("images", (17, 23, 3), 256), ("semseg", (17, 23), 5)):
        (root / folder).mkdir(parents=True)
        for name in "abc":
            drawn = generator.integers(0, most, shape, dtype=np.uint8)
            Image.fromarray(drawn).save(root / folder / f"{name}.png")
    (root / "train.txt").write_text("a\nb\nc\n")
    return root


def options_of(name: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Small ones; packs are written into the folder."""
    if name == "rooms":
        yield from ({"size": [16, 24], "train": 4, "val": 2, "profile": profile} for profile in ("indoor", "people"))
    elif name == "planted":
        yield {"answer": ANSWER, "grid": 4, "train": 6, "val": 3}
    else:
        write, more = {
            "folder": (write_folder, {"spec": SPEC}),
            "nyud": (lambda root: write_nyud(root, size=(60, 80)), {"size": [48, 64]}),
            "pascal_context": (lambda root: write_pascal(root, sizes=((60, 80), (80, 50))), {}),
        }[name]
        root = str(write(folder / name))
        yield from ({"root": root, "cached": cached, **more} for cached in (True, False))


@pytest.mark.parametrize("name", sorted({*DATASETS} - {NO_DATASET}))
def test_shipped(name: str, tmp_path: Path) -> None:
    for options in options_of(name, tmp_path):
        check_dataset(name, options)


# -- datasets that break a promise ----------------------------------------------------------------------------------

SPLITS = ("train", "val")


class Toy(Dataset):
    """Keeps every promise."""

    facts: dict[str, dict[str, Any]] = {"semseg": {"classes": 3}, "depth": {}}  # noqa: RUF012

    def __init__(self, split: str, tasks: Sequence[str], *, size: tuple[int, int] = (8, 12)) -> None:
        self.info = self.describe(size=size)
        for task in tasks:
            if task not in self.facts:
                raise UnknownNameError("task", task, self.facts)
        self.check_split(split)
        self.split, self.tasks = split, list(tasks)

    def check_split(self, split: str) -> None:
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)

    @classmethod
    def describe(cls, *, size: tuple[int, int] = (8, 12)) -> DatasetInfo:  # type: ignore[override]
        return DatasetInfo("Toy", cls.facts, size)

    def __len__(self) -> int:
        return 3

    def generator(self, index: int) -> np.random.Generator:
        return np.random.default_rng([index, SPLITS.index(self.split)])

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        generator = self.generator(index)
        image = generator.integers(0, 256, (*self.info.size, 3), dtype=np.uint8)
        labels = {
            "semseg": generator.integers(0, 3, self.info.size, dtype=np.uint8),
            "depth": generator.uniform(1, 9, self.info.size).astype(np.float32),
        }
        return Sample(f"{self.split}_{index}", image, {task: labels[task] for task in self.tasks})


def test_the_toy_keeps_every_promise() -> None:
    check_dataset(Toy)


class SaysAnotherSize(Toy):
    def __init__(self, split: str, tasks: Sequence[str]) -> None:
        super().__init__(split, tasks)
        self.info = replace(self.info, size=(9, 12))


class NamesNoTask(Toy):
    facts = {"semsge": {"classes": 3}}  # noqa: RUF012


class Empty(Toy):
    def __len__(self) -> int:
        return 0


class Changed(Toy):
    """A sample that is not as `Toy`'s."""

    def change(self, sample: Sample) -> Sample:
        return sample

    def __getitem__(self, index: int) -> Sample:
        return self.change(super().__getitem__(index))


class FloatImages(Changed):
    def change(self, sample: Sample) -> Sample:
        return replace(sample, image=sample.image / 255)


class LargeImages(Changed):
    def change(self, sample: Sample) -> Sample:
        return replace(sample, image=np.repeat(sample.image, 2, axis=0))


class LosesALabel(Changed):
    def change(self, sample: Sample) -> Sample:
        return replace(sample, labels={task: x for task, x in sample.labels.items() if task != "depth"})


class SmallLabels(Changed):
    def change(self, sample: Sample) -> Sample:
        return replace(sample, labels={task: x[::2] for task, x in sample.labels.items()})


class WideLabels(Changed):
    def change(self, sample: Sample) -> Sample:
        return replace(sample, labels={task: x.astype(np.int64) for task, x in sample.labels.items()})


class NoSuchClass(Changed):
    def change(self, sample: Sample) -> Sample:
        labels = {task: x + 1 if task == "semseg" else x for task, x in sample.labels.items()}
        return replace(sample, labels=labels)


class OneId(Changed):
    def change(self, sample: Sample) -> Sample:
        return replace(sample, id="photo")


class NumbersForIds(Changed):
    def change(self, sample: Sample) -> Sample:
        return replace(sample, id=int(sample.id[-1]))  # type: ignore[arg-type]


class DrawsAnew(Toy):
    def generator(self, index: int) -> np.random.Generator:
        return np.random.default_rng()


class DrawsGlobally(Toy):
    def generator(self, index: int) -> np.random.Generator:
        np.random.rand()  # noqa: NPY002, what the suite is to catch
        return super().generator(index)


class SeedsWhenOpened(Toy):
    def __init__(self, split: str, tasks: Sequence[str]) -> None:
        super().__init__(split, tasks)
        np.random.seed(0)  # noqa: NPY002, what the suite is to catch


class KnowsItsProcess(Changed):
    home = os.getpid()

    def change(self, sample: Sample) -> Sample:
        return sample if os.getpid() == self.home else replace(sample, image=255 - sample.image)


class CountsReads(Toy):
    reads = 0

    def generator(self, index: int) -> np.random.Generator:
        self.reads += 1
        return np.random.default_rng(self.reads)


class LabelsByCompany(Changed):
    def change(self, sample: Sample) -> Sample:
        if len(self.tasks) > 1:
            return sample
        return replace(sample, labels={task: np.zeros_like(x) for task, x in sample.labels.items()})


class GivesItsOwn(Toy):
    def __init__(self, split: str, tasks: Sequence[str]) -> None:
        super().__init__(split, tasks)
        self.kept = [super(GivesItsOwn, self).__getitem__(index) for index in range(len(self))]

    def __getitem__(self, index: int) -> Sample:
        return self.kept[index]


class Wraps(Toy):
    def __getitem__(self, index: int) -> Sample:
        return super().__getitem__(index % len(self))


class AnotherError(Toy):
    def __getitem__(self, index: int) -> Sample:
        try:
            return super().__getitem__(index)
        except IndexError as error:
            raise KeyError(index) from error


class AnySplit(Toy):
    def __init__(self, split: str, tasks: Sequence[str]) -> None:
        super().__init__("val" if split == "val" else "train", tasks)


class NamesNoSplit(Toy):
    def check_split(self, split: str) -> None:
        if split not in SPLITS:
            raise InputError(f"no split {split!r}")


class AnyTask(Toy):
    def __init__(self, split: str, tasks: Sequence[str]) -> None:
        super().__init__(split, [task for task in tasks if task in self.facts])


class AnyOption(Toy):
    def __init__(self, split: str, tasks: Sequence[str], **options: Any) -> None:
        super().__init__(split, tasks)


class DescribesAnyOption(Toy):
    @classmethod
    def describe(cls, size: tuple[int, int] = (8, 12), **options: Any) -> DatasetInfo:
        return super().describe(size=size)


class HoldsALambda(Toy):
    def __init__(self, split: str, tasks: Sequence[str]) -> None:
        super().__init__(split, tasks)
        self.read = lambda: None


class ArrivesChanged(Toy):
    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = {**state, "split": "val" if state["split"] == "train" else "train"}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (SaysAnotherSize, r"must say what its splits say, but size is \(8, 12\), and \(9, 12\) there"),
        (NamesNoTask, "must name registered tasks .* did you mean 'semseg'"),
        (Empty, "the split 'train' of .* must have samples"),
        (FloatImages, r"must be \(H, W, 3\) uint8, but is \(8, 12, 3\) float64"),
        (LargeImages, r"is \(16, 12\), larger than the described size \(8, 12\)"),
        (LosesALabel, r"must have labels of \['depth', 'semseg'\], which were asked for, but has \['semseg'\]"),
        (SmallLabels, r"the semseg label of .* must be of \(8, 12\) pixels, but its shape is \(4, 12\)"),
        (WideLabels, "the semseg label of .* must be uint8, but is int64"),
        (NoSuchClass, "the semseg label of .* is not what its task takes: value 3"),
        (OneId, "ids of .* must be different, but these come twice: photo"),
        (NumbersForIds, "must give samples ids that name files, not 0"),
        (DrawsAnew, "must be the same bytes whenever it is read, in any order"),
        (CountsReads, "must be the same bytes whenever it is read, in any order"),
        (DrawsGlobally, r"reading .* uses the global generator of numpy\.random"),
        (SeedsWhenOpened, r"opening .* uses the global generator of numpy\.random"),
        (KnowsItsProcess, "gives other batches in a worker process"),
        (LabelsByCompany, r"gives other samples when only the labels of \['semseg'\] are asked for"),
        (GivesItsOwn, "changes when somebody writes into what was read before"),
        (Wraps, "sample 3 of 3 of .* must be an IndexError, but is there"),
        (AnotherError, "sample 3 of 3 of .* must be an IndexError, not a KeyError"),
        (AnySplit, "must refuse an unknown split in one line, and nothing was"),
        (NamesNoSplit, "unknown split in one line, and the message has to name \"'train'\""),
        (AnyTask, "must refuse an unknown task in one line, and nothing was"),
        (AnyOption, "^dataset 'AnyOption' must refuse an unknown option in one line"),
        (DescribesAnyOption, r"^describe\(\) of .* must refuse an unknown option in one line"),
        (HoldsALambda, "must be pickled, for worker processes"),
        (ArrivesChanged, "gives other samples after it was pickled"),
    ],
)
def test_a_broken_promise_is_caught(broken: type[Dataset], message: str) -> None:
    with pytest.raises(AssertionError, match=message) as caught:
        check_dataset(broken)
    assert "\n" not in str(caught.value)
