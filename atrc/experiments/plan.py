"""Planning the runs of an experiment: which there should be, and of what."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from atrc.config import Config
from atrc.experiments.changes import changed_keys
from atrc.experiments.consensus import consensus_of_searches
from atrc.runs import RunDirectory, RunSpec
from atrc.runs.names import CONSENSUS, RETRAIN, SEARCH, expand_models, group, run_path
from atrc.setup import Setup
from searchspace import Genotype, InputError

__all__ = ["Planned", "plan_consensus", "plan_retrain", "plan_search", "plan_train"]

ADVICE = "name a genotype's file after what it is, or give another --out"


class Planned(NamedTuple):
    """What `RunDirectory.create` needs of one run.

    Attributes:
        folder: The experiment's.
        spec: What it is.
        config: Its config; paths in it may be relative.
        genotype: What it trains.
        origin: What messages call it: the file of its genotype, or its search.
        advice: What to do where a run of another genotype is in its place.
    """

    folder: Path
    spec: RunSpec
    config: Config
    genotype: Genotype | None = None
    origin: str = ""
    advice: str = ADVICE

    @property
    def path(self) -> Path:
        return run_path(self.folder, self.spec.model, self.spec.seed)

    @property
    def called(self) -> str:
        return self.origin or f"{self.spec.model!r} of config {self.config.name}"


def plan_search(config: Config, out: Path | str) -> list[Planned]:
    """Search runs ``out/search/seedK``, one for each of the config's seeds."""
    return [Planned(Path(out), RunSpec("search", SEARCH, seed), config) for seed in config.seeds]


def plan_train(config: Config, models: Iterable[str], out: Path | str) -> list[Planned]:
    """Training runs ``out/MODEL/seedK`` of stand-alone networks; see `atrc.experiments.create_train`."""
    planned, setup = [], Setup.of(config)
    for model in expand_models(config, models):
        if model == CONSENSUS:
            planned += plan_consensus(config, out)
            continue
        genotype = setup.genotype(model)
        for seed in config.seeds:
            planned.append(Planned(Path(out), RunSpec("train", group(model), seed), config, genotype, model))
    return planned


def plan_consensus(config: Config, out: Path | str) -> list[Planned]:
    """Training runs ``out/consensus/seedK`` of what the finished searches ``out/search/seed*`` agree on, one for each
    of the config's seeds. What a user should know of the searches is said on stderr.

    Raises:
        InputError: There is no finished search, or they are of another space than the config's.
    """
    folder, searched = Path(out), Path(out) / SEARCH
    runs = [RunDirectory.open(file.parent) for file in searched.glob("seed*/run.json")]
    if not any(run.finished for run in runs):
        begun = f"continue one with: atrc resume {searched}" if runs else "make some with: atrc search"
        raise InputError(f"model {CONSENSUS!r} needs a finished search in {searched}, and there is none; {begun}")
    agreed = consensus_of_searches(sorted(runs, key=lambda run: run.spec.seed))
    try:
        genotype = Setup.of(config).space.validate(agreed.genotype)
    except InputError as error:
        raise InputError(f"the searches in {searched} do not fit config {config.name!r}: {error}") from None
    first, *others = agreed.searches
    unlike = dict.fromkeys(key for run in others for key in changed_keys(run, first.config))
    differ = [f"the searches in {searched} differ in {', '.join(unlike)}"] if unlike else []
    for said in [*agreed.remarks(), *differ]:
        print(f"{CONSENSUS}: {said}", file=sys.stderr)
    origin = f"the consensus of the {len(agreed.searches)} finished searches in {searched}"
    advice = f"remove {folder / CONSENSUS}, or give another --out"
    planned = []
    for seed in config.seeds:
        place = run_path(folder, CONSENSUS, seed)
        source = tuple(os.path.relpath(run.path, place) for run in agreed.searches)
        spec = RunSpec("train", CONSENSUS, seed, source=source)
        planned.append(Planned(folder, spec, config, genotype, origin, advice))
    return planned


def plan_retrain(searches: Iterable[RunDirectory], out: Path | str | None = None) -> list[Planned]:
    """Training runs of what searches found; see `atrc.experiments.create_retrain`."""
    planned = []
    for search in searches:
        if search.spec.kind != "search":
            raise InputError(f"run {search.path} is not a search: it trained {search.spec.model!r}")
        search.result()  # raises where it is not finished
        folder = search.path.parent.parent if out is None else Path(out)
        source = os.path.relpath(search.path, run_path(folder, RETRAIN, search.spec.seed))
        spec = RunSpec("train", RETRAIN, search.spec.seed, source=source)
        planned.append(Planned(folder, spec, search.config, search.genotype(), f"what {search.path} found"))
    return planned
