"""Many searches of a table: against single searches, by any number of processes, and after an interruption."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from atrc.config import Config, parse_config
from atrc.experiments.lookup import CARD, SEARCHES, Lookup, plan_lookup, run_lookup
from atrc.setup import Setup
from atrc.training.scoring import TableScorer
from searchspace import InputError
from searchspace.answers import Answers
from strategies import STRATEGIES, Budget, MultiTrialStrategy, Search

TRIALS = 8
CONFIG = """
name: small
space: {name: benchmark, file: FILE}
trials: {scorer: {name: table, draw: seed}}
compare: {strategies: {young: {name: evolution, population: 3, tournament: 2}, darts: {}}, samples: 1000}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    rng = random.Random(0)
    with (tmp_path / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["one", "two", "three", "seed", "samples", "seconds", "score"])
        for options in itertools.product("abc", repeat=3):
            mean = rng.gauss(0, 1)
            rows.writerows([*options, seed, 10, 0.5, mean + rng.gauss(0, 0.3)] for seed in range(3))
    return parse_config(CONFIG.replace("FILE", str(tmp_path / "table.csv")), "text")


def plan(config: Config, *names: str, **changed: Any) -> Lookup:
    return plan_lookup(config, names, **{"seeds": 7, "trials": TRIALS, **changed})


def rows_of(folder: Path) -> list[dict[str, str]]:
    with gzip.open(folder / SEARCHES, "rt") as file:
        return list(csv.DictReader(file))


def test_searches_are_those_of_the_driver(config: Config, tmp_path: Path) -> None:
    planned = plan(config, "young", "local_search")
    run_lookup(planned, tmp_path / "out", quiet=True)
    rows = rows_of(tmp_path / "out")
    space: Any = Setup.of(config).space
    scorer = planned.bench.scorer
    assert isinstance(scorer, TableScorer)
    answers = Answers(scorer.table, space)
    for label, seed in itertools.product(["young", "local_search"], range(7)):
        named = planned.strategies[label]
        strategy = STRATEGIES.create(named.name, named.options, space, seed=seed)
        search = Search(strategy, score=scorer.of_seed(seed), budget=Budget(trials=TRIALS))
        changes: list[tuple[int, int, float, Any]] = []
        for event in search:
            if event.kind == "told" and (not changes or event.named != changes[-1][3]):
                changes.append((search.spent.trials, search.samples, search.seconds, event.named))
        if changes[-1][0] != search.spent.trials:
            changes.append((search.spent.trials, search.samples, search.seconds, search.genotype()))
        found = [row for row in rows if row["strategy"] == label and int(row["seed"]) == seed]
        assert [(int(r["trials"]), int(r["samples"]), float(r["seconds"])) for r in found] == [c[:3] for c in changes]
        for row, (*_, genotype) in zip(found, changes, strict=True):
            assert space.genotype({choice: row[choice] for choice in space}) == genotype
            assert float(row["score"]) == answers.means[genotype]
            assert float(row["regret"]) == answers.regret(genotype)
            assert int(row["rank"]) == answers.rank(genotype)


def test_the_same_bytes_by_more_processes_and_after_a_kill(config: Config, tmp_path: Path) -> None:
    planned = plan(config, "young", "random", "optuna_tpe")
    whole = run_lookup(planned, tmp_path / "whole", quiet=True)
    other = run_lookup(planned, tmp_path / "other", jobs=2, quiet=True)
    assert other.read_bytes() == whole.read_bytes()
    journal = tmp_path / "killed" / "parts.jsonl"
    journal.parent.mkdir()
    lines = (tmp_path / "whole" / "parts.jsonl").read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:3]) + lines[3][:40])  # a line that a kill cut off
    assert run_lookup(planned, journal.parent, quiet=True).read_bytes() == whole.read_bytes()
    made = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    seeds = sorted((part["strategy"], seed) for part in made for seed in part["seeds"])
    assert seeds == sorted(itertools.product(["young", "random", "optuna_tpe"], range(7)))
    before = journal.read_bytes()
    run_lookup(planned, journal.parent, quiet=True)
    assert journal.read_bytes() == before


def test_a_folder_grows(config: Config, tmp_path: Path) -> None:
    run_lookup(plan(config, "random"), tmp_path, quiet=True)
    run_lookup(plan(config, "random", "grid", seeds=9, few={"grid": 2}), tmp_path, quiet=True)
    card = yaml.safe_load((tmp_path / CARD).read_text())
    assert {label: of["seeds"] for label, of in card["strategies"].items()} == {"random": 9, "grid": 2}
    assert card["genotypes"] == 27
    assert card["table"]["name"] == "table"
    (tmp_path / "new").mkdir()
    run_lookup(plan(config, "random", "grid", seeds=9, few={"grid": 2}), tmp_path / "new", quiet=True)
    assert (tmp_path / SEARCHES).read_bytes() == (tmp_path / "new" / SEARCHES).read_bytes()


def test_other_searches_are_refused_in_a_folder(config: Config, tmp_path: Path) -> None:
    run_lookup(plan(config, "young", seeds=1), tmp_path, quiet=True)
    with pytest.raises(InputError, match="begun with other settings: trials was 8 and is 9"):
        run_lookup(plan(config, "young", trials=9), tmp_path, quiet=True)
    assert config.compare is not None
    older = {"young": config.compare.strategies["young"].model_copy(update={"population": 4})}
    changed = config.model_copy(update={"compare": config.compare.model_copy(update={"strategies": older})})
    changed = parse_config(changed.to_yaml().replace("population: 3", "population: 4"), "text")
    with pytest.raises(InputError, match="'young' with other knobs"):
        run_lookup(plan(changed, "young"), tmp_path, quiet=True)
    (tmp_path / "table.csv").write_text((tmp_path / "table.csv").read_text().replace(",10,", ",11,", 1))
    with pytest.raises(InputError, match="begun with other settings: table was"):
        run_lookup(plan(config, "young"), tmp_path, quiet=True)


def test_all_multi_trial_strategies_by_default(config: Config, tmp_path: Path) -> None:
    planned = plan(config, seeds=1, trials=3)
    every = {name for name, entry in STRATEGIES.items() if issubclass(entry, MultiTrialStrategy)}
    assert set(planned.strategies) == every | {"young"}
    run_lookup(planned, tmp_path, quiet=True)
    assert {row["strategy"] for row in rows_of(tmp_path)} == set(planned.strategies)


def test_strategies_that_cannot_search_the_space_are_left_out(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-3]))  # without the last genotype
    planned = plan(config)
    assert "nni_tpe" not in planned.strategies
    assert "random" in planned.strategies
    assert "left out, since they cannot search the space: nni_" in capsys.readouterr().err
    with pytest.raises(InputError, match="'nni_tpe' treats choices as independent"):
        plan(config, "nni_tpe")


@pytest.mark.parametrize(
    ("names", "message"),
    [(["yuong"], "'yuong' is no multi-trial.*did you mean 'young'"), (["darts"], "'darts' is no .*it is one-shot")],
)
def test_a_wrong_strategy(config: Config, names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan(config, *names)


def test_a_failed_strategy_does_not_end_the_others(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *(f"{line.rpartition(',')[0]},nan" for line in lines[:80]), lines[80]]))
    settings = parse_config(config.to_yaml(), "text", ["trials.scorer={name: table, draw: mean}"])
    with pytest.raises(InputError, match="has no result of any genotype"):
        plan(settings, "grid")
    path.write_text("\n".join([header, *(f"{line.rpartition(',')[0]},nan" for line in lines[:78]), *lines[78:]]))
    planned = plan(settings, "nni_grid", "grid", trials=27)
    run_lookup(planned, tmp_path / "all", quiet=True)
    with pytest.raises(InputError, match=r"searches failed: nni_grid: .*none of its 3 trials"):
        run_lookup(plan(settings, "nni_grid", trials=3), tmp_path / "few", quiet=True)
