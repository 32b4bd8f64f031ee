"""Regret and rank of what searches found, and the spread of what they would sample, against sums over genotypes."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

import pytest

from analysis.load import load_runs
from analysis.regret import chance_regret, regret_of_searches, regret_sentences
from analysis.sample_spread import sample_moments, samples_of_searches
from atrc.config import Config, parse_config
from atrc.cpbench import answers_of
from atrc.experiments import create_search, execute_all
from atrc.runs import Result, RunDirectory, RunSpec
from atrc.setup import Setup
from searchspace import SearchSpace

SPACE = SearchSpace("two", {"a": ["x", "y"], "b": ["x", "y", "z"]})


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A table of nine genotypes, whose score is three times the first place plus the second."""
    lines = [f"{a},{b},{3 * 'pqr'.index(a) + 'pqr'.index(b)}" for a, b in itertools.product("pqr", "pqr")]
    file = tmp_path / "nine.csv"
    file.write_text("\n".join(["one,two,score", *lines]) + "\n")
    return parse_config(
        f"name: nine\nspace: {{name: benchmark, file: {file}}}\nstrategy: random\nseeds: [0, 1, 2]\n"
        "search: {steps: 1000}\ntrials: {scorer: {name: table}, number: 3}\n",
        "text",
    )


def test_regret_of_searches_is_the_distance_from_the_best(config: Config, tmp_path: Path) -> None:
    runs = create_search(config, tmp_path / "runs")
    execute_all(runs, quiet=True)
    found = regret_of_searches(load_runs(tmp_path / "runs"), "nine")
    assert len(found) == 3
    for row, run in zip(found.to_dict("records"), runs, strict=True):
        genotype = run.genotype()
        assert genotype is not None
        score = 3 * "pqr".index(genotype["one"]) + "pqr".index(genotype["two"])
        assert (row["regret"], row["place"], row["of"], row["chance"]) == (8 - score, 9 - score, 9, 4)
    (said,) = regret_sentences(found)
    assert said.startswith("random: 3 searches found genotypes that are ")
    assert said.endswith("of 9; a random genotype is 4.0 behind")


def test_a_search_without_a_table_has_no_regret(tmp_path: Path) -> None:
    config = parse_config("name: x\ndataset: {name: planted, answer: {a: {}, b: {}}}\ntasks: [a, b]", "text")
    run = RunDirectory.create(tmp_path / "search" / "seed0", RunSpec("search", "search", 0), config)
    run.write_genotype(Setup.of(config).space.uniform("none"))
    run.write_result(Result({"a": 1.0, "b": 1.0}, 1, 1, 1.0, 1, 1))
    assert answers_of(config, Setup.of(config).space) is None
    assert regret_of_searches(load_runs(tmp_path), "x").empty


def test_chance_is_the_mean_over_all_genotypes(config: Config) -> None:
    answers = answers_of(config, Setup.of(config).space)
    assert answers is not None
    assert chance_regret(answers) == sum(range(9)) / 9


def test_moments_of_samples_are_those_of_many_draws() -> None:
    values = {genotype: float(place**2) for place, genotype in enumerate(SPACE.enumerate())}
    probabilities = {"a": {"x": 0.2, "y": 0.8}, "b": {"x": 0.5, "y": 0.4, "z": 0.1}}
    mean, std = sample_moments(probabilities, values)
    rng = random.Random(0)
    drawn = []
    for _ in range(20_000):
        options = {c: rng.choices(list(of), list(of.values()))[0] for c, of in probabilities.items()}
        drawn.append(values[SPACE.genotype(options)])
    assert mean == pytest.approx(sum(drawn) / len(drawn), rel=0.02)
    assert std == pytest.approx(math.sqrt(sum((v - mean) ** 2 for v in drawn) / len(drawn)), rel=0.02)


def test_frozen_choices_do_not_vary(config: Config, tmp_path: Path) -> None:
    space = Setup.of(config).space
    answers = answers_of(config, space)
    assert answers is not None
    run = RunDirectory.create(tmp_path / "search" / "seed0", RunSpec("search", "search", 0), config)
    run.write_genotype(space.genotype({"one": "r", "two": "q"}))
    even = dict.fromkeys("pqr", 1 / 3)
    run.append("architecture.jsonl", {"step": 1, "probabilities": {"one": even, "two": even}, "frozen": []})
    run.append("architecture.jsonl", {"step": 2, "probabilities": {"one": even, "two": even}, "frozen": ["one"]})
    (row,) = samples_of_searches([("s", run)], answers).to_dict("records")
    assert (row["mean"], row["named"]) == (pytest.approx(7), 7)
    assert row["std"] == pytest.approx(math.sqrt(2 / 3))
