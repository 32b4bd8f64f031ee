"""Searches that score genotypes: every trial of a multi-trial strategy, and the last stage of some one-shot ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from atrc.build import build_network
from atrc.config import Config
from atrc.costs import network_costs
from atrc.data import skipped_samples
from atrc.network import SearchNetwork
from atrc.resources import count_multiply_adds, count_parameters
from atrc.runs import Result, RunDirectory
from atrc.training.checkpoint import latest, load_checkpoint, save_checkpoint
from atrc.training.memory import peak_memory
from atrc.training.scoring import SCORERS, Scorer, Setting, inherited_loss
from searchspace import CostModel, InputError
from strategies import MultiTrialStrategy, OneShotStrategy, Trial

__all__ = ["choose_finally", "execute_trials"]

TRIALS = "trials.jsonl"
SAVE_EVERY = 5.0
"""Seconds after which the end of a trial saves state: one that is looked up takes microseconds, a training longer."""


@dataclass
class Surcharge:
    """What scores are lowered by, for strategies that know one objective.

    Attributes:
        costs: Of genotypes; None where no cost counts.
        weight: What the range from the cheapest genotype to the most expensive one lowers a score by.
    """

    costs: CostModel | None = None
    weight: float = 0.0

    @classmethod
    def of(cls, config: Config, setting: Setting) -> Surcharge:
        """The config's."""
        if config.cost is None:
            return cls()
        costs = network_costs(config, dict(setting.tasks), setting.train.info.size, setting.device)
        return cls(costs, config.cost.weight)

    def tell(self, strategy: MultiTrialStrategy, trial: Trial, value: float) -> float:
        """Tells a strategy an outcome; returns the genotype's cost, 0 where none counts."""
        if self.costs is None:
            strategy.tell(trial, value)
            return 0.0
        cost = self.costs.of(trial.genotype)
        lower = 0.0 if strategy.multi_objective else self.weight * self.costs.share(strategy.space, trial.genotype)
        strategy.tell(trial, value - lower, cost)
        return cost


@dataclass
class _Spent:
    """How far a search by trials is."""

    trials: int = 0
    samples: int = 0
    seconds: float = 0.0


def execute_trials(
    run: RunDirectory,
    strategy: MultiTrialStrategy,
    setting: Callable[[Callable[[], Any]], Setting],
    *,
    quiet: bool,
    position: int,
) -> Result:
    """Asks, scores and tells until the budget of samples is spent; the trial that would exceed it is not made.

    State is saved between trials. A trial that was interrupted is made again from its beginning, with the same
    outcome.

    Args:
        run: A search.
        strategy: Newly built.
        setting: What scorers may use, given what is called after every training step.
        quiet: No progress bars.
        position: Line of the progress bar.
    """
    config = run.config
    budget = config.search.steps * config.search.batch_size
    bar = tqdm(
        total=budget,
        desc=f"{run.spec.model} seed {run.spec.seed}",
        unit="sample",
        disable=quiet,
        position=position,
        leave=position == 0,
        dynamic_ncols=True,
    )
    given = setting(lambda: bar.update(config.search.batch_size))
    options = config.trials.scorer.options
    scorer: Scorer = SCORERS.create(config.trials.scorer.name, options, given)
    surcharge = Surcharge.of(config, given)
    spent = _Spent()
    checkpoint = latest(run.checkpoints)
    if checkpoint is not None:
        saved = load_checkpoint(checkpoint)
        strategy.load_state_dict(saved["strategy"])
        spent = _Spent(**saved["spent"])
    run.rewind(spent.trials, TRIALS)

    def save() -> None:
        save_checkpoint(run.checkpoints, {"strategy": strategy.state_dict(), "spent": vars(spent)})

    saved_at = time.monotonic()
    with bar:
        while config.trials.number is None or spent.trials < config.trials.number:
            bar.n = spent.samples
            bar.refresh()
            trial = strategy.ask()
            if trial is None or spent.samples + scorer.samples(trial) > budget:
                break
            started = time.perf_counter()
            outcome = scorer.score(trial)
            spent.seconds += time.perf_counter() - started
            spent.samples += outcome.samples
            spent.trials += 1
            cost = surcharge.tell(strategy, trial, outcome.value)
            _log(run, TRIALS, spent, trial, outcome.value, cost)
            bar.set_postfix(best=f"{max(told.score for told in strategy.history):.3f}", refresh=False)
            if given.stop.requested or time.monotonic() - saved_at > SAVE_EVERY:
                save()
                saved_at = time.monotonic()
            given.check_stop()
    save()
    if not spent.trials:
        raise InputError(
            f"{run.path}: a budget of {budget} images does not allow one trial of {config.trials.steps} steps"
        )
    genotype = strategy.space.canonical(strategy.genotype())
    run.write_genotype(genotype)
    network = build_network(config, given.tasks, "found", genotype, pretrained=False)
    result = Result(
        metrics={},
        steps=spent.trials,
        samples=spent.samples,
        seconds=round(spent.seconds, 3),
        parameters=count_parameters(network),
        multiply_adds=count_multiply_adds(network, given.train.info.size),
        peak_memory=peak_memory(given.device),
        skipped=skipped_samples(train=given.train),
    )
    run.write_result(result)
    return result


def _log(run: RunDirectory, name: str, spent: _Spent, trial: Trial, score: float, cost: float) -> None:
    run.append(
        name,
        {
            "step": spent.trials,
            "samples": spent.samples,
            "seconds": round(spent.seconds, 3),
            "number": trial.number,
            "budget": trial.budget,
            "score": score,
            "cost": cost,
            "genotype": dict(trial.genotype),
        },
    )


def choose_finally(
    run: RunDirectory,
    strategy: OneShotStrategy,
    network: SearchNetwork,
    setting: Setting,
    *,
    quiet: bool,
    position: int,
) -> None:
    """The last stage of a one-shot strategy: scores genotypes with the weights that it has trained.

    It costs no training sample. It is made again from the beginning if it is interrupted, with the same outcome.
    """
    final = strategy.final
    assert final is not None
    config = run.config
    surcharge = Surcharge.of(config, setting)
    run.rewind(0, TRIALS)
    spent, started = _Spent(), time.perf_counter()
    for _ in tqdm(
        range(strategy.final_trials), desc="choose", unit="genotype", disable=quiet, position=position, leave=False
    ):
        trial = final.ask()
        if trial is None:
            break
        value = -inherited_loss(network, trial.genotype, setting)
        cost = surcharge.tell(final, trial, value)
        spent.trials, spent.seconds = spent.trials + 1, time.perf_counter() - started
        _log(run, TRIALS, spent, trial, value, cost)
    inherited_loss(network, final.genotype(), setting)  # leaves the statistics of what was chosen
