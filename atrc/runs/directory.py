"""Run directories. Each holds one training, in files that are readable without this software.

::

    config.yaml          the resolved config
    run.json             kind, model and seed of the run
    environment.json     versions, machine, revision
    genotype.json        the genotype that was found (search) or trained (a genotype's network)
    metrics.jsonl        a line per logged step: step, loss, lr, seconds
    architecture.jsonl   a line per logged step of a one-shot search: probabilities, genotype, entropy, ...
    trials.jsonl         a line per genotype that a search scored: score, cost, samples and seconds so far
    checkpoints/         last.pt and previous.pt
    result.json          written last: metrics on the validation split, cost; a run without it is unfinished
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from atrc.config import Config, parse_config, upgrade_run_config
from atrc.machine.files import atomic_folder, json_text, write_json, write_text
from atrc.runs.environment import environment
from searchspace import Genotype, InputError, load_genotype
from searchspace.calls import call_with_options
from searchspace.text import read_text

__all__ = ["Result", "RunDirectory", "RunSpec", "find_runs", "find_searches", "refuse_existing"]

Kind = Literal["search", "train"]
Listener = Callable[[str, Mapping[str, Any]], None]
RESULT_FORMAT = "atrc-result/1"


@dataclass(frozen=True)
class RunSpec:
    """Kind, model and seed of a run. The config of the run is separate.

    Attributes:
        kind: ``search`` trains a supernet, ``train`` a stand-alone network.
        model: Name in tables: ``search``, ``retrain``, ``consensus``, ``multi``, ``single-TASK``, ...
        seed: Seed of initialisation, data order, augmentation and strategy.
        source: For a retrained genotype: the run that found it. For a consensus: its searches. Else None.
    """

    kind: Kind
    model: str
    seed: int
    source: str | tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.source, list):  # as JSON has it
            object.__setattr__(self, "source", tuple(self.source))


@dataclass(frozen=True)
class Result:
    """Results of a finished run.

    Attributes:
        metrics: Task -> metric on the validation split, in the task's unit; NaN if it is undefined. A search measures
            the supernet at its argmax genotype; without a supernet, the mapping is empty.
        steps: Number of optimiser steps; for a multi-trial search, number of trials.
        samples: Number of images used for learning, counted once for every pass through a network: in training, on
            held-out images of a search, in second stages, and for batch-norm statistics.
        seconds: Seconds of training and trials, summed over all parts of a resumed run, without evaluation.
        parameters: Number of learned parameters, those of the architecture included.
        multiply_adds: Multiply-adds for one validation image; for a search, of the network that it found. None, as
            ``parameters``, for a genotype of which no network can be built, if its table does not say.
        peak_memory: Largest number of bytes in use during the run, of the process or of the GPU; None if the system
            does not say.
        data: Hashes of the data: split -> ``"image"`` or task -> hash, see `atrc.data.content_hashes`. Empty for runs
            of earlier versions.
        skipped: Samples that could not be read and were left out: split -> id -> reason.
        trials: Number of trials of a search, with failed and repeated ones and those of a second stage.
        genotypes: Number of distinct genotypes that were scored.
        ended: The reason why a search ended.
        repeatable: True if the same config gives the same bits again. False for a search with a budget in seconds, or
            with scores that were told in the order of arrival.
    """

    metrics: Mapping[str, float]
    steps: int
    samples: int
    seconds: float
    parameters: int | None
    multiply_adds: int | None
    peak_memory: int | None = None
    data: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    skipped: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    trials: int = 0
    genotypes: int = 0
    ended: str = ""
    repeatable: bool = True


class RunDirectory:
    """One run on disk. `create` makes a new one, `open` opens an existing one.

    Attributes:
        path: Folder of the run.
        spec: Kind, model and seed of the run.
        config: Config of the run, upgraded to this version.
        upgraded: Settings of an earlier version that its config did not have, as ``key=value``.
    """

    def __init__(self, path: Path, spec: RunSpec, config: Config, upgraded: Sequence[str] = ()) -> None:
        self.path = path
        self.spec = spec
        self.config = config
        self.upgraded = tuple(upgraded)
        self._listeners: list[Listener] = []

    @classmethod
    def create(cls, path: Path, spec: RunSpec, config: Config, genotype: Genotype | None = None) -> RunDirectory:
        """Makes a new run directory with all files that are known before the first step.

        Raises:
            InputError: The path exists.
        """
        refuse_existing(path)
        with atomic_folder(path) as folder:
            write_text(folder / "config.yaml", config.to_yaml())
            write_json(folder / "environment.json", environment(config.threads))
            if genotype is not None:
                write_json(folder / "genotype.json", genotype.to_json())
            write_json(folder / "run.json", asdict(spec))
        return cls(path, spec, config)

    @classmethod
    def open(cls, path: Path | str) -> RunDirectory:
        """Opens an existing run. The config of an earlier version is upgraded.

        Raises:
            InputError: The path is not a run directory, or a file in it is broken. The message names the file.
        """
        path = Path(path)
        if not (path / "run.json").is_file():
            what = "holds no run.json" if path.is_dir() else "does not exist"
            raise InputError(f"{path} is not a run directory: it {what}")
        spec = call_with_options(str(path / "run.json"), RunSpec, _read_json(path / "run.json"))
        return cls(path, spec, *_read_run_config(path))

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def finished(self) -> bool:
        """True if the result is written, which is the last step of a run."""
        return (self.path / "result.json").is_file()

    def environment(self) -> dict[str, Any]:
        """Reads how the run was made: ``command``, ``revision``, ``versions``, ``processor``, ...

        Raises:
            InputError: The file is missing or broken. The message names it.
        """
        return _read_json(self.path / "environment.json")

    def genotype(self) -> Genotype | None:
        """Reads the genotype that was found or trained; None for baselines and unfinished searches."""
        path = self.path / "genotype.json"
        return load_genotype(path) if path.exists() else None

    def result(self) -> Result:
        """Reads the result of a finished run.

        Raises:
            InputError: The run is unfinished.
        """
        if not self.finished:
            raise InputError(f"run {self.path} is not finished; continue it with: atrc resume {self.path}")
        path = self.path / "result.json"
        data = _read_json(path)
        if data.pop("format", None) != RESULT_FORMAT:
            raise InputError(f"{path} is not a result of this version: its 'format' is not {RESULT_FORMAT!r}")
        data.pop("finished", None)
        metrics = data.get("metrics")
        if isinstance(metrics, dict):
            data["metrics"] = {task: math.nan if value is None else value for task, value in metrics.items()}
        return call_with_options(str(path), Result, data)

    def write_genotype(self, genotype: Genotype) -> None:
        """Writes genotype.json."""
        write_json(self.path / "genotype.json", genotype.to_json())

    def write_result(self, result: Result) -> None:
        """Writes result.json, which marks the run finished."""
        finished = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        write_json(self.path / "result.json", {"format": RESULT_FORMAT, **asdict(result), "finished": finished})
        self._tell("result", {**asdict(result), "step": result.steps})

    def append(self, name: str, line: Mapping[str, Any]) -> None:
        """Adds a line to ``name`` (metrics.jsonl, architecture.jsonl)."""
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(json_text(line) + "\n")
        self._tell(name.removesuffix(".jsonl"), line)

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Calls ``listener(source, line)`` for every written line and for the result, as long as the context lasts.

        The source is the name of the file without its suffix. Every line has a ``step``.
        """
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def _tell(self, source: str, line: Mapping[str, Any]) -> None:
        for listener in self._listeners:
            listener(source, line)

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """Yields the lines of a JSONL file, up to a line that a killed process left incomplete."""
        path = self.path / name
        if path.exists():
            for text in read_text(path).splitlines():
                try:
                    yield json.loads(text)
                except json.JSONDecodeError:
                    return

    def rewind(self, step: int, *names: str) -> None:
        """Drops the lines of JSONL files after ``step``, which a resumed run will write again."""
        for name in names:
            if (self.path / name).exists():
                kept = [json_text(line) for line in self.lines(name) if line["step"] <= step]
                write_text(self.path / name, "".join(line + "\n" for line in kept))


def refuse_existing(path: Path) -> None:
    """Raises InputError if the path of a new run exists already."""
    if path.exists():
        if (path / "run.json").exists():
            hint = f"; continue it with: atrc resume {path}, or give another --out"
        else:
            hint = " and is not a run; remove it or choose another --out"
        raise InputError(f"run directory {path} already exists{hint}")


def find_runs(paths: Sequence[Path | str]) -> list[RunDirectory]:
    """Finds every run in the given directories and below them, sorted by path.

    Raises:
        InputError: A path does not exist, or none of them holds a run.
    """
    found: set[Path] = set()
    for path in map(Path, paths):
        if not path.is_dir():
            raise InputError(f"{path} is not a directory of runs: it does not exist")
        found.update(file.parent for file in path.rglob("run.json"))
    if not found:
        raise InputError(f"no runs found below {', '.join(map(str, paths))}; make some with: atrc experiment demo")
    return [RunDirectory.open(path) for path in sorted(found)]


def find_searches(paths: Sequence[Path | str]) -> list[RunDirectory]:
    """Finds every search in the given directories and below them, finished or not, sorted by path.

    Raises:
        InputError: A path does not exist, or none of them holds a search.
    """
    searches = [run for run in find_runs(paths) if run.spec.kind == "search"]
    if not searches:
        raise InputError(f"no search among the runs in {', '.join(map(str, paths))}; make one with: atrc search")
    return searches


def _read_run_config(run: Path) -> tuple[Config, list[str]]:
    """Returns the config of a run, and the settings that were added to the config of an earlier version."""
    path, said = run / "config.yaml", list[str]()

    def upgrade(data: dict[str, Any]) -> dict[str, Any]:
        environment = run / "environment.json"
        data, filled = upgrade_run_config(data, _read_json(environment) if environment.is_file() else {})
        said.extend(filled)
        return data

    try:
        text = read_text(path)
    except (OSError, UnicodeError) as error:
        raise InputError(f"config {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return parse_config(text, str(path), upgrade=upgrade), said


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(read_text(path))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path} must hold a JSON object")
    return data
