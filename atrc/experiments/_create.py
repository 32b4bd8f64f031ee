"""Making the runs of a plan, all of them or none, and finding those that are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from atrc.config import Config, import_plugins
from atrc.experiments._checks import Checks
from atrc.experiments.changes import changed_keys
from atrc.experiments.paths import absolute_paths
from atrc.experiments.plan import ADVICE, Planned, plan_retrain, plan_search, plan_train
from atrc.runs import RunDirectory, refuse_existing
from searchspace import Genotype, InputError

__all__ = ["create_missing", "create_planned", "create_retrain", "create_search", "create_train", "open_made_with"]


def create_search(config: Config, out: Path | str) -> list[RunDirectory]:
    """New search runs ``out/search/seedK``, one for each of the config's seeds."""
    checks = Checks()
    checks.config(config)
    checks.strategy(config)
    return create_planned(plan_search(config, out), checks)


def create_train(config: Config, models: Sequence[str], out: Path | str) -> list[RunDirectory]:
    """New training runs ``out/MODEL/seedK`` of stand-alone networks.

    Args:
        config: The config.
        models: Names as `atrc.setup.Setup.genotype` takes them, the short forms of `expand_models`, or ``consensus``
            for what the finished searches in ``out`` agree on. The runs of a genotype file have the name of the file.
        out: The experiment's folder.

    Raises:
        InputError: A run that is there already, or two different ones that would have one folder. None is made then.
    """
    checks = Checks()
    checks.config(config)
    return create_planned(plan_train(config, models, out), checks)


def create_retrain(searches: Sequence[RunDirectory], out: Path | str | None = None) -> list[RunDirectory]:
    """New runs that train found genotypes from scratch, with the seed and the config of their search.

    Args:
        searches: Finished searches.
        out: The experiment's folder; default: that of each search.

    Raises:
        InputError: One is not a search, or not finished; or two of them would be retrained in one folder. No run is
            made then.
    """
    return create_planned(plan_retrain(searches, out))


def create_planned(planned: Iterable[Planned], checks: Checks | None = None) -> list[RunDirectory]:
    """New runs, all of them or none: one that is in the way is found before the first is made.

    Args:
        planned: The runs.
        checks: The checks of the experiment, which remember what was looked at.

    Raises:
        InputError: A folder is there already, or two different runs would have one.
    """
    runs = _each_once(planned)
    for run in runs:
        if (run.path / "run.json").is_file():
            _refuse_another(RunDirectory.open(run.path), run)
        refuse_existing(run.path)
    (checks or Checks()).data(run.config for run in runs)
    return [_create(run) for run in runs]


def create_missing(planned: Iterable[Planned], checks: Checks | None = None) -> list[RunDirectory]:
    """The runs that are there, made as planned, and new ones for the rest, in the order of the plan.

    Args:
        planned: The runs.
        checks: The checks of the experiment, which remember what was looked at.

    Raises:
        InputError: One was made with another config or of another genotype, or two different runs would have one
            folder. Nothing is made then.
    """
    runs = _each_once(planned)
    there = {run.path: _open(run) for run in runs if run.path.exists()}
    (checks or Checks()).data(run.config for run in runs if run.path not in there)
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
    advice: str = ADVICE,
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
