"""`atrc boundaries` on files: every form of prediction and ground truth, what it writes, and what it refuses."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.io import savemat

from atrc.inference.boundary_files import read_truth
from searchspace import InputError

from .conftest import Command, Said

SIZE = (24, 32)  # diagonal 40
TWO_PIXELS = ("--max-distance", "0.05")


@pytest.fixture
def boundaries(atrc: Command) -> Command:
    """Runs ``atrc boundaries pred gt`` in an empty folder."""
    return partial(atrc, "boundaries", "pred", "gt")


def column(*at: int) -> np.ndarray:
    """``(H, W)`` map with vertical lines at these columns."""
    lines = np.zeros(SIZE)
    lines[:, list(at)] = 1
    return lines


def write(path: Path | str, values: np.ndarray) -> None:
    """A PNG of the array's own type, or an NPY file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".png":
        Image.fromarray(values).save(path, format="PNG")
    else:
        np.save(path, values)


def write_bsds(path: Path | str, maps: list[np.ndarray], field: str = "Boundaries") -> None:
    """As BSDS500: ``groundTruth`` is a cell array, 1 x K, of 1 x 1 structs."""
    cells = np.empty((1, len(maps)), dtype=object)
    for k, one in enumerate(maps):
        cells[0, k] = {"Segmentation": np.ones(one.shape, np.uint16), field: one.astype(np.uint8)}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"groundTruth": cells}, do_compression=True)


def bits8(probability: np.ndarray) -> np.ndarray:
    return (255 * probability).round().astype(np.uint8)


def bits16(probability: np.ndarray) -> np.ndarray:
    return (65535 * probability).round().astype(np.uint16)


def two_images() -> None:
    """The second is best at 0.5, where a false alarm is gone; of the first nothing is left there."""
    write("pred/100.png", bits16(0.3 * column(5)))
    write("pred/2.png", bits8(0.6 * column(5) + 0.3 * column(15)))
    write("gt/100.png", column(5).astype(np.uint8))
    write("gt/2.npy", column(5) == 1)


THREE = ("--thresholds", "3", *TWO_PIXELS, "-q")
EXPECTED = {"ods_f": 80, "ods_threshold": 0.25, "ods_precision": 200 / 3, "ods_recall": 100, "ois_f": 100, "ap": 67}


def test_scores_of_two_images(boundaries: Command) -> None:
    two_images()
    said = boundaries(*THREE)
    assert said.status == 0, said.err
    head, row = said.out.splitlines()
    assert head.split() == ["images", "ODS-F", "threshold", "precision", "recall", "OIS-F", "AP"]
    assert row.split() == ["2", "80.00", "0.25", "66.67", "100.00", "100.00", "67.00"]
    assert said.err == ""


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_json(boundaries: Command, jobs: str) -> None:
    two_images()
    said = json.loads(boundaries(*THREE, "--json", "-j", jobs).out)
    assert said == {
        "images": 2,
        "max_distance": 0.05,
        "thresholds": 3,
        **{k: pytest.approx(v) for k, v in EXPECTED.items()},
    }


def test_tables_and_figure(boundaries: Command, tmp_path: Path) -> None:
    two_images()
    said = boundaries(*THREE, "--csv", "out/curve.csv", "--per-image", "images.csv", "--plot", "out/curve.PDF")
    assert said.status == 0, said.err
    for path in ("out/curve.csv", "images.csv", "out/curve.PDF"):
        assert path in said.out
    curve = pd.read_csv("out/curve.csv")
    assert curve["threshold"].tolist() == [0.25, 0.5, 0.75]
    assert curve["precision"].tolist() == pytest.approx([2 / 3, 1, 0])
    assert curve["recall"].tolist() == [1, 0.5, 0]
    assert curve["f"].tolist() == pytest.approx([0.8, 2 / 3, 0])
    assert curve["predicted"].tolist() == [72, 24, 0]
    images = pd.read_csv("images.csv", dtype={"image": str})
    assert images["image"].tolist() == ["100", "2"]
    assert images["threshold"].tolist() == [0.25, 0.5]
    assert images[["precision", "recall", "f"]].eq(1).all(axis=None)
    assert images[["matched_prediction", "predicted", "matched_truth", "truth"]].eq(24).all(axis=None)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"curve.csv", "curve.PDF"}
    assert (tmp_path / "out/curve.PDF").read_bytes().startswith(b"%PDF")


def test_the_figure_shows_the_ods_point_over_lines_of_equal_f(boundaries: Command) -> None:
    two_images()
    assert boundaries(*THREE, "--plot", "a.svg").status == 0
    assert boundaries(*THREE, "--plot", "b.svg").status == 0
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()
    assert boundaries(*THREE, "--plot", "a.png").status == 0
    assert np.asarray(Image.open("a.png").convert("L")).std() > 5
    write("pred/100.png", bits8(column()))
    write("pred/2.png", bits8(column()))
    assert boundaries(*THREE, "--plot", "nothing.png").status == 0, "no threshold has a point"


@pytest.mark.parametrize(
    ("values", "name", "last"),
    [
        (np.uint8(51), "a.png", 0.2),  # 51 / 255 is 0.2, which is not below 0.2
        (np.uint8(50), "a.png", 0.19),
        (np.uint16(13107), "a.png", 0.2),
        (np.uint16(13106), "a.png", 0.19),
        (np.uint16(51), "a.png", None),
        (np.bool_(True), "a.png", 0.99),
        (np.float32(0.2), "a.npy", 0.2),
        (np.float64(1), "a.npy", 0.99),
        (np.float16(0.5), "sub/a.NPY", 0.5),
    ],
)
def test_what_predictions_mean(boundaries: Command, values: Any, name: str, last: float | None) -> None:
    prediction = np.zeros(SIZE, dtype=values.dtype)
    prediction[:, 5] = values
    path = Path("pred") / name
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        if path.suffix == ".png":
            Image.fromarray(prediction).save(file, format="PNG")
        else:
            np.save(file, prediction)
    write(Path("gt") / path.relative_to("pred").with_suffix(".png"), bits8(column(5)))
    assert boundaries("--csv", "curve.csv", "-q").status == 0
    curve = pd.read_csv("curve.csv")
    found = curve.loc[curve["predicted"] > 0, "threshold"]
    assert (found.max() if len(found) else None) == last
    assert curve.loc[curve["predicted"] > 0, "f"].eq(1).all()


@pytest.mark.parametrize("kind", ["png 0/1", "png 0/255", "png of one bit", "palette", "npy", "mat"])
def test_what_the_ground_truth_may_be(boundaries: Command, kind: str) -> None:
    write("pred/a.npy", column(5, 20))
    line = column(5).astype(np.uint8)
    if kind == "mat":
        write_bsds("gt/a.mat", [line])
    elif kind == "npy":
        write("gt/a.npy", 3.5 * line)
    elif kind == "palette":
        picture = Image.fromarray(line)
        picture.putpalette([255, 255, 255, 0, 0, 0])
        Path("gt").mkdir()
        picture.save("gt/a.png")
    else:
        write("gt/a.png", line == 1 if "one" in kind else line * 255 if "255" in kind else line)
    said = json.loads(boundaries(*THREE, "--json").out)
    assert (said["ods_precision"], said["ods_recall"]) == (50, 100)


def test_several_annotators(boundaries: Command) -> None:
    """A prediction is right if any annotator has it; recall sums over annotators. Their number may change."""
    write("pred/a.npy", column(5, 25))
    write_bsds("gt/a.mat", [column(5), column(5, 15), column(15)])
    alone = json.loads(boundaries("--max-distance", "0", "--thresholds", "1", "--json", "-q").out)
    assert (alone["ods_precision"], alone["ods_recall"]) == (50, 50)
    write("pred/b.npy", np.ones((10, 1)))
    write_bsds("gt/b.mat", [np.ones((10, 1))])
    both = json.loads(boundaries("--max-distance", "0", "--thresholds", "1", "--json", "-q").out)
    assert both["ods_recall"] == pytest.approx(100 * (48 + 10) / (96 + 10))


def test_ignored_pixels_count_on_neither_side(boundaries: Command) -> None:
    write("pred/a.npy", column(5, 20))
    truth = column(5, 28).astype(np.uint8)
    truth[:, 17:] = 255
    write("gt/a.png", truth)
    write("pred/b.npy", column(5))
    write("gt/b.png", np.where(column(5), 1, column(9) * 255).astype(np.uint8))
    said = json.loads(boundaries(*THREE, "--json", "--ignore", "255").out)
    assert said["ods_f"] == 100
    refused(boundaries(*THREE), "gt/a.png holds 1, 255 besides 0", "--ignore")


def test_other_files_are_passed_over(boundaries: Command) -> None:
    two_images()
    Path("pred/Thumbs.db").write_text("no map")
    Path("gt/.hidden.png").write_text("no map")
    assert json.loads(boundaries(*THREE, "--json").out)["images"] == 2


def test_only_the_images_of_a_list(boundaries: Command) -> None:
    """Both folders may hold others, as a pack's ground truth does; what is listed has to be there."""
    for name, shift in {"a/1": 0, "b": 9}.items():
        write(f"pred/{name}.png", bits8(column(5 + shift)))
        write(f"gt/{name}.npy", column(5))
    write("gt/c.npy", column(5))
    Path("split.txt").write_text("a/1\n")
    said = boundaries("--ids", "split.txt", "--json", "-q")
    assert said.status == 0
    assert (json.loads(said.out)["images"], json.loads(said.out)["ods_f"]) == (1, 100)
    for listed, complaint in (("c\n", "c.npy has no prediction in pred"), ("d\n", "d has no ground truth in gt")):
        Path("split.txt").write_text(listed)
        said = boundaries("--ids", "split.txt")
        assert said.status == 2
        assert complaint in said.err
    assert "no such file" in boundaries("--ids", "nowhere.txt").err


def test_progress(boundaries: Command) -> None:
    two_images()
    assert "2/2" in boundaries(*THREE[:-1]).err


def refused(said: Said, *parts: str) -> None:
    """One line on stderr, besides progress bars; nothing else."""
    line = "\n".join(line for line in said.err.split("\n") if "\r" not in line)
    assert said.status == 2, said.err
    assert said.out == ""
    assert line.startswith("atrc: ")
    assert line.count("\n") == 1, line
    for part in parts:
        assert part in line


def rgb(path: str) -> None:
    write(path, np.zeros((*SIZE, 3), dtype=np.uint8))


def palette(path: str) -> None:
    picture = Image.fromarray(bits8(column(5)))
    picture.putpalette([0] * 768)
    picture.save(path)


def truncate(path: str) -> None:
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])


def matlab_7_3(path: str) -> None:
    """HDF5 behind a header of 512 bytes, as ``save -v7.3`` writes it."""
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + struct.pack("<H", 0x0200) + b"IM"
    Path(path).write_bytes(head.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n")


def plain_matrix(path: str) -> None:
    savemat(path, {"groundTruth": np.ones(SIZE)})


def cell_of_matrices(path: str) -> None:
    cells = np.empty((1, 1), dtype=object)
    cells[0, 0] = np.ones(SIZE)
    savemat(path, {"groundTruth": cells})


def no_annotator(path: str) -> None:
    savemat(path, {"groundTruth": np.empty((1, 0), dtype=object)})


def clear(folder: str) -> None:
    for path in Path(folder).iterdir():
        path.unlink()


def text(path: str) -> None:
    Path(path).write_text("no map" * 99)


def nan(path: str, instead_of: str) -> None:
    Path(instead_of).unlink()
    write(path, np.where(column(5), np.nan, 0.5))


def three_more(folder: str) -> None:
    for i in range(3):
        write(f"{folder}/c{i}.npy", column(5))


BAD: dict[str, tuple[Callable[[], object], list[str]]] = {
    "no prediction": (lambda: Path("pred/a.npy").unlink(), ["gt/a.mat has no prediction in pred"]),
    "no truth": (lambda: write("pred/c.npy", column(5)), ["pred/c.npy has no ground truth in gt"]),
    "several without truth": (
        lambda: three_more("pred"),
        ["pred/c0.npy has no ground truth in gt, nor have 2 more"],
    ),
    "no files": (lambda: clear("gt"), ["gt holds no .png, .npy or .mat file"]),
    "twice": (lambda: write("pred/a.png", bits8(column(5))), ["pred/a.png", "a.npy", "two maps of one image"]),
    "size": (lambda: write("pred/a.npy", np.zeros((32, 24))), ["pred/a.npy is 32x24, but gt/a.mat is 24x32"]),
    "above 1": (lambda: write("pred/a.npy", 2 * column(5)), ["pred/a.npy holds 0 .. 2", "0..1"]),
    "below 0": (lambda: write("pred/a.npy", -column(5)), ["pred/a.npy holds -1 .. -0", "0..1"]),
    "nan": (lambda: nan("pred/a.npy", "pred/a.npy"), ["pred/a.npy holds NaN", "0..1"]),
    "whole numbers": (lambda: write("pred/a.npy", bits8(column(5))), ["pred/a.npy holds uint8", "floats"]),
    "colours": (lambda: rgb("pred/b.png"), ["pred/b.png is 24x32x3", "one channel"]),
    "palette": (lambda: palette("pred/b.png"), ["pred/b.png is a palette image"]),
    "a cut PNG": (lambda: truncate("pred/b.png"), ["pred/b.png", "not readable"]),
    "a cut NPY": (lambda: truncate("pred/a.npy"), ["pred/a.npy", "not readable"]),
    "text": (lambda: text("gt/b.png"), ["gt/b.png", "not readable"]),
    "coloured truth": (lambda: rgb("gt/b.png"), ["gt/b.png is 24x32x3", "one channel"]),
    "nan in the truth": (
        lambda: nan("gt/b.npy", "gt/b.png"),
        ["gt/b.npy holds values that are not finite"],
    ),
    "three values": (
        lambda: write("gt/b.png", (column(5) + 4 * column(9)).astype(np.uint8)),
        ["gt/b.png holds 1, 4 besides 0", "--ignore"],
    ),
    "many values": (
        lambda: write("gt/b.png", np.arange(24 * 32, dtype=np.uint16).reshape(SIZE)),
        ["gt/b.png holds 1, 2, 3, ... besides 0"],
    ),
    "two ways to mark": (lambda: write("gt/b.png", bits8(column(5))), ["gt/b.png marks", "255", "gt/a.mat by 1"]),
    "a cut MAT": (lambda: truncate("gt/a.mat"), ["gt/a.mat", "not readable"]),
    "text as MAT": (lambda: text("gt/a.mat"), ["gt/a.mat", "not readable"]),
    "MATLAB 7.3": (lambda: matlab_7_3("gt/a.mat"), ["gt/a.mat", "not readable", "7.3"]),
    "another variable": (lambda: savemat("gt/a.mat", {"seg": np.ones(SIZE)}), ["gt/a.mat", "'groundTruth'"]),
    "no cell array": (lambda: plain_matrix("gt/a.mat"), ["gt/a.mat", "no cell array of annotators"]),
    "no structs": (lambda: cell_of_matrices("gt/a.mat"), ["gt/a.mat", "no struct with a field 'Boundaries'"]),
    "another field": (lambda: write_bsds("gt/a.mat", [column(5)], "Edges"), ["gt/a.mat", "field 'Boundaries'"]),
    "no annotator": (lambda: no_annotator("gt/a.mat"), ["gt/a.mat", "no cell array of annotators"]),
    "annotators of two sizes": (
        lambda: write_bsds("gt/a.mat", [column(5), column(5).T]),
        ["gt/a.mat: one annotator's map is 24x32, another's 32x24"],
    ),
    "no matrix": (lambda: write_bsds("gt/a.mat", [np.zeros((*SIZE, 2))]), ["gt/a.mat", "(24, 32, 2)"]),
}


@pytest.mark.parametrize("what", BAD)
def test_one_line_and_status_2(boundaries: Command, what: str) -> None:
    write("pred/a.npy", column(5))
    write_bsds("gt/a.mat", [column(5)])
    write("pred/b.png", bits8(column(5)))
    write("gt/b.png", column(5).astype(np.uint8))
    assert boundaries(*THREE).status == 0
    spoil, parts = BAD[what]
    spoil()
    outputs = ("--csv", "curve.csv", "--per-image", "images.csv", "--plot", "curve.png")
    refused(boundaries(*THREE, *outputs), *parts)
    refused(boundaries(*THREE[:-1], *outputs), *parts)
    assert {path.name for path in Path().iterdir()} == {"pred", "gt"}


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--max-distance", "3"], ["share of the diagonal", "3"]),
        (["--thresholds", "0"], ["--thresholds", "greater than or equal to 1"]),
        (["--plot", "curve.jpg"], ["--plot curve.jpg", ".pdf, .png, .svg"]),
        (["--csv", "gt"], ["--csv gt is a folder"]),
        (["--per-image", "pred/2.png/images.csv"], ["pred/2.png", "cannot be written"]),
    ],
)
def test_wrong_options(boundaries: Command, arguments: list[str], parts: list[str]) -> None:
    two_images()
    refused(boundaries(*THREE, *arguments), *parts)


def test_folders_that_are_none(boundaries: Command) -> None:
    refused(boundaries(), "pred does not exist")
    Path("pred").write_text("")
    refused(boundaries(), "pred is not a folder")


def test_a_damaged_matlab_file_is_read_or_refused(tmp_path: Path) -> None:
    """Whatever byte is wrong, in the header, which has free text, or in what is compressed."""
    path = tmp_path / "a.mat"
    write_bsds(path, [column(5), column(6)])
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refusals: list[str] = []
    for _ in range(500):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            truth = read_truth(path)
        except InputError as refusal:
            refusals.append(str(refusal))
        else:
            assert np.array_equal(truth.annotators, [column(5), column(6)])
    assert 100 < len(refusals) < 500
    assert all(str(path) in line for line in refusals)
