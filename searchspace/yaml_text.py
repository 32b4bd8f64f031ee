"""Reads and writes safe YAML with the numbers of YAML 1.2. All YAML of this project passes through here.

PyYAML follows YAML 1.1, where ``1e-3`` is text. People write learning rates in this form, and YAML 1.2 reads it as a
number.

Where PyYAML was built with libyaml, which the usual packages are, texts are read by it, eight times as fast. What it
refuses is read again by PyYAML itself, whose messages say more.
"""

from __future__ import annotations

import copy
import re
from functools import lru_cache
from typing import Any

import yaml

__all__ = ["YAMLError", "read_yaml", "write_yaml"]

YAMLError = yaml.YAMLError

_FLOAT = "tag:yaml.org,2002:float"
_WITH_EXPONENT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")
_FIRST = list("-+.0123456789")
_READ_OTHERWISE = re.compile("[\t!>|]")
"""libyaml allows tabs in text and comments after ``>``, which PyYAML refuses; it reads the tag ``!`` otherwise."""


class _Loader(yaml.SafeLoader):
    """A safe loader that reads every YAML 1.2 float as a number."""


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # a class only known here
    """The same loader, as libyaml parses."""


class _Dumper(yaml.SafeDumper):
    """A safe dumper that quotes text which looks like a YAML 1.2 float."""


_Loader.add_implicit_resolver(_FLOAT, _WITH_EXPONENT, _FIRST)
_FastLoader.add_implicit_resolver(_FLOAT, _WITH_EXPONENT, _FIRST)
_Dumper.add_implicit_resolver(_FLOAT, _WITH_EXPONENT, _FIRST)


def read_yaml(text: str) -> Any:
    """Parses a YAML text. ``1e-3`` is a number, and ``'1e-3'`` in quotes is text.

    Raises:
        YAMLError: The text is not YAML.
    """
    return copy.deepcopy(_parsed(text))


@lru_cache(maxsize=8)
def _parsed(text: str) -> Any:
    """Parses a text; the last ones are kept, since the runs of an experiment have one config."""
    if not _READ_OTHERWISE.search(text):
        try:
            return yaml.load(text, _FastLoader)  # a safe loader: it makes no Python objects
        except YAMLError:
            pass
    return yaml.load(text, _Loader)  # likewise


def write_yaml(data: Any) -> str:
    """Writes data as YAML text. `read_yaml` reads equal data from it."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None)
