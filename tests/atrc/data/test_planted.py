"""Planted problems: what a label holds, what the pictures show, and what an answer may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atrc.backbones import PanelLayout
from atrc.config import load_config
from atrc.data import DATASETS, Answer, Need, Planted
from atrc.data.planted import CONTENTS, Scenes
from atrc.data.planted.picture import COLOURS, draw
from atrc.data.planted.scene import CLASSES, SHARES, draw_scenes
from atrc.experiments import create_search
from searchspace import InputError

ANSWER = {"a": {"a": "global", "b": {"context": "t_label", "strength": 0.5, "noise": 0.25}}, "b": {"a": "none"}}
SMALL: dict[str, Any] = {"train": 12, "val": 5, "grid": 6}


def planted(answer: Any = ANSWER, split: str = "train", **options: Any) -> Planted:
    tasks = list(Answer.read(answer).tasks)
    return Planted(split, tasks, answer=answer, **{**SMALL, **options})


def some_scenes(count: int = 8, panels: int = 2, grid: int = 6, purity: float = 0.6) -> Scenes:
    return draw_scenes(np.random.default_rng(0), count, panels, grid, purity)


# -- answers --------------------------------------------------------------------------------------------------------


def test_an_answer_says_what_each_pair_needs() -> None:
    answer = Answer.read(ANSWER, strength=2.0, noise=0.1)
    assert answer.tasks == ("a", "b")
    assert dict(answer) == {("a", "a"): Need("global", 2.0, 0.1), ("a", "b"): Need("t_label", 0.5, 0.25)}


def test_an_answer_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "answer.yaml"
    file.write_text("a: {b: local}\nb:\n")
    assert dict(Answer.read(file)) == {("a", "b"): Need("local")}
    assert planted(str(file)).info.tasks.keys() == {"a", "b"}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "target -> source -> context"),
        ({"a": "global"}, "answer.a: expected source"),
        ({"a": {"b": "global"}}, "unknown task 'b'"),
        ({"a": {"a": 3}}, "answer.a.a: expected a context"),
        ({"a": {"a": {"context": "local", "strenght": 1}}}, "did you mean 'strength'"),
        ({"a": {"a": {"context": "local", "noise": -1}}}, "answer.a.a.noise must be a number >= 0"),
        ({"a": {"a": {"context": "local", "strength": float("nan")}}}, "answer.a.a.strength must be"),
        ("nowhere.yaml", "nowhere.yaml: no such file"),
        ({"a": {"a": "globel"}}, "did you mean 'global'"),
        ({"a": {"a": "s_label"}}, "on the diagonal, s_label equals t_label"),
    ],
)
def test_an_answer_that_says_nothing_sensible_is_refused(answer: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Planted.describe(answer=answer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": 3}, "grid must be a whole number >= 4"),
        ({"train": True}, "train must be"),
        ({"purity": 1.5}, "purity must be a share"),
        ({"noise": "much"}, "noise must be a number"),
        ({"strenght": 1}, "unknown option 'strenght'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Planted.describe(answer=ANSWER, **options)


@pytest.mark.parametrize("name", ["rooms", "folder", "nyud", "pascal_context"])
def test_other_datasets_know_no_answer(name: str) -> None:
    assert DATASETS[name].answer() is None


# -- what contexts hold ---------------------------------------------------------------------------------------------


def density(dots: np.ndarray, cells: list[tuple[int, int]]) -> float:
    return float(np.mean([dots[cell] for cell in cells]))


@pytest.mark.parametrize("context", ["global", "local", "t_label", "s_label"])
@pytest.mark.parametrize("pair", [(0, 0), (0, 1)])
def test_contents_are_means_over_the_cells_that_a_person_would_count(context: str, pair: tuple[int, int]) -> None:
    scenes, (target, source) = some_scenes(), pair
    content = CONTENTS[context](scenes, target, source)
    cells = [(row, column) for row in range(6) for column in range(6)]
    for image in range(len(scenes.dots)):
        dots, asked = scenes.dots[image, source], scenes.pointers[image, target]
        for row, column in cells:
            regions = scenes.classes[image, target if context == "t_label" else source]
            meant = {
                "global": cells,
                "local": [cell for cell in cells if max(abs(cell[0] - row), abs(cell[1] - column)) <= 2],
            }.get(context, [cell for cell in cells if regions[cell] == asked[row, column]])
            assert content[image, row, column] == pytest.approx(density(dots, meant))


def test_a_context_of_a_users_own_can_be_planted() -> None:
    @CONTENTS.register("row")
    def row(scenes: Scenes, target: int, source: int) -> np.ndarray:
        dots = scenes.dots[:, source]
        return np.broadcast_to(dots.mean(2, keepdims=True), dots.shape)

    try:
        dataset = planted({"a": {"a": "row"}})
        dots = dataset.scenes().dots[:, 0].astype(float)
        means = np.broadcast_to(dots.mean(2, keepdims=True), dots.shape)
        expected = (dots - dots.mean()) / dots.std() + (means - means.mean()) / means.std()
        got = np.stack([dataset[i].labels["a"][..., 0] for i in range(len(dataset))])
        np.testing.assert_allclose(got, expected, atol=1e-5)
    finally:
        del CONTENTS._entries["row"]


# -- labels ---------------------------------------------------------------------------------------------------------


def labels(dataset: Planted, task: str) -> np.ndarray:
    return np.stack([dataset[i].labels[task] for i in range(len(dataset))])


def test_a_label_is_what_the_target_sees_and_what_it_needs() -> None:
    dataset = planted()
    scenes = dataset.scenes()
    parts = [
        scenes.dots[:, 0].astype(float),
        *(CONTENTS[c](scenes, 0, s) for c, s in (("global", 0), ("t_label", 1))),
    ]
    own, first, second = ((part - part.mean()) / part.std() for part in parts)
    rest = labels(dataset, "a")[..., 0] - own - first - 0.5 * second
    assert rest.mean() == pytest.approx(0, abs=0.06)
    assert rest.std() == pytest.approx(0.25, rel=0.15)  # the noise of one pair
    np.testing.assert_array_equal(labels(dataset, "a")[..., 1], scenes.classes[:, 0])
    # b needs nothing
    dots = scenes.dots[:, 1].astype(float)
    np.testing.assert_allclose(labels(dataset, "b")[..., 0], (dots - dots.mean()) / dots.std(), atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(strength=st.floats(0, 3), noise=st.floats(0, 3))
def test_strength_and_noise_are_standard_deviations(strength: float, noise: float) -> None:
    answer = {"a": {"a": "global"}}
    with_it = labels(planted(answer, strength=strength, noise=noise, train=60), "a")[..., 0]
    without = labels(planted({"a": {}}, train=60), "a")[..., 0]
    assert (with_it - without).var() == pytest.approx(strength**2 + noise**2, rel=0.2, abs=1e-4)


def test_what_is_asked_for_elsewhere_changes_no_label() -> None:
    alone = Planted("train", ["b"], answer=ANSWER, **SMALL)
    np.testing.assert_array_equal(labels(alone, "b"), labels(planted(), "b"))
    harder = {**ANSWER, "b": {"a": {"context": "local", "noise": 1}}}
    np.testing.assert_array_equal(labels(planted(harder), "a"), labels(planted(), "a"))


def test_pictures_that_are_too_few_to_vary_are_refused() -> None:
    with pytest.raises(InputError, match="1 training pictures are too few"):
        planted(train=1)[0]


def test_the_same_seed_gives_the_same_bits_and_splits_differ() -> None:
    one, again, other = planted(), planted(), planted(seed=1)
    np.testing.assert_array_equal(one[3].image, again[3].image)
    np.testing.assert_array_equal(labels(one, "a"), labels(again, "a"))
    assert not np.array_equal(one[3].image, other[3].image)
    assert not np.array_equal(one[3].image, planted(split="val")[3].image)
    assert (len(one), len(planted(split="val"))) == (12, 5)


# -- scenes and pictures --------------------------------------------------------------------------------------------


def test_regions_have_their_shares_and_hints_their_purity() -> None:
    scenes = some_scenes(count=40, panels=3, grid=10, purity=0.6)
    for one in scenes.classes.reshape(-1, 100):
        assert sorted(np.bincount(one, minlength=CLASSES) / 100, reverse=True) == pytest.approx(SHARES)
    for panel in range(3):
        for other in range(3):
            agreement = (scenes.hints[:, panel, other] == scenes.classes[:, other]).mean()
            assert agreement == pytest.approx(0.6 + 0.4 / CLASSES, abs=0.03)


@pytest.mark.parametrize("tasks", [1, 2, 3, 5, 7])
def test_a_picture_shows_everything_where_it_is_said_to_be(tasks: int) -> None:
    scenes, layout = some_scenes(count=2, panels=tasks, grid=5), PanelLayout(tasks, 5)
    pictures = draw(scenes, layout, np.random.default_rng(1))
    assert pictures.shape == (2, *layout.size, 3)

    def nearest(pixel: np.ndarray) -> int:
        return int(np.abs(COLOURS - pixel).sum(-1).argmin())

    rng, half = np.random.default_rng(2), layout.tile // 2
    for _ in range(60):
        image, panel, row, column = (int(rng.integers(n)) for n in (2, tasks, 5, 5))
        rows, columns = layout.place(panel)
        cell = pictures[image][rows, columns][
            row * layout.cell : (row + 1) * layout.cell, column * layout.cell : (column + 1) * layout.cell
        ].astype(float)
        at = image, panel, row, column
        assert nearest(cell[0, 0]) == nearest(cell[-1, -1]) == scenes.classes[at]
        assert (cell[1, 1].mean() > 128) == bool(scenes.dots[at])
        assert nearest(cell[1, 1 + half]) == scenes.pointers[at]
        width = layout.tile // tasks
        for other in range(tasks):
            assert nearest(cell[layout.tile, 1 + width * other]) == scenes.hints[image, panel, other, row, column]


# -- configs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("augmentation.flip=0.5", "set augmentation.scale=null and augmentation.flip=0"),
        ("augmentation.scale=[0.5, 2]", "set augmentation.scale=null and augmentation.flip=0"),
        ("backbone.grid=8", "its tasks and grid must be the dataset's"),
        ("tasks=[a]", "its tasks and grid must be the dataset's"),
    ],
)
def test_what_would_part_pictures_from_labels_is_refused_before_a_run_is_made(
    override: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        create_search(load_config("planted2", [override]), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("preset", ["planted2", "planted2-labels", "planted4", "compare_planted"])
def test_presets_plant_what_the_documentation_says(preset: str) -> None:
    answer = Planted.answer(**load_config(preset).dataset.options)
    contexts = {need.context for need in answer.values()}
    off_diagonal = {need.context for (target, source), need in answer.items() if target != source}
    expected = {"planted2-labels": {"t_label", "s_label"}, "planted4": {"global", "local", "t_label", "s_label"}}
    assert contexts == expected.get(preset, {"global", "local", "t_label"})
    assert len(answer) == (8 if preset == "planted4" else 3)
    if preset == "planted4":
        assert off_diagonal == contexts
        assert {need.context for (target, source), need in answer.items() if target == source} == contexts - {
            "s_label"
        }
