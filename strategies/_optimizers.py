"""Optimisers of torch that do not import its compiler."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import torch

__all__ = ["eager"]

_WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


@functools.cache
def eager(kind: type[torch.optim.Optimizer]) -> Any:
    """Returns an optimiser's class whose methods do not import the compiler of torch (`torch._dynamo`).

    torch wraps the methods so that its compiler leaves them alone. The first call of a wrapper imports the compiler,
    which takes more than a second in every process. A step is the same to the bit. Only a program that compiles these
    methods needs the wrappers.

    Args:
        kind: A class of `torch.optim`.
    """
    take = inspect.unwrap(kind.step)

    def step(self: Any, closure: Any = None) -> Any:
        with torch.set_grad_enabled(self.defaults.get("differentiable", False)):
            return take(self, closure)

    methods = {name: inspect.unwrap(getattr(kind, name)) for name in _WRAPPED}
    return type(kind.__name__, (kind,), {"__doc__": kind.__doc__, "__module__": __name__, **methods, "step": step})
