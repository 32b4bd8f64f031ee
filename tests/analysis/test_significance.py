"""Tests of pairs, their correction, and the power of tests: against worked examples, enumeration and simulation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import load_runs
from analysis.figures import draw_ranks
from analysis.power import detectable, power_of_differences, power_of_runs, power_sentences, seeds_needed
from analysis.significance import holm, hopeless, pairwise_tests

from .conftest import MULTI, Write, of, write_baselines


def frame(values: dict[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"strategy": name, "seed": seed, "delta_m": value}
            for name, column in values.items()
            for seed, value in enumerate(column)
        ]
    )


def test_holm_on_a_worked_example() -> None:
    """0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02; what was not tested is not counted."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, math.nan, 0.04, 0.03, 0.005]) == pytest.approx([0.03, math.nan, 0.06, 0.06, 0.02], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_signed_rank_tests_of_pairs() -> None:
    a, b = [1.0, 2.5, 3.0, 4.2, 5.1, 6.0], [0.5, 1.8, 2.1, 3.1, 3.8, 4.5]
    tests = pairwise_tests(frame({"a": a, "b": b, "c": a}))
    first = tests.iloc[0]
    assert (first["one"], first["other"]) == ("a", "b")
    assert first["difference"] == pytest.approx(np.mean(a) - np.mean(b))
    assert first["p"] == pytest.approx(2 / 2**6)  # every difference has the same sign: two of 2^6 sign patterns
    equal = tests[(tests["one"] == "a") & (tests["other"] == "c")].iloc[0]
    assert equal["p"] == 1.0
    assert list(tests["p_holm"]) == holm(list(tests["p"]))


def test_pairs_are_of_the_seeds_that_both_have() -> None:
    """A seed that a third strategy lacks is lost to its pairs alone; what cannot be tested has no p."""
    a, b = [1.0, 2.5, 3.0, 4.2, 5.1, 6.0], [0.5, 1.8, 2.1, 3.1, 3.8, 4.5]
    tests = pairwise_tests(frame({"a": a, "b": b, "c": [0.0, *[math.nan] * 5]})).set_index(["one", "other"])
    assert tests.loc[("a", "b"), "n"] == 6
    assert tests.loc[("a", "b"), "p"] == tests.loc[("a", "b"), "p_holm"] == pytest.approx(2 / 2**6)
    assert tests.loc[("a", "c"), "n"] == 1
    assert tests.loc[("a", "c"), "difference"] == 1.0
    assert tests.loc[("a", "c"), ["p", "p_holm"]].isna().all()


def test_what_no_result_can_show_is_said_after_the_correction() -> None:
    """With eight seeds one pair can differ, and none of 36 pairs can; with eleven seeds they can."""
    assert hopeless("test", [2.0**-7], 6) == []
    (note,) = hopeless("test", [2.0**-7] * 36, 11)
    assert "cannot" in note
    assert "0.28" in note
    assert "11 seeds would be enough" in note
    assert hopeless("test", [2.0**-10] * 36, 11) == []
    ranks = {
        name: [place + 0.01 * seed * (place + 1) for seed in range(11)] for place, name in enumerate("abcdefghi")
    }
    assert (pairwise_tests(frame(ranks))["p_holm"] < 0.05).all(), "eleven seeds do"


# -- power ----------------------------------------------------------------------------------------------------------


def test_power_is_that_of_the_textbook() -> None:
    """Cohen (1988), ch. 2: a medium effect of 0.5 standard deviations needs 64 runs a side, or 34 pairs."""
    assert seeds_needed(1.0, 0.5) == 64
    assert seeds_needed(1.0, 0.5, paired=True) == 34
    assert detectable(1.0, 64) == pytest.approx(0.499, abs=1e-3)
    assert detectable(3.0, 64) == pytest.approx(3 * detectable(1.0, 64))


@pytest.mark.parametrize(("seeds", "paired", "level"), [(2, False, 0.05), (3, False, 0.05), (8, True, 0.05 / 36)])
def test_power_is_what_a_simulation_finds(seeds: int, paired: bool, level: float) -> None:
    generator = np.random.default_rng(0)
    shift = detectable(2.0, seeds, paired=paired, level=level)
    one = generator.normal(shift, 2.0, (20_000, seeds))
    if paired:
        p, direction = stats.ttest_1samp(one, 0, axis=1).pvalue, one.mean(1)
    else:
        other = generator.normal(0, 2.0, one.shape)
        p, direction = stats.ttest_ind(one, other, axis=1).pvalue, one.mean(1) - other.mean(1)
    assert ((p < level) & (direction > 0)).mean() == pytest.approx(0.8, abs=0.01)
    assert seeds_needed(2.0, shift * (1 + 1e-9), paired=paired, level=level) == seeds


def test_no_spread_and_no_seeds() -> None:
    assert math.isnan(detectable(1.0, 1))
    assert math.isnan(detectable(math.nan, 5))
    assert detectable(0.0, 5) == 0
    assert seeds_needed(1e9, 1.0) is None
    assert power_of_differences("delta_m", "%", [np.array([1.0])], 1).empty
    assert power_sentences(power_of_differences("delta_m", "%", [], 0), "x varies by") == []


def test_the_spread_of_runs_is_pooled_over_models(write: Write, tmp_path: Path) -> None:
    """Three runs of one model and two of another; the baselines' own spread is not in it."""
    write_baselines(write, seeds=(0, 1))
    for seed, shift in enumerate((-1.0, 0.0, 1.0)):
        write("multi", seed, {**of(MULTI), "semseg": 36 + shift})
    for seed, shift in enumerate((-2.0, 2.0)):
        write("all-local", seed, {**of(MULTI), "semseg": 40 + shift})
    write("all-none", 0, of(MULTI))
    power = power_of_runs(load_runs([tmp_path]), "demo").set_index("quantity")
    row = power.loc["semseg"]
    assert row["spread"] == pytest.approx(math.sqrt((2 * 1 + 1 * 8) / 3))
    assert (row["freedom"], row["seeds"]) == (3, 2)
    assert row["detectable"] == pytest.approx(detectable(row["spread"], 2))
    assert row["seeds_for_one"] == seeds_needed(row["spread"], 1.0)
    assert math.isnan(power.loc["depth", "seeds_for_one"]), "metres have no point"
    (sentence,) = power_sentences(power.reset_index(), "It varies by")
    assert "2 seeds show a difference of" in sentence


def test_bars_of_the_rank_diagram_do_not_depend_on_the_order_of_a_set() -> None:
    generator = np.random.default_rng(0)
    results = pd.DataFrame(generator.normal(size=(6, 7)), columns=[f"strategy {number}" for number in range(7)])
    figure = draw_ranks(results, dict.fromkeys(results, "one-shot"))
    level = [line for line in figure.axes[0].get_lines() if len(set(line.get_ydata())) == 1]
    assert max(len(line.get_xdata()) for line in level) > 2
    for line in level:
        assert list(line.get_xdata()) == sorted(line.get_xdata())
