"""The embedded dataset `planted`: pictures for which it is known what every task has to attend to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from atrc.backbones import PanelLayout
from atrc.data._base import DATASETS, Dataset, DatasetInfo, Sample
from atrc.data.answer import Answer, check_amount
from atrc.data.planted.content import CONTENTS
from atrc.data.planted.picture import draw
from atrc.data.planted.scene import CLASSES, Scenes, draw_scenes
from searchspace.calls import call_with_options
from searchspace.errors import InputError, UnknownNameError

__all__ = ["Planted"]

SPLITS = ("train", "val")
SMALLEST_GRID = 4


@dataclass(frozen=True)
class _Options:
    """The checked options of the dataset."""

    answer: Any
    strength: float = 1.0
    noise: float = 0.0
    purity: float = 0.6
    grid: int = 10
    train: int = 1000
    val: int = 200
    seed: int = 0

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> _Options:
        """Reads and checks the options of a config."""
        options = call_with_options("dataset planted", cls, given)
        for name, low in (("grid", SMALLEST_GRID), ("train", 1), ("val", 1), ("seed", 0)):
            value = getattr(options, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise InputError(f"dataset planted: {name} must be a whole number >= {low}, got {value!r}")
        for name in ("strength", "noise", "purity"):
            check_amount(getattr(options, name), f"dataset planted: {name}")
        if options.purity > 1:
            raise InputError(f"dataset planted: purity must be a share from 0 to 1, got {options.purity}")
        return options

    def read_answer(self) -> Answer:
        """Returns the answer; strength and noise default to those of the options."""
        answer = Answer.read(self.answer, "dataset.answer", strength=self.strength, noise=self.noise)
        for (target, source), need in answer.items():
            where = f"dataset.answer.{target}.{source}"
            if need.context not in CONTENTS:
                raise UnknownNameError("context", need.context, CONTENTS, where)
            if target == source and need.context == "s_label":
                raise InputError(f"{where}: on the diagonal, s_label equals t_label; write t_label")
        return answer


@lru_cache(maxsize=4)
def _scenes(seed: int, split: str, count: int, panels: int, grid: int, purity: float) -> Scenes:
    """Returns the scenes of a split. They are cached, since experiments open a dataset often and scenes are small."""
    generator, *_ = _generators(seed, split, panels)
    return draw_scenes(generator, count, panels, grid, purity)


@lru_cache(maxsize=2)
def _pictures(seed: int, split: str, count: int, panels: int, grid: int, purity: float) -> np.ndarray:
    """Returns the pictures of a split. They are cached, since a process executes many runs on the same ones."""
    _, generator, *_ = _generators(seed, split, panels)
    drawn = draw(_scenes(seed, split, count, panels, grid, purity), PanelLayout(panels, grid), generator)
    drawn.flags.writeable = False
    return drawn


def _generators(seed: int, split: str, tasks: int) -> list[np.random.Generator]:
    """Returns the generators of the scenes, of the pictures, and of the noise of every task's labels."""
    sequence = np.random.SeedSequence([seed, SPLITS.index(split)])
    return [np.random.default_rng(child) for child in sequence.spawn(2 + tasks)]


@DATASETS.register("planted")
class Planted(Dataset):
    """A dataset of pictures with a panel for every task, whose labels need known contexts of known sources.

    The label of a target's cell is the sum of

    - 1 or 0 for a dot or no dot in the cell, standardised: the part that the target sees without any source;
    - for every source in its row of the answer, ``strength`` times the standardised density of the source's dots over
      the cells of the context. For label contexts, these are the region of the class that the cell's pointer names;
    - for each of these sources, normal noise of standard deviation ``noise``, independent in every cell.

    Standardised values have mean 0 and standard deviation 1 over the training split. So a target that uses no block
    has an RMSE equal to the root of its summed squared strengths and noises. For a target that uses all blocks, only
    the noises are left in this sum. Scenes are described in `atrc.data.planted.scene`, their pictures in
    `atrc.data.planted.picture`. A label is ``(G, G, 2)``: this sum, and the cell's class, from which auxiliary heads
    learn the regions.

    Args:
        split: ``"train"`` or ``"val"``.
        tasks: Tasks whose labels are wanted.
        answer: The planted needs, see `Answer.read`. Its targets are the tasks, with one panel each. The letters
            ``a`` to ``z`` are registered as tasks for this.
        strength: Strength of the pairs that give none.
        noise: Noise of the pairs that give none.
        purity: Share of the hints that are true. At 0 features cannot tell regions apart, and label contexts find
            nothing. At 1 `global` alone nearly finds the regions.
        grid: G, the number of cells along a side of a panel.
        train, val: Number of pictures in a split.
        seed: Seed of the pictures.

    Raises:
        UnknownNameError: An unknown split, task, context or option.
        InputError: An option's value is out of range.
    """

    paths = ("answer",)

    def __init__(self, split: str, tasks: Iterable[str], **options: Any) -> None:
        self._options = _Options.read(options)
        self._answer = self._options.read_answer()
        if split not in SPLITS:
            raise UnknownNameError("split", str(split), SPLITS, "dataset planted")
        self.split = split
        self.tasks = tuple(tasks)
        for task in self.tasks:
            if task not in self._answer.tasks:
                raise UnknownNameError("task", str(task), self._answer.tasks, "dataset planted")
        self.info = self.describe(**options)

    @classmethod
    def describe(cls, **options: Any) -> DatasetInfo:
        """Returns the answer's tasks, the pictures' size and the grid."""
        checked = _Options.read(options)
        tasks = checked.read_answer().tasks
        size = PanelLayout(len(tasks), checked.grid).size
        return DatasetInfo(
            "Planted", {task: {"classes": CLASSES} for task in tasks}, size, grid=(checked.grid, checked.grid)
        )

    @classmethod
    def answer(cls, **options: Any) -> Answer:
        """Returns the planted answer."""
        return _Options.read(options).read_answer()

    def __len__(self) -> int:
        return self._options.train if self.split == "train" else self._options.val

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        labels = {task: self._labels[task][index].copy() for task in self.tasks}
        return Sample(f"{self.split}_{index:05d}", self._pictures[index].copy(), labels)

    def scenes(self, split: str | None = None) -> Scenes:
        """Returns the scenes behind the pictures of a split, by default of this one."""
        return _scenes(*self._drawn_from(split or self.split))

    @cached_property
    def _pictures(self) -> np.ndarray:
        return _pictures(*self._drawn_from(self.split))

    def _drawn_from(self, split: str) -> tuple[int, str, int, int, int, float]:
        """Returns everything that the scenes and the pictures of a split depend on."""
        options = self._options
        count = options.train if split == "train" else options.val
        return options.seed, split, count, len(self._answer.tasks), options.grid, options.purity

    @cached_property
    def _labels(self) -> dict[str, np.ndarray]:
        return {task: self._label(task) for task in self.tasks}

    def _label(self, task: str) -> np.ndarray:
        """Returns the labels of a task, ``(n, G, G, 2)`` float32."""
        names = self._answer.tasks
        target = names.index(task)
        scenes, reference = self.scenes(), self.scenes("train")
        generator = _generators(self._options.seed, self.split, len(names))[2 + target]
        total = _standardised(scenes.dots[:, target], reference.dots[:, target])
        for source, name in enumerate(names):
            if (need := self._answer.get((task, name))) is not None:
                content = CONTENTS[need.context]
                part = _standardised(content(scenes, target, source), content(reference, target, source))
                total += need.strength * part + need.noise * generator.standard_normal(part.shape)
        return np.stack([total, scenes.classes[:, target]], axis=-1).astype(np.float32)


def _standardised(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Shifts and scales values so that the reference would have mean 0 and standard deviation 1.

    Raises:
        InputError: The reference does not vary.
    """
    spread = reference.std()
    if spread < 1e-9:  # equal densities differ by rounding errors
        raise InputError(
            f"dataset planted: {len(reference)} training pictures are too few: a planted density never varies"
        )
    standardised: np.ndarray = (values - reference.mean()) / spread
    return standardised
