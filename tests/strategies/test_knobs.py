"""Knobs out of their range: one line each that says what is allowed."""

from __future__ import annotations

import math
from typing import Any

import pytest

from searchspace import InputError, ToySpace
from strategies import build_strategy
from strategies._knobs import flag, number, pair, whole

SPACE = ToySpace(choices=3, options=3, seed=0)

WITH_ADAM = ["darts", "darts_second", "dsnas", "fair_darts", "gdas", "mtl_nas", "snas", "nni_darts"]

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    *((name, {"lr": 0}, "lr must be a number > 0, got 0") for name in [*WITH_ADAM, "gumbel_entropy", "enas"]),
    *((name, {"lr": math.nan}, "lr must be a number > 0, got nan") for name in ("reinforce", "drnas", "proxyless")),
    *((name, {"lr": "1e-3"}, "got '1e-3'; this is text") for name in [*WITH_ADAM, "reinforce", "enas"]),
    *((name, {"weight_decay": -1e-3}, "weight_decay must be a number >= 0, got -0.001") for name in WITH_ADAM),
    *((name, {"betas": [0.5, 1.0]}, r"betas\[1\] must be a number >= 0 and < 1, got 1.0") for name in WITH_ADAM),
    *((name, {"betas": 0.5}, "betas needs two numbers, got 0.5") for name in [*WITH_ADAM, "drnas", "proxyless"]),
    ("darts_second", {"xi": 0.0}, "xi must be a number > 0, got 0.0"),
    ("darts_second", {"radius": -1.0}, "radius must be a number > 0, got -1.0"),
    ("drnas", {"anchor": -5.0}, "anchor must be a number >= 0, got -5.0"),
    ("fair_darts", {"zero_one": -1}, "zero_one must be a number >= 0, got -1"),
    ("gdas", {"temperature": [10.0, 0.0]}, r"temperature\[1\] must be a number > 0, got 0.0"),
    ("snas", {"temperature": ["1e0", 0.1]}, r"temperature\[0\] .* got '1e0'; this is text"),
    ("mtl_nas", {"entropy_weight": [0.0]}, r"entropy_weight needs two numbers, got \[0.0\]"),
    ("mtl_nas", {"entropy_weight": [0.0, math.inf]}, r"entropy_weight\[1\] must be a finite number, got inf"),
    ("gumbel_entropy", {"freeze_threshold": 1.5}, "freeze_threshold must be a number >= 0 and <= 1, got 1.5"),
    (
        "gumbel_entropy",
        {"freeze": "entropy", "freeze_threshold": -1},
        "freeze_threshold must be a number >= 0, got -1",
    ),
    ("enas", {"baseline_decay": 2.0}, "baseline_decay must be a number >= 0 and < 1, got 2.0"),
    ("enas", {"tanh_constant": 0}, "tanh_constant must be a number > 0, got 0"),
    ("enas", {"temperature": -1}, "temperature must be a number > 0, got -1"),
    ("enas", {"entropy_weight": math.inf}, "entropy_weight must be a finite number, got inf"),
    ("enas", {"hidden": 2.5}, "hidden must be a whole number >= 1, got 2.5"),
    ("reinforce", {"baseline_decay": 1}, "baseline_decay must be a number >= 0 and < 1, got 1"),
    ("bananas", {"hidden": []}, r"hidden must list the units of at least one layer, got \[\]"),
    ("bananas", {"hidden": [20, 0]}, r"hidden\[1\] must be a whole number >= 1, got 0"),
    ("bananas", {"hidden": 20}, "hidden must list the units of at least one layer, got 20"),
    ("bananas", {"initial": 0}, "initial must be a whole number >= 1, got 0"),
    ("bananas", {"candidates": "many"}, "candidates must be a whole number >= 1, got 'many'"),
    ("evolution", {"population": 5, "tournament": 6}, r"tournament must be a whole number in 1\.\.5, got 6"),
    ("genetic", {"population": 5, "parents": 0}, r"parents must be a whole number in 1\.\.5, got 0"),
    ("genetic", {"mutation": 0}, "mutation must be a number > 0 and <= 1, got 0"),
    ("local_search", {"first": "no"}, "first must be true or false, got 'no'"),
    ("successive_halving", {"start": 0}, "start must be a whole number >= 1, got 0"),
    ("successive_halving", {"start": -3}, "start must be a whole number >= 1, got -3"),
    ("hyperband", {"eta": 1}, "eta must be a whole number >= 2, got 1"),
    ("asha", {"min_budget": "1e-2"}, "min_budget must be a number > 0 and < 1, got '1e-2'; this is text"),
    ("nni_evolution", {"population": 0}, "population must be a whole number >= 1, got 0"),
    ("nni_regularized_evolution", {"mutation": 2}, "mutation must be a number > 0 and <= 1, got 2"),
    ("nni_regularized_evolution", {"dedup": 1}, "dedup must be true or false, got 1"),
]


@pytest.mark.parametrize(("name", "knobs", "message"), REFUSED)
def test_a_knob_out_of_its_range_is_one_line(name: str, knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        build_strategy(name, SPACE, seed=0, knobs=knobs)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["1e-3", "1E5", "-2.5e4", "3.5e2", "1e+7"])
def test_a_number_in_quotes_is_refused_as_text(text: str) -> None:
    with pytest.raises(InputError, match="write the number without quotes"):
        number("lr", text, above=0)


@pytest.mark.parametrize("value", ["", "fast", "nan", None, True, [1.0], math.nan, math.inf, -1.0])
def test_what_is_no_positive_number(value: object) -> None:
    with pytest.raises(InputError, match="lr must be a number > 0, got") as error:
        number("lr", value, above=0)
    assert "quotes" not in str(error.value)


def test_what_is_within_bounds_is_taken() -> None:
    assert number("lr", 1, above=0) == 1.0
    assert number("share", 1.0, at_least=0, at_most=1) == 1.0
    assert number("decay", 0, at_least=0, below=1) == 0.0
    assert whole("eta", 2, at_least=2) == 2
    assert whole("parents", 5, at_most=5) == 5
    assert pair("betas", [0, 0.999], at_least=0, below=1) == (0.0, 0.999)
    assert flag("first", False) is False
    for wrong in (True, 2.0, "2"):
        with pytest.raises(InputError, match="eta must be a whole number >= 2"):
            whole("eta", wrong, at_least=2)


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("darts_second", {"xi": None, "weight_decay": 0, "betas": [0, 0]}),
        ("bananas", {"hidden": [1]}),
        ("successive_halving", {"start": 1}),
        ("gumbel_entropy", {"freeze_threshold": 0}),
    ],
)
def test_knobs_at_their_bounds_are_taken(name: str, knobs: dict[str, Any]) -> None:
    build_strategy(name, SPACE, seed=0, knobs=knobs)
