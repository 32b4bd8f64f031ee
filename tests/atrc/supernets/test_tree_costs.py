"""Costs of trees, and their mean over trees, against every tree there is."""

from __future__ import annotations

import math

import pytest
import torch

from atrc.supernets import TreeCosts
from searchspace import BMTASSpace


@pytest.mark.parametrize(("tasks", "stages"), [(("a", "b"), 3), (("a", "b", "c"), 2), (("a",), 2)])
def test_the_expected_share_is_the_mean_over_all_genotypes(tasks: tuple[str, ...], stages: int) -> None:
    space = BMTASSpace(tasks, stages=stages)
    costs = TreeCosts(space, [5.0, 2.0, 1.0][:stages])
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(len(space), len(tasks), generator=generator, dtype=torch.float64)
    probabilities = logits.softmax(1).requires_grad_()
    mean = torch.zeros((), dtype=torch.float64)
    for genotype in space.enumerate():
        picked = probabilities[torch.arange(len(space)), torch.tensor(space.encode(genotype))]
        mean = mean + picked.prod() * costs.share(space, genotype)
    found = costs.expected_share(space, probabilities)
    assert float(found.detach()) == pytest.approx(float(mean.detach()), abs=1e-12)
    if len(tasks) > 1:
        # Along changes that leave every row's sum alone: mean is linear in a row, found only on the simplex.
        centred = [g - g.mean(1, keepdim=True) for g in torch.autograd.grad(found + mean, probabilities)]
        of_mean = torch.autograd.grad(
            sum(
                probabilities[torch.arange(len(space)), torch.tensor(space.encode(g))].prod() * costs.share(space, g)
                for g in space.enumerate()
            ),
            probabilities,
        )[0]
        torch.testing.assert_close(centred[0], 2 * (of_mean - of_mean.mean(1, keepdim=True)))


def test_shares_run_from_one_branch_to_one_for_every_task() -> None:
    space = BMTASSpace(("a", "b", "c"), stages=2)
    costs = TreeCosts(space, [3.0, 1.0], base=10.0, unit="parameters")
    assert costs.of(space.shared()) == 14.0
    assert costs.of(space.split()) == 22.0
    assert costs.share(space, space.shared()) == 0.0
    assert costs.share(space, space.split()) == 1.0
    late = space.from_tree([[("a", "b", "c")], [("a", "b"), ("c",)]])
    assert costs.of(late) == 15.0
    shares = [costs.share(space, genotype) for genotype in space.enumerate()]
    assert min(shares) == 0.0
    assert max(shares) == 1.0


def test_one_hot_probabilities_are_their_genotype() -> None:
    space = BMTASSpace(("a", "b", "c", "d"), stages=4)
    costs = TreeCosts(space, [4.0, 3.0, 2.0, 1.0])
    for genotype in (space.shared(), space.split()):
        rows = torch.nn.functional.one_hot(torch.tensor(space.encode(genotype)), 4).double()
        assert math.isclose(float(costs.expected_share(space, rows)), costs.share(space, genotype), abs_tol=1e-12)
