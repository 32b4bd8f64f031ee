"""Helpers of the suites: they make parts, and report broken promises."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from searchspace import InputError, Registry
from searchspace.calls import call_with_options
from strategies.testing import check_same_state
from strategies.testing._promises import global_generators, promised

__all__ = ["found", "left_alone", "made", "maker", "refused", "same_state", "works"]


def found(registry: Registry[Any], part: Any) -> tuple[str, Any]:
    """Returns the name of a part for messages, and its class or function.

    Args:
        registry: Registry of its kind.
        part: Registered name, or a class or function as it would be registered.
    """
    if isinstance(part, str):
        return f"{registry.noun} {part!r}", registry[part]
    return f"{registry.noun} {getattr(part, '__name__', repr(part))!r}", part


def maker(registry: Registry[Any], part: Any, options: Mapping[str, Any] | None) -> tuple[str, Callable[..., Any]]:
    """Returns the name of a part, and a function that makes it with a user's options, as a config does."""
    name, entry = found(registry, part)
    return name, lambda *own: call_with_options(name, entry, options or {}, *own)


def made(name: str, make: Callable[[], Any], kind: Any, options: Mapping[str, Any] | None) -> Any:
    """Makes a part, and checks that it is of its kind."""
    with works(f"{name} must be made with the options {dict(options or {})}"):
        part = make()
    public = f"{kind.__module__.partition('._')[0]}.{kind.__name__}"
    assert isinstance(part, kind), f"{name} must be an {public}, but is {type(part).__name__}"
    return part


def same_state(promise: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Checks that two states are equal, bit for bit; the message has the path of the first difference."""
    try:
        check_same_state(dict(one), dict(other), "state_dict()")
    except AssertionError as error:
        raise AssertionError(f"{promise}, but {str(error).partition(': ')[0]} differs") from error


@contextmanager
def works(promise: str) -> Iterator[None]:
    """Turns any error into the failure of a check, in one line."""
    try:
        with promised(promise, (InputError,)):
            yield
    except AssertionError:
        raise
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        raise AssertionError(f"{promise}: {type(error).__name__}: {said}") from error


def refused(promise: str, call: Callable[[], Any], *said: str) -> None:
    """Checks that a call raises an `InputError` whose message has one line and contains some words.

    Args:
        promise: Start of the message of the AssertionError.
        call: Call that has to fail.
        said: Words that the message of the InputError must contain.
    """
    try:
        call()
    except InputError as error:
        message = str(error)
    except Exception as error:
        raise AssertionError(f"{promise}, not as {type(error).__name__}: raise searchspace.InputError") from error
    else:
        raise AssertionError(f"{promise}, and nothing was: raise searchspace.InputError")
    assert "\n" not in message, f"{promise}, but the message has several lines: {message!r}"
    for word in said:
        assert word in message, f"{promise}, and the message has to name {word!r}, but it is {message!r}"


@contextmanager
def left_alone(what: str, *names: str) -> Iterator[None]:
    """Checks that global generators are neither drawn from nor seeded within the context.

    Args:
        what: Name of the part for messages.
        names: Some of ``random``, ``numpy.random`` and ``torch``; by default all of them.
    """
    # Draw first: otherwise seeding again with the same seed would not be noticed.
    random.random(), np.random.random(), torch.rand(())  # noqa: NPY002
    before = global_generators()
    yield
    for name, state in global_generators().items():
        if not names or name in names:
            assert state == before[name], f"{what} uses the global generator of {name}: draw from one of its own"
