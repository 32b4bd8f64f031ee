"""The lowest versions that ``pyproject.toml`` allows, as requirements for pip: what ``make test-lowest`` installs."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

EXTRAS = ("trackers",)
"""Extras that the tests use; the tools of ``dev`` stay at the lock's versions."""
LOWEST = re.compile(r"^([A-Za-z0-9_.\-]+)(\[[^\]]*\])?\s*>=\s*([0-9.]+)")


def lowest(project: dict[str, object], without: set[str]) -> list[str]:
    """``name==version`` for every dependency with a lower bound; others are given as they stand.

    Args:
        project: The table ``project`` of pyproject.toml.
        without: Names that are installed otherwise.
    """
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    wanted = [*project["dependencies"], *(one for extra in EXTRAS for one in extras[extra])]  # type: ignore[misc]
    found = []
    for one in wanted:
        name = re.split(r"[\s\[<>=!~;]", one)[0]
        if name not in without and name != project["name"]:
            bound = LOWEST.match(one)
            found.append(f"{bound[1]}{bound[2] or ''}=={bound[3]}" if bound else one)
    return found


if __name__ == "__main__":
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    print("\n".join(lowest(tomllib.loads(pyproject.read_text())["project"], set(sys.argv[1:]))))
