"""Costs of options against the counts of whole networks."""

from __future__ import annotations

import random

import pytest
import torch

from atrc.config import Config, Cost
from atrc.costs import count_multiply_adds, count_parameters
from atrc.setup import Setup
from searchspace import NONE, InputError

SIZE = (32, 48)


def charged(config: Config, measure: str) -> Config:
    return config.model_copy(update={"cost": Cost(measure=measure)})


@pytest.mark.parametrize("measure", ["multiply_adds", "parameters"])
def test_costs_add_up_to_those_of_whole_networks(config: Config, measure: str) -> None:
    """Differences between genotypes, exactly, as long as no row is cut entirely and every label map is read."""
    settings = charged(config, measure)
    costs = Setup.of(settings).costs(torch.device("cpu"), SIZE)
    space = Setup.of(settings).space
    rng = random.Random(0)

    def whole(genotype: object) -> float:
        network = Setup.of(settings).network("found", genotype)  # type: ignore[arg-type]
        counted = (
            count_multiply_adds(network.eval(), SIZE) if measure == "multiply_adds" else count_parameters(network)
        )
        return float(counted)

    def usual(genotype: object) -> bool:
        rows = space.matrix(genotype)  # type: ignore[arg-type]
        read = {t for t in rows if "t_label" in rows[t].values()}
        read |= {s for row in rows.values() for s, option in row.items() if option == "s_label"}
        return read == set(rows) and all(set(row.values()) != {"none"} for row in rows.values())

    genotypes = [g for g in (space.sample(rng) for _ in range(200)) if usual(g)][:4]
    assert len(genotypes) == 4
    first = genotypes[0]
    for other in genotypes[1:]:
        assert costs.of(other) - costs.of(first) == pytest.approx(whole(other) - whole(first), rel=1e-9)


def test_latency_is_measured(config: Config) -> None:
    settings = charged(config, "latency").model_copy(update={"tasks": {"depth": {}, "edge": {"thresholds": 5}}})
    costs = Setup.of(settings).costs(torch.device("cpu"), SIZE)
    assert costs.unit == "seconds"
    assert {cost for options in costs.options.values() for option, cost in options.items() if option == NONE} == {0}
    # A sum over options may be off by what a busy machine does to a clock; the genotype that was timed is not.
    assert 0 < costs.of({choice: list(options)[-1] for choice, options in costs.options.items()}) < 1


def test_a_measure_that_does_not_exist(config: Config) -> None:
    with pytest.raises(InputError, match=r"unknown measure of cost 'flops'.*multiply_adds"):
        Setup.of(charged(config, "flops")).costs(torch.device("cpu"), SIZE)
