"""Noise of a table, effects of choices and local optima, against published and constructed answers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.cpbench import worse_than_best
from analysis.landscape import choice_effects, local_optima, option_means
from analysis.noise import intraclass_correlation, noise_ceiling, seed_variance
from searchspace import SearchSpace

SPACE = SearchSpace("three", {"a": ["x", "y"], "b": ["x", "y", "z"], "c": ["x", "y"]})
FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
"""Ratings of six targets by four judges, table 2 of Shrout and Fleiss (1979)."""


def landscape(value, seeds: int = 2, noise: float = 0.0) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    """Genotypes x seeds of a function of the options' places; seeds differ by exactly ``noise``."""
    index = pd.MultiIndex.from_product([SPACE[choice] for choice in SPACE], names=list(SPACE))
    places = itertools.product(*(range(len(SPACE[choice])) for choice in SPACE))
    rows = [[value(*place) + noise * (seed - (seeds - 1) / 2) for seed in range(seeds)] for place in places]
    return pd.DataFrame(rows, index=index, columns=range(seeds), dtype=float)


def test_the_intraclass_correlation_of_a_published_table() -> None:
    assert intraclass_correlation(np.array(FLEISS, float)) == pytest.approx(0.17, abs=0.005)


def test_it_estimates_the_share_that_was_made() -> None:
    rng = np.random.default_rng(0)
    values = 3 * rng.normal(size=(4000, 1)) + rng.normal(size=(4000, 3))
    share = intraclass_correlation(values)
    assert share == pytest.approx(0.9, abs=0.01)
    # That of two trainings of the same genotype.
    assert np.corrcoef(values[:, 0], values[:, 1])[0, 1] == pytest.approx(share, abs=0.01)


def test_the_ceiling_is_reached_by_who_knows_the_means() -> None:
    rng = np.random.default_rng(1)
    known = rng.normal(size=(20000, 1))
    values = known + 0.7 * rng.normal(size=(20000, 3))
    ceiling = noise_ceiling(intraclass_correlation(values))
    assert np.corrcoef(known[:, 0], values[:, 2])[0, 1] == pytest.approx(ceiling, abs=0.01)
    assert noise_ceiling(-0.2) == 0.0
    assert math.isnan(noise_ceiling(math.nan))


def test_without_a_second_seed_nothing_is_known_of_noise() -> None:
    assert math.isnan(seed_variance(np.ones((5, 1))))
    assert math.isnan(intraclass_correlation(np.ones((5, 1))))
    assert math.isnan(intraclass_correlation(np.ones((5, 3))))


def test_effects_of_a_sum_are_its_terms() -> None:
    values = landscape(lambda a, b, c: 10 * a + b**2 + 100)
    means = option_means(values).set_index(["choice", "option"])["effect"]
    assert means["a", "y"] == pytest.approx(5)
    assert means["b", "z"] == pytest.approx(4 - 5 / 3)
    assert means["c", "x"] == pytest.approx(0)
    shares = choice_effects(values).set_index("effect")["share"]
    variances = {"a": 25.0, "b": np.var([0, 1, 4])}
    for choice, variance in variances.items():
        assert shares[choice] == pytest.approx(variance / sum(variances.values()))
    assert shares[["c", "a x b", "a x c", "b x c", "higher order"]].to_list() == pytest.approx([0] * 5)


def test_an_exclusive_or_is_an_interaction_alone() -> None:
    shares = choice_effects(landscape(lambda a, b, c: float(a != c))).set_index("effect")["share"]
    assert shares["a x c"] == pytest.approx(1)
    assert shares.drop(["a x c"]).abs().max() == pytest.approx(0)


def test_what_three_choices_do_together_is_of_higher_order() -> None:
    shares = choice_effects(landscape(lambda a, b, c: (-1) ** (a + c) * [1, -1, 0][b])).set_index("effect")["share"]
    assert shares["higher order"] == pytest.approx(1)


def test_noise_is_what_seeds_add_to_the_variance_of_means() -> None:
    values = landscape(lambda a, b, c: 10 * a, noise=2.0)
    shares = choice_effects(values).set_index("effect")["share"]
    assert shares["noise"] == pytest.approx(
        2.0 / 2 / np.var(values.mean(axis=1), ddof=1)
    )  # seeds have a variance of 2


def test_a_table_with_holes_has_no_effects() -> None:
    assert choice_effects(landscape(lambda a, b, c: a + b).iloc[1:]).empty


def test_two_peaks() -> None:
    """All first options, and all last ones; one changed choice of either is worse."""

    def value(a: int, b: int, c: int) -> float:
        return max(5 - (a + b + c), 4 - ((1 - a) + (2 - b) + (1 - c)) * 1.5)

    optima = local_optima(landscape(value, noise=0.1), SPACE)
    assert optima[["a", "b", "c"]].to_numpy().tolist() == [["x", "x", "x"], ["y", "z", "y"]]
    assert optima["regret"].to_list() == pytest.approx([0, 1])
    assert optima["basin"].sum() == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=12, max_size=12))
def test_every_start_climbs_to_an_optimum_that_no_neighbour_beats(heights: list[int]) -> None:
    places = dict(zip(itertools.product((0, 1), (0, 1, 2), (0, 1)), heights, strict=True))
    optima = local_optima(landscape(lambda *place: places[place], noise=0.5), SPACE)
    assert optima["basin"].sum() == pytest.approx(1)
    assert optima["regret"].min() == 0
    for row in optima.to_dict("records"):
        here = tuple(SPACE[choice].index(row[choice]) for choice in SPACE)
        near = [h for place, h in places.items() if sum(p != q for p, q in zip(place, here, strict=True)) == 1]
        assert places[here] >= max(near)


def test_the_test_against_the_best_is_a_pooled_t_test() -> None:
    rng = np.random.default_rng(4)
    values = pd.DataFrame(rng.normal(size=(2, 5)) + np.array([[1.0], [0.0]]), index=["good", "bad"])
    tested = worse_than_best(values)
    expected = stats.ttest_ind(values.loc["good"], values.loc["bad"], alternative="greater").pvalue
    assert tested.index[0] == "good"
    assert tested["p"]["bad"] == pytest.approx(expected)
    assert math.isnan(tested["p_holm"]["good"])


def test_genotypes_that_differ_by_noise_alone_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(5)
    equal = pd.DataFrame(rng.normal(size=(100, 3)))
    far = pd.DataFrame(np.vstack([equal.to_numpy(), rng.normal(size=(50, 3)) - 20]))
    assert (worse_than_best(equal)["p_holm"] < 0.05).sum() <= 5
    assert (worse_than_best(far)["p_holm"] < 0.05).sum() >= 50
