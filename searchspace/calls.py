"""Calls a class or function that a user named, with the options that the user gave."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from searchspace.errors import InputError, UnknownNameError

__all__ = ["call_with_options"]

T = TypeVar("T")


def call_with_options(
    what: str, function: Callable[..., T], options: Mapping[str, Any], /, *own: Any, **ours: Any
) -> T:
    """Returns ``function(*own, **ours, **options)``; turns a wrong option into an `InputError`.

    Args:
        what: Description of what the function makes, for messages, such as ``"strategy 'gumbel_entropy'"``.
        function: A class or function.
        options: Keyword arguments from the user.
        own: Positional arguments from the caller.
        ours: Keyword arguments from the caller; the user may not set these.

    Raises:
        InputError: An option is unknown to the function, is set by the caller, is missing, or has a type that the
            function cannot use.
    """
    signature = _signature(function)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    named = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    positional = [p.name for p in named if p.kind is p.POSITIONAL_OR_KEYWORD][: len(own)]
    allowed = [p.name for p in named if p.name not in ours and p.name not in positional]
    for option in options:
        if option in ours or option in positional or (option not in allowed and not open_ended):
            raise UnknownNameError("option", str(option), allowed, what)
    try:
        signature.bind(*own, **ours, **options)
    except TypeError as error:
        raise InputError(f"{what}: {error}") from None
    try:
        return function(*own, **ours, **options)
    except TypeError as error:
        if not options:  # the user gave no options, so the error is in the function
            raise
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise InputError(f"{what} cannot be made with {given}: {error}") from error


@lru_cache(maxsize=64)
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)
