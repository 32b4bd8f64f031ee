"""The check names every bad file, and the contact sheet shows what it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atrc.data import Folder, check_dataset, contact_sheet, inspect_dataset, preview
from atrc.tasks import TASKS
from searchspace.errors import InputError

SPEC: dict[str, Any] = {
    "name": "Pack",
    "images": "images/{id}.jpg",
    "splits": {"train": "train.txt", "val": "val.txt", "extra": "extra.txt"},
    "size": [12, 18],
    "tasks": {
        "semseg": {"file": "semseg/{id}.png", "classes": ["sky", "tree", "road"]},
        "saliency": {"from": "semseg", "positive": ">0"},
        "depth": {"file": "depth/{id}.npy"},
        "normals": {"file": "normals/{id}.npy", "unit": True},
    },
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for folder in ("images", "semseg", "depth", "normals"):
        (tmp_path / folder).mkdir()
    for name in "abcdef":
        Image.fromarray(generator.integers(0, 256, (12, 18, 3), dtype=np.uint8)).save(
            tmp_path / "images" / f"{name}.jpg"
        )
        label = np.repeat(np.arange(3, dtype=np.uint8), 6)[None].repeat(12, 0)
        Image.fromarray(label).save(tmp_path / "semseg" / f"{name}.png")
        np.save(tmp_path / "depth" / f"{name}.npy", np.full((12, 18), 2.0, np.float32))
        np.save(tmp_path / "normals" / f"{name}.npy", generator.normal(size=(12, 18, 3)).astype(np.float32))
    (tmp_path / "train.txt").write_text("a\nb\nc\n")
    (tmp_path / "val.txt").write_text("d\ne\n")
    (tmp_path / "extra.txt").write_text("f\n")
    return tmp_path


def test_a_clean_dataset_has_no_problems(root: Path) -> None:
    report = inspect_dataset("folder", root=root, spec=SPEC)
    assert report.problems == []
    assert report.samples == {"train": 3, "val": 2, "extra": 1}
    table = report.statistics.set_index(["split", "task", "class"]).sort_index()
    assert table.loc[("train", "semseg", 1), "name"] == "tree"
    np.testing.assert_allclose(table.loc[("train", "semseg")]["share"], 1 / 3)
    np.testing.assert_allclose(table.loc[("val", "saliency", 1), "share"], 2 / 3)
    assert table.loc[("val", "saliency", 1), "images"] == 2
    depth = report.statistics.query("task == 'depth' and split == 'train'").iloc[0]
    assert (depth["mean"], depth["minimum"], depth["maximum"], depth["labelled"]) == (2, 2, 2, 1)


def test_a_photograph_that_viewers_turn_is_named(root: Path) -> None:
    """Labels are drawn on what is seen, and image files are read as they are stored."""
    with Image.open(root / "images" / "b.jpg") as image:
        exif = image.getexif()
        exif[0x0112] = 3
        image.save(root / "images" / "b.jpg", exif=exif)
    (problem,) = check_dataset("folder", root=root, spec=SPEC)
    assert (problem.split, problem.id, problem.severity) == ("train", "b", "warning")
    assert "orientation 3" in problem.message


def test_every_bad_file_is_named_and_nothing_stops(root: Path) -> None:
    content = (root / "images" / "a.jpg").read_bytes()
    (root / "images" / "a.jpg").write_bytes(content[:-80])
    np.save(root / "depth" / "a.npy", np.full((12, 18), -1.0, np.float32))
    (root / "semseg" / "b.png").unlink()
    np.save(root / "depth" / "b.npy", np.full((12, 17), 1.0, np.float32))
    Image.fromarray(np.zeros((12, 18), np.uint8)).save(root / "semseg" / "d.png")
    (root / "val.txt").write_text("d\ne\nc\n")
    (root / "extra.txt").unlink()
    problems = check_dataset("folder", root=root, spec=SPEC)
    found = [(problem.split, problem.id, problem.severity) for problem in problems]
    messages = [problem.message for problem in problems]

    def said(*words: str) -> bool:
        return any(all(word in message for word in words) for message in messages)

    assert found.count(("train", "a", "error")) == 2
    assert said("a.jpg", "not readable as image")
    assert said("a.npy", "depth -1.0")
    assert found.count(("train", "b", "error")) == 2
    assert said("b.png", "no such file")
    assert said("b.npy", "label is 12 x 17, but its image", "12 x 18")
    assert ("val", "d", "warning") in found
    assert said("semseg, saliency: every labelled pixel is 0")
    assert ("val", "c", "warning") in found
    assert said("also in split 'train'")
    assert ("extra", "", "error") in found
    assert len(problems) == 7
    assert str(problems[0]).startswith("error: train a: ")


def test_wrong_options_are_an_error_at_once() -> None:
    with pytest.raises(InputError, match="unknown dataset 'foldr'"):
        check_dataset("foldr")
    with pytest.raises(InputError, match=r"unknown option 'rot'.*did you mean 'root'"):
        check_dataset("folder", spec=SPEC, rot=".")


def test_contact_sheet_shows_image_and_labels(root: Path) -> None:
    dataset = Folder("train", list(SPEC["tasks"]), root=root, spec=SPEC)
    tasks = {name: TASKS[name](**dataset.info.tasks[name]) for name in SPEC["tasks"]}
    path = root / "sheet.png"
    sheet = contact_sheet(dataset, tasks, [0, 2], path)
    assert path.is_file()
    assert sheet.size == Image.open(path).size
    pixels = np.asarray(sheet)
    factor = 16  # 12 x 18 to 192 x 288
    for row, index in enumerate((0, 2)):
        sample = dataset[index]
        top = preview._TITLE_HEIGHT + preview._HEAD_HEIGHT + row * (192 + preview._CAPTION_HEIGHT)
        pictures = [sample.image, *(task.draw(sample.labels[name]) for name, task in tasks.items())]
        for column, picture in enumerate(pictures):
            left = preview._MARGIN + column * (288 + preview._GAP)
            # The frame is drawn outside of the picture.
            cell = pixels[top : top + 192, left : left + 288]
            np.testing.assert_array_equal(cell, picture.repeat(factor, 0).repeat(factor, 1))
