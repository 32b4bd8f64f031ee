"""Executing a run that searches: builds a `strategies.Search` from the run's config, and keeps what happens in it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from atrc.build import build_network, build_tasks, describe_dataset, fit_tasks, open_splits, open_train
from atrc.config import Config
from atrc.costs import network_costs
from atrc.data import Batch, BatchLoader, Dataset, content_hashes, hold_out, skipped_samples
from atrc.data.labelled import refuse_unlabelled
from atrc.machine.memory import peak_memory
from atrc.machine.stopping import Interrupted, Stop, stop_requests
from atrc.measures import MEASURES
from atrc.resources import count_multiply_adds, count_parameters
from atrc.runs import Result, RunDirectory
from atrc.runs.checkpoint import decisive, latest, load_checkpoint, refuse_other_config, save_checkpoint
from atrc.tasks import Task
from atrc.training._earlier import upgraded_search, upgraded_trials
from atrc.training._open import build_search_learner, evaluate_split, fitting
from atrc.training._training_run import refuse_divergence
from atrc.training._trial_processes import TrialProcesses
from atrc.training.augmentation import training_transform
from atrc.training.scoring import SCORERS, InheritedScorer, Scorer, Setting
from searchspace import CostModel
from strategies import (
    Budget,
    DataUse,
    Event,
    MultiTrialStrategy,
    NothingNamed,
    OneShotStrategy,
    Search,
    ToldEvent,
)
from strategies._base import spawn_seed

__all__ = ["execute_search", "search_budget"]

METRICS, ARCHITECTURE, TRIALS = "metrics.jsonl", "architecture.jsonl", "trials.jsonl"
SAVE_EVERY = 5.0
"""Least seconds between checkpoints after trials: looking one up in a table takes microseconds, a training longer."""
_HELD_OUT = 4
"""The held-out images have an order of their own: this spawns its seed. (The search spawns lower ones.)"""


def search_budget(config: Config) -> Budget:
    """What the config allows a search that is counted in images, or in seconds."""
    if config.search.seconds is not None:
        return Budget(seconds=config.search.seconds)
    return Budget(samples=config.search.steps * config.search.batch_size)


def execute_search(
    run: RunDirectory,
    strategy: OneShotStrategy | MultiTrialStrategy,
    device: torch.device,
    *,
    quiet: bool,
    position: int,
    jobs: int,
) -> Result:
    """Searches to the end, from the newest checkpoint if there is one; see `atrc.training.execute`."""
    with stop_requests(insist=True) as stop, _bar(run, quiet, position) as bar:
        if isinstance(strategy, OneShotStrategy):
            found: _SearchRun = _OneShotRun(run, strategy, device, stop, bar)
        else:
            found = _TrialsRun(run, strategy, device, stop, bar, jobs)
        _drive(found, stop)
        bar.close()
        run.write_genotype(strategy.space.canonical(found.search.genotype()))
        result = found.result(quiet, position)
    run.write_result(result)
    return result


def _bar(run: RunDirectory, quiet: bool, position: int) -> tqdm[Any]:
    budget = search_budget(run.config)
    in_seconds = budget.seconds is not None
    return tqdm(
        total=budget.seconds if in_seconds else budget.samples,
        desc=f"{run.spec.model} seed {run.spec.seed}",
        unit="s" if in_seconds else "image",
        disable=quiet,
        position=position,
        leave=position == 0,
        dynamic_ncols=True,
    )


class _SearchRun:
    """A search with what it is made from; a subclass builds both and says what came out."""

    search: Search
    workers: AbstractContextManager[Any] = nullcontext()

    def __init__(self, run: RunDirectory, device: torch.device, stop: Stop, bar: tqdm[Any]) -> None:
        self.run, self.device, self.stop, self.bar = run, device, stop, bar
        self.config = run.config
        self.tasks: Mapping[str, Task] = {}

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return {"search": self.search.state_dict(), "config": decisive(self.config)}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Continues from a checkpoint."""
        self.search.load_state_dict(saved["search"])

    def note(self, event: Event) -> bool:
        """Logs an event; whether state is worth saving after it."""
        raise NotImplementedError

    def result(self, quiet: bool, position: int) -> Result:
        """What came out of the finished search."""
        raise NotImplementedError

    def log_trial(self, event: ToldEvent) -> None:
        """A line of trials.jsonl."""
        spent = self.search.spent
        self.run.append(
            TRIALS,
            {
                "step": spent.trials,
                "samples": spent.samples,
                "seconds": round(spent.seconds, 3),
                "number": event.trial.number,
                "budget": event.trial.budget,
                "score": event.score,
                "value": event.value,
                "cost": event.cost,
                "repeated": event.repeated,
                "genotype": dict(event.trial.genotype),
                "named": None if event.named is None else dict(event.named),
                **({"metrics": dict(event.metrics)} if event.metrics else {}),
            },
        )

    def show(self) -> None:
        """Brings the bar to what is spent."""
        in_seconds = self.search.budget.seconds is not None
        self.bar.update((round(self.search.seconds, 1) if in_seconds else self.search.samples) - self.bar.n)


def _drive(found: _SearchRun, stop: Stop) -> None:
    """Runs the search to its end; state is saved now and then, and when somebody asks to stop."""
    run, search = found.run, found.search
    checkpoint = latest(run.checkpoints)
    if checkpoint is not None:
        saved = load_checkpoint(checkpoint)
        refuse_other_config(saved, run.config, run.path)
        with fitting(checkpoint):
            found.load_state_dict(saved)
    run.rewind(search.spent.steps, METRICS, ARCHITECTURE)
    run.rewind(search.spent.trials, TRIALS)
    found.show()
    saved_at = time.monotonic()
    with found.workers:
        for event in search:
            due = found.note(event)
            # A trial of a search that does not repeat cannot be made again: its line in the log stands for good.
            waited = time.monotonic() - saved_at > SAVE_EVERY or not search.repeatable
            if due or (event.kind == "told" and waited) or stop.requested:
                save_checkpoint(run.checkpoints, found.state_dict())
                saved_at = time.monotonic()
            if stop.requested and event.kind != "stage":
                spent = f"{search.samples:,} images in {search.seconds:.0f} s"
                raise Interrupted(f"stopped after {spent}; continue: atrc resume {run.path}")


class _OneShotRun(_SearchRun):
    """The training of a supernet, and a second stage where the strategy has one."""

    def __init__(
        self, run: RunDirectory, strategy: OneShotStrategy, device: torch.device, stop: Stop, bar: tqdm[Any]
    ) -> None:
        super().__init__(run, device, stop, bar)
        config, training = self.config, self.config.search
        # Initialisation and dropout draw from torch's global generator, which is seeded here and saved by the search.
        torch.manual_seed(run.spec.seed)
        self.learner = build_search_learner(run, strategy, device)
        self.tasks = self.learner.tasks
        self.whole, self.validation = open_splits(config, self.tasks)
        if latest(run.checkpoints) is None:
            fit_tasks(self.tasks, self.whole)
        stage = strategy.second_stage()
        train, held_out = self.whole, None
        if strategy.data_use is not DataUse.SINGLE_LEVEL or stage is not None:
            train, held_out = _held_out(config, self.whole, self.tasks)
        self.scorer: InheritedScorer | None = None
        if stage is not None and held_out is not None:
            setting = Setting(config, run.spec.seed, device, self.tasks, train, held_out, stop)
            self.scorer = InheritedScorer(setting, self.learner.network)
        budget = search_budget(config)
        in_steps = budget.samples is not None and stage is None
        self.search = Search(
            strategy,
            self.learner.network,
            self.learner.optimizer,
            train=self._batches(train, run.spec.seed),
            held_out=None if held_out is None else self._batches(held_out, spawn_seed(run.spec.seed, _HELD_OUT)),
            steps=training.steps if in_steps else None,
            budget=None if in_steps else budget,
            clip_norm=training.clip_norm,
            clip=training.clip,
            scheduler=self.learner.schedule,
            autocast=self.learner.autocast if config.precision == "bfloat16" else None,
            score=self.scorer,
            costs=self._costs(),
            cost_weight=0.0 if config.cost is None else config.cost.weight,
            repeat=config.trials.repeat,
        )
        if self.search.budget.samples is not None:
            bar.total = self.search.budget.samples
        self._logged = 0
        self._last: dict[str, Any] = {}

    def _batches(self, dataset: Dataset, seed: int) -> _OnDevice:
        config = self.config
        loader = BatchLoader(
            dataset,
            self.tasks,
            training_transform(config.augmentation, dataset.info),
            batch_size=config.search.batch_size,
            seed=seed,
            workers=config.workers,
            pin=self.device.type == "cuda",
        )
        return _OnDevice(loader, self.device)

    def _costs(self) -> CostModel | None:
        if self.config.cost is None:
            return None
        measure = MEASURES.create(self.config.cost.measure, {})
        return self.learner.network.costs(measure, self.whole.info.size, self.device)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "tasks": self.learner.task_state()}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        saved = upgraded_search(saved, self.learner.strategy, self.config.search.batch_size)
        super().load_state_dict(saved)
        self.learner.load_task_state(saved["tasks"])
        self._logged = self.search.spent.steps

    def note(self, event: Event) -> bool:
        config, search = self.config, self.search
        self.show()
        if event.kind == "step":
            self._last = {"step": event.step, "loss": event.loss}
            if event.step % config.log_every == 0:
                self._log_step()
            return event.step % config.checkpoint_every == 0
        if event.kind == "told":
            self.log_trial(event)
        if event.kind == "stage" and self._last:
            self._log_step()
        return event.kind == "stage" and search.spent.steps > 0

    def _log_step(self) -> None:
        """Lines of the last step, unless they are there."""
        step, search = self._last["step"], self.search
        if step == self._logged:
            return
        self._logged = step
        loss = float(self._last["loss"])
        refuse_divergence(self.run, {"loss": loss}, step - 1, self.config.search.lr)
        lr = self.learner.optimizer.param_groups[-1]["lr"]
        spent = {"step": step, "seconds": round(search.seconds, 3)}
        self.run.append(METRICS, {**spent, "lr": lr, "loss": loss})
        report = {"step": step, "samples": search.samples, **self.learner.strategy.report()}
        with suppress(NothingNamed):  # where it is the second stage that names one
            report["genotype"] = dict(search.genotype())
        self.run.append(ARCHITECTURE, report)
        self.bar.set_postfix(loss=f"{loss:.3f}", refresh=False)

    def result(self, quiet: bool, position: int) -> Result:
        network, search = self.learner.network, self.search
        genotype = search.genotype()
        if self.scorer is not None:
            self.scorer.recalibrate(genotype)  # the statistics of what was found, not of what was scored last
            save_checkpoint(self.run.checkpoints, self.state_dict())
        metrics = evaluate_split(
            self.config, self.learner, self.validation, self.device, stop=self.stop, quiet=quiet, position=position
        )
        return Result(
            metrics=metrics,
            steps=search.spent.steps,
            parameters=count_parameters(network) + self.learner.strategy.num_parameters(),
            multiply_adds=count_multiply_adds(network.derive(genotype), self.whole.info.size),
            peak_memory=peak_memory(self.device),
            data={"train": content_hashes(self.whole), "val": content_hashes(self.validation)},
            skipped=skipped_samples(train=self.whole, val=self.validation),
            **_spent(search),
        )


class _TrialsRun(_SearchRun):
    """Trials of genotypes, each scored by itself."""

    def __init__(
        self,
        run: RunDirectory,
        strategy: MultiTrialStrategy,
        device: torch.device,
        stop: Stop,
        bar: tqdm[Any],
        jobs: int,
    ) -> None:
        super().__init__(run, device, stop, bar)
        config = self.config
        given = trial_setting(run, device, stop, lambda: bar.update(config.search.batch_size))
        self.tasks, self.train = given.tasks, given.train
        scorer: Any = build_scorer(given)
        if jobs > 1 and config.trials.in_flight > 1:
            scorer = self.workers = TrialProcesses(scorer, run.path, jobs, stop)
        budget = search_budget(config)
        costs = None
        if config.cost is not None:
            costs = network_costs(config, dict(self.tasks), self.train.info.size, device)
        self.search = Search(
            strategy,
            score=scorer,
            budget=Budget(samples=budget.samples, seconds=budget.seconds, trials=config.trials.number),
            costs=costs,
            cost_weight=0.0 if config.cost is None else config.cost.weight,
            repeat=config.trials.repeat,
            in_flight=config.trials.in_flight,
            told=config.trials.told,
        )

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        super().load_state_dict(upgraded_trials(saved))

    def note(self, event: Event) -> bool:
        if event.kind == "told":
            self.log_trial(event)
            self.show()
        return event.kind == "stage" and event.stage == "end"

    def result(self, quiet: bool, position: int) -> Result:
        search = self.search
        network = build_network(self.config, self.tasks, "found", search.genotype(), pretrained=False)
        return Result(
            metrics={},
            steps=search.spent.trials,
            parameters=count_parameters(network),
            multiply_adds=count_multiply_adds(network, self.train.info.size),
            peak_memory=peak_memory(self.device),
            data={"train": content_hashes(open_train(self.config, self.tasks))},
            skipped=skipped_samples(train=self.train),
            **_spent(search),
        )


def trial_setting(run: RunDirectory, device: torch.device, stop: Stop, tick: Any = lambda: None) -> Setting:
    """What the scorers of a search by trials may use."""
    config = run.config
    tasks = build_tasks(config, describe_dataset(config))
    whole = open_train(config, tasks)
    fit_tasks(tasks, whole)
    train, held_out = _held_out(config, whole, tasks)
    return Setting(config, run.spec.seed, device, tasks, train, held_out, stop, tick)


def _held_out(config: Config, whole: Dataset, tasks: Mapping[str, Task]) -> tuple[Dataset, Dataset]:
    """The training images that weights learn from, and the others; each has labels of every task."""
    train, held_out = hold_out(whole, config.held_out)
    refuse_unlabelled(train, tasks, "train, without what is held out")
    refuse_unlabelled(held_out, tasks, "train, held out")
    return train, held_out


def build_scorer(setting: Setting) -> Scorer:
    """The config's scorer."""
    named = setting.config.trials.scorer
    scorer: Scorer = SCORERS.create(named.name, named.options, setting)
    return scorer


def _spent(search: Search) -> dict[str, Any]:
    """What a result says of the search itself."""
    return {
        "samples": search.samples,
        "seconds": round(search.seconds, 3),
        "trials": search.spent.trials,
        "genotypes": search.genotypes,
        "ended": search.ended,
        "repeatable": search.repeatable,
    }


@dataclass(frozen=True)
class _OnDevice:
    """Batches of a loader, on the device that computes."""

    loader: BatchLoader
    device: torch.device

    def iterate(self, start: int = 0) -> Iterator[Batch]:
        return (batch.to(self.device) for batch in self.loader.iterate(start))
