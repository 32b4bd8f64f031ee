"""What every task keeps to: facts, decoding, pictures, label checks, flips, metrics; and a task from outside."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from atrc.tasks import TASKS, Depth, Edge, Field, HumanParts, Normals, Saliency, SemSeg, Task, _enlarged
from atrc.tasks._depth import log_bins
from atrc.tasks._enlarged import largest_classes, largest_classes_plainly
from atrc.tasks._palette import palette
from searchspace.errors import InputError

NAMES = ("semseg", "human_parts", "saliency", "depth", "normals", "edge", "a")


def label_of(task: Task, height: int = 20, width: int = 24) -> np.ndarray:
    """A valid random label, channel-last, with some invalid pixels."""
    rng = np.random.default_rng(0)
    if isinstance(task, Normals):
        normals = rng.standard_normal((height, width, 3)).astype(np.float32)
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        normals[0, :3] = 0
        return normals
    if isinstance(task, Depth):
        depth = rng.uniform(0.5, 12, (height, width)).astype(np.float32)
        depth[0, :3] = 0
        return depth
    if isinstance(task, Field):
        field = np.stack([rng.standard_normal((height, width)), rng.integers(0, 4, (height, width))], axis=-1)
        field[0, :3] = np.nan
        return field.astype(np.float32)
    classes = 2 if isinstance(task, Edge | Saliency) else task.channels
    label = rng.integers(0, classes, (height, width)).astype(np.uint8)
    label[0, :3] = 255
    return label


@pytest.mark.parametrize(
    ("name", "channels", "regions", "weight"),
    [
        ("semseg", 40, 40, 1),
        ("human_parts", 7, 7, 2),
        ("saliency", 2, 2, 5),
        ("depth", 1, 40, 1),
        ("normals", 3, 40, 10),
        ("edge", 1, 2, 50),
    ],
)
def test_facts_of_the_paper(name: str, channels: int, regions: int, weight: float) -> None:
    task = TASKS[name]()
    assert (task.name, task.channels, task.regions, task.weight) == (name, channels, regions, weight)


def test_letters_are_tasks_of_one_kind() -> None:
    assert {letter: TASKS[letter] for letter in "abyz"} == dict.fromkeys("abyz", Field)


def test_pictures_of_known_values() -> None:
    assert Edge().draw(np.array([[0, 1, 255]], np.uint8))[0].tolist() == [[255] * 3, [18, 22, 40], [150] * 3]
    assert Saliency().draw(np.array([[0, 1, 255]], np.uint8))[0, :, 0].tolist() == [0, 255, 150]
    assert Normals().draw(np.array([[[0.0, 0, 1], [0, 0, 0]]]))[0].tolist() == [[128, 128, 255], [0, 0, 0]]
    field = Field().draw(np.array([[[0.0, 1], [-9, 1], [9, 1], [np.nan, 1]]]))[0].tolist()
    assert min(field[0]) > 240
    assert field[1][2] > field[1][0]
    assert field[2][0] > field[2][2]
    assert field[3] == [0, 0, 0]
    depth = Depth().draw(np.array([[0, np.nan, 0.7, 10, 99]], np.float32))[0].tolist()
    assert depth[0] == depth[1] == [0, 0, 0]
    assert depth[3] == depth[4] != depth[2]
    assert SemSeg(3).draw(np.array([[255]]))[0, 0].tolist() == [150] * 3


def test_stored_maps_hold_known_values() -> None:
    """PNG of whole numbers and probabilities, NPY of measures; a user's task needs to say nothing."""

    def png(stored: object) -> np.ndarray:
        assert isinstance(stored, Image.Image)
        stored.save(file := io.BytesIO(), format="PNG")
        return np.array(Image.open(file))

    probability = np.array([[0, 0.5, 1, 0.25]], np.float32)
    for task in (Edge(), Saliency()):
        assert png(task.stored(probability)).tolist() == [[0, 32768, 65535, 16384]]
        assert png(task.stored(probability)).dtype == np.uint16
    classes = np.array([[0, 2, 1]])
    assert png(SemSeg(3).stored(classes)).tolist() == classes.tolist()
    assert np.array(SemSeg(3).stored(classes).convert("RGB")).tolist() == SemSeg(3).draw(classes).tolist()
    for measured in (np.array([[0.1, 70]], np.float32), np.ones((1, 2, 3), np.float32)):
        assert Depth().stored(measured) is measured
        assert Normals().stored(measured) is measured
    # Depth says nothing of its own, so these are what a user's task gets.
    assert png(Depth().stored(classes > 1)).tolist() == [[0, 1, 0]]
    assert png(Depth().stored(np.array([[254, 255]]))).dtype == np.uint8
    with pytest.raises(InputError, match=r"holds 0\.\.255, but the map has -1\.\.7"):
        Depth().stored(np.array([[-1, 7]]))


def test_palette_is_distinct_and_stable() -> None:
    colours = palette(255)
    assert len(np.unique(colours, axis=0)) == 255
    assert colours[0].max() < 40
    np.testing.assert_array_equal(palette(7), colours[:7])
    assert not (palette(60) == 150).all(1).any()


def test_flip_of_normals_negates_x_and_leaves_the_label_alone() -> None:
    label = np.zeros((1, 2, 3), np.float32)
    label[0, 0] = (0.6, 0, 0.8)
    flipped = Normals().flip_label(label)
    np.testing.assert_array_equal(flipped[0, 1], np.float32([-0.6, 0, 0.8]))
    assert label[0, 0, 0] == np.float32(0.6)


def test_depth_shrinks_as_the_image_grows() -> None:
    label = np.array([[2.0, 0.0]], np.float32)
    scaled = Depth().rescale_label(label, 2.0)
    assert scaled.tolist() == [[1.0, 0.0]]
    assert scaled.dtype == np.float32
    assert SemSeg().rescale_label(label, 2.0) is label


def _with(label: np.ndarray, value: float) -> np.ndarray:
    label = label.copy()
    label[3, 5] = value
    return label


@pytest.mark.parametrize(
    ("task", "label", "message"),
    [
        (SemSeg(59), _with(np.zeros((6, 7), np.uint8), 63), "value 63 at row 3, column 5, classes are 0..58 or 255"),
        (HumanParts(), np.zeros((6, 7, 3)), "shape is (6, 7, 3), expected (H, W)"),
        (Saliency(), _with(np.zeros((6, 7)), 0.5), "value 0.5 at row 3, column 5, classes are 0..1 or 255"),
        (Edge(), _with(np.zeros((6, 7)), np.nan), "value nan at row 3, column 5"),
        (Depth(), _with(np.ones((6, 7), np.float32), -1), "depth -1.0 at row 3, column 5"),
        (Depth(), _with(np.ones((6, 7), np.float32), np.nan), "depth nan at row 3, column 5"),
        (Depth(), np.ones((6, 7), np.uint16), "values are uint16"),
        (Normals(), _with(np.zeros((6, 7, 3)), 1.0), "norm 1.732 at row 3, column 5, must be 1 or (invalid) 0"),
        (Normals(), _with(np.zeros((6, 7, 3)), np.nan), "norm nan at row 3, column 5"),
        (Field(), np.zeros((6, 7), np.float32), "float32 of shape (6, 7), expected"),
        (Field(), np.full((6, 7, 2), 4.0), "value 4.0 at row 0, column 0, classes are 0..3 or 255"),
        (Normals(), np.zeros((3, 6, 7)), "shape is (3, 6, 7), expected (H, W, 3)"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_label(task: Task, label: np.ndarray, message: str) -> None:
    problem = task.check_label(label)
    assert problem is not None
    assert message in problem


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("semseg", {"weight": 0}, "weight must be a finite number > 0, got 0"),
        ("semseg", {"classes": 1}, "classes must be 2..255 in number, got 1"),
        ("semseg", {"classes": 300}, "got 300"),
        ("semseg", {"classes": ["wall", "floor", "wall"]}, "come twice: wall"),
        ("semseg", {"classes": "wall"}, "list of names or a count"),
        ("semseg", {"absent": "drop"}, "absent must be"),
        ("human_parts", {"weight": -2}, "got -2"),
        ("saliency", {"beta_squared": 0}, "beta_squared must be"),
        ("depth", {"minimum": 10.0, "maximum": 1.0}, "got minimum=10.0, maximum=1.0"),
        ("depth", {"bins": 1}, "bins must be 2..255, got 1"),
        ("normals", {"centroids": 1}, "centroids must be 2..255, got 1"),
        ("normals", {"weight": float("nan")}, "weight must be"),
        ("a", {"region_weight": 0}, "region_weight must be"),
        ("a", {"classes": 1}, "classes must be 2..255, got 1"),
        ("edge", {"positive_weight": 1.0}, "strictly between 0 and 1"),
        ("edge", {"max_distance": 3.0}, "share of the diagonal"),
        ("edge", {"thresholds": 0}, "thresholds must be at least 1"),
    ],
)
def test_refused_arguments(name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        TASKS[name](**options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_log_bins_at_known_depths() -> None:
    edge_20 = 0.7 * (10 / 0.7) ** 0.5  # the geometric middle of the range
    depths = torch.tensor([0.1, 0.7, edge_20 * 0.999, edge_20 * 1.001, 9.999, 10.0, 80.0])
    assert log_bins(depths, 40, 0.7, 10.0).tolist() == [0, 0, 19, 20, 39, 39, 39]


def test_decode_keeps_units() -> None:
    assert Depth().decode(torch.tensor([-1.0, 2.0]).view(1, 1, 1, 2)).flatten().tolist() == [0, 2]
    assert Edge().decode(torch.zeros(1, 1, 1, 1)).item() == 0.5
    assert Saliency().decode(torch.tensor([0.0, 100.0]).view(1, 2, 1, 1)).item() == 1
    unit = Normals().decode(torch.tensor([0.0, 3.0, 4.0]).view(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(unit, torch.tensor([0.0, 0.6, 0.8]))


@pytest.mark.parametrize("name", NAMES)
def test_decoding_at_a_size_is_decoding_what_torch_enlarges(name: str) -> None:
    task = TASKS[name]()
    raw = torch.randn(3, task.channels, 9, 13, generator=torch.Generator().manual_seed(0))
    for size in ((36, 52), (35, 49), (9, 13), (20, 13), (5, 4), (1, 1)):
        large = torch.nn.functional.interpolate(raw, size, mode="bilinear", align_corners=False)
        torch.testing.assert_close(task.decode_at(raw, size), task.decode(large), rtol=1e-5, atol=1e-5)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    small=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    large=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    levels=st.sampled_from([0, 3]),
)
def test_the_largest_class_is_that_of_double_precision(
    seed: int, small: tuple[int, int], large: tuple[int, int], levels: int
) -> None:
    """But for pixels where another class is as large within rounding; equal classes: the first."""
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 5, *small)
    raw = (
        torch.randint(levels, shape, generator=generator).float()
        if levels
        else torch.randn(shape, generator=generator)
    )
    found = largest_classes(raw, large)
    assert found.dtype == torch.int64
    assert found.shape == (2, *large)
    exact = torch.nn.functional.interpolate(raw.double(), large, mode="bilinear", align_corners=False)
    chosen = exact.gather(1, found[:, None])[:, 0]
    assert float((exact.amax(1) - chosen).max()) < 1e-5
    if small == large:
        assert torch.equal(found, raw.max(1).indices)


def test_a_class_that_is_not_a_number_counts_as_largest() -> None:
    raw = torch.zeros(1, 4, 2, 2)
    raw[0, 3] = 1
    raw[0, 1:3, 0, 0] = float("nan")
    expected = largest_classes_plainly(raw, (2, 2))
    assert expected[0, 0, 0] == 1
    assert torch.equal(largest_classes(raw, (2, 2)), expected)


def test_classes_of_other_numbers_and_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = torch.randn(2, 6, 8, 7, generator=torch.Generator().manual_seed(0))
    expected = largest_classes_plainly(raw, (30, 27))
    assert torch.equal(largest_classes(raw.double(), (30, 27)), largest_classes_plainly(raw.double(), (30, 27)))
    assert torch.equal(largest_classes(raw.bfloat16(), (30, 27)), largest_classes_plainly(raw.bfloat16(), (30, 27)))
    assert torch.equal(largest_classes(raw.contiguous(memory_format=torch.channels_last), (30, 27)), expected)
    assert largest_classes(raw[:0], (30, 27)).shape == (0, 30, 27)
    monkeypatch.setattr(_enlarged, "compiles", lambda _: False)
    assert torch.equal(largest_classes(raw, (30, 27)), expected)


def test_threads_do_not_change_the_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = torch.randn(5, 6, 8, 7, generator=torch.Generator().manual_seed(0))
    expected = largest_classes(raw, (30, 27))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(largest_classes(raw, (30, 27)), expected)


def test_a_task_that_decodes_in_its_own_way_is_asked() -> None:
    class Shifted(SemSeg):
        def decode(self, prediction: torch.Tensor) -> torch.Tensor:
            return super().decode(prediction) + 1

    raw = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Shifted(4).decode_at(raw, (12, 12)), SemSeg(4).decode_at(raw, (12, 12)) + 1)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"normals"}))
def test_a_task_that_learns_nothing_keeps_no_state(name: str, tmp_path: Path) -> None:
    task = TASKS[name]()
    task.fit([label_of(task)], tmp_path)
    assert task.state_dict() == {}
    assert not list(tmp_path.iterdir())
    task.load_state_dict({})
    with pytest.raises(InputError, match="keeps no state"):
        task.load_state_dict({"centroids": torch.zeros(1)})
