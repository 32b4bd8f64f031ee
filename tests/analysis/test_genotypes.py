"""Proportions, consensus and agreement on examples small enough to count."""

from __future__ import annotations

import math
from itertools import combinations
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import matrices, proportions
from analysis.agreement import agreement, fleiss_kappa, krippendorff_alpha, over_runs, share_alike
from analysis.bootstrap import bootstrap
from analysis.figures import draw_distances, draw_genotypes
from analysis.genotypes import consensus, distances, listing, matrix
from searchspace import RELEASED, SPACES, CPSpace, Genotype, InputError, SearchSpace, ToySpace, from_codes

SPACE = CPSpace(["a", "b"])


def genotype(aa: str, ab: str, ba: str, bb: str) -> Genotype:
    return SPACE.from_matrix({"a": {"a": aa, "b": ab}, "b": {"a": ba, "b": bb}})


THREE = [
    genotype("global", "s_label", "none", "t_label"),
    genotype("global", "s_label", "local", "t_label"),
    genotype("global", "t_label", "global", "none"),
]


def test_matrix_rows_are_targets() -> None:
    table = matrix(THREE[0])
    assert table.loc["a", "b"] == "s_label"
    assert table.loc["b", "a"] == "none"


def test_matrices_are_long() -> None:
    table = matrices({"seed 0": THREE[0], "seed 1": THREE[1]})
    assert len(table) == 8
    assert list(table.iloc[1]) == ["seed 0", "a", "b", "s_label"]


def test_proportions() -> None:
    table = proportions(THREE).set_index(["blocks", "context"])["share"]
    assert table["all"].to_dict() == pytest.approx(
        {"none": 2 / 12, "global": 4 / 12, "local": 1 / 12, "t_label": 3 / 12, "s_label": 2 / 12}
    )
    assert table["diagonal"].to_dict() == pytest.approx(
        {"none": 1 / 6, "global": 3 / 6, "local": 0, "t_label": 2 / 6, "s_label": 0}
    )
    assert table["off-diagonal"]["s_label"] == pytest.approx(2 / 6)


def test_proportions_of_a_released_genotype() -> None:
    tasks, rows = RELEASED["nyud_hrnet18"]
    table = proportions([from_codes(tasks, rows)]).set_index(["blocks", "context"])
    # 3344 4344 4334 3313, where a 4 on the diagonal is written t_label
    assert table.loc[("all", "global"), "count"] == 1
    assert table.loc[("all", "local"), "count"] == 0
    assert table.loc["all"]["count"].sum() == 16


def test_a_single_task_has_no_block_off_the_diagonal() -> None:
    table = proportions([CPSpace(["a"]).uniform("global")]).set_index(["blocks", "context"])
    assert table.loc[("off-diagonal", "global"), "total"] == 0
    assert math.isnan(table.loc[("off-diagonal", "global"), "share"])


def test_agreement() -> None:
    result = agreement(THREE)
    assert result.blocks.loc["a", "a"] == 1
    assert result.blocks.loc["a", "b"] == pytest.approx(1 / 3)
    assert result.blocks.loc["b", "a"] == 0
    assert result.blocks.loc["b", "b"] == pytest.approx(1 / 3)
    assert result.mean == pytest.approx((1 + 1 / 3 + 0 + 1 / 3) / 4)
    chance = (2**2 + 4**2 + 1**2 + 3**2 + 2**2) / 12**2
    assert result.kappa == pytest.approx((result.mean - chance) / (1 - chance))
    assert result.runs == 3


def test_agreement_of_equal_runs_is_full() -> None:
    result = agreement([THREE[0], THREE[0]])
    assert result.overall["value"].tolist() == [1, 1, 1]
    assert (result.table[["low", "high"]] == 1).all(axis=None)


def test_intervals_of_agreement() -> None:
    """Of three runs, a resample of two of them has one pair; of one, none, and is left out."""
    table = agreement(THREE).table.set_index(["target", "source"])
    assert table.loc[("a", "b"), ["low", "high"]].tolist() == [0, 1]  # one of the three pairs agrees
    assert table.loc[("b", "a"), ["low", "high"]].tolist() == [0, 0]
    overall = agreement(THREE).overall.set_index("measure")
    assert (overall["low"] <= overall["value"]).all()
    assert (overall["value"] <= overall["high"]).all()
    assert agreement(THREE).overall.equals(agreement(THREE).overall)


def test_distances() -> None:
    found = distances(dict(zip("xyz", THREE, strict=True)))
    assert found.loc["x", "y"] == sum(THREE[0][c] != THREE[1][c] for c in CPSpace(["a", "b"]))
    assert (found.to_numpy() == found.to_numpy().T).all()
    assert (np.diag(found) == 0).all()


def test_shares_have_intervals_over_runs() -> None:
    table = proportions(THREE).set_index(["blocks", "context"])
    row = table.loc[("all", "global")]
    per_run = [sum(g[c] == "global" for c in CPSpace(["a", "b"])) / 4 for g in THREE]
    assert row["share"] == pytest.approx(np.mean(per_run))
    assert min(per_run) <= row["low"] <= row["share"] <= row["high"] <= max(per_run)
    assert math.isnan(proportions(THREE[:1])["low"].iloc[0])


def test_agreement_needs_two_runs() -> None:
    with pytest.raises(InputError, match="at least two"):
        agreement(THREE[:1])


def test_consensus_breaks_ties_by_the_order_of_the_space() -> None:
    assert consensus(THREE) == genotype("global", "s_label", "none", "t_label")


def test_spaces_are_not_mixed() -> None:
    with pytest.raises(InputError, match="different spaces"):
        proportions([THREE[0], CPSpace(["a", "c"]).uniform("global")])


def test_another_kind_of_space() -> None:
    with pytest.raises(InputError, match="cp space"):
        matrix(ToySpace().optimum)


@pytest.fixture
def lights(monkeypatch: pytest.MonkeyPatch) -> SearchSpace:
    """A registered space of which nothing is known; ``on`` is open to all its choices."""
    space = SearchSpace("lights", {"a": ["off", "on"], "b": ["off", "on", "dim"], "c": ["on", "dim"]})
    monkeypatch.setitem(SPACES._entries, "lights", lambda: space)
    return space


def test_shares_and_distances_are_counted_in_any_space(lights: SearchSpace) -> None:
    one, two = lights.decode((0, 1, 0)), lights.decode((0, 2, 0))
    table = proportions([one, two])
    assert set(table["blocks"]) == {"all"}
    assert dict(zip(table["context"], table["count"], strict=True)) == {"off": 2, "on": 3, "dim": 1}
    assert distances({"x": one, "y": two}).loc["x", "y"] == 1
    assert listing({"x": one}).values.tolist() == [["x", "a", "off"], ["x", "b", "on"], ["x", "c", "on"]]


def test_agreement_in_any_space(lights: SearchSpace) -> None:
    one, two = lights.decode((0, 1, 0)), lights.decode((0, 2, 0))
    result = agreement([one, two, one])
    assert result.table["choice"].tolist() == ["a", "b", "c"]
    assert result.table["agreement"].tolist() == pytest.approx([1, 1 / 3, 1])
    chance = (3**2 + 5**2 + 1**2) / 9**2
    assert result.kappa == pytest.approx((7 / 9 - chance) / (1 - chance))
    assert result.blocks.empty


def test_options_that_choices_do_not_share_have_no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    space = SearchSpace("apart", {"a": ["off", "on"], "b": ["left", "right"]})
    monkeypatch.setitem(SPACES._entries, "apart", lambda: space)
    result = agreement([space.decode((0, 0)), space.decode((0, 1))])
    assert result.mean == 0.5
    assert math.isnan(result.kappa)


# Fleiss' table: 14 raters put 10 subjects into 5 categories.
FLEISS = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)


def test_fleiss_kappa_of_the_published_example() -> None:
    assert round(fleiss_kappa(FLEISS), 3) == 0.210


# Krippendorff's example of two observers and binary data (Computing Krippendorff's alpha-reliability, 2011, part A).
OBSERVERS = [[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]


def test_krippendorff_alpha_of_the_published_example() -> None:
    counts = np.array([np.bincount(pair, minlength=2) for pair in zip(*OBSERVERS, strict=True)])
    assert round(krippendorff_alpha(counts), 3) == 0.095


@pytest.mark.parametrize("coefficient", [fleiss_kappa, krippendorff_alpha])
def test_agreement_beyond_chance_on_one_category_is_undefined(coefficient) -> None:
    assert math.isnan(coefficient(np.array([[3, 0], [3, 0]])))


@pytest.mark.parametrize("counts", [[[1, 0], [1, 0]], [[2, 0], [1, 0]], [1, 2]])
def test_fleiss_kappa_refuses(counts: list[int]) -> None:
    with pytest.raises(InputError):
        fleiss_kappa(np.array(counts))


@given(kinds=st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=3))
def test_pairs_are_counted_by_the_sizes_of_kinds(kinds: list[list[int]]) -> None:
    """As by looking at every pair: the share that is alike, and its interval over runs."""
    table, n = np.array(kinds), 5
    pairs = list(combinations(range(n), 2))
    same = np.array([[row[a] == row[b] for a, b in pairs] for row in table])
    assert share_alike(table[0]) == same[0].mean()

    def by_pairs(drawn: np.ndarray) -> np.ndarray:
        times = np.array([np.bincount(row, minlength=n) for row in drawn])
        weights = np.array([[row[a] * row[b] for a, b in pairs] for row in times])
        with np.errstate(invalid="ignore"):
            return (weights @ same.mean(0)) / weights.sum(1)

    assert over_runs(table, 0) == pytest.approx(bootstrap(by_pairs, n, resamples=1000, seed=0))


def test_a_picture_of_many_searches_is_no_larger() -> None:
    """The figures of 200 searches are as large as those of as many as are drawn one by one."""
    generator = np.random.default_rng(0)

    def sizes(runs: int) -> list[float]:
        codes = generator.integers(0, 5, (runs, 4))
        names = [f"seed {run}" for run in range(runs)]
        apart = pd.DataFrame((codes[:, None] != codes[None]).sum(-1), index=names, columns=names)
        space = CPSpace(["semseg", "depth"])
        tiles = matrices({name: space.sample(Random(run)) for run, name in enumerate(names)})
        drawn = draw_distances(apart, 4), draw_genotypes(tiles, space.contexts)
        return [side for figure in drawn for side in figure.get_size_inches()]

    assert sizes(200) == sizes(24)


@pytest.mark.parametrize("tasks", [2, 3, 4, 5])
@pytest.mark.parametrize("runs", [1, 2, 3, 5, 8])
def test_the_legend_of_genotypes_fits_into_the_figure(tasks: int, runs: int) -> None:
    space = CPSpace(["semseg", "depth", "normals", "edge", "saliency"][:tasks])
    figure = draw_genotypes(
        matrices({f"seed {run}": space.sample(Random(run)) for run in range(runs)}), space.contexts
    )
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
