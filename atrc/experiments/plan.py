"""Plans the runs of an experiment: their folders, configs and genotypes."""

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

ADVICE = "rename the genotype file, or give another --out"


class Planned(NamedTuple):
    """A planned run: the arguments of `RunDirectory.create`, and words for messages.

    Attributes:
        folder: The experiment's folder.
        spec: Kind, model and seed of the run.
        config: Config of the run; its paths may be relative.
        genotype: The genotype to train, or None.
        origin: Name of the run in messages: the file of its genotype, or its search.
        advice: Advice in the message if a run of another genotype has this place.
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
    """Plans search runs ``out/search/seedK``, one for each of the config's seeds."""
    return [Planned(Path(out), RunSpec("search", SEARCH, seed), config) for seed in config.seeds]


def plan_train(config: Config, models: Iterable[str], out: Path | str) -> list[Planned]:
    """Plans training runs ``out/MODEL/seedK`` of stand-alone networks; see `atrc.experiments.create_train`."""
    planned, setup = [], Setup.of(config)
    setup.refuse_without_tasks()
    for model in expand_models(config, models):
        if model == CONSENSUS:
            planned += plan_consensus(config, out)
            continue
        genotype = setup.genotype(model)
        for seed in config.seeds:
            planned.append(Planned(Path(out), RunSpec("train", group(model), seed), config, genotype, model))
    return planned


def plan_consensus(config: Config, out: Path | str) -> list[Planned]:
    """Plans training runs ``out/consensus/seedK`` of the consensus of searches, one for each of the config's seeds.

    The consensus is that of the finished searches ``out/search/seed*``. Remarks on them are printed on stderr.

    Raises:
        InputError: There is no finished search, or the searches have another space than the config.
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
    """Plans training runs of the genotypes that searches found; see `atrc.experiments.create_retrain`."""
    planned = []
    for search in searches:
        if search.spec.kind != "search":
            raise InputError(f"run {search.path} is not a search: it trained {search.spec.model!r}")
        search.result()  # raises for an unfinished search
        folder = search.path.parent.parent if out is None else Path(out)
        source = os.path.relpath(search.path, run_path(folder, RETRAIN, search.spec.seed))
        spec = RunSpec("train", RETRAIN, search.spec.seed, source=source)
        planned.append(Planned(folder, spec, search.config, search.genotype(), f"the genotype of {search.path}"))
    return planned
