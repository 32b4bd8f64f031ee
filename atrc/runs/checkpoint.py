"""Writes and reads checkpoints, which hold all state of a run. They are read with weights-only loading."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from atrc.config import Config
from atrc.config._upgrade import upgrade_run_config
from atrc.machine.files import sync, writing
from searchspace import InputError

__all__ = ["FORMAT", "decisive", "fitting", "latest", "load_checkpoint", "refuse_other_config", "save_checkpoint"]

FORMAT = "atrc-checkpoint/1"
LAST, PREVIOUS = "last.pt", "previous.pt"


def save_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Writes ``last.pt``. The former ``last.pt`` becomes ``previous.pt``.

    Args:
        folder: Folder of the checkpoints; made if missing.
        state: Name -> tensors, numbers, strings, or lists and dicts of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    last = folder / LAST
    fresh = folder / "next.pt"
    with writing(fresh) as file:
        torch.save({"format": FORMAT, **state}, file)
    # A process killed between the two renames leaves no last.pt, and `latest` falls back on the previous one.
    if last.exists():
        last.replace(folder / PREVIOUS)
    fresh.replace(last)
    sync(folder)


_DECISIVE = {
    *("tasks", "backbone", "space", "strategy", "model", "search", "train", "held_out", "trials", "cost"),
    *("augmentation", "precision", "threads"),
}


def decisive(config: Config) -> dict[str, Any]:
    """Returns the part of a config that must not change during a run. Checkpoints keep it.

    The folder of the data, the device, and the interval of logs may change.
    """
    return config.model_dump(mode="json", include=_DECISIVE)


def refuse_other_config(saved: Mapping[str, Any], config: Config, run: Path) -> None:
    """Raises InputError if a checkpoint was made with another config than the run has now."""
    now = decisive(config)
    then, _ = upgrade_run_config(saved.get("config", now), {})  # earlier versions kept no config, or fewer keys
    for section in sorted(now):
        one, other = then.get(section), now[section]
        if one == other:
            continue
        key, was, is_now = section, one, other
        if isinstance(one, dict) and isinstance(other, dict):
            part = next(part for part in {**one, **other} if one.get(part) != other.get(part))
            key, was, is_now = f"{section}.{part}", one.get(part), other.get(part)
        raise InputError(
            f"the config of run {run} has changed since it began: {key} was {was!r} and is {is_now!r}; "
            "change it back, or make a new run"
        )


def latest(folder: Path) -> Path | None:
    """Returns the newest checkpoint of a run, or None."""
    return next((folder / name for name in (LAST, PREVIOUS) if (folder / name).exists()), None)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads the state of a checkpoint, with tensors on the CPU.

    Raises:
        InputError: The file is missing, truncated, or not a checkpoint of this software. The message names it.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"checkpoint {path} does not exist") from None
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:120]
        older = path.with_name(PREVIOUS)
        hint = f"; the one before it is {older}" if path.name == LAST and older.exists() else ""
        raise InputError(f"checkpoint {path} is truncated or damaged ({reason}){hint}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else type(state).__name__
        raise InputError(f"{path} is not a checkpoint of this software: format {found!r}, expected {FORMAT!r}")
    return state


@contextmanager
def fitting(checkpoint: Path) -> Iterator[None]:
    """Turns errors of loading a checkpoint into InputError. The block loads the content of the checkpoint.

    Raises:
        InputError: The checkpoint does not fit the networks that this version builds.
    """
    try:
        yield
    except (RuntimeError, KeyError, ValueError, TypeError) as error:  # torch raises these if names or shapes differ
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{checkpoint} does not fit the network that this version builds from the run's config: {reason}"
        ) from None
