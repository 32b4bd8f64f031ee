"""Fused projections against torch's own layers, and their written-out gradient against finite differences."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atrc.contexts.projection import project

FORMS = {
    "values": ((4, False), (4, False)),
    "keys": ((3, True), (3, True)),
    "mixed": ((3, True), (4, False), (1, True)),
}


def projections(form: str, *, affine: bool = True) -> nn.ModuleList:
    torch.manual_seed(0)
    made = nn.ModuleList()
    for width, deep in FORMS[form]:
        layers = [nn.Conv2d(5, width, 1, bias=False), nn.BatchNorm2d(width, affine=affine), nn.ReLU()]
        if deep:
            layers += [nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width, affine=affine)]
        made.append(nn.Sequential(*layers))
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    return made.double()


def a_map() -> Tensor:
    """Channels whose mean is far larger than their spread, where a careless variance loses its digits."""
    x = torch.randn(3, 5, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return (x + torch.tensor([0.0, 100.0, -30.0, 1.0, 0.0], dtype=torch.float64).view(5, 1, 1)).requires_grad_()


def activated(made: nn.ModuleList, x: Tensor, activation: Callable[[Tensor], Tensor] = F.relu) -> list[Tensor]:
    """The plain form."""
    return [activation(projection(x)) if len(projection) > 3 else projection(x) for projection in made]


@pytest.mark.parametrize("activation", [F.relu, F.softplus])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_is_the_plain_form(training: bool, affine: bool, form: str, activation: Callable[[Tensor], Tensor]) -> None:
    plain, x = projections(form, affine=affine).train(training), a_map()
    fused = copy.deepcopy(plain)
    expected = activated(plain, x, activation)
    got = project(x, list(fused), activation)
    cotangents = [torch.randn_like(out) for out in expected]
    grads = [
        torch.autograd.grad(outputs, [x, *module.parameters()], cotangents)
        for outputs, module in ((got, fused), (expected, plain))
    ]
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(fused.state_dict(), plain.state_dict(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_finite_differences(form: str) -> None:
    made = projections(form)
    x = torch.randn(2, 5, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)

    def run(x: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
        return tuple(project(x, list(made), F.softplus))

    assert torch.autograd.gradcheck(run, (x, *made.parameters()))


@pytest.mark.parametrize("form", FORMS)
def test_single_precision_survives_a_large_mean(form: str) -> None:
    reference, x = projections(form), a_map()
    single = copy.deepcopy(reference).float()
    for out, wanted in zip(project(x.float(), list(single), F.relu), activated(reference, x), strict=True):
        assert float(((out.double() - wanted).norm() / wanted.norm()).detach()) < 1e-5


def test_one_unused_output_gets_no_gradient() -> None:
    made, x = projections("values"), a_map()
    project(x, list(made), F.relu)[0].sum().backward()
    assert made[1][0].weight.grad is not None
    assert bool((made[1][0].weight.grad == 0).all())
