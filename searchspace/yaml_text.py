"""YAML as everything here reads and writes it: the safe kind, with the numbers of YAML 1.2.

PyYAML follows YAML 1.1, to which ``1e-3`` is text. People write learning rates so, and YAML 1.2 reads it as a number.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

__all__ = ["YAMLError", "read_yaml", "write_yaml"]

YAMLError = yaml.YAMLError

_FLOAT = "tag:yaml.org,2002:float"
_WITH_EXPONENT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")
_FIRST = list("-+.0123456789")


class _Loader(yaml.SafeLoader):
    """Reads what YAML 1.2 calls a float as one."""


class _Dumper(yaml.SafeDumper):
    """Puts text that would be read as a float in quotes."""


_Loader.add_implicit_resolver(_FLOAT, _WITH_EXPONENT, _FIRST)
_Dumper.add_implicit_resolver(_FLOAT, _WITH_EXPONENT, _FIRST)


def read_yaml(text: str) -> Any:
    """What a YAML text holds. ``1e-3`` is a number, and ``'1e-3'`` in quotes is text.

    Raises:
        YAMLError: It is not YAML.
    """
    return yaml.load(text, _Loader)  # a safe loader: it makes no Python objects


def write_yaml(data: Any) -> str:
    """The text that `read_yaml` reads back to the same."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None)
