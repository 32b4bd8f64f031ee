"""Steps between the disk and a batch: scale, crop, flip, colour, normalise, pad.

`train_transform` is the augmentation of the paper in its order; `eval_transform` only normalises and pads. Each step
is a small frozen dataclass, called as ``step(view, tasks, generator)``. A config chooses the steps and their ranges,
and a user's own step is one more callable. Every step changes the image, all label maps and the mask of real pixels
together. The tasks say how a geometric change affects label *values* (depth shrinks, normals mirror). All randomness
comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from PIL import Image

from atrc.data._base import Sample
from atrc.data.colour import adjust_contrast, adjust_saturation, shift_brightness, shift_hue
from atrc.data.resample import nearest_pixels, resize_nearest, take_pixels
from atrc.tasks import IGNORE, Task
from searchspace.errors import InputError

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Compose",
    "Flip",
    "Normalize",
    "Pad",
    "Photometric",
    "RandomCrop",
    "RandomScale",
    "ScaledCrop",
    "Transform",
    "View",
    "eval_transform",
    "train_transform",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of red, green, blue over ImageNet, for images in 0..1."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of red, green, blue over ImageNet, for images in 0..1."""


@dataclass(frozen=True)
class View(Sample):
    """A sample on its way into a batch.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB, float32 in 0..255 after `Photometric`, or zero-mean float32 after `Normalize`.
        valid: ``(H, W)`` bool, False on padding.
    """

    valid: np.ndarray

    @classmethod
    def of(cls, sample: Sample) -> View:
        """Returns the view of a whole sample, without padding."""
        return cls(sample.id, sample.image, sample.labels, np.ones(sample.image.shape[:2], dtype=bool))


class Transform(Protocol):
    """A step that turns a view into a new one, without changing the arrays of the first."""

    def __call__(self, view: View, tasks: Mapping[str, Task], generator: np.random.Generator) -> View: ...


@dataclass(frozen=True)
class Compose:
    """A sequence of steps. It turns a `Sample` (or a `View`) into a `View`.

    Attributes:
        steps: The steps, first to last.
    """

    steps: tuple[Transform, ...]

    def __call__(self, sample: Sample, tasks: Mapping[str, Task], generator: np.random.Generator) -> View:
        view = sample if isinstance(sample, View) else View.of(sample)
        for step in self.steps:
            view = step(view, tasks, generator)
        return view


@dataclass(frozen=True)
class RandomScale:
    """Resizes by one factor for both sides, drawn uniformly.

    The image is resampled bilinearly (area-weighted when it shrinks), labels by the nearest pixel centre. Each task
    adapts its label values to the factor: a scene that appears twice as large is half as far away.

    Attributes:
        minimum: Smallest factor.
        maximum: Largest factor.
    """

    minimum: float = 0.5
    maximum: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.minimum <= self.maximum:
            raise InputError(f"scale: 0 < minimum <= maximum must hold, got {self.minimum}, {self.maximum}")

    def __call__(self, view: View, tasks: Mapping[str, Task], generator: np.random.Generator) -> View:
        return rescale(view, tasks, generator.uniform(self.minimum, self.maximum))


def rescale(view: View, tasks: Mapping[str, Task], scale: float) -> View:
    """Returns the view with both sides ``scale`` times as long (rounded to whole pixels), see `RandomScale`."""
    size = scaled_size(view, scale)
    image = np.asarray(Image.fromarray(view.image).resize(size[::-1], Image.Resampling.BILINEAR))
    labels = {name: resize_nearest(label, size) for name, label in view.labels.items()}
    labels |= {name: tasks[name].rescale_label(label, scale) for name, label in labels.items() if name in tasks}
    return replace(view, image=image, labels=labels, valid=resize_nearest(view.valid, size))


def scaled_size(view: View, scale: float) -> tuple[int, int]:
    """Returns ``(H, W)`` of a view enlarged by ``scale``.

    Raises:
        InputError: The image is not uint8 any more, which resampling needs.
    """
    if view.image.dtype != np.uint8:
        raise InputError("RandomScale works on the uint8 image: put it before Photometric and Normalize")
    height, width = view.image.shape[:2]
    return max(1, round(height * scale)), max(1, round(width * scale))


@dataclass(frozen=True)
class RandomCrop:
    """Cuts out a window at a random place; sides shorter than the window are kept.

    The window is drawn again, up to ``retries`` times, until no class covers ``dominance`` or more of its labelled
    pixels. After that, the last window is taken. The class map may belong to a task that is not wanted; it is dropped
    after the crop.

    Attributes:
        height: Rows of the window.
        width: Columns of the window.
        label: Task whose class map is checked; a sample without it takes the first window.
        dominance: Share of the labelled pixels that every class must stay below.
        retries: Largest number of further draws.
        relabel: Whether tasks adapt their labels to the crop, see `atrc.tasks.Task.crop_label`.
    """

    height: int
    width: int
    label: str = "semseg"
    dominance: float = 0.75
    retries: int = 10
    relabel: bool = True

    def __call__(self, view: View, tasks: Mapping[str, Task], generator: np.random.Generator) -> View:
        window = self.window(view.image.shape[:2], view.labels.get(self.label), generator)
        labels = {name: label[window] for name, label in view.labels.items() if name in tasks}
        return replace(
            view,
            image=view.image[window],
            labels=self.relabelled(labels, tasks),
            valid=view.valid[window],
        )

    def relabelled(self, labels: Mapping[str, np.ndarray], tasks: Mapping[str, Task]) -> dict[str, np.ndarray]:
        """Returns the labels of a window, adapted by their tasks."""
        return {name: tasks[name].crop_label(label) if self.relabel else label for name, label in labels.items()}

    def window(
        self, size: tuple[int, int], label: np.ndarray | None, generator: np.random.Generator
    ) -> tuple[slice, slice]:
        """Draws the rows and columns to keep of a view of ``size`` = (rows, columns) with the class map ``label``."""
        slack = (max(0, size[0] - self.height), max(0, size[1] - self.width))
        if slack == (0, 0):
            return slice(0, size[0]), slice(0, size[1])
        window = self._draw(slack, generator)
        if label is not None:
            label = label.astype(np.intp)  # once, instead of at every count
            for _ in range(self.retries):
                if dominant_share(label[window]) < self.dominance:
                    break
                window = self._draw(slack, generator)
        return window

    def _draw(self, slack: tuple[int, int], generator: np.random.Generator) -> tuple[slice, slice]:
        top, left = (int(generator.integers(room + 1)) for room in slack)
        return slice(top, top + self.height), slice(left, left + self.width)


@dataclass(frozen=True)
class ScaledCrop:
    """`RandomScale` and then `RandomCrop`, without computing the pixels that the crop throws away.

    The labels are exactly those of the two steps, and the image is the same up to rounding. It takes about half the
    time.

    Attributes:
        scale: The first step.
        crop: The second step.
    """

    scale: RandomScale
    crop: RandomCrop

    def __call__(self, view: View, tasks: Mapping[str, Task], generator: np.random.Generator) -> View:
        factor = generator.uniform(self.scale.minimum, self.scale.maximum)
        old, new = view.image.shape[:2], scaled_size(view, factor)
        if new[0] <= self.crop.height and new[1] <= self.crop.width:
            return self.crop(rescale(view, tasks, factor), tasks, generator)  # the crop keeps the whole view
        ruling = view.labels.get(self.crop.label)
        window = self.crop.window(new, None if ruling is None else resize_nearest(ruling, new), generator)
        (top, bottom), (left, right) = ((part.start, min(part.stop, n)) for part, n in zip(window, new, strict=True))
        ratio = old[0] / new[0], old[1] / new[1]
        image = Image.fromarray(view.image).resize(
            (right - left, bottom - top),
            Image.Resampling.BILINEAR,
            box=(left * ratio[1], top * ratio[0], right * ratio[1], bottom * ratio[0]),
        )
        pixels = nearest_pixels(old, new)[window]
        labels = {
            name: tasks[name].rescale_label(take_pixels(label, pixels), factor)
            for name, label in view.labels.items()
            if name in tasks
        }
        return replace(
            view,
            image=np.asarray(image),
            labels=self.crop.relabelled(labels, tasks),
            valid=take_pixels(view.valid, pixels),
        )


def dominant_share(label: np.ndarray) -> float:
    """Returns the share of the most frequent class among the labelled pixels ``(H, W)``; 1 if there are none."""
    counts = np.bincount(label.ravel(), minlength=IGNORE + 1)[:IGNORE]
    labelled = counts.sum()
    return float(counts.max() / labelled) if labelled else 1.0


@dataclass(frozen=True)
class Flip:
    """Mirrors left and right.

    Attributes:
        probability: Probability of mirroring.
    """

    probability: float = 0.5

    def __call__(self, view: View, tasks: Mapping[str, Task], generator: np.random.Generator) -> View:
        if generator.random() >= self.probability:
            return view
        return replace(
            view,
            image=view.image[:, ::-1],
            labels={name: tasks[name].flip_label(label) for name, label in view.labels.items()},
            valid=view.valid[:, ::-1],
        )


@dataclass(frozen=True)
class Photometric:
    """Changes brightness, contrast, saturation and hue, each independently with the same probability.

    The order is brightness, contrast, saturation, hue, or, in half of the cases, with contrast last. Values are
    clipped to 0..255 after each change but not rounded.

    Attributes:
        brightness: Largest offset of the values 0..255.
        contrast: Smallest and largest factor.
        saturation: Smallest and largest factor.
        hue: Largest turn; 180 is the full circle.
        probability: Probability of each change.
    """

    brightness: float = 32.0
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue: float = 18.0
    probability: float = 0.5

    def __call__(self, view: View, tasks: Mapping[str, Task], generator: np.random.Generator) -> View:
        # Everything is drawn first, so that the number of draws does not depend on the results.
        brightness, contrast, saturation, hue = generator.random(4) < self.probability
        contrast_first = generator.random() < 0.5
        offset = generator.uniform(-self.brightness, self.brightness)
        gain = generator.uniform(*self.contrast)
        factor = generator.uniform(*self.saturation)
        turn = generator.uniform(-self.hue, self.hue) / 180
        planes = _planes(view.image)
        if brightness:
            planes = shift_brightness(planes, offset)
        if contrast and contrast_first:
            planes = adjust_contrast(planes, gain)
        if saturation:
            planes = adjust_saturation(planes, factor)
        if hue:
            planes = shift_hue(planes, turn)
        if contrast and not contrast_first:
            planes = adjust_contrast(planes, gain)
        return replace(view, image=planes.transpose(1, 2, 0))


def _planes(image: np.ndarray) -> np.ndarray:
    """Returns ``(H, W, 3)`` as contiguous float32 ``(3, H, W)``, on which NumPy is several times faster."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)


@dataclass(frozen=True)
class Normalize:
    """Divides by 255, subtracts the mean and divides by the standard deviation, per colour channel.

    Attributes:
        mean: Mean of red, green, blue in 0..1.
        std: Standard deviation of red, green, blue in 0..1.
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __call__(self, view: View, tasks: Mapping[str, Task], generator: np.random.Generator) -> View:
        mean = np.asarray(self.mean, np.float32)[:, None, None] * np.float32(255)
        std = np.asarray(self.std, np.float32)[:, None, None] * np.float32(255)
        planes = (_planes(view.image) - mean) / std
        return replace(view, image=planes.transpose(1, 2, 0))


@dataclass(frozen=True)
class Pad:
    """Puts the view in the middle of a larger canvas. An odd margin has its extra pixel below or at the right.

    The image's border is 0, which after `Normalize` is the mean colour; labels get their task's ``fill``.

    Attributes:
        height: Rows of the canvas.
        width: Columns of the canvas.
    """

    height: int
    width: int

    def __call__(self, view: View, tasks: Mapping[str, Task], generator: np.random.Generator) -> View:
        height, width = view.image.shape[:2]
        if (height, width) == (self.height, self.width):
            return view
        if height > self.height or width > self.width:
            raise InputError(
                f"sample {view.id!r} is {height} x {width}, larger than the padded size {self.height} x {self.width}"
            )
        top, left = (self.height - height) // 2, (self.width - width) // 2
        window = (slice(top, top + height), slice(left, left + width))

        def place(array: np.ndarray, fill: float) -> np.ndarray:
            canvas = np.full((self.height, self.width, *array.shape[2:]), fill, dtype=array.dtype)
            canvas[window] = array
            return canvas

        planes = np.zeros((view.image.shape[2], self.height, self.width), dtype=view.image.dtype)
        planes[:, window[0], window[1]] = view.image.transpose(2, 0, 1)
        return replace(
            view,
            image=planes.transpose(1, 2, 0),
            labels={name: place(label, tasks[name].fill) for name, label in view.labels.items()},
            valid=place(view.valid, False),
        )


def train_transform(
    size: tuple[int, int],
    *,
    scale: RandomScale | None = RandomScale(),
    crop_dominance: float = 0.75,
    crop_retries: int = 10,
    crop_labels: bool = True,
    flip: float = 0.5,
    photometric: Photometric | None = Photometric(),
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
) -> Compose:
    """Returns the training augmentation of the paper, in its order.

    Args:
        size: ``(H, W)`` of the samples of a batch.
        scale: Range of the random resizing; None leaves it out.
        crop_dominance: See `RandomCrop`; 1 or more switches the rule off.
        crop_retries: See `RandomCrop`.
        crop_labels: See ``relabel`` of `RandomCrop`.
        flip: Probability of a horizontal flip.
        photometric: Ranges of the colour changes; None leaves them out.
        mean: See `Normalize`.
        std: See `Normalize`.
    """
    height, width = size
    crop = RandomCrop(height, width, dominance=crop_dominance, retries=crop_retries, relabel=crop_labels)
    steps: list[Transform | None] = [
        ScaledCrop(scale, crop) if scale is not None else crop,
        Flip(flip) if flip else None,
        photometric,
        Normalize(mean, std),
        Pad(height, width),
    ]
    return Compose(tuple(step for step in steps if step is not None))


def eval_transform(
    size: tuple[int, int],
    *,
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
) -> Compose:
    """Returns the steps of evaluation: images are normalised, and padded around their centre to ``size`` = (H, W)."""
    return Compose((Normalize(mean, std), Pad(*size)))
