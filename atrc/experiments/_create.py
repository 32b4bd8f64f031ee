"""Makes the runs of a plan, all of them or none, and finds existing ones."""

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
from atrc.training.scoring import needs_data
from searchspace import Genotype, InputError

__all__ = ["create_missing", "create_planned", "create_retrain", "create_search", "create_train", "open_made_with"]


def create_search(config: Config, out: Path | str, checks: Checks | None = None) -> list[RunDirectory]:
    """Makes new search runs ``out/search/seedK``, one for each of the config's seeds.

    Args:
        config: The config.
        out: The experiment's folder.
        checks: The checks of the experiment, which skip what was checked before.
    """
    checks = checks or Checks()
    checks.config(config)
    checks.strategy(config)
    return create_planned(plan_search(config, out), checks)


def create_train(
    config: Config, models: Sequence[str], out: Path | str, checks: Checks | None = None
) -> list[RunDirectory]:
    """Makes new training runs ``out/MODEL/seedK`` of stand-alone networks.

    Args:
        config: The config.
        models: Names as `atrc.setup.Setup.genotype` takes them, the short forms of `expand_models`, or ``consensus``
            for the genotype that the finished searches in ``out`` agree on. Runs of a genotype file are named after
            the file.
        out: The experiment's folder.
        checks: The checks of the experiment, which skip what was checked before.

    Raises:
        InputError: A run exists already, or two different runs would have one folder. No run is made then.
    """
    checks = checks or Checks()
    checks.config(config)
    return create_planned(plan_train(config, models, out), checks)


def create_retrain(searches: Sequence[RunDirectory], out: Path | str | None = None) -> list[RunDirectory]:
    """Makes new runs that train found genotypes from scratch, with the seed and the config of their search.

    Args:
        searches: Finished searches.
        out: The experiment's folder; default: that of each search.

    Raises:
        InputError: A run is not a search or not finished, or two searches would be retrained in one folder. No run
            is made then.
    """
    return create_planned(plan_retrain(searches, out))


def create_planned(planned: Iterable[Planned], checks: Checks | None = None) -> list[RunDirectory]:
    """Makes new runs, all of them or none. Conflicts are found before the first run is made.

    Args:
        planned: The runs.
        checks: The checks of the experiment, which skip what was checked before.

    Raises:
        InputError: A folder exists already, or two different runs would have one folder.
    """
    runs = _each_once(planned)
    for run in runs:
        if (run.path / "run.json").is_file():
            _refuse_another(RunDirectory.open(run.path), run)
        refuse_existing(run.path)
    (checks or Checks()).data(run.config for run in runs if _opens_data(run))
    return [_create(run) for run in runs]


def create_missing(planned: Iterable[Planned], checks: Checks | None = None) -> list[RunDirectory]:
    """Opens the existing runs of a plan and makes the missing ones. Returns all in the order of the plan.

    Args:
        planned: The runs.
        checks: The checks of the experiment, which skip what was checked before.

    Raises:
        InputError: An existing run has another config or genotype than planned, or two different runs would have one
            folder. No run is made then.
    """
    runs = _each_once(planned)
    there = {run.path: _open(run) for run in runs if run.path.exists()}
    (checks or Checks()).data(run.config for run in runs if run.path not in there and _opens_data(run))
    return [there.get(run.path) or _create(run) for run in runs]


def _opens_data(planned: Planned) -> bool:
    import_plugins(planned.config)
    return needs_data(planned.spec.kind, planned.config)


def _each_once(planned: Iterable[Planned]) -> list[Planned]:
    """Returns the planned runs without repetitions. Raises InputError if two different ones have the same folder."""
    runs: dict[Path, Planned] = {}
    for run in planned:
        known = runs.setdefault(run.path.resolve(), run)
        if (known.spec, known.config, known.genotype) != (run.spec, run.config, run.genotype):
            raise InputError(
                f"{known.called} and {run.called} would have the same run directory {run.path}; "
                "rename one of the genotype files, or give each its own --out"
            )
    return list(runs.values())


def _create(planned: Planned) -> RunDirectory:
    """Makes a run. Paths in its config become absolute, so that it can be continued from another folder."""
    import_plugins(planned.config)
    return RunDirectory.create(planned.path, planned.spec, absolute_paths(planned.config), planned.genotype)


def _open(planned: Planned) -> RunDirectory:
    """Opens an existing run, and raises InputError if it was not made as planned."""
    run = open_made_with(
        planned.path, planned.config, genotype=planned.genotype, origin=planned.called, advice=planned.advice
    )
    _refuse_another(run, planned)
    return run


def _refuse_another(run: RunDirectory, planned: Planned) -> None:
    """Raises InputError if a run has another kind or another genotype than planned."""
    if run.spec.kind != planned.spec.kind:
        raise InputError(
            f"run {run.path} is of kind '{run.spec.kind}' and has the place of {planned.called}; {planned.advice}"
        )
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
    """Opens an existing run, and checks that it has this config. The list of seeds may differ.

    Args:
        path: Directory of the run.
        config: The expected config.
        genotype: The expected genotype, or None for a run without one.
        origin: Name of the genotype in messages.
        advice: Advice in the message if the run trained another genotype.

    Raises:
        InputError: The run has another config or another genotype.
    """
    run = RunDirectory.open(path)
    if genotype is not None and run.spec.kind == "train" and run.genotype() != genotype:
        _refuse(run, origin, advice)
    changed = changed_keys(run, config)
    if changed:
        raise InputError(
            f"run {path} was made with another config ({', '.join(changed)} changed); "
            "remove it, or give another --out"
        )
    return run
