"""Checks of torch modules that backbones, distillation modules and supernets share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from atrc.testing._parts import left_alone, same_state, works
from strategies.testing._promises import through_a_file

__all__ = ["check_evaluation", "check_gradients", "check_state", "close", "noise", "seeded", "stirred"]

Outputs = Mapping[str, Tensor]
"""Outputs of a module: name for messages -> tensor."""


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Returns standard normal numbers that depend on the arguments only."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seeded(make: Callable[[], Any], seed: int = 0) -> Any:
    """Calls ``make`` after seeding torch, and then restores the global generator of torch."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


@torch.no_grad()
def stirred(module: nn.Module, seed: int = 1) -> nn.Module:
    """Returns the module after moving its weights from their initial values, at which some parts have no effect."""
    generator = torch.Generator().manual_seed(seed)

    def draw(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator)

    for parameter in module.parameters():
        parameter.add_(0.1 * parameter.abs().mean().clamp(min=0.1) * draw(parameter))
    for norm in module.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.running_var is not None:
            assert norm.running_mean is not None
            norm.running_mean.add_(0.1 * draw(norm.running_mean))
            norm.running_var.mul_(1 + 0.2 * draw(norm.running_var).clamp(-1, 1))
    return module


def close(one: Tensor, other: Tensor) -> bool:
    """Returns whether two tensors are equal up to the rounding of differently ordered sums."""
    if one.shape != other.shape:
        return False
    return not one.numel() or bool((one - other).abs().max() <= 1e-4 * (1 + other.abs().max()))


def check_evaluation(what: str, module: nn.Module, run: Callable[[nn.Module], Outputs]) -> None:
    """Checks that in evaluation mode a module returns the same twice, and changes nothing."""
    module.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with torch.no_grad(), left_alone(f"{what} in evaluation mode"):
        first = {name: x.clone() for name, x in run(module).items()}
        second = run(module)
    for name, x in first.items():
        assert x.isfinite().all(), f"{what} gives {name} with values that are not finite"
        assert torch.equal(x, second[name]), (
            f"{what} gives {name} differently the second time in evaluation mode: leave out what is random there"
        )
    for name, x in module.state_dict().items():
        assert torch.equal(x, before[name]), (
            f"{what} changes its {name} in evaluation mode: change state in training mode only"
        )


def check_gradients(
    what: str, module: nn.Module, run: Callable[[nn.Module], Outputs], *, inputs: Mapping[str, Tensor] | None = None
) -> None:
    """Checks that in training mode a finite gradient reaches every trainable parameter and every input.

    Args:
        what: Name of the module for messages.
        module: Module to check; its weights are changed.
        run: Function that runs the module on ``inputs``.
        inputs: Leaf tensors that require gradients.
    """
    stirred(module).train().zero_grad()
    with left_alone(f"{what} in training mode", "random", "numpy.random"):
        outputs = {name: x for name, x in run(module).items() if x.requires_grad}
        if outputs:
            gradients = [noise(*x.shape, seed=2 + index) for index, x in enumerate(outputs.values())]
            torch.autograd.backward(list(outputs.values()), gradients)
    leaves = {name: p for name, p in module.named_parameters() if p.requires_grad} | dict(inputs or {})
    for name, leaf in leaves.items():
        reached = leaf.grad is not None and bool(leaf.grad.abs().max() > 0)
        assert reached, f"{what} gives {name} no gradient: use it in every forward pass, or leave it out"
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all(), f"{what} gives {name} a gradient that is not finite"
    module.zero_grad()


def check_state(what: str, make: Callable[[], nn.Module], run: Callable[[nn.Module], Outputs]) -> None:
    """Checks that torch's seed determines the weights, and that ``state_dict()`` is the whole state of a module.

    Args:
        what: Name of the module for messages.
        make: Function that makes a new module.
        run: Function that runs the module.
    """
    with left_alone(f"the construction of {what}", "random", "numpy.random"):
        first, second = seeded(make), seeded(make)
    same_state(f"torch's seed must fix the weights of {what}", first.state_dict(), second.state_dict())
    stirred(first).eval()
    other = seeded(make, 1).eval()
    with works(f"the state_dict() of {what} must be saved, and loaded by weights_only and strictly"):
        other.load_state_dict(through_a_file(first.state_dict()))
    with torch.no_grad():
        expected, found = run(first), run(other)
    for name, x in expected.items():
        assert torch.equal(x, found[name]), (
            f"{what} gives {name} differently after its state_dict() was loaded by a new one: "
            "register what it knows as parameters and buffers"
        )
