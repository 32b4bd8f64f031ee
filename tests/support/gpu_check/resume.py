"""A search that is stopped and resumed in a fresh process, against one that nobody disturbed, bit by bit.

The same run is also made twice without a stop. Where these two differ, the device computes something in another order
each time, and nothing can be said about resuming; then the operators that do so are named.
"""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from atrc.config import Config, load_config
from atrc.data import BatchLoader
from atrc.experiments import create_search
from atrc.machine.stopping import Interrupted
from atrc.runs import RunDirectory
from atrc.runs.checkpoint import load_checkpoint
from atrc.training import execute
from gpu_check.rows import Given, Rows

__all__ = ["bits_that_differ", "check"]

STRATEGIES = ("gumbel_entropy", "darts")
STEPS, SAVED_EVERY, STOPPED_AT = 10, 4, 6
QUICK = ("tasks=[semseg, depth]", "search.steps=5", "checkpoint_every=2")
QUICK_STOPPED_AT = 3
SPENT = {"seconds"}
"""Keys of a state that no run repeats."""
_UNSTEADY = re.compile(r"(\S+) does not have a deterministic implementation")


def check(given: Given, rows: Rows) -> None:
    """Checks every strategy; the second only if there is time."""
    for strategy in STRATEGIES[:1] if given.quick else STRATEGIES:
        if rows.left < 20 and not given.quick:
            rows.add(strategy, "not run", "out of time")
            continue
        found = rows.attempt(functools.partial(_check, strategy, given, rows))
        if found.wrong:
            rows.add(strategy, "failed", found.wrong, detail=found.detail)


def _check(strategy: str, given: Given, rows: Rows) -> None:
    rows.begin(f"{strategy}: whole, twice")
    folder = given.folder / strategy
    changes = QUICK if given.quick else ()
    config, at = _config(strategy, given.device, changes), QUICK_STOPPED_AT if given.quick else STOPPED_AT
    whole, again = (_whole(config, folder / name) for name in ("whole", "again"))
    rows.begin(f"{strategy}: stopped and resumed")
    stopped = _stopped(config, folder / "stopped", at)
    _in_a_fresh_process(["resumed", str(stopped.path)], rows.left)
    twice, resumed = (list(bits_that_differ(_outcome(whole), _outcome(other))) for other in (again, stopped))
    numbers = {"steps": config.search.steps, "tensors": len(list(_tensors(_outcome(whole))))}
    rows.add(f"{strategy}, the same run twice", "note" if twice else "ok", _said(twice), numbers)
    why = _said(resumed)
    if resumed and twice:
        why += "; the run does not repeat either, so the device is to blame"
    rows.add(f"{strategy}, stopped and resumed", "failed" if resumed else "ok", why, numbers)
    if resumed or twice:
        _deterministically(strategy, given, rows)


def _deterministically(strategy: str, given: Given, rows: Rows) -> None:
    """Repeats the comparison where torch takes deterministic operators, and names those that have no such form."""
    rows.begin(f"{strategy}: with deterministic operators")
    folder = given.folder / strategy / "deterministic"
    said = _in_a_fresh_process(["deterministic", strategy, given.device, str(folder)], rows.left)
    whole, stopped = RunDirectory.open(Path(said["whole"])), RunDirectory.open(Path(said["stopped"]))
    said |= _in_a_fresh_process(["resumed", str(stopped.path), "deterministic"], rows.left)
    differing = list(bits_that_differ(_outcome(whole), _outcome(stopped)))
    unsteady = f"without a deterministic form: {', '.join(said['unsteady']) or 'none'}"
    why = f"{_said(differing)}; {unsteady}" if differing else unsteady
    rows.add(f"{strategy}, resumed with deterministic operators", "note", why, {"differing": len(differing)})


def _config(strategy: str, device: str, changes: Sequence[str] = ()) -> Config:
    """A search of seconds on rendered rooms, in which blocks are fixed on the way."""
    return load_config(
        "demo",
        [
            *(f"device={device}", f"strategy={{name: {strategy}}}", "seeds=[0]", "log_every=1"),
            *("dataset.train=16", "dataset.val=4", "search.batch_size=4", "search.warmup=2"),
            *(f"search.steps={STEPS}", f"checkpoint_every={SAVED_EVERY}", *changes),
        ],
    )


def _whole(config: Config, folder: Path) -> RunDirectory:
    """Returns a run that nobody disturbed."""
    (run,) = create_search(config, folder)
    execute(run, quiet=True)
    return run


def _stopped(config: Config, folder: Path, at: int) -> RunDirectory:
    """Returns a run that Ctrl-C stopped after a number of batches."""
    (run,) = create_search(config, folder)
    original, number = BatchLoader.batch, iter(range(10**6))

    def batch_then_signal(self: BatchLoader, step: int) -> Any:
        if next(number) == at - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, step)

    BatchLoader.batch = batch_then_signal  # type: ignore[method-assign]
    # a shell may have started the check with this signal ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        execute(run, quiet=True)
    except Interrupted:
        return run
    finally:
        signal.signal(signal.SIGINT, before)
        BatchLoader.batch = original  # type: ignore[method-assign]
    raise AssertionError("the run ended before it was stopped")


def _in_a_fresh_process(words: list[str], seconds: float) -> dict[str, Any]:
    """Does a part of the work in a process of its own, and returns what it says."""
    code = "import sys; from gpu_check.resume import worker; worker(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=max(seconds, 1.0)
    )
    if done.returncode:
        last = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise RuntimeError(f"{words[0]}, in a fresh process: {last}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def worker(words: list[str]) -> None:
    """Does what `_in_a_fresh_process` asks for, and prints JSON."""
    said: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as warned:
        if "deterministic" in words:
            os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS reads it when it starts
            torch.use_deterministic_algorithms(True, warn_only=True)
            warnings.simplefilter("always")
        if words[0] == "resumed":
            execute(RunDirectory.open(Path(words[1])), quiet=True)
        else:
            config, folder = _config(words[1], words[2]), Path(words[3])
            said["whole"] = str(_whole(config, folder / "whole").path)
            said["stopped"] = str(_stopped(config, folder / "stopped", STOPPED_AT).path)
    found = (_UNSTEADY.search(str(one.message)) for one in warned)
    print(json.dumps({**said, "unsteady": sorted({one[1] for one in found if one})}))


def _outcome(run: RunDirectory) -> dict[str, Any]:
    """All that a run ended with: weights, optimiser, logits, generators, genotype, metrics."""
    genotype = run.genotype()
    return {
        "checkpoint": load_checkpoint(run.checkpoints / "last.pt"),
        "genotype": None if genotype is None else dict(genotype),
        "metrics": dict(run.result().metrics),
    }


def bits_that_differ(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Yields the places at which two states differ, with the largest difference of tensors."""
    if type(one) is not type(other):
        yield f"{where} ({type(one).__name__} and {type(other).__name__})"
    elif isinstance(one, dict):
        for key in sorted({*one, *other} - SPENT, key=str):
            if key in one and key in other:
                yield from bits_that_differ(one[key], other[key], f"{where}.{key}".lstrip("."))
            else:
                yield f"{where}.{key} (in one alone)"
    elif isinstance(one, list | tuple):
        if len(one) != len(other):
            yield f"{where} (lengths {len(one)} and {len(other)})"
        for number, (a, b) in enumerate(zip(one, other, strict=False)):
            yield from bits_that_differ(a, b, f"{where}[{number}]")
    elif isinstance(one, torch.Tensor):
        if one.shape != other.shape or one.dtype != other.dtype:
            yield f"{where} (shape or type)"
        elif not torch.equal(_bytes(one), _bytes(other)):
            yield f"{where} (by {float((one.double() - other.double()).abs().max()):.2g})"
    elif one != other and not (one != one and other != other):  # NaN is the same as NaN
        yield f"{where} ({one} and {other})"


def _bytes(x: torch.Tensor) -> torch.Tensor:
    return x.detach().cpu().contiguous().reshape(-1).view(torch.uint8)


def _tensors(state: Any) -> Iterator[torch.Tensor]:
    if isinstance(state, torch.Tensor):
        yield state
    elif isinstance(state, dict | list | tuple):
        for part in state.values() if isinstance(state, dict) else state:
            yield from _tensors(part)


def _said(differing: list[str]) -> str:
    """The first places that differ, in one line; empty if none does."""
    if not differing:
        return ""
    more = f" and {len(differing) - 2} more" if len(differing) > 2 else ""
    return f"other bits in {', '.join(differing[:2])}{more}"
