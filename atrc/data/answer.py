"""What a dataset may know of its own problem: which context every target needs of every source."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchspace import NONE, InputError, UnknownNameError
from searchspace.text import read_text
from searchspace.yaml_text import YAMLError, read_yaml

__all__ = ["Answer", "Need"]

Pair = tuple[str, str]


@dataclass(frozen=True)
class Need:
    """What a target's label needs of a source.

    Attributes:
        context: The context type that finds it, e.g. ``"local"``.
        strength: How strongly, >= 0: in `Planted` the standard deviation of this part of the label, where the part
            that the target sees for itself has 1.
        noise: Standard deviation, in the same unit, of what no context finds; >= 0.
    """

    context: str
    strength: float = 1.0
    noise: float = 0.0


class Answer(Mapping[Pair, Need]):
    """(target, source) -> what the target's label needs of the source; a pair that is not there needs nothing.

    Args:
        needs: The pairs.
        tasks: All tasks of the problem, in order.
    """

    def __init__(self, needs: Mapping[Pair, Need], tasks: tuple[str, ...]) -> None:
        self._needs = dict(needs)
        self.tasks = tasks

    def __getitem__(self, pair: Pair) -> Need:
        return self._needs[pair]

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._needs)

    def __len__(self) -> int:
        return len(self._needs)

    def __repr__(self) -> str:
        return f"Answer({self._needs})"

    @classmethod
    def read(
        cls,
        given: Mapping[str, Any] | str | Path,
        where: str = "answer",
        *,
        strength: float = 1.0,
        noise: float = 0.0,
    ) -> Answer:
        """An answer as a config writes it.

        ``{a: {a: global, b: {context: t_label, strength: 0.5, noise: 0.1}}, b: {}}``: target -> source -> context,
        alone or with how strongly it is needed. ``none``, or no entry, says that nothing is needed. Every task stands
        there as a target, also one that needs nothing.

        Args:
            given: The mapping, or the path of a YAML file that holds it.
            where: What it is called in messages.
            strength: Of the pairs that do not say.
            noise: Of the pairs that do not say.

        Raises:
            InputError: It is not of this form.
        """
        if isinstance(given, str | Path):
            where, given = str(given), _content(Path(given).expanduser())
        if not isinstance(given, Mapping) or not given:
            raise InputError(f"{where}: expected target -> source -> context, got {given!r}")
        tasks = tuple(str(target) for target in given)
        needs = {}
        for target, row in given.items():
            if not isinstance(row, Mapping | None):
                raise InputError(f"{where}.{target}: expected source -> context, got {row!r}")
            for source, entry in (row or {}).items():
                if source not in tasks:
                    raise UnknownNameError("task", str(source), tasks, f"{where}.{target}")
                need = _need(entry, f"{where}.{target}.{source}", {"strength": strength, "noise": noise})
                if need.context != NONE:
                    needs[str(target), str(source)] = need
        return cls(needs, tasks)


def _content(path: Path) -> Any:
    try:
        return read_yaml(read_text(path))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; an answer is a YAML file, or stands in the config") from None
    except (OSError, UnicodeError, YAMLError) as error:
        raise InputError(f"{path}: not readable as YAML ({' '.join(str(error).split())})") from None


def _need(entry: Any, where: str, default: Mapping[str, float]) -> Need:
    fields = {"context": entry} if isinstance(entry, str) else entry
    if not isinstance(fields, Mapping) or "context" not in fields:
        raise InputError(f"{where}: expected a context, or {{context: NAME, strength: 1, noise: 0}}, got {entry!r}")
    known = ("context", "strength", "noise")
    for name in fields:
        if name not in known:
            raise UnknownNameError("key", str(name), known, where)
    if not isinstance(fields["context"], str):
        raise InputError(f"{where}.context: expected a name, got {fields['context']!r}")
    amounts = {name: check_amount(fields.get(name, value), f"{where}.{name}") for name, value in default.items()}
    return Need(fields["context"], **amounts)


def check_amount(value: Any, where: str) -> float:
    """The number, if it is one from 0 on.

    Raises:
        InputError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 <= value < math.inf):
        raise InputError(f"{where} must be a number from 0 on, got {value!r}")
    return float(value)
