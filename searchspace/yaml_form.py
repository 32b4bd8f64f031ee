"""The YAML form of a space: either a registered one with its parameters, or choices written out.

::

    space: cp                          name: my switches
    tasks: [semseg, depth]             choices:
                                         norm: [batch, group]
                                         act: [relu, gelu, silu]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from searchspace.errors import InputError
from searchspace.space import SPACES, SearchSpace
from searchspace.text import read_text
from searchspace.yaml_text import YAMLError, read_yaml, write_yaml

__all__ = ["build_space", "dump_space", "load_space"]


def build_space(name: str, /, **parameters: Any) -> SearchSpace:
    """Builds a registered space from its parameters.

    Raises:
        InputError: The name is unknown, or the space does not take these parameters.
    """
    space: SearchSpace = SPACES.create(name, parameters)
    return space


def load_space(path: str | Path) -> SearchSpace:
    """Reads a space from a YAML file.

    Raises:
        InputError: The file is missing, is not YAML, or has neither of the two forms; the message names the file.
    """
    try:
        data = read_yaml(read_text(path))
    except FileNotFoundError:
        raise InputError(f"space file {path} does not exist") from None
    except (OSError, UnicodeError, YAMLError) as error:
        raise InputError(f"space file {path} cannot be read: {' '.join(str(error).split())}") from None
    try:
        if isinstance(data, dict) and isinstance(data.get("space"), str):
            return build_space(data["space"], **{str(k): v for k, v in data.items() if k != "space"})
        if isinstance(data, dict) and set(data) == {"name", "choices"} and isinstance(data["choices"], dict):
            return SearchSpace(str(data["name"]), data["choices"])
    except InputError as error:
        raise InputError(f"space file {path}: {error}") from None
    raise InputError(f"space file {path} must hold 'space' and its parameters, or 'name' and 'choices'")


def dump_space(space: SearchSpace) -> str:
    """Writes a space as YAML text. `load_space` reads an equal space from it."""
    if space.parameters or type(space) is not SearchSpace:
        data: dict[str, Any] = {"space": space.name, **space.parameters}
    else:
        data = {"name": space.name, "choices": {choice: list(options) for choice, options in space.items()}}
    return write_yaml(data)
