"""NYUD-v2: the pack's files as labels, and what is said of files that cannot be used."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from packs import save_image, write_nyud
from PIL import Image

from atrc.data import DATASETS, NYUD, check_dataset
from atrc.data.rooms.renderer import render
from searchspace import InputError

TASKS = ["semseg", "depth", "normals", "edge"]
SIZE = (34, 45)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its images are small, so that every test names their size."""
    return write_nyud(tmp_path_factory.mktemp("packs") / "NYUD_MT", train=3, val=1, size=SIZE)


@pytest.mark.parametrize("cached", [True, False])
def test_labels_are_those_that_were_written(pack: Path, cached: bool) -> None:
    train = NYUD("train", TASKS, root=pack, size=SIZE, cached=cached)
    assert len(train) == 3
    for index in range(3):
        room, sample = render(0, "train", index, SIZE), train[index]
        hole = np.zeros(SIZE, bool)
        hole[: SIZE[0] // 8, SIZE[1] // 3 : SIZE[1] // 2] = True
        np.testing.assert_array_equal(sample.labels["semseg"], np.where(hole, 255, 2 * room.semseg))
        np.testing.assert_array_equal(sample.labels["depth"], np.where(hole, 0, room.depth))
        np.testing.assert_allclose(sample.labels["normals"], np.where(hole[..., None], 0, room.normals), atol=1e-6)
        np.testing.assert_array_equal(sample.labels["edge"], room.edge)
        assert [sample.labels[task].dtype for task in TASKS] == [np.uint8, np.float32, np.float32, np.uint8]


def test_the_description_needs_no_files() -> None:
    info = NYUD.describe()
    assert (info.name, info.size, list(info.tasks)) == ("NYUD-v2", (425, 560), TASKS)
    assert info.tasks["semseg"] == {"classes": 40}
    assert info.tasks["edge"] == {"positive_weight": 0.8, "max_distance": 0.011}
    assert DATASETS["nyud"] is NYUD


def test_another_size_is_refused_unless_it_is_asked_for(pack: Path) -> None:
    """A pack with images of 480 x 640 exists; what is measured on it resampled is another benchmark."""
    with pytest.raises(InputError, match=r"train0000\.jpg: image is 34 x 45, those of NYUD-v2 are 425 x 560"):
        NYUD("train", TASKS, root=pack)
    for skip_bad in (False, True):
        resampled = NYUD("train", TASKS, root=pack, size=(425, 560), skip_bad=skip_bad)
        assert resampled[0].image.shape == (425, 560, 3)
        with pytest.raises(InputError, match="image is 34 x 45"):  # what is kept of the former says nothing here
            NYUD("train", TASKS, root=pack, skip_bad=skip_bad)
    half = NYUD("train", ["edge", "depth"], root=pack, size=(17, 45))[0].labels
    room = render(0, "train", 0, SIZE)
    pairs = room.edge.reshape(17, 2, 45)
    np.testing.assert_array_equal(half["edge"], pairs.max(axis=1))  # no boundary pixel is lost
    assert half["depth"].shape == (17, 45)


def test_a_missing_pack_says_what_to_do(tmp_path: Path) -> None:
    message = r"nowhere: no such folder.*gt_sets/train\.txt.*depth/\{id\}\.npy.*to get it: NYUD_MT of .*--data"
    with pytest.raises(InputError, match=message) as caught:
        NYUD("train", TASKS, root=tmp_path / "nowhere")
    assert "\n" not in str(caught.value)


def array(content: np.ndarray) -> Callable[[Path], None]:
    return lambda file: np.save(file, content)


def with_nan(file: Path) -> None:
    depth = np.load(file)
    depth[3, 4] = np.nan
    np.save(file, depth)


def negative(file: Path) -> None:
    depth = np.load(file)
    depth[3, 4] = -1
    np.save(file, depth)


def pickled(file: Path) -> None:
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200])


SPOILT: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "no photograph": ("images/{id}.jpg", Path.unlink, "no such file"),
    "photograph cut off": ("images/{id}.jpg", cut_off, "not readable as image"),
    "classes of another size": (
        "segmentation/{id}.png",
        lambda file: save_image(file, np.zeros((5, 5))),
        "label is 5 x 5, but its image",
    ),
    "a class too many": ("segmentation/{id}.png", lambda file: save_image(file, np.full(SIZE, 41)), "value 40"),
    "classes cut off": ("segmentation/{id}.png", cut_off, "not readable as label"),
    "no depth": ("depth/{id}.npy", Path.unlink, "no such file"),
    "depth that is no number": ("depth/{id}.npy", with_nan, "infinite or not a number"),
    "negative depth": ("depth/{id}.npy", negative, "depth -1"),
    "a pickle": ("depth/{id}.npy", pickled, r"not readable as label \(no array of numbers in NumPy's format\)"),
    "a text": ("depth/{id}.npy", lambda file: file.write_text("1 2 3"), "no array of numbers in NumPy's format"),
    "depth cut off": ("depth/{id}.npy", cut_off, "not readable as label"),
    "flat normals": ("normals/{id}.npy", array(np.ones(SIZE, np.float32)), r"shape is \(34, 45\)"),
    "a third kind of edge": ("edge/{id}.npy", array(np.full(SIZE, 2.0)), "value 2"),
    "half an edge": ("edge/{id}.npy", array(np.full(SIZE, 0.5)), "value 0.5 is not a class"),
}


@pytest.mark.parametrize("what", list(SPOILT))
@pytest.mark.parametrize("cached", [True, False])
def test_a_bad_file_is_named_or_left_out(pack: Path, what: str, cached: bool) -> None:
    pattern, spoil, complaint = SPOILT[what]
    file = pack / pattern.format(id="train0001")
    spoil(file)

    def read_all(skip_bad: bool) -> list[str]:
        train = NYUD("train", TASKS, root=pack, size=SIZE, cached=cached, skip_bad=skip_bad)
        if skip_bad:
            assert list(train.skipped) == ["train0001"]
            assert str(file) in train.skipped["train0001"]
        return [train[index].id for index in range(len(train))]

    for _ in range(2):  # the outcome is kept, and stays the same
        with pytest.raises(InputError, match=complaint) as caught:
            read_all(skip_bad=False)
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert read_all(skip_bad=True) == ["train0000", "train0002"]


def test_a_mended_file_is_taken_back(pack: Path, pristine: Path) -> None:
    file = pack / "depth" / "train0001.npy"
    with_nan(file)
    assert len(NYUD("train", TASKS, root=pack, size=SIZE, skip_bad=True)) == 2
    assert len(NYUD("train", ["semseg"], root=pack, size=SIZE, skip_bad=True)) == 3, "its other labels are good"
    shutil.copy(pristine / "depth" / "train0001.npy", file)
    mended = NYUD("train", TASKS, root=pack, size=SIZE, skip_bad=True)
    assert len(mended) == 3
    assert not mended.skipped
    np.testing.assert_array_equal(mended[1].labels["depth"], np.load(file))


def test_an_incomplete_pack_is_listed_file_by_file(pack: Path) -> None:
    names = ("images/train0000.jpg", "depth/train0002.npy", "edge/train0002.npy", "edge/val0000.npy")
    gone = [pack / name for name in names]
    for file in gone:
        file.unlink()
    listed = " ".join(problem.message for problem in check_dataset("nyud", root=pack, size=SIZE))
    assert all(str(file) in listed for file in gone)


def test_images_are_as_they_were_photographed(pack: Path) -> None:
    photograph = np.array(Image.open(pack / "images" / "train0002.jpg"))
    np.testing.assert_array_equal(NYUD("train", [], root=pack, size=SIZE)[2].image, photograph)
