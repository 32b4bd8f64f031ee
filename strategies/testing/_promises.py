"""Tools of the checks: errors as failures, states through a file, global generators, the present genotype."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from searchspace import Genotype, InputError
from strategies._base import NothingNamed

if TYPE_CHECKING:
    from strategies.testing._problems import Problem

__all__ = ["global_generators", "named", "promised", "through_a_file", "timeless"]


@contextmanager
def promised(what: str, errors: tuple[type[Exception], ...] = (InputError, TypeError)) -> Iterator[None]:
    """Turns an error in the ``with`` block into the failure of a check.

    Args:
        what: The start of the message.
        errors: The types of error that are turned.
    """
    try:
        yield
    except AssertionError:
        raise
    except errors as error:
        raise AssertionError(f"{what}: {error}") from error


def through_a_file(state: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a state after ``torch.save`` and ``torch.load(weights_only=True)``."""
    file = io.BytesIO()
    torch.save(dict(state), file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def global_generators() -> dict[str, Any]:
    """Returns the states of the global generators of Python, NumPy and torch."""
    _, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002, what is watched is the legacy generator
    return {
        "random": random.getstate(),
        "numpy.random": (list(keys), rest),
        "torch": torch.get_rng_state().tolist(),
    }


def named(problem: Problem) -> Genotype | None:
    """Returns the genotype that the search would name now; None if nothing can be named yet."""
    try:
        return problem.search.genotype()
    except NothingNamed:
        return None


def timeless(problem: Problem) -> dict[str, Any]:
    """Returns the state of a search with its seconds set to 0."""
    state = problem.search.state_dict()
    return {**state, "spent": {**state["spent"], "seconds": 0.0}}
