"""A space and a supernet from a plugin file, the example of the documentation, go all ways that ours go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from analysis import analyze, write_report
from analysis.screen import summary
from atrc.config import Config, import_plugins, parse_config
from atrc.costs import MEASURES
from atrc.experiments import create_search, execute_all, execute_experiment
from atrc.inference import open_run
from atrc.runs import RunDirectory
from atrc.setup import Setup
from atrc.supernets import SUPERNETS, FixedSelection, option_costs
from atrc.testing import check_multi_task_supernet
from searchspace import SPACES, InputError

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "kernels"
AREAS = {"point": 1, "row": 5, "column": 5, "square": 9}
CHANNELS = 4
SMALL = [
    f"plugins={json.dumps([str(EXAMPLE / 'kernels.py'), str(EXAMPLE / 'windows.py')])}",
    *("dataset.train=24", "dataset.val=8", "dataset.grid=4", "backbone={name: panels, width: 4, grid: 4}"),
    *(
        f"model.head.channels={CHANNELS}",
        "evaluate_batch=8",
        "trials={steps: 1, images: 2, number: 2}",
        "seeds=[0, 1]",
    ),
    *("search.steps=4", "search.batch_size=4", "train.steps=2", "train.batch_size=4", "search.warmup=0"),
    "seeds=[0, 1]",
]

pytestmark = pytest.mark.usefixtures("no_plugin_left")


def example(*overrides: str) -> Config:
    """The example, small enough for a search in a second."""
    return parse_config((EXAMPLE / "kernels.yaml").read_text(), "the example", [*SMALL, *overrides])


@pytest.fixture
def small() -> Config:
    """The example, its plugins imported."""
    config = example()
    import_plugins(config)
    return config


def parameters(genotype: Any) -> int:
    """Of the convolutions of a genotype and their batch norms, by hand."""
    return sum(AREAS[option] * CHANNELS**2 + 2 * CHANNELS for option in genotype.values())


def test_the_space_goes_the_whole_way(small: Config, tmp_path: Path) -> None:
    execute_experiment(small, tmp_path / "kernels", ["multi", "all-square"], quiet=True)
    by_trials = example("strategy={name: random}", "name=by-trials", "seeds=[0]")
    searches = create_search(by_trials, tmp_path / "by-trials")
    execute_all(searches, quiet=True)
    space = Setup.of(small).space
    for search in searches:
        assert space.validate(search.genotype())
        trials = [json.loads(line) for line in (search.path / "trials.jsonl").read_text().splitlines()]
        assert {trial["cost"] for trial in trials} - {None}

    shared = RunDirectory.open(tmp_path / "kernels/multi/seed0").result().parameters
    for model in ("retrain/seed0", "all-square/seed1"):
        run = RunDirectory.open(tmp_path / "kernels" / model)
        opened = open_run(run.path)
        network = opened.network
        assert isinstance(network, FixedSelection)
        counted = run.result().parameters
        assert counted == sum(p.numel() for p in network.parameters()) == shared + parameters(run.genotype())
        assert set(opened.predict(opened.split("val")[0].image)) == {"a", "b", "c"}

    made = analyze([tmp_path], tmp_path / "figures", quiet=True)
    expected = {"genotypes", "agreement", "proportions", "recovery", "recovery_confusion", "trajectory"}
    assert {name.split("-")[0] for name in made.figures} >= expected
    for experiment in ("kernels", "by-trials"):
        assert [note for note in made.notes if note.startswith(f"{experiment}: importance and attention")]
    assert all(note.endswith("'kernels'") for note in made.notes if "importance" in note)
    recovery = pd.read_csv(made.tables["recovery"]).set_index("condition")
    assert recovery["of"].to_dict() == {"kernels": 4, "by-trials": 2}, "two planted tasks in each search"
    assert recovery["chance"].tolist() == [0.25, 0.25]
    assert recovery["idle"].tolist() == [0, 0], "no option of the third task is empty"
    assert summary(made.runs)
    assert write_report(made).exists()


def test_the_supernet_conforms_and_its_default_costs_are_exact(small: Config) -> None:
    check_multi_task_supernet("kernels", SPACES["kernels"](["semseg", "depth"]))  # type: ignore[call-arg, arg-type]
    setup = Setup(small)
    costs = setup.costs(torch.device("cpu"))
    assert costs is not None
    for genotype in setup.space.enumerate():
        network = setup.network("retrain", genotype)
        assert isinstance(network, FixedSelection)
        assert costs.of(genotype) == sum(p.numel() for p in network.parameters())


def test_default_costs_refuse_choices_that_depend_on_one_another(
    small: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels, setup = SPACES["kernels"], Setup(small)
    monkeypatch.setattr(kernels, "violation", lambda self, choices: "odd" if choices["a"] != choices["b"] else None)
    message = r"space 'kernels' cannot be measured one by one.*\(odd\); define `costs` in its supernet"
    with pytest.raises(InputError, match=message):
        setup.costs(torch.device("cpu"))
    network = SUPERNETS["kernels"].network
    with pytest.raises(InputError, match=message):
        option_costs(
            setup.space,
            lambda genotype: network(setup.parts(), genotype),
            MEASURES.create("parameters", {}),
            setup.info.size,
            torch.device("cpu"),
        )
