"""Which runs an experiment has: planned, and then found or made, all of them or none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from atrc.build import build_space, build_tasks, describe_dataset, model_genotype, open_splits
from atrc.config import Config, Named, config_value, import_plugins
from atrc.consensus import consensus_of_searches
from atrc.paths import absolute_paths
from atrc.runs import RunDirectory, RunSpec, refuse_existing
from atrc.runs.names import CONSENSUS, RETRAIN, SEARCH, expand_models, group, run_path
from searchspace import Genotype, InputError

__all__ = [
    "CONSENSUS",
    "RETRAIN",
    "SEARCH",
    "Planned",
    "changed_keys",
    "create_missing",
    "create_planned",
    "expand_models",
    "group",
    "open_data",
    "open_made_with",
    "plan_consensus",
    "plan_retrain",
    "plan_search",
    "plan_train",
    "run_path",
]

_ADVICE = "name a genotype's file after what it is, or give another --out"


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
    advice: str = _ADVICE

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
    """Training runs ``out/MODEL/seedK`` of stand-alone networks; see `atrc.experiment.create_train`."""
    planned = []
    for model in expand_models(config, models):
        if model == CONSENSUS:
            planned += plan_consensus(config, out)
            continue
        genotype = model_genotype(config, model)
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
        genotype = build_space(config).validate(agreed.genotype)
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
    """Training runs of what searches found; see `atrc.experiment.create_retrain`."""
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


def create_planned(planned: Iterable[Planned]) -> list[RunDirectory]:
    """All of them or none: one that is in the way is found before the first is made.

    Raises:
        InputError: A folder is there already, or two different runs would have one.
    """
    runs = _each_once(planned)
    for run in runs:
        if (run.path / "run.json").is_file():
            _refuse_another(RunDirectory.open(run.path), run)
        refuse_existing(run.path)
    open_data(runs)
    return [_create(run) for run in runs]


def create_missing(planned: Iterable[Planned]) -> list[RunDirectory]:
    """The runs that are there, made as planned, and new ones for the rest, in the order of the plan.

    Raises:
        InputError: One was made with another config or of another genotype, or two different runs would have one
            folder. Nothing is made then.
    """
    runs = _each_once(planned)
    there = {run.path: _open(run) for run in runs if run.path.exists()}
    open_data([run for run in runs if run.path not in there])
    return [there.get(run.path) or _create(run) for run in runs]


def _each_once(planned: Iterable[Planned]) -> list[Planned]:
    """What is planned twice is one run; what is different needs folders of its own."""
    runs: dict[Path, Planned] = {}
    for run in planned:
        known = runs.setdefault(run.path.resolve(), run)
        if (known.spec, known.config, known.genotype) != (run.spec, run.config, run.genotype):
            raise InputError(
                f"{known.called} and {run.called} would both be the run {run.path}: "
                "name a genotype's file after what it is, or give each an --out of its own"
            )
    return list(runs.values())


def _create(planned: Planned) -> RunDirectory:
    """A new run, whose config has its paths in full: it may be continued from another folder."""
    import_plugins(planned.config)
    return RunDirectory.create(planned.path, planned.spec, absolute_paths(planned.config), planned.genotype)


def _open(planned: Planned) -> RunDirectory:
    """The run that is there, if it was made as planned."""
    run = open_made_with(
        planned.path, planned.config, genotype=planned.genotype, origin=planned.called, advice=planned.advice
    )
    _refuse_another(run, planned)
    return run


def _refuse_another(run: RunDirectory, planned: Planned) -> None:
    """Refuses a run that is something else than what is planned there, whatever its config."""
    if run.spec.kind != planned.spec.kind:
        raise InputError(f"run {run.path} is a {run.spec.kind}, and in the way of {planned.called}; {planned.advice}")
    if run.spec.kind == "train" and run.genotype() != planned.genotype:
        _refuse(run, planned.called, planned.advice)


def _refuse(run: RunDirectory, origin: str, advice: str) -> NoReturn:
    trained = run.path / "genotype.json"
    raise InputError(f"run {run.path} trained another genotype ({trained}) than {origin}; {advice}")


def open_made_with(
    path: Path | str,
    config: Config,
    *,
    genotype: Genotype | None = None,
    origin: str = "this genotype",
    advice: str = _ADVICE,
) -> RunDirectory:
    """An existing run of this config, whichever seeds were asked for.

    Args:
        path: Its directory.
        config: What it should have been made with.
        genotype: What it should have trained, if that is a genotype.
        origin: What messages call the genotype.
        advice: What messages say to do where another was trained.

    Raises:
        InputError: It was made with another config, or of another genotype.
    """
    run = RunDirectory.open(path)
    if genotype is not None and run.spec.kind == "train" and run.genotype() != genotype:
        _refuse(run, origin, advice)
    changed = changed_keys(run, config)
    if changed:
        raise InputError(
            f"run {path} was made with another config ({', '.join(changed)} changed); "
            "give another --out, or remove it"
        )
    return run


def changed_keys(run: RunDirectory, config: Config) -> list[str]:
    """Config keys in which the run differs, whichever seeds were asked for.

    What an earlier version did, and a config could not say then, is no difference. Nor is another way to write the
    same path.
    """
    import_plugins(config)  # parts say which of their options are paths
    one, other = (absolute_paths(of).model_dump() for of in (run.config, config))
    for key in (said.partition("=")[0] for said in run.upgraded):
        *path, last = key.split(".")
        section = other
        for part in path:
            section = section[part]
        section[last] = config_value(run.config, key)
    return [key for key in one if key != "seeds" and _resolved(one[key]) != _resolved(other[key])]


def _resolved(value: Any) -> Any:
    """A part of a config, in which every path is written in one way."""
    if isinstance(value, dict):
        return {key: _resolved(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(one) for one in value]
    return os.path.realpath(value) if isinstance(value, str) and os.path.isabs(value) else value


def open_data(planned: Sequence[Planned]) -> None:
    """Opens the splits of all runs: files that cannot be used show now, and what a first use prepares serves all.

    It comes last of what is checked, since it may take minutes.
    """
    opened: list[tuple[Named, list[str]]] = []
    for config in (run.config for run in planned):
        wanted = config.dataset, list(config.tasks)
        if wanted not in opened:
            opened.append(wanted)
            import_plugins(config)
            open_splits(config, build_tasks(config, describe_dataset(config)))
