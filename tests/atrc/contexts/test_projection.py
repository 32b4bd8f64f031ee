"""Fused projections against torch's own layers, and their written-out gradient against finite differences."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atrc.contexts.projection import Section, project, project_regions
from atrc.layers import Pointwise

Counts = tuple[int, ...]
FORMS: dict[str, tuple[tuple[bool, Counts], ...]] = {
    "values": ((False, (2, 2)),),
    "keys": ((True, (2, 2)),),
    "uneven": ((True, (1, 3)), (False, (2, 0))),
    "one map": ((True, (0, 2)),),
    "many": ((True, (2, 2)), (False, (1, 1)), (True, (0, 2)), (False, (3, 1))),
}
"""Sections: whether their projections are deep, and the number of projections of both maps."""


def made(form: str, activation: Callable[[Tensor], Tensor], *, affine: bool = True) -> list[Section]:
    torch.manual_seed(0)
    return [
        Section(
            tuple(tuple(projection(5, 3, deep=deep, affine=affine) for _ in range(count)) for count in counts),
            activation,
        )
        for deep, counts in FORMS[form]
    ]


def projection(inputs: int, width: int, *, deep: bool, affine: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [Pointwise(inputs, width, bias=False), nn.BatchNorm2d(width, affine=affine), nn.ReLU()]
    if deep:
        layers += [Pointwise(width, width, bias=False), nn.BatchNorm2d(width, affine=affine)]
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.normal_(parameter)
    return nn.Sequential(*layers).double()


def modules(sections: Sequence[Section]) -> nn.ModuleList:
    return nn.ModuleList([one for section in sections for one in section.all])


def two_maps(batch: int = 3, height: int = 4, width: int = 6) -> list[Tensor]:
    """Channels whose mean is far larger than their spread, where a careless variance loses its digits."""
    generator = torch.Generator().manual_seed(1)
    shift = torch.tensor([0.0, 100.0, -30.0, 1.0, 0.0], dtype=torch.float64).view(5, 1, 1)
    return [
        (torch.randn(batch, 5, height, width, dtype=torch.float64, generator=generator) + shift).requires_grad_()
        for _ in range(2)
    ]


def plainly(sections: Sequence[Section], maps: Sequence[Tensor]) -> list[Tensor]:
    """The plain form, in the order of the rows."""
    found = []
    for section in sections:
        of_maps = []
        for x, chosen in zip(maps, section.projections, strict=True):
            outputs = [one(x) if len(one) == 3 else section.activation(one(x)) for one in chosen]
            if outputs:
                of_maps.append(torch.stack(outputs, dim=1).flatten(0, 1).flatten(2))
        found.append(torch.cat(of_maps))
    return found


@pytest.mark.parametrize("activation", [F.relu, F.softplus])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_is_the_plain_form(training: bool, affine: bool, form: str, activation: Callable[[Tensor], Tensor]) -> None:
    fused, maps = made(form, activation, affine=affine), two_maps()
    modules(fused).train(training)
    plain = copy.deepcopy(fused)
    expected, got = plainly(plain, maps), project(maps, fused)
    cotangents = [torch.randn_like(out) for out in expected]
    grads = [
        torch.autograd.grad(
            outputs,
            [*maps, *modules(sections).parameters()],
            [x.clone() for x in cotangents],
            allow_unused=True,
            materialize_grads=True,
        )
        for outputs, sections in ((got, fused), (expected, plain))
    ]
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(modules(fused).state_dict(), modules(plain).state_dict(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_finite_differences(form: str) -> None:
    sections = made(form, F.softplus)
    maps = two_maps(2, 2, 3)
    maps = [(x - x.detach().mean((0, 2, 3), keepdim=True)).detach().requires_grad_() for x in maps]

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(project(inputs[:2], sections))

    assert torch.autograd.gradcheck(run, (*maps, *modules(sections).parameters()))


@pytest.mark.parametrize("form", FORMS)
def test_single_precision_survives_a_large_mean(form: str) -> None:
    reference, maps = made(form, F.relu), two_maps()
    single = copy.deepcopy(reference)
    modules(single).float()
    found = project([x.float() for x in maps], single)
    for out, wanted in zip(found, plainly(reference, maps), strict=True):
        assert float(((out.double() - wanted).norm() / wanted.norm()).detach()) < 1e-5


def test_an_unused_output_gets_no_gradient() -> None:
    sections, maps = made("values", F.relu), two_maps()
    project(maps, sections)[0][:1].sum().backward()  # the first row: image 0, projection 0 of map 0
    used, unused = sections[0].all[:2]
    assert bool((used[0].weight.grad != 0).any())
    assert bool((unused[0].weight.grad == 0).all())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_regions_are_projected_as_torch_does(affine: bool, training: bool) -> None:
    torch.manual_seed(0)
    keys = [projection(5, 3, deep=True) for _ in range(4)]
    values = [projection(5, 3, deep=False, affine=affine) for _ in range(4)]
    both = nn.ModuleList([*keys, *values]).train(training)
    plain = copy.deepcopy(both)
    x = torch.randn(2, 4, 5, 7, dtype=torch.double, requires_grad=True)
    got = project_regions(x, keys, values, F.relu)
    expected = [
        torch.stack([after(one(x[:, i].unsqueeze(-1))).squeeze(-1) for i, one in enumerate(some)], dim=1)
        for some, after in ((plain[:4], F.relu), (plain[4:], lambda out: out))
    ]
    cotangents = [torch.randn_like(out) for out in expected]
    grads = [
        torch.autograd.grad(outputs, [x, *module.parameters()], cotangents)
        for outputs, module in ((got, both), (expected, plain))
    ]
    torch.testing.assert_close(list(got), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(both.state_dict(), plain.state_dict(), rtol=1e-10, atol=1e-10)
