"""Folder datasets on small packs written by the tests: both shipped layouts, derivations, errors, the cache."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from atrc.data import Folder
from atrc.data.derive import boundaries, class_map, looked_up, measured_map, positives, resize_any
from atrc.data.spec import load_spec, shipped_specs
from atrc.tasks import IGNORE
from searchspace.errors import InputError, UnknownNameError

SPEC: dict[str, Any] = {
    "name": "Test pack",
    "images": "images/{id}.png",
    "splits": {"train": "train.txt", "val": "val.txt"},
    "exclude": ["b"],
    "size": [17, 23],
    "tasks": {
        "semseg": {"file": "semseg/{id}.png", "classes": 5},
        "human_parts": {"from": "semseg", "lookup": [0, 2, 2, 1, 1], "classes": ["none", "one", "two"]},
        "saliency": {"from": "semseg", "positive": ">0"},
        "edge": {"from": "semseg", "boundaries": True, "positive_weight": 0.95},
    },
}
TASKS = ["semseg", "human_parts", "saliency", "edge"]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Four photographs of 17 x 23 with label maps of blocks, stored without loss."""
    root = tmp_path / "pack"
    for folder in ("images", "semseg"):
        (root / folder).mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name in "abcd":
        image = generator.integers(0, 256, (17, 23, 3), dtype=np.uint8)
        label = np.kron(generator.integers(0, 5, (4, 5)), np.ones((5, 5)))[:17, :23].astype(np.uint8)
        Image.fromarray(image).save(root / "images" / f"{name}.png")
        Image.fromarray(label).save(root / "semseg" / f"{name}.png")
    (root / "train.txt").write_text("a\nb\n\nc\n")
    (root / "val.txt").write_text("d\n")
    return root


def changed(path: str, value: Any) -> dict[str, Any]:
    """The spec with the entry at a dotted path set, or removed if the value is None."""
    spec = copy.deepcopy(SPEC)
    *parents, last = path.split(".")
    section = spec
    for parent in parents:
        section = section[parent]
    if value is None:
        del section[last]
    else:
        section[last] = value
    return spec


def open_pack(root: Path, spec: Mapping[str, Any] = SPEC, **options: Any) -> Folder:
    return Folder("train", TASKS, root=root, spec=spec, **options)


def brute_force_boundaries(label: np.ndarray) -> np.ndarray:
    height, width = label.shape
    edge = np.zeros(label.shape, np.uint8)
    for y in range(height):
        for x in range(width):
            if label[y, x] == IGNORE:
                edge[y, x] = IGNORE
                continue
            for below, right in ((y, x + 1), (y + 1, x)):
                inside = below < height and right < width
                if inside and label[below, right] not in (label[y, x], IGNORE):
                    edge[y, x] = 1
    return edge


@pytest.mark.parametrize("cached", [True, False])
def test_labels_follow_from_the_files(pack: Path, cached: bool) -> None:
    dataset = open_pack(pack, cached=cached)
    assert dataset.ids == ["a", "c"]
    for index, name in enumerate(dataset.ids):
        sample = dataset[index]
        semseg = np.array(Image.open(pack / "semseg" / f"{name}.png"))
        assert sample.id == name
        np.testing.assert_array_equal(sample.image, np.array(Image.open(pack / "images" / f"{name}.png")))
        np.testing.assert_array_equal(sample.labels["semseg"], semseg)
        np.testing.assert_array_equal(sample.labels["human_parts"], np.array([0, 2, 2, 1, 1])[semseg])
        np.testing.assert_array_equal(sample.labels["saliency"], semseg > 0)
        np.testing.assert_array_equal(sample.labels["edge"], brute_force_boundaries(semseg))
        assert {label.dtype for label in sample.labels.values()} == {np.dtype(np.uint8)}
    with pytest.raises(IndexError):
        dataset[2]


def test_boundaries_are_found_after_resizing(pack: Path) -> None:
    sample = open_pack(pack, size=(8, 8))[0]
    assert sample.image.shape == (8, 8, 3)
    np.testing.assert_array_equal(sample.labels["edge"], brute_force_boundaries(sample.labels["semseg"]))


def test_shipped_ccp_opens_its_layout(tmp_path: Path) -> None:
    root = tmp_path / "ccp"
    for folder in ("images", "semseg"):
        (root / folder).mkdir(parents=True)
    generator = np.random.default_rng(1)
    for name in ("0001", "0002", "0536"):
        image = generator.integers(0, 256, (48, 31, 3), dtype=np.uint8)
        Image.fromarray(image).save(root / "images" / f"{name}.jpg")
        label = generator.integers(0, 59, (48, 31), dtype=np.uint8)
        Image.fromarray(label).save(root / "semseg" / f"{name}.png")
    groups = [index % 7 for index in range(59)]
    (root / "classes.json").write_text(json.dumps({"label_to_group": groups}))
    (root / "train.txt").write_text("0002\n")
    (root / "val.txt").write_text("0001\n0536\n")
    val = Folder("val", ["human_parts", "semseg"], root=root, spec="ccp", size=(48, 31))
    assert val.ids == ["0001"]
    labels = val[0].labels
    np.testing.assert_array_equal(labels["human_parts"], np.array(groups)[labels["semseg"]])


def test_describe_needs_no_files() -> None:
    assert sorted(shipped_specs()) == ["ccp", "nyud"]
    info = Folder.describe(spec="ccp")
    assert (info.name, info.size) == ("CCP", (96, 64))
    assert list(info.tasks) == TASKS
    assert [len(info.tasks[name]["classes"]) for name in ("semseg", "human_parts")] == [59, 7]
    assert Folder.describe(spec="nyud").tasks["edge"] == {"positive_weight": 0.8, "max_distance": 0.011}
    assert Folder.describe(spec=SPEC, size=[4, 5], root="nowhere").size == (4, 5)


def test_spec_may_be_a_file(pack: Path) -> None:
    path = pack / "spec.yaml"
    path.write_text(yaml.safe_dump(SPEC))
    assert open_pack(pack, spec=path).info == open_pack(pack).info


# -- values --------------------------------------------------------------------------------------------------------


def test_class_map_shifts_and_ignores() -> None:
    values = np.array([[0, 1, 40], [255, 3, 0]], np.uint16)
    shifted = class_map(values, ignore=[0], offset=-1)
    np.testing.assert_array_equal(shifted, [[255, 0, 39], [255, 2, 255]])
    with pytest.raises(InputError, match="value 0 becomes class -1"):
        class_map(values, offset=-1)
    with pytest.raises(InputError, match="value 300 becomes class 300"):
        class_map(np.array([[300]]))
    with pytest.raises(InputError, match=r"value 0\.5 is not a class"):
        class_map(np.array([[0.5]]))
    with pytest.raises(InputError, match="one class per pixel"):
        class_map(np.zeros((2, 2, 3)))


def test_lookup_names_a_value_without_entry() -> None:
    values = np.array([[0, 3000], [255, 7]])
    np.testing.assert_array_equal(looked_up(values, {0: 1, 3000: 2, 7: 0}), [[1, 2], [255, 0]])
    with pytest.raises(InputError, match="value 7 has no entry"):
        looked_up(values, {0: 1, 3000: 2})


def test_positives_compare() -> None:
    values = np.array([[0, 127, 128, 255]])
    np.testing.assert_array_equal(positives(values, "> 127"), [[0, 0, 1, 255]])
    np.testing.assert_array_equal(positives(values, ">127", ignore=[]), [[0, 0, 1, 1]])
    np.testing.assert_array_equal(positives(values / 255, ">= 0.5", ignore=[]), [[0, 0, 1, 1]])


def test_boundaries_match_the_rule_by_brute_force() -> None:
    generator = np.random.default_rng(3)
    for _ in range(20):
        label = generator.choice([0, 1, 2, 255], size=(9, 7)).astype(np.uint8)
        np.testing.assert_array_equal(boundaries(label), brute_force_boundaries(label))


def test_resize_any_keeps_every_positive_and_ignores_only_the_unknown() -> None:
    generator = np.random.default_rng(4)
    label = generator.choice([0, 1, 255], p=[0.6, 0.05, 0.35], size=(11, 13)).astype(np.uint8)
    small = resize_any(label, (4, 5))
    rows, columns = (np.append(np.arange(n) * old // n, old) for n, old in ((4, 11), (5, 13)))
    for y in range(4):
        for x in range(5):
            block = label[rows[y] : rows[y + 1], columns[x] : columns[x + 1]]
            wanted = 1 if (block == 1).any() else 255 if (block == 255).all() else 0
            assert small[y, x] == wanted
    np.testing.assert_array_equal(resize_any(label, (22, 26)), label.repeat(2, 0).repeat(2, 1))


def test_measured_map_scales_and_marks_the_unmeasured() -> None:
    millimetres = np.array([[0, 1500], [65535, 2000]], np.uint16)
    np.testing.assert_allclose(measured_map(millimetres, scale=1e-3, invalid=65535), [[0, 1.5], [0, 2]])
    holes = np.array([[np.nan, 2.0]], np.float32)
    np.testing.assert_array_equal(measured_map(holes, invalid=float("nan")), [[0, 2]])
    with pytest.raises(InputError, match="not a number"):
        measured_map(holes)
    colours = np.array([[[255, 128, 0], [0, 0, 0]]], np.uint8)
    normals = measured_map(colours, scale=2 / 255, offset=-1, signs=[1, -1, -1], unit=True)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=2), [[1, 0]], atol=1e-6)
    assert normals[0, 0, 0] > 0 < normals[0, 0, 2]
    with pytest.raises(InputError, match="2 factors, but the map has 3 channels"):
        measured_map(colours, signs=[1, 1])


# -- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("imags", "x", r"unknown key 'imags' \(spec\), did you mean 'images'"),
        ("tasks.semseg.clases", 5, r"unknown key 'clases' \(tasks\.semseg in spec\), did you mean 'classes'"),
        ("tasks.edge.positive_wieght", 1, "did you mean 'positive_weight'"),
        ("tasks.semsegg", {"file": "{id}.png"}, r"unknown task 'semsegg' \(tasks in spec\), did you mean 'semseg'"),
        ("tasks.edge.from", "semsg", "unknown task 'semsg'"),
        ("tasks.edge.file", "{id}.png", "give either 'file' or 'from'"),
        ("tasks.edge.positive", ">0", "give only one of 'positive' and 'boundaries'"),
        ("tasks.saliency.positive", "many", "expected a comparison"),
        ("tasks.saliency.from", "edge", "'edge' is itself made of boundaries"),
        ("tasks.semseg", {"from": "saliency", "positive": ">0"}, "goes in a circle"),
        ("tasks.human_parts.lookup", [0, "x"], "class 1 becomes 'x'"),
        ("tasks.human_parts.lookup", {"json": "groups.json", "keys": "a"}, "unknown key 'keys', did you mean 'key'"),
        ("tasks.semseg.classes", [1, 2], "tasks.semseg.classes in spec: expected a list of names"),
        ("tasks.semseg.file", "semseg.png", r"expected a pattern with \{id\}"),
        ("tasks.saliency.classes", 2, "task 'saliency' has fixed classes"),
        ("exclude", [536], "536 is a number: write ids in quotes"),
        ("size", [0, 4], r"expected \[height, width\]"),
        ("images", None, "images in spec: field required"),
        ("tasks.semseg.scale", 2.0, "'scale' does not apply"),
        ("tasks.semseg.offset", 0.5, "must be a whole number"),
        ("tasks.semseg.file", "semseg/{id}.tif", r"labels are read from \.png or \.npy"),
        ("tasks.edge.positive_weight", 3.0, "tasks.edge of Test pack: positive_weight"),
        ("tasks.depth", {"from": "semseg", "positive": ">0"}, "'from' does not apply"),
        ("tasks.human_parts.lookup", {"json": "groups.json", "key": "a"}, r"groups\.json: no such file"),
    ],
)
def test_a_wrong_spec_is_one_clear_line(pack: Path, path: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_pack(pack, spec=changed(path, value))
    assert "\n" not in str(caught.value)


def read_all(pack: Path, cached: bool) -> None:
    dataset = open_pack(pack, cached=cached)
    for index in range(len(dataset)):
        dataset[index]


def spoil_image(pack: Path) -> None:
    content = (pack / "images" / "c.png").read_bytes()
    (pack / "images" / "c.png").write_bytes(content[: len(content) // 2])


def spoil_size(pack: Path) -> None:
    Image.fromarray(np.zeros((17, 22), np.uint8)).save(pack / "semseg" / "c.png")


def spoil_value(pack: Path) -> None:
    label = np.zeros((17, 23), np.uint8)
    label[2, 3] = 5
    Image.fromarray(label).save(pack / "semseg" / "c.png")


def spoil_colours(pack: Path) -> None:
    Image.fromarray(np.zeros((17, 23, 3), np.uint8)).save(pack / "semseg" / "c.png")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_image, r"images.c\.png: not readable as image"),
        (spoil_size, r"semseg.c\.png \(semseg\): label is 17 x 22, but its image .*c\.png is 17 x 23"),
        (spoil_value, r"semseg.c\.png \(semseg\): value 5 at row 2, column 3"),
        (spoil_colours, r"semseg.c\.png \(semseg\): .*shape \(17, 23, 3\)"),
        (lambda pack: (pack / "semseg" / "c.png").write_text("no"), r"semseg.c\.png: not readable as label"),
        (lambda pack: (pack / "semseg" / "c.png").unlink(), r"semseg.c\.png: no such file"),
        (lambda pack: (pack / "images" / "c.png").unlink(), r"images.c\.png: no such file"),
        (lambda pack: (pack / "train.txt").unlink(), r"train\.txt: no such file.*split 'train'"),
        (lambda pack: (pack / "train.txt").write_text("\n \n"), r"train\.txt: empty"),
        (lambda pack: (pack / "train.txt").write_text("b\n"), "every id of split 'train' is excluded"),
        (lambda pack: (pack / "train.txt").write_text("a\nc\na\n"), "lists id 'a' twice"),
    ],
)
@pytest.mark.parametrize("cached", [True, False])
def test_a_bad_file_is_named(pack: Path, spoil: Any, message: str, cached: bool) -> None:
    spoil(pack)
    with pytest.raises(InputError, match=message) as caught:
        read_all(pack, cached)
    assert "\n" not in str(caught.value)
    assert not list((pack.parent / "cache").rglob("array.npy"))  # nothing half-made is left


def test_a_truncated_photograph_is_named(pack: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (17, 23, 3), dtype=np.uint8))
    for name in "ac":
        image.save(pack / "images" / f"{name}.jpg")
    content = (pack / "images" / "c.jpg").read_bytes()
    (pack / "images" / "c.jpg").write_bytes(content[:-200])
    with pytest.raises(InputError, match=r"c\.jpg: not readable as image \(.*truncated"):
        open_pack(pack, spec=changed("images", "images/{id}.jpg"))


def test_wrong_arguments(pack: Path) -> None:
    layout = r"train\.txt, val\.txt, images/\{id\}\.png, semseg/\{id\}\.png"
    with pytest.raises(InputError, match=rf"elsewhere: no such folder; the root of Test pack should hold {layout}$"):
        open_pack(pack / "elsewhere")
    with pytest.raises(UnknownNameError, match="unknown split 'test'"):
        Folder("test", TASKS, root=pack, spec=SPEC)
    with pytest.raises(UnknownNameError, match=r"unknown task 'edges'.*did you mean 'edge'"):
        Folder("train", ["edges"], root=pack, spec=SPEC)
    with pytest.raises(UnknownNameError, match=r"unknown dataset spec 'nyu'.*did you mean 'nyud'"):
        Folder.describe(spec="nyu")
    with pytest.raises(InputError, match=r"mine\.yaml: no such file"):
        Folder.describe(spec="mine.yaml")
    with pytest.raises(InputError, match="give a size"):
        Folder.describe(spec=changed("size", None))
    with pytest.raises(UnknownNameError, match=r"unknown option 'sise'.*did you mean 'size'"):
        Folder.describe(spec=SPEC, sise=3)
    with pytest.raises(InputError, match="give 'root'"):
        Folder("train", TASKS, spec=SPEC)
    broken = pack / "broken.yaml"
    broken.write_text("a: [")
    with pytest.raises(InputError, match=r"broken\.yaml: not readable as YAML") as caught:
        load_spec(broken)
    assert "\n" not in str(caught.value)


# -- the cache -----------------------------------------------------------------------------------------------------


def arrays_of(pack: Path) -> dict[str, int]:
    """Folder -> when it was made, for every array in the cache."""
    root = pack.parent / "cache"
    return {path.parent.name: path.stat().st_mtime_ns for path in root.rglob("array.npy")}


def test_cache_is_made_once_and_only_for_what_is_asked(pack: Path) -> None:
    Folder("train", ["semseg"], root=pack, spec=SPEC)
    first = arrays_of(pack)
    assert len(first) == 2
    open_pack(pack)
    second = arrays_of(pack)
    assert len(second) == 5
    assert first.items() <= second.items()
    open_pack(pack)
    assert arrays_of(pack) == second


def test_cache_follows_the_files_and_the_spec(pack: Path) -> None:
    before = open_pack(pack)[1]
    path = pack / "semseg" / "c.png"
    label = np.full((17, 23), 3, np.uint8)
    Image.fromarray(label).save(path)
    os.utime(path, ns=(1, 1))
    after = open_pack(pack)[1]
    np.testing.assert_array_equal(after.labels["semseg"], label)
    np.testing.assert_array_equal(after.image, before.image)
    assert len(arrays_of(pack)) == 5  # the outdated arrays are gone
    swapped = open_pack(pack, spec=changed("tasks.human_parts.lookup", [0, 1, 1, 2, 2]))[1]
    assert (swapped.labels["human_parts"] == 2).all()
    assert open_pack(pack, spec=changed("exclude", [])).ids == ["a", "b", "c"]
    assert len(open_pack(pack)[0].labels) == 4


def test_the_cache_knows_the_classes_that_labels_were_checked_by(pack: Path) -> None:
    open_pack(pack)
    with pytest.raises(InputError, match=r"classes are 0\.\.2"):
        open_pack(pack, spec=changed("tasks.semseg.classes", 3))
    readable = open_pack(pack, skip_bad=True).ids
    assert readable == ["a", "c"]
    with pytest.raises(InputError, match=r"classes are 0\.\.1"):  # also a verdict was reached by other classes
        open_pack(pack, spec=changed("tasks.semseg.classes", 2), skip_bad=True)


def test_the_cache_tells_other_photographs_of_equal_names_apart(pack: Path) -> None:
    """Of equal size and modification time too, as unpacking gives them: in the place of the old, or beside them."""
    for folder in ("images", "others"):
        (pack / folder).mkdir(exist_ok=True)
        for name in "ac":
            array = np.full((17, 23, 3), 10 if folder == "images" else 200, np.uint8)
            Image.fromarray(array).save(pack / folder / f"{name}.bmp")
            os.utime(pack / folder / f"{name}.bmp", ns=(1, 1))
    old = changed("images", "images/{id}.bmp")
    assert (open_pack(pack, spec=old)[0].image == 10).all()
    assert (open_pack(pack, spec=changed("images", "others/{id}.bmp"))[0].image == 200).all()
    (pack / "images").rename(pack / "gone")
    (pack / "others").rename(pack / "images")
    assert (open_pack(pack, spec=old)[0].image == 200).all()
    for name in "ac":
        os.replace(pack / "gone" / f"{name}.bmp", pack / "images" / f"{name}.bmp")
    assert (open_pack(pack, spec=old)[0].image == 10).all()


def test_a_photograph_of_another_size_is_refused_though_its_label_is_kept(pack: Path) -> None:
    spec = {**SPEC, "resample": True}
    open_pack(pack, spec=spec)
    Image.fromarray(np.zeros((34, 46, 3), np.uint8)).save(pack / "images" / "c.png")
    with pytest.raises(InputError, match="label is 17 x 23, but its image"):
        open_pack(pack, spec=spec)


def test_an_image_only_folder_needs_no_labels(pack: Path) -> None:
    for path in (pack / "semseg").iterdir():
        path.unlink()
    assert Folder("val", [], root=pack, spec=SPEC)[0].labels == {}
