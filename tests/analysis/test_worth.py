"""What the genotypes of a comparison are worth, where they are looked up or not known. (Trained: test_strategies.)"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from analysis.comparison import compare_strategies
from analysis.worth import worth_of
from atrc.config import Config, load_config
from atrc.cpbench import find_table
from atrc.experiments import Checks, execute_all
from atrc.experiments.comparison import baselines, networks, searches
from atrc.setup import Setup
from searchspace import InputError

SMALL = ["compare.samples=64", "compare.points=1", "compare.strategies=[gumbel_entropy, snas]", "seeds=[0, 1]"]


def comparison(*overrides: str) -> Config:
    return load_config("planted2+five", [*SMALL, *overrides])


def test_what_is_looked_up_is_the_mean_of_the_table(tmp_path: Path) -> None:
    config = comparison()
    worth = worth_of(config, tmp_path)
    space = Setup.of(config).space
    planted = space.genotype({"a<-a": "global", "a<-b": "local", "b<-a": "t_label", "b<-b": "none"})
    rows = [row for row in find_table("planted2").read().rows() if row.choices == dict(planted)]
    full = [row.number("delta_m") for row in rows if row.number("budget") == 1]
    assert len(full) == 3
    assert worth.delta_m(planted, 0) == worth.delta_m(planted, 7) == pytest.approx(sum(full) / 3)
    assert worth.answers is not None
    assert worth.answers.rank(planted) == 1
    assert abs(worth.multi) < 0.1  # sharing alone gives nothing on planted problems


def test_nothing_but_searches_is_run(tmp_path: Path) -> None:
    config, checks = comparison(), Checks()
    searched = searches(config, tmp_path, checks)
    execute_all(searched, quiet=True)
    assert baselines(config, tmp_path, checks) == networks(config, tmp_path, searched, checks) == []
    made = compare_strategies(config, tmp_path, tmp_path / "out", formats=("png",))
    assert {path.name for path in tmp_path.iterdir()} == {"search-gumbel_entropy", "search-snas", "out"}
    for row in made.points.to_dict("records"):
        assert row["regret"] + row["delta_m"] == pytest.approx(91.45, abs=0.01)  # what the best genotype has
        assert 1 <= row["place"] <= 400
    assert {"regret", "recovery", "anytime"} <= set(made.figures)
    unknown = compare_strategies(comparison("compare.networks=none"), tmp_path, tmp_path / "none", formats=("png",))
    assert unknown.table["delta_m_mean"].isna().all()
    assert "anytime" not in unknown.figures
    assert math.isnan(worth_of(comparison("compare.networks=none"), tmp_path).multi)


def test_a_problem_without_a_table_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table has the dataset, networks and training of config 'planted2"):
        searches(comparison("train.lr=0.5"), tmp_path)
    assert not any(tmp_path.iterdir())
