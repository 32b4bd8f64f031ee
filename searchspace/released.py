"""Reads the genotype files that the paper's authors released.

Their JSON is ``{"data": {target: {source: code}}, "step": n}`` with integer codes 0..4 in the order of
`searchspace.cp.CANDIDATES`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from searchspace.cp import CANDIDATES, CPSpace
from searchspace.errors import InputError
from searchspace.genotype import Genotype
from searchspace.text import read_text

__all__ = ["RELEASED", "from_codes", "load_genotype", "parse_released"]

ALIASES = {"sal": "saliency", "parts": "human_parts", "normal": "normals", "seg": "semseg"}
"""Task name in the released files -> task name here."""

RELEASED: dict[str, tuple[tuple[str, ...], str]] = {
    "nyud_hrnet18": (("semseg", "depth", "normals", "edge"), "3344 4344 4334 3313"),
    "nyud_hrnet48": (("semseg", "depth", "normals", "edge"), "3004 4114 4114 3333"),
    "pascal_hrnet18": (
        ("semseg", "human_parts", "saliency", "normals", "edge"),
        "33404 33434 33343 33334 33313",
    ),
}
"""The three published genotypes: name -> (tasks, one row of codes per target)."""


def from_codes(tasks: Sequence[str], rows: str) -> Genotype:
    """Builds a genotype from rows of digits, e.g. ``"3344 4344 4334 3313"``: a row per target, a digit per source."""
    table = rows.split()
    if len(table) != len(tasks) or any(len(row) != len(tasks) for row in table):
        raise InputError(f"{len(tasks)} tasks need {len(tasks)} rows of {len(tasks)} digits, got {rows!r}")
    data = {t: dict(zip(tasks, row, strict=True)) for t, row in zip(tasks, table, strict=True)}
    return parse_released({"data": data})


def parse_released(data: Any, where: str = "released genotype") -> Genotype:
    """Builds a genotype from the released JSON object.

    Code 4 on the diagonal becomes ``t_label``, which is the same operation there.

    Raises:
        InputError: The object has another structure, a code outside 0..4, or a target without one code per task.
    """
    rows = data.get("data") if isinstance(data, dict) else None
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise InputError(f"{where}: expected {{'data': {{target: {{source: code}}}}}}")
    matrix: dict[str, dict[str, str]] = {}
    for target, row in rows.items():
        for source, code in row.items():
            t, s = ALIASES.get(str(target), str(target)), ALIASES.get(str(source), str(source))
            if str(code) not in {str(c) for c in range(len(CANDIDATES))}:
                raise InputError(f"{where}: code of {t}<-{s} must be in 0..{len(CANDIDATES) - 1}, got {code!r}")
            context = CANDIDATES[int(code)]
            matrix.setdefault(t, {})[s] = "t_label" if t == s and context == "s_label" else context
    return CPSpace(list(matrix)).from_matrix(matrix)


def load_genotype(path: str | Path) -> Genotype:
    """Reads a genotype file of this software or of the paper's authors.

    Raises:
        InputError: The file is missing, is not JSON, or has neither of the two forms; the message names the file.
    """
    try:
        data = json.loads(read_text(path))
    except (OSError, ValueError):
        return Genotype.load(path)  # raises the proper message
    if isinstance(data, dict) and "data" in data and "format" not in data:
        return parse_released(data, where=str(path))
    return Genotype.from_json(data, where=str(path))
