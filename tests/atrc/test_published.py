"""The runs that this repository publishes still load, and become what they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from atrc.costs import count_parameters
from atrc.runs import RunDirectory, find_runs
from atrc.setup import Setup

PUBLISHED = Path(__file__).parents[2] / "runs" / "published"
RUNS = find_runs([PUBLISHED])


def one_of_each() -> list[RunDirectory]:
    """The first run of every experiment and model."""
    first: dict[tuple[str, str], RunDirectory] = {}
    for run in RUNS:
        first.setdefault((run.path.relative_to(PUBLISHED).parts[0], run.spec.model), run)
    return list(first.values())


def test_every_run_opens() -> None:
    assert len(RUNS) > 300
    for run in RUNS:
        genotype = run.genotype()
        assert run.finished
        assert run.result().parameters > 0
        if genotype is not None:
            assert Setup.of(run.config).space.validate(genotype) == genotype


@pytest.mark.parametrize("run", one_of_each(), ids=lambda run: str(run.path.relative_to(PUBLISHED)))
def test_its_network_has_the_parameters_that_it_had(run: RunDirectory) -> None:
    setup = Setup.of(run.config)
    if run.config.backbone.options.get("branches") and not Path(run.config.backbone.options["branches"]).exists():
        pytest.skip("the file of its branches is not published")
    with torch.device("meta"):
        if run.spec.kind == "train":
            assert count_parameters(setup.network(run.spec.model, run.genotype(), pretrained=False)) == (
                run.result().parameters
            )
        elif run.result().metrics:
            learnt = sum(map(len, setup.space.values()))
            supernet = count_parameters(setup.supernet(pretrained=False))
            assert supernet <= run.result().parameters <= supernet + 10 * learnt
        else:
            found = setup.network("found", run.genotype(), pretrained=False)
            assert count_parameters(found) == run.result().parameters
