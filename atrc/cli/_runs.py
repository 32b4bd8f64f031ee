"""Commands that train: experiment, search, train, retrain, resume."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from atrc.cli._app import (
    ConfigArgument,
    DataFolder,
    ExperimentFolder,
    Formats,
    Jobs,
    OverrideOption,
    Quiet,
    RunsArgument,
    Seeds,
    SkipBad,
    app,
    console,
    experiment_folder,
    figure_formats,
    read_config,
    show_skipped,
)
from atrc.cli._show import show_analysis, show_comparison
from searchspace.errors import InputError

if TYPE_CHECKING:
    from atrc.experiments import Checks
    from atrc.runs import RunDirectory

__all__: list[str] = []

TRAINING = "Train"

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        help=(
            "[cyan]single[/cyan] (one network per task), [cyan]multi[/cyan], [cyan]baselines[/cyan] (both), "
            "[cyan]all-global[/cyan], [cyan]all-local[/cyan], [cyan]all-t_label[/cyan], [cyan]all-s_label[/cyan], "
            "[cyan]all-none[/cyan], [cyan]single-TASK[/cyan], a distillation module ([cyan]cross_stitch[/cyan], "
            "[cyan]pap[/cyan], [cyan]psd[/cyan], [cyan]pad_a[/cyan], [cyan]pad_b[/cyan], [cyan]pad_c[/cyan]), "
            "a genotype file, or [cyan]consensus[/cyan] (in every block, the option that most finished searches of "
            "the experiment found). Repeat the option for several models."
        ),
    ),
]


@app.command(rich_help_panel=TRAINING)
def experiment(
    config: ConfigArgument,
    model: Models = None,
    override: OverrideOption = None,
    data: DataFolder = None,
    skip_bad: SkipBad = False,
    seeds: Seeds = None,
    out: ExperimentFolder = None,
    jobs: Jobs = None,
    formats: Formats = None,
    quiet: Quiet = False,
) -> None:
    """Run a whole experiment: search, retrain the found genotypes, train the baselines, and show the results.

    After an interruption, the same command goes on where it stopped.
    """
    chosen = figure_formats(formats)
    settings = read_config(config, override, seeds, data, skip_bad)
    from atrc.experiments import default_jobs, execute_experiment
    from atrc.runs import find_runs

    folder = experiment_folder(settings, out)
    execute_experiment(settings, folder, model or ["baselines"], jobs=jobs or default_jobs(settings), quiet=quiet)
    show_analysis([folder], folder / "analysis", formats=chosen, quiet=quiet)
    _show_skipped(find_runs([folder]))


@app.command(rich_help_panel=TRAINING)
def compare(
    config: ConfigArgument,
    override: OverrideOption = None,
    data: DataFolder = None,
    skip_bad: SkipBad = False,
    seeds: Seeds = None,
    out: ExperimentFolder = None,
    jobs: Jobs = None,
    unequal: Annotated[
        bool, typer.Option("--unequal", help="Rank strategies even if their budgets differ, with a warning.")
    ] = False,
    formats: Formats = None,
    quiet: Quiet = False,
) -> None:
    """Compare the strategies of the config's [cyan]compare[/cyan] section at the same budget.

    Runs the searches, trains the genotypes that each search named along its budget, and shows curves, a table and
    tests. After an interruption, the same command goes on where it stopped.
    """
    chosen = figure_formats(formats)
    settings = read_config(config, override, seeds, data, skip_bad)
    from atrc.experiments import Checks, default_jobs, execute_all
    from atrc.experiments.comparison import baselines, networks, searches
    from atrc.runs import find_runs

    folder = experiment_folder(settings, out)
    at_once = jobs or default_jobs(settings)
    checks = Checks()
    searched = searches(settings, folder, checks)
    execute_all([*searched, *baselines(settings, folder, checks)], jobs=at_once, quiet=quiet, checks=checks)
    execute_all(networks(settings, folder, searched, checks), jobs=at_once, quiet=quiet, checks=checks)
    show_comparison(settings, folder, formats=chosen, unequal=unequal)
    _show_skipped(find_runs([folder]))


@app.command(rich_help_panel=TRAINING)
def search(
    config: ConfigArgument,
    override: OverrideOption = None,
    data: DataFolder = None,
    skip_bad: SkipBad = False,
    seeds: Seeds = None,
    out: ExperimentFolder = None,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Search a genotype for every seed, and evaluate the supernet at the found genotype."""
    settings = read_config(config, override, seeds, data, skip_bad)
    from atrc.experiments import Checks, create_search

    checks = Checks()
    runs = create_search(settings, experiment_folder(settings, out), checks)
    _execute(runs, jobs, quiet, checks)
    if settings.tasks:  # otherwise there is nothing to train on
        console.print(f"Train the found genotypes:  atrc retrain {' '.join(str(run.path) for run in runs)}")


@app.command(rich_help_panel=TRAINING)
def train(
    config: ConfigArgument,
    model: Models = None,
    override: OverrideOption = None,
    data: DataFolder = None,
    skip_bad: SkipBad = False,
    seeds: Seeds = None,
    out: ExperimentFolder = None,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Train stand-alone networks: baselines, one context everywhere, a genotype file, a consensus of searches."""
    settings = read_config(config, override, seeds, data, skip_bad)
    from atrc.experiments import Checks, create_train

    checks = Checks()
    runs = create_train(settings, model or ["baselines"], experiment_folder(settings, out), checks)
    _execute(runs, jobs, quiet, checks)


@app.command(rich_help_panel=TRAINING)
def retrain(runs: RunsArgument, out: ExperimentFolder = None, jobs: Jobs = None, quiet: Quiet = False) -> None:
    """Train from scratch the genotypes that searches found."""
    from atrc.experiments import create_retrain
    from atrc.runs import find_searches

    _execute(create_retrain(find_searches(runs), out), jobs, quiet)


@app.command(rich_help_panel=TRAINING)
def resume(runs: RunsArgument, jobs: Jobs = None, quiet: Quiet = False) -> None:
    """Continue unfinished runs from their last checkpoint."""
    from atrc.runs import find_runs

    unfinished = [run for run in find_runs(runs) if not run.finished]
    if not unfinished:
        console.print("Nothing to do: every run there is finished.")
        return
    _execute(unfinished, jobs, quiet)


def _execute(runs: Sequence[RunDirectory], jobs: int | None, quiet: bool, checks: Checks | None = None) -> None:
    from atrc.experiments import execute_all

    execute_all(runs, jobs=jobs or _jobs_for_all(runs), quiet=quiet, checks=checks)
    console.print(results_table(runs))
    _show_skipped(runs)


def _jobs_for_all(runs: Sequence[RunDirectory]) -> int:
    """Returns the number of processes that the largest run allows. A config that fails here raises when it runs."""
    from atrc.experiments import default_jobs

    found = []
    for run in runs:
        with suppress(InputError):
            found.append(default_jobs(run.config))
    return min(found, default=1)


def _show_skipped(runs: Sequence[RunDirectory]) -> None:
    show_skipped(*(run.result().skipped for run in runs if run.finished))


def results_table(runs: Sequence[RunDirectory]) -> Table:
    """Returns a table with a row per finished run, and a column for the metric of every task."""
    from atrc.config import import_plugins
    from atrc.tasks import TASKS

    for run in runs:
        import_plugins(run.config)
    tasks = list(dict.fromkeys(task for run in runs for task in run.config.tasks))
    table = Table(box=None, pad_edge=False)
    table.add_column("run", overflow="fold")
    for task in tasks:
        kind = TASKS[task]
        table.add_column(f"{task}\n{kind.metric_name} {'↑' if kind.higher_is_better else '↓'}", justify="right")
    table.add_column("params\n(M)", justify="right")
    table.add_column("training\n(s)", justify="right")

    def millions(number: int | None) -> str:
        return "" if number is None else f"{number / 1e6:.3f}"

    for run in runs:
        result = run.result()
        cells = [f"{result.metrics[task]:.4g}" if task in result.metrics else "" for task in tasks]
        table.add_row(str(run.path), *cells, millions(result.parameters), f"{result.seconds:.0f}")
    return table
