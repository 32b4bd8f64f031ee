"""PASCAL-Context: what becomes of every kind of file in the pack, and what is said of files that cannot be used."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from packs import CONTEXT, VOC, anno, save_image, save_matlab, write_pascal
from PIL import Image

from atrc.data import PascalContext, check_dataset
from atrc.data.pascal_labels import WITH_NORMALS, class_boundaries, human_parts, known_normals, salient
from atrc.data.rooms.labels import CLASSES
from atrc.data.rooms.renderer import Rendering, render
from atrc.metrics._thinning import thin
from searchspace import InputError, UnknownNameError

TASKS = ["semseg", "human_parts", "saliency", "normals", "edge"]
SIZES = ((37, 50), (50, 33), (28, 49))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pascal(tmp_path_factory.mktemp("packs") / "PASCAL_MT", train=6, val=2, sizes=SIZES)


def rendering(index: int) -> Rendering:
    return render(1, "train", index, SIZES[index % 3])


@pytest.mark.parametrize("cached", [True, False])
def test_labels_are_those_that_were_written(pack: Path, cached: bool) -> None:
    train = PascalContext("train", TASKS, root=pack, cached=cached)
    assert train.ids == [f"2008_{index:06d}" for index in range(6)]
    assert len(PascalContext("val", [], root=pack)) == 2
    persons = 0
    for index in range(len(train)):
        room, sample = rendering(index), train[index]
        assert sample.image.shape == (*SIZES[index % 3], 3)
        assert np.abs(sample.image.astype(int) - room.image).mean() < 12, "but for what JPEG loses"
        voc = np.array([VOC.get(name, 0) for name in CLASSES])
        np.testing.assert_array_equal(sample.labels["semseg"], voc[room.semseg])
        np.testing.assert_array_equal(sample.labels["saliency"], room.saliency)
        shown = (room.human_parts > 0).any()
        persons += shown
        np.testing.assert_array_equal(sample.labels["human_parts"], room.human_parts if shown else 255)
        contexts = np.array(list(CONTEXT.values()))[room.semseg]
        known = ~np.isin(contexts, [144, 420])  # a fence and a tree
        np.testing.assert_allclose(sample.labels["normals"][known], room.normals[known], atol=0.01)
        np.testing.assert_allclose(np.linalg.norm(sample.labels["normals"], axis=2), known, atol=1e-6)
        np.testing.assert_array_equal(sample.labels["edge"], class_boundaries(contexts))
    assert 0 < persons < 6, "images of both kinds"


def test_the_description_needs_no_files() -> None:
    info = PascalContext.describe()
    assert (info.name, info.size, list(info.tasks)) == ("PASCAL-Context", (512, 512), TASKS)
    assert len(info.tasks["semseg"]["classes"]) == 21
    assert info.tasks["edge"] == {"positive_weight": 0.95, "max_distance": 0.0075}


def objects(*found: tuple[int, list[tuple[str, np.ndarray]]]) -> np.ndarray:
    """The struct ``anno`` with objects of a class and named parts."""
    struct = np.empty((1, len(found)), dtype=[(name, object) for name in ("class_ind", "mask", "parts")])
    for index, (number, named) in enumerate(found):
        parts = np.empty((1, len(named)), dtype=[("part_name", object), ("mask", object)])
        for k, (name, mask) in enumerate(named):
            parts[0, k] = (np.array([name]), mask)
        struct[0, index] = (np.array([[number]]), np.zeros((2, 3), np.uint8), parts if named else np.zeros((0, 0)))
    outer = np.empty((1, 1), dtype=[("objects", object)])
    outer[0, 0] = (struct,)
    return outer


def test_parts_of_persons_in_six_groups() -> None:
    left = np.array([[1, 1, 0], [0, 0, 0]], np.uint8)
    right = np.array([[0, 1, 1], [0, 0, 0]], np.uint8)
    both = objects((12, [("head", left)]), (15, []), (15, [("torso", left), ("rhand", right)]))
    np.testing.assert_array_equal(human_parts(both, (2, 3)), [[2, 4, 4], [0, 0, 0]])
    for nobody in (objects(), objects((15, []), (12, [("head", left)]))):
        assert (human_parts(nobody, (2, 3)) == 255).all()
    groups = {
        1: ["hair", "head", "lear", "rear", "leye", "reye", "lebrow", "rebrow", "mouth", "nose"],
        2: ["neck", "torso"],
        3: ["luarm", "ruarm"],
        4: ["llarm", "rlarm", "lhand", "rhand"],
        5: ["luleg", "ruleg"],
        6: ["llleg", "rlleg", "lfoot", "rfoot"],
    }
    for group, names in groups.items():
        for name in names:
            assert human_parts(objects((15, [(name, left)])), (2, 3))[0, 0] == group
    with pytest.raises(UnknownNameError, match=r"unknown part of a person 'lhnad'.*did you mean 'lhand'"):
        human_parts(objects((15, [("lhnad", left)])), (2, 3))
    with pytest.raises(InputError, match=r"mask of part 'head' is \(2, 3\), but its image is \(3, 3\)"):
        human_parts(objects((15, [("head", left)])), (3, 3))
    with pytest.raises(InputError, match="no field 'objects'"):
        human_parts(np.zeros((1, 1)), (2, 3))


def test_boundaries_are_where_the_laplacian_is_not_zero() -> None:
    generator = np.random.default_rng(0)
    label_map = np.kron(generator.integers(1, 460, (4, 5)), np.ones((5, 4), int)).astype(np.uint16)
    found = np.zeros(label_map.shape, bool)
    height, width = label_map.shape
    for row in range(height):
        for column in range(width):
            around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
            mirrored = [
                (abs(r) if r < height else 2 * height - 2 - r, abs(c) if c < width else 2 * width - 2 - c)
                for r, c in around
            ]
            total = sum(int(label_map[at]) for at in mirrored)
            found[row, column] = total != 4 * int(label_map[row, column])
    assert found.any()
    np.testing.assert_array_equal(class_boundaries(label_map), thin(found[None])[0])


def test_normals_only_of_classes_that_nyud_knows() -> None:
    person, wall, sky, television = 284, 440, 360, 427
    colours = np.array([[[255, 128, 128], [0, 0, 255], [10, 20, 30], [127, 255, 127]]], np.uint8)
    normals = known_normals(colours, np.array([[person, wall, sky, television]]))
    np.testing.assert_allclose(normals[0, 0], [1, 0, 0], atol=0.01)
    np.testing.assert_allclose(normals[0, 1], np.array([-1, -1, 1]) / 3**0.5)
    assert not normals[0, 2].any()
    np.testing.assert_allclose(normals[0, 3], [0, 1, 0], atol=0.01)
    assert len(WITH_NORMALS) == len(set(WITH_NORMALS)) == 170
    assert {158, 68, 72, 368} <= set(WITH_NORMALS), "floor, ceiling, chair, sofa"
    assert not {2, 45, 98, 187, 258, 324, 420, 431, 445} & set(WITH_NORMALS), "aeroplane, bus, cow, .. unknown, water"


def test_salient_is_more_than_half() -> None:
    np.testing.assert_array_equal(salient(np.array([[0, 127, 128, 255]], np.uint8)), [[0, 0, 1, 1]])


def test_what_was_made_of_matlab_files_is_kept_until_they_change(pack: Path, tmp_path: Path) -> None:
    train = PascalContext("train", ["human_parts"], root=pack)
    index = next(i for i in range(6) if (rendering(i).human_parts > 0).any())
    before = train[index].labels["human_parts"]
    (kept,) = (tmp_path / "cache").rglob(f"human_parts/{train.ids[index]}.png")
    written = kept.stat().st_mtime_ns
    again = PascalContext("train", ["human_parts"], root=pack)[index].labels["human_parts"]
    np.testing.assert_array_equal(again, before)
    assert kept.stat().st_mtime_ns == written, "not made again"

    kept.write_bytes(kept.read_bytes()[:60])  # cut off
    np.testing.assert_array_equal(train[index].labels["human_parts"], before)

    room = rendering(index)
    room.human_parts[room.human_parts == 2] = 0
    save_matlab(pack / "human_parts" / f"{train.ids[index]}.mat", anno=anno(room, "changed"))
    after = PascalContext("train", ["human_parts"], root=pack)[index].labels["human_parts"]
    np.testing.assert_array_equal(after, np.where(before == 2, 0, before))


def first_use(root: Path, results: multiprocessing.SimpleQueue) -> None:
    train = PascalContext("train", TASKS, root=root)
    results.put([train[index].labels["edge"].sum() for index in range(len(train))])


def test_two_processes_may_be_first(pack: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results: multiprocessing.SimpleQueue = context.SimpleQueue()
    processes = [context.Process(target=first_use, args=(pack, results)) for _ in range(2)]
    for process in processes:
        process.start()
    first, second = results.get(), results.get()
    for process in processes:
        process.join()
    assert first == second
    assert [process.exitcode for process in processes] == [0, 0]
    assert not list((tmp_path / "cache").rglob(".*")), "nothing half made is left"


def wrong_size(file: Path) -> None:
    save_image(file, np.zeros((5, 5)))


def no_image(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])


def too_long(file: Path) -> None:
    save_image(file, np.zeros((20, 513, 3)))


def too_large_a_class(file: Path) -> None:
    with Image.open(file) as image:
        save_image(file, np.full(image.size[::-1], 21))


def other_variable(file: Path) -> None:
    save_matlab(file, labels=np.zeros((4, 4)))


def no_matlab(file: Path) -> None:
    file.write_text("not MATLAB")


def unknown_part(file: Path) -> None:
    save_matlab(file, anno=objects((15, [("wing", np.ones(SIZES[0], np.uint8))])))


def other_label_map(file: Path) -> None:
    save_matlab(file, LabelMap=np.zeros((4, 4), np.uint16))


SPOILT: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "no photograph": ("JPEGImages/{id}.jpg", Path.unlink, "no such file"),
    "photograph cut off": ("JPEGImages/{id}.jpg", no_image, "not readable as image"),
    "photograph too long": ("JPEGImages/{id}.jpg", too_long, "image is 20 x 513, larger than 512 x 512"),
    "no classes": ("semseg/VOC12/{id}.png", Path.unlink, "no such file"),
    "classes of another size": ("semseg/VOC12/{id}.png", wrong_size, "label is 5 x 5, but its image"),
    "a class too many": ("semseg/VOC12/{id}.png", too_large_a_class, "value 21"),
    "saliency cut off": ("sal_distill/{id}.png", no_image, "not readable as label"),
    "grey normals": ("normals_distill/{id}.png", wrong_size, r"normals are \(5, 5\)"),
    "no MATLAB file": ("human_parts/{id}.mat", no_matlab, "not readable as MATLAB file"),
    "another variable": ("human_parts/{id}.mat", other_variable, "it holds no variable 'anno'"),
    "an unknown part": ("human_parts/{id}.mat", unknown_part, "unknown part of a person 'wing'"),
    "a LabelMap of another size": (
        "pascal-context/trainval/{id}.mat",
        other_label_map,
        "LabelMap is uint16 4 x 4, expected numbers, 37",
    ),
}


@pytest.mark.parametrize("what", list(SPOILT))
@pytest.mark.parametrize("cached", [True, False])
def test_a_bad_file_is_named_or_left_out(pack: Path, what: str, cached: bool) -> None:
    pattern, spoil, complaint = SPOILT[what]
    entry = "2008_000000"
    file = pack / pattern.format(id=entry)
    spoil(file)

    def read_all(skip_bad: bool) -> list[str]:
        train = PascalContext("train", TASKS, root=pack, cached=cached, skip_bad=skip_bad)
        assert list(train.skipped) == ([entry] if skip_bad else [])
        return [train[index].id for index in range(len(train))]

    for _ in range(2):  # the outcome is kept, and stays the same
        with pytest.raises(InputError, match=complaint) as caught:
            read_all(skip_bad=False)
        assert file.name in str(caught.value)
        assert "\n" not in str(caught.value)
        assert read_all(skip_bad=True) == [f"2008_{index:06d}" for index in range(1, 6)]


def test_an_incomplete_pack_is_listed_file_by_file(pack: Path) -> None:
    gone = [
        pack / "JPEGImages/2008_000001.jpg",
        pack / "human_parts/2008_000003.mat",
        pack / "sal_distill/2008_000003.png",
        pack / "pascal-context/trainval/2008_001001.mat",
    ]
    for file in gone:
        file.unlink()
    with pytest.raises(InputError, match=r"2008_000001\.jpg: no such file; 2 samples of PASCAL-Context, train"):
        PascalContext("train", TASKS, root=pack)
    listed = " ".join(problem.message for problem in check_dataset("pascal_context", root=pack))
    assert all(str(file) in listed for file in gone)


def test_a_missing_pack_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"nowhere: no such folder.*JPEGImages/\{id\}\.jpg.*to get it: PASCAL_MT"
    ) as caught:
        PascalContext("train", TASKS, root=tmp_path / "nowhere")
    assert "\n" not in str(caught.value)
    with pytest.raises(UnknownNameError, match="unknown split 'test'"):
        PascalContext("test", TASKS, root=tmp_path)
    with pytest.raises(UnknownNameError, match="unknown task 'depth'"):
        PascalContext("train", ["depth"], root=tmp_path)


def test_with_nothing_left_nothing_is_skipped(pack: Path) -> None:
    shutil.rmtree(pack / "sal_distill")
    with pytest.raises(InputError, match="6 samples of PASCAL-Context, train cannot be read"):
        PascalContext("train", ["saliency"], root=pack, skip_bad=True)
    assert len(PascalContext("train", ["semseg"], root=pack)) == 6, "other tasks need none of it"
