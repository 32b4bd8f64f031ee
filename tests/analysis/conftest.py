"""Run directories with known numbers, written through the interface that trainings use. Nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from atrc.config import Config, parse_config
from atrc.runs import Result, RunDirectory, RunSpec
from searchspace import CPSpace, Genotype, block

TASKS = ("semseg", "depth", "normals", "edge")

# Table 1: mIoU, RMSE, mean angular error, boundary F.
SINGLE = (38.02, 0.6104, 20.94, 76.22)
MULTI = (36.35, 0.6284, 21.02, 76.36)
ATRC = (38.90, 0.6010, 20.48, 76.34)

Values = Mapping[str, float]
Write = Callable[..., RunDirectory]


def config(name: str = "demo", tasks: Sequence[str] = TASKS) -> Config:
    return parse_config(f"name: {name}\ndataset: {{name: rooms}}\ntasks: [{', '.join(tasks)}]\n", "test")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """``write(model, seed, metrics)`` makes a run below ``tmp_path / experiment``; no metrics: unfinished."""
    return writer(tmp_path)


def writer(folder: Path) -> Write:
    """`write` for another folder."""

    def run(
        model: str,
        seed: int,
        metrics: Values | None,
        *,
        genotype: Genotype | None = None,
        experiment: str = "demo",
        tasks: Sequence[str] = TASKS,
        samples: int = 800,
        seconds: float = 10.0,
    ) -> RunDirectory:
        spec = RunSpec("search" if model == "search" else "train", model, seed)
        path = folder / experiment / model / f"seed{seed}"
        directory = RunDirectory.create(path, spec, config(experiment, tasks))
        if genotype is not None:
            directory.write_genotype(genotype)
        if metrics is not None:
            directory.write_result(Result(metrics, 100, samples, seconds, 1_000_000, 2_000_000_000))
        return directory

    return run


def of(values: Sequence[float], tasks: Sequence[str] = TASKS) -> dict[str, float]:
    return dict(zip(tasks, values, strict=True))


def write_baselines(write: Write, seeds: Sequence[int] = (0,), values: Sequence[float] = SINGLE) -> None:
    for task, value in of(values).items():
        for seed in seeds:
            write(f"single-{task}", seed, {task: value})


def write_search(write: Write, seed: int, genotype: Genotype, metrics: Sequence[float] = ATRC) -> RunDirectory:
    """A finished search of four logged steps whose probabilities move to the genotype; half of it freezes."""
    run = write("search", seed, of(metrics), genotype=genotype)
    space = CPSpace(TASKS)
    for step, leading in ((25, 0.25), (50, 0.4), (75, 0.7), (100, 1.0)):
        probabilities = {
            choice: {o: leading if o == genotype[choice] else (1 - leading) / (len(options) - 1) for o in options}
            for choice, options in space.items()
        }
        run.append(
            "architecture.jsonl",
            {
                "step": step,
                "temperature": 1 - step / 200,
                "entropy_weight": -0.02 + 0.0008 * step,
                "entropy": 0.0,
                "frozen": list(space)[:8] if step == 100 else [],
                "probabilities": probabilities,
            },
        )
        run.append("metrics.jsonl", {"step": step, "seconds": step / 10, "lr": 0.01, "loss": 100.0 / step})
    return run


def keep(run: Path, drops: Mapping[str, float], genotype: Genotype, before: float = 50.0) -> None:
    """Writes a run's importance: block -> mean drop, over two permutations that differ by 2."""
    rows = [
        (
            t,
            s,
            genotype[block(t, s)],
            k,
            before,
            before - drops.get(block(t, s), 0.0) - k,
            drops.get(block(t, s), 0.0) + k,
        )
        for t, s in CPSpace(TASKS).pairs()
        for k in (-1, 1)
    ]
    columns = ["target", "source", "context", "permutation", "before", "after", "drop"]
    pd.DataFrame(rows, columns=columns).assign(split="val", seed=0).to_csv(run / "importance.csv", index=False)
