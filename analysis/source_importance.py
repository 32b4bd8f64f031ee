"""Importance of source tasks to target tasks, over runs (Fig. 6): measured once per run, and kept in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.blocks import Blocks
from analysis.bootstrap import bootstrap_mean
from analysis.importance import PERMUTATIONS, block_importance
from analysis.load import Runs, once
from analysis.multitask import baselines
from analysis.spaces import BlockSpace, common_space
from analysis.tables import write_table
from atrc.config import import_plugins
from atrc.data import content_hashes, eval_transform, evaluation_batches
from atrc.data.cache import hashed
from atrc.inference import open_run
from atrc.runs import RunDirectory
from atrc.runs.checkpoint import latest
from atrc.setup import Setup
from searchspace import NONE, InputError

__all__ = [
    "has_blocks",
    "importance_against_agreement",
    "importance_of",
    "kept_importance",
    "measure_importance",
    "source_importance",
]

NAME = "importance"


def measure_importance(
    run: RunDirectory, *, split: str = "val", permutations: int = PERMUTATIONS, seed: int = 0, quiet: bool = False
) -> pd.DataFrame:
    """Measures the importance of the blocks of a run's network; of a search, at its argmax genotype.

    It is written to ``importance.csv`` of the run. It is read from there where the file says that it was measured in
    the same way, of the weights that the checkpoint holds now, on the data that the split holds now.

    Args:
        run: A run with a checkpoint.
        split: Split of the config's dataset.
        permutations: Number of permutations of each block; see `analysis.importance.block_importance`.
        seed: Seed of the permutations.
        quiet: Whether the progress bar is left out.

    Returns:
        Table of `analysis.importance.block_importance`, with ``split``, ``seed``, and hashes of what was measured:
        ``weights`` of the checkpoint's file, ``data`` of the split (`atrc.data.content_hashes`).

    Raises:
        InputError: The run has no checkpoint, or its network has no context-pooling blocks.
    """
    import_plugins(run.config)
    made: dict[str, Any] = {"split": split, "seed": seed, "weights": _weights(run), "data": _data(run, split)}
    kept = kept_importance(run)
    if kept is not None and kept["permutation"].nunique() == permutations and _measured(kept, made):
        return kept
    opened = open_run(run, run.config.device)
    blocks = Blocks(opened.network, opened.predictor.genotype)
    dataset = opened.split(split)
    batches = evaluation_batches(
        dataset,
        opened.tasks,
        eval_transform(dataset.info.size),
        batch_size=run.config.evaluate_batch,
        workers=run.config.workers,
    )
    found = block_importance(
        blocks,
        batches,
        len(dataset),
        permutations=permutations,
        seed=seed,
        device=opened.predictor.device,
        autocast=opened.predictor.autocast,
        quiet=quiet,
    ).assign(**made)
    write_table(found, run.path, NAME)
    return found


def has_blocks(run: RunDirectory) -> bool:
    """Returns whether a run found or trained a genotype of context-pooling blocks."""
    genotype = run.genotype()
    if genotype is None:
        return False
    import_plugins(run.config)
    return isinstance(common_space([genotype]), BlockSpace)


def kept_importance(run: RunDirectory) -> pd.DataFrame | None:
    """Importance that was measured before; None if there is none, or the run's weights have changed since."""
    path = run.path / f"{NAME}.csv"
    if not path.exists():
        return None
    try:
        # "none" is a context type
        kept = pd.read_csv(path, keep_default_na=False, dtype={"weights": str, "data": str})
    except ValueError as error:
        raise InputError(f"{path} cannot be read as a table: {error}; remove it") from None
    if "weights" in kept and not _measured(kept, {"weights": _weights(run)}):
        return None
    return kept


def _weights(run: RunDirectory) -> str | None:
    """A hash of the newest checkpoint's file; None for a run that has none."""
    checkpoint = latest(run.checkpoints)
    if checkpoint is None:
        return None
    with checkpoint.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _data(run: RunDirectory, split: str) -> str | None:
    """A hash of a split's content; None where it cannot be opened here."""
    try:
        return hashed(content_hashes(Setup.of(run.config).split(split)))
    except InputError:
        return None


def _measured(kept: pd.DataFrame, made: Mapping[str, object]) -> bool:
    """Whether kept numbers are for these settings; unknown ones (None) count as unchanged.

    An earlier version did not say which weights and data it measured: where they are there, it is measured anew.
    """
    known = {key: value for key, value in made.items() if value is not None}
    return all(key in kept and (kept[key].astype(str) == str(value)).all() for key, value in known.items())


@once
def importance_of(runs: Runs, path: str) -> pd.DataFrame | None:
    """`kept_importance` of one of the runs."""
    return kept_importance(runs.directories[path])


@once
def source_importance(runs: Runs, experiment: str, model: str = "retrain") -> pd.DataFrame:
    """Mean importance of every block over the runs of a model in which it was measured.

    Args:
        runs: The runs.
        experiment: Name of one of their experiments.
        model: Name of one of its models.

    Returns:
        ``target``, ``source``, ``n`` (runs), ``cut`` (share of the runs whose genotype has ``none`` there),
        ``permutations`` (of each run), ``drop`` (mean, in the target's unit), ``delta_m`` (mean drop of Delta_m in
        percentage points; missing without single-task runs), ``low`` and ``high`` (95 % bootstrap interval of
        ``delta_m``: over runs, and of a single run over its permutations), ``share`` (mean drop in percent of the
        target's metric). Empty where nothing was measured.
    """
    rows = runs.frame[(runs.frame["experiment"] == experiment) & (runs.frame["model"] == model)]
    kept = {path: importance_of(runs, path) for path in rows["path"]}
    parts = [frame.assign(run=path) for path, frame in kept.items() if frame is not None]
    columns = ["target", "source", "n", "cut", "permutations", "drop", "delta_m", "low", "high", "share"]
    if not parts:
        return pd.DataFrame(columns=columns)
    frame = pd.concat(parts, ignore_index=True)
    single = baselines(runs)
    base = single[single["experiment"] == experiment].groupby("task")["value"].mean()
    frame["delta_m"] = 100 * frame["drop"] / frame["target"].map(base).abs() / len(runs.tasks)
    frame["share"] = 100 * frame["drop"] / frame["before"].abs()
    found = []
    for (target, source), of in frame.groupby(["target", "source"], sort=False):
        by_run = of.groupby("run")["delta_m"].mean()
        low, high = bootstrap_mean((by_run if len(by_run) > 1 else of["delta_m"]).to_numpy(float))
        means = of.groupby("run")[["drop", "delta_m", "share"]].mean().mean()
        found.append(
            {
                "target": target,
                "source": source,
                "n": len(by_run),
                "cut": float((of.groupby("run")["context"].first() == NONE).mean()),
                "permutations": of["permutation"].nunique(),
                **means,
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(found)[columns]


def importance_against_agreement(importance: pd.DataFrame, agreement: pd.DataFrame) -> pd.DataFrame:
    """Importance and agreement of every block, to see if searches decide more reliably where it matters (Sec. 4.4).

    Args:
        importance: Table of `source_importance`.
        agreement: The ``table`` of `analysis.agreement.Agreement`.

    Returns:
        One row per block: ``target``, ``source``, ``importance`` (``delta_m`` of `source_importance`; ``share``
        where that is missing), ``agreement`` (share of run pairs, 0..1).
    """
    measure = "share" if importance["delta_m"].isna().any() else "delta_m"
    columns = importance[["target", "source", measure]].rename(columns={measure: "importance"})
    return columns.merge(agreement[["target", "source", "agreement"]])
