"""Every transform keeps image, labels and mask aligned, and does to label values what the task says."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch.nn import functional

from atrc.data import (
    Compose,
    Flip,
    Normalize,
    Pad,
    Photometric,
    RandomCrop,
    RandomScale,
    Rooms,
    Sample,
    ScaledCrop,
    Transform,
    View,
    eval_transform,
    train_transform,
)
from atrc.data.colour import adjust_contrast, adjust_saturation, shift_brightness, shift_hue
from atrc.data.resample import nearest_index
from atrc.data.transforms import IMAGENET_MEAN, IMAGENET_STD, dominant_share, rescale
from atrc.tasks import TASKS, Task
from searchspace.errors import InputError

HEIGHT, WIDTH = 45, 61


@pytest.fixture
def tasks() -> Mapping[str, Task]:
    return {name: TASKS[name]() for name in ("semseg", "depth", "normals", "edge")}


def coordinates(height: int = HEIGHT, width: int = WIDTH) -> Sample:
    """A sample that says everywhere where it is: rows in red, columns in green, and both in every label."""
    rows, columns = np.mgrid[:height, :width]
    slope = np.stack([columns / width, rows / height, np.ones((height, width))], axis=2)
    return Sample(
        "where",
        np.stack([rows * 4, columns * 4, rows + columns], axis=2).astype(np.uint8),
        {
            "semseg": rows.astype(np.uint8),
            "edge": columns.astype(np.uint8),
            "depth": (1 + rows * 100 + columns).astype(np.float32),
            "normals": (slope / np.linalg.norm(slope, axis=2, keepdims=True)).astype(np.float32),
        },
    )


def assert_aligned(view: View, scale: float = 1.0, tolerance: float = 0.0) -> None:
    """The image and all labels show the same place at every real pixel."""
    valid = view.valid
    rows = view.labels["semseg"][valid].astype(float)
    columns = view.labels["edge"][valid].astype(float)
    assert np.abs(view.image[..., 0][valid] / 4 - rows).max() <= tolerance
    assert np.abs(view.image[..., 1][valid] / 4 - columns).max() <= tolerance
    np.testing.assert_allclose(view.labels["depth"][valid] * scale, 1 + rows * 100 + columns, rtol=1e-5)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "step", [Flip(1.0), RandomCrop(20, 30), Pad(50, 70), Compose((RandomCrop(20, 90), Flip(1.0), Pad(50, 90)))]
)
def test_image_and_labels_move_together(step: Transform, seed: int, tasks: Mapping[str, Task]) -> None:
    sample = coordinates()
    before = {name: label.copy() for name, label in sample.labels.items()}
    view = step(View.of(sample), tasks, np.random.default_rng(seed))
    assert_aligned(view)
    for name, label in sample.labels.items():
        np.testing.assert_array_equal(label, before[name])  # what was given is left alone


@pytest.mark.parametrize("scale", [0.5, 0.73, 1.0, 1.31, 2.0])
def test_scaling_keeps_alignment_and_divides_depth(scale: float, tasks: Mapping[str, Task]) -> None:
    sample = coordinates()
    view = rescale(View.of(sample), tasks, scale)
    assert view.image.shape == (round(HEIGHT * scale), round(WIDTH * scale), 3)
    assert {label.shape[:2] for label in view.labels.values()} == {view.image.shape[:2]}
    # Away from the border, where a shrinking filter is cut off, bilinear and nearest differ by half a pixel at most.
    inner = View(
        view.id, view.image[2:-2, 2:-2], {n: a[2:-2, 2:-2] for n, a in view.labels.items()}, view.valid[2:-2, 2:-2]
    )
    assert_aligned(inner, scale=scale, tolerance=0.5 + 0.25)
    assert view.valid.all()
    np.testing.assert_allclose(np.linalg.norm(view.labels["normals"], axis=2), 1, rtol=1e-5)


@pytest.mark.parametrize("scale", [1.25, 1.6, 2.0])
def test_an_enlarged_image_is_bilinear(scale: float, tasks: Mapping[str, Task]) -> None:
    """Between the four nearest pixel centres, by their distances; beyond the outer centres the border is repeated."""
    image = np.random.default_rng(0).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    view = rescale(View.of(Sample("a", image, {})), tasks, scale)
    height, width = view.image.shape[:2]
    expected = np.zeros(view.image.shape)
    for row in range(height):
        for column in range(width):
            y = min(max((row + 0.5) * 15 / height - 0.5, 0), 14)
            x = min(max((column + 0.5) * 20 / width - 0.5, 0), 19)
            top, left = min(int(y), 13), min(int(x), 18)
            near = image[top : top + 2, left : left + 2].astype(float)
            rows = np.array([1 - (y - top), y - top])
            expected[row, column] = np.einsum("i,j,ijc->c", rows, np.array([1 - (x - left), x - left]), near)
    assert np.abs(view.image - expected).max() <= 1, "rounded once a direction"


@pytest.mark.parametrize("scale", [0.5, 0.65])
def test_a_shrunk_image_is_averaged_as_the_page_on_the_method_says(scale: float, tasks: Mapping[str, Task]) -> None:
    """The released code looks at four pixels only; on rooms the two differ by 1 to 4 of 255, ours are smoother."""
    sharper = apart = smoother = 0.0
    for image in (Rooms("val", [], size=(96, 128), train=1, val=6)[index].image for index in range(6)):
        ours = rescale(View.of(Sample("a", image, {})), tasks, scale).image.astype(float)
        planes = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        theirs = functional.interpolate(planes, ours.shape[:2], mode="bilinear", align_corners=False)
        other = theirs[0].permute(1, 2, 0).numpy()
        apart += np.abs(ours - other).mean() / 6
        smoother += np.abs(np.diff(ours, axis=1)).mean()
        sharper += np.abs(np.diff(other, axis=1)).mean()
    assert 1 <= apart <= 4
    assert smoother < sharper


def test_scale_is_uniform_in_its_range(tasks: Mapping[str, Task]) -> None:
    sample = Sample("a", np.zeros((200, 100, 3), np.uint8), {})
    generator = np.random.default_rng(0)
    factors = [RandomScale()(View.of(sample), tasks, generator).image.shape[0] / 200 for _ in range(400)]
    assert 0.5 <= min(factors) < 0.52
    assert 1.97 < max(factors) <= 2
    assert abs(np.mean(factors) - 1.25) < 0.06
    with pytest.raises(InputError, match="minimum <= maximum"):
        RandomScale(2, 1)
    with pytest.raises(InputError, match="before Photometric"):
        Compose((Normalize(), RandomScale()))(sample, tasks, generator)


def test_nearest_index_takes_the_pixel_under_each_centre() -> None:
    for old, new in ((5, 5), (5, 3), (3, 7), (10, 4), (1, 4)):
        centres = (np.arange(new) + 0.5) * old / new
        index = nearest_index(old, new)
        assert (index <= centres).all()
        assert (centres <= index + 1).all()


def test_flip_mirrors_and_negates_the_normals_x(tasks: Mapping[str, Task]) -> None:
    sample = coordinates()
    view = Flip(1.0)(View.of(sample), tasks, np.random.default_rng(0))
    np.testing.assert_array_equal(view.image, sample.image[:, ::-1])
    np.testing.assert_array_equal(view.labels["semseg"], sample.labels["semseg"][:, ::-1])
    np.testing.assert_array_equal(view.labels["normals"], sample.labels["normals"][:, ::-1] * [-1, 1, 1])
    generator = np.random.default_rng(0)
    views = [Flip()(View.of(sample), tasks, generator) for _ in range(200)]
    assert 70 < sum(int(view.image[0, 0, 1] != 0) for view in views) < 130


def test_crop_avoids_a_dominant_class_when_it_can(tasks: Mapping[str, Task]) -> None:
    label = np.zeros((40, 40), np.uint8)
    label[:, 20:] = np.arange(20) % 3 + 1
    sample = Sample("a", np.zeros((40, 40, 3), np.uint8), {"semseg": label})
    crop, once = RandomCrop(20, 20), RandomCrop(20, 20, retries=0)
    shares, free = [], []
    for seed in range(200):
        for step, into in ((crop, shares), (once, free)):
            view = step(View.of(sample), tasks, np.random.default_rng(seed))
            assert view.image.shape == (20, 20, 3)
            into.append(dominant_share(view.labels["semseg"]))
    assert np.mean(np.array(free) >= 0.75) > 0.15
    assert np.mean(np.array(shares) >= 0.75) < 0.01
    # A first window that is good is kept: the retries draw only when they must.
    assert all(a == b for a, b in zip(shares, free, strict=True) if b < 0.75)


def test_a_task_sees_the_crops_that_a_map_which_it_does_not_learn_rules(tasks: Mapping[str, Task]) -> None:
    """As in the paper's released code, which reads semseg for every network."""
    sample = coordinates()
    sample.labels["semseg"][...] = np.arange(WIDTH) // 15
    sample.labels["semseg"][:, :40] = 0
    alone = {"depth": tasks["depth"]}
    for steps in ((ScaledCrop(RandomScale(), RandomCrop(20, 30)),), (RandomScale(), RandomCrop(20, 30))):
        for seed in range(20):
            every, one, blind = (
                Compose(steps)(of, used, np.random.default_rng(seed))
                for of, used in (
                    (sample, tasks),
                    (sample, alone),
                    (Sample("", sample.image, {"depth": sample.labels["depth"]}), alone),
                )
            )
            assert set(one.labels) == {"depth"}
            np.testing.assert_array_equal(one.image, every.image)
            np.testing.assert_array_equal(one.labels["depth"], every.labels["depth"])
            if blind.image.tobytes() != one.image.tobytes():
                break
        else:
            raise AssertionError("the rule never drew again, so that this test saw nothing")


@pytest.mark.parametrize("scaled", [True, False])
def test_a_crop_without_a_person_is_ignored_by_human_parts(scaled: bool) -> None:
    label = np.zeros((40, 40), np.uint8)
    label[:, 30:] = 2
    sample = Sample("", np.zeros((40, 40, 3), np.uint8), {"human_parts": label})
    parts = {"human_parts": TASKS["human_parts"]()}

    def crops(**options: bool) -> list[np.ndarray]:
        crop = RandomCrop(10, 10, **options)
        steps = (ScaledCrop(RandomScale(1, 2), crop),) if scaled else (crop,)
        views = [Compose(steps)(sample, parts, np.random.default_rng(seed)) for seed in range(40)]
        return [view.labels["human_parts"] for view in views]

    plain = crops(relabel=False)
    empty = [not (cut == 2).any() for cut in plain]
    assert 5 < sum(empty) < 35
    for cut, before, nobody in zip(crops(), plain, empty, strict=True):
        np.testing.assert_array_equal(cut, np.full_like(before, 255) if nobody else before)
    whole = View.of(sample)
    np.testing.assert_array_equal(
        RandomCrop(40, 40)(whole, parts, np.random.default_rng(0)).labels["human_parts"], label
    )


@pytest.mark.parametrize("size", [(45, 61), (30, 61), (20, 33), (90, 20)])
def test_scaling_and_cropping_at_once_equals_one_after_the_other(
    size: tuple[int, int], tasks: Mapping[str, Task]
) -> None:
    scale, crop = RandomScale(), RandomCrop(*size)
    for seed in range(25):
        one, other = (
            Compose(steps)(coordinates(), tasks, np.random.default_rng(seed))
            for steps in ((ScaledCrop(scale, crop),), (scale, crop))
        )
        assert one.image.shape == other.image.shape
        assert np.abs(one.image.astype(int) - other.image).max() <= 1
        assert one.valid.shape == other.valid.shape
        for name in one.labels:
            np.testing.assert_array_equal(one.labels[name], other.labels[name])


def test_crop_counts_labelled_pixels_only_and_gives_up_in_the_end(tasks: Mapping[str, Task]) -> None:
    label = np.full((4, 4), 255, np.uint8)
    assert dominant_share(label) == 1.0
    label[0] = [1, 1, 1, 2]
    assert dominant_share(label) == 0.75
    sample = Sample("a", np.zeros((30, 30, 3), np.uint8), {"semseg": np.zeros((30, 30), np.uint8)})
    assert RandomCrop(9, 9)(View.of(sample), tasks, np.random.default_rng(0)).image.shape == (9, 9, 3)
    small = RandomCrop(9, 50)(View.of(sample), tasks, np.random.default_rng(0))
    assert small.image.shape == (9, 30, 3)  # a short side stays whole


def test_padding_is_centred_and_marked(tasks: Mapping[str, Task]) -> None:
    view = Compose((Normalize(), Pad(50, 64)))(coordinates(), tasks, np.random.default_rng(0))
    top, left = (50 - HEIGHT) // 2, (64 - WIDTH) // 2
    wanted = np.zeros((50, 64), bool)
    wanted[top : top + HEIGHT, left : left + WIDTH] = True
    np.testing.assert_array_equal(view.valid, wanted)
    assert (view.image[~wanted] == 0).all()
    assert (view.labels["semseg"][~wanted] == 255).all()
    assert (view.labels["edge"][~wanted] == 255).all()
    assert (view.labels["depth"][~wanted] == 0).all()
    assert (view.labels["normals"][~wanted] == 0).all()
    with pytest.raises(InputError, match="'where' is 45 x 61, larger than the padded size 40 x 70"):
        Pad(40, 70)(View.of(coordinates()), tasks, np.random.default_rng(0))


def test_normalize_is_the_formula(tasks: Mapping[str, Task]) -> None:
    sample = coordinates()
    view = eval_transform((HEIGHT, WIDTH))(sample, tasks, np.random.default_rng(0))
    wanted = (sample.image / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    np.testing.assert_allclose(view.image, wanted, rtol=1e-4, atol=1e-5)
    assert view.image.dtype == np.float32
    assert view.valid.all()


# -- colours -------------------------------------------------------------------------------------------------------


def colours() -> np.ndarray:
    """``(3, 1, n)``: random colours, greys, black, white and pure colours."""
    generator = np.random.default_rng(0)
    special = [[0, 0, 0], [255, 255, 255], [90, 90, 90], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]]
    return np.concatenate([generator.uniform(0, 255, (200, 3)), special]).astype(np.float32).T[:, None]


@pytest.mark.parametrize("turn", [-0.1, -0.03, 0.0, 0.05, 0.1, 0.5, 0.9])
def test_hue_matches_colorsys(turn: float) -> None:
    planes = colours()
    turned = shift_hue(planes.copy(), turn)
    for index in range(planes.shape[2]):
        hue, saturation, value = colorsys.rgb_to_hsv(*(float(c) / 255 for c in planes[:, 0, index]))
        wanted = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
        np.testing.assert_allclose(turned[:, 0, index] / 255, wanted, atol=2e-5)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_saturation_matches_colorsys(factor: float) -> None:
    planes = colours()
    changed = adjust_saturation(planes.copy(), factor)
    for index in range(planes.shape[2]):
        hue, saturation, value = colorsys.rgb_to_hsv(*(float(c) / 255 for c in planes[:, 0, index]))
        wanted = colorsys.hsv_to_rgb(hue, min(1, saturation * factor), value)
        np.testing.assert_allclose(changed[:, 0, index] / 255, wanted, atol=2e-5)


def test_brightness_and_contrast_clip() -> None:
    planes = colours()
    np.testing.assert_allclose(shift_brightness(planes.copy(), 30), np.clip(planes + 30, 0, 255), rtol=1e-6)
    np.testing.assert_allclose(adjust_contrast(planes.copy(), 1.4), np.clip(planes * 1.4, 0, 255), rtol=1e-5)


def test_photometric_changes_the_image_only(tasks: Mapping[str, Task]) -> None:
    sample = coordinates()
    before = sample.image.copy()
    generator = np.random.default_rng(0)
    same = 0
    for _ in range(200):
        view = Photometric()(View.of(sample), tasks, generator)
        assert view.labels is sample.labels
        assert 0 <= view.image.min() <= view.image.max() <= 255
        same += np.array_equal(view.image, sample.image)
    assert 3 <= same <= 30  # one in 16
    np.testing.assert_array_equal(sample.image, before)
    still = Photometric(probability=0)(View.of(sample), tasks, generator)
    np.testing.assert_array_equal(still.image, sample.image)


def test_the_whole_augmentation(tasks: Mapping[str, Task]) -> None:
    transform = train_transform((40, 56))
    assert [type(step).__name__ for step in transform.steps] == [
        "ScaledCrop",
        "Flip",
        "Photometric",
        "Normalize",
        "Pad",
    ]
    for seed in range(30):
        view, again = (transform(coordinates(), tasks, np.random.default_rng(seed)) for _ in range(2))
        assert view.image.shape == (40, 56, 3)
        assert view.image.dtype == np.float32
        assert {label.shape[:2] for label in view.labels.values()} == {(40, 56)}
        np.testing.assert_array_equal(view.image, again.image)
        np.testing.assert_array_equal(view.labels["depth"], again.labels["depth"])
        np.testing.assert_array_equal(view.valid, view.labels["semseg"] != 255)
    plain = train_transform((40, 56), scale=None, flip=0, photometric=None)
    assert len(plain.steps) == 3
