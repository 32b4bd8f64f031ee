"""The answer to a problem, if its dataset knows it: the context that every target needs from every source."""

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
    """The information that a target's label needs from a source.

    Attributes:
        context: Context type that finds the information, e.g. ``"local"``.
        strength: Strength of the need, >= 0. In `Planted` it is the standard deviation of this part of the label; the
            part that the target sees without any source has 1.
        noise: Standard deviation, in the same unit, of the part that no context finds; >= 0.
    """

    context: str
    strength: float = 1.0
    noise: float = 0.0


class Answer(Mapping[Pair, Need]):
    """A mapping (target, source) -> `Need`; if a pair is missing, the target needs nothing from the source.

    Args:
        needs: The needs of the pairs.
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
        """Reads an answer in the form of a config.

        The form is target -> source -> context, where a context may come with its strength and noise:
        ``{a: {a: global, b: {context: t_label, strength: 0.5, noise: 0.1}}, b: {}}``. ``none``, or no entry, says
        that nothing is needed. Every task must be a key, even a target that needs nothing.

        Args:
            given: Mapping, or the path of a YAML file that holds it.
            where: Name of the answer in messages.
            strength: Strength of the pairs that give none.
            noise: Noise of the pairs that give none.

        Raises:
            InputError: The answer does not have this form.
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
        raise InputError(f"{path}: no such file; an answer is a YAML file, or a mapping in the config") from None
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
    """Returns a value that is a number >= 0.

    Raises:
        InputError: The value is no number >= 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 <= value < math.inf):
        raise InputError(f"{where} must be a number >= 0, got {value!r}")
    return float(value)
