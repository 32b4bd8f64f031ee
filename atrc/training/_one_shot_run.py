"""Runs of one-shot searches, which train one supernet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from atrc.costs import count_multiply_adds, count_parameters
from atrc.data import Batch, BatchLoader, Dataset, content_hashes, skipped_samples
from atrc.inference import evaluate_split
from atrc.machine.memory import peak_memory
from atrc.machine.stopping import Stop
from atrc.runs import Result, RunDirectory
from atrc.runs.checkpoint import latest, save_checkpoint
from atrc.runs.earlier import upgraded_search
from atrc.setup import Setup
from atrc.tasks import load_task_states, task_states
from atrc.training._search_run import ARCHITECTURE, METRICS, SearchRun, search_budget
from atrc.training._training_run import refuse_divergence
from atrc.training.learner import SearchLearner
from atrc.training.scoring import InheritedScorer, Scoring
from strategies import DataUse, Event, NothingNamed, OneShotStrategy, Search
from strategies._base import spawn_seed

__all__ = ["OneShotRun"]

_HELD_OUT = 4
"""Number that spawns the seed for the order of held-out images. The search itself spawns seeds of lower numbers."""


class OneShotRun(SearchRun):
    """The training of a supernet, and a second stage if the strategy has one."""

    def __init__(
        self,
        run: RunDirectory,
        setup: Setup,
        strategy: OneShotStrategy,
        device: torch.device,
        stop: Stop,
        bar: tqdm[Any],
    ) -> None:
        super().__init__(run, setup, device, stop, bar)
        config, training, seed = self.config, self.config.search, run.spec.seed
        # Initialisation and dropout draw from torch's global generator, which is seeded here and saved by the search.
        torch.manual_seed(seed)
        supernet = setup.supernet().to(device)
        self.strategy = strategy
        self.learner = SearchLearner(supernet, training, bfloat16=config.precision == "bfloat16")
        self.whole, self.validation = setup.splits()
        if latest(run.checkpoints) is None:
            setup.fit(self.whole)
        stage = strategy.second_stage()
        train, held_out = self.whole, None
        if strategy.data_use is not DataUse.SINGLE_LEVEL or stage is not None:
            train, held_out = setup.held_out(self.whole)
        self.scorer: InheritedScorer | None = None
        if stage is not None and held_out is not None:
            self.scorer = InheritedScorer(Scoring(setup, seed, device, train, held_out, stop), supernet)
        budget = search_budget(config)
        in_steps = budget.samples is not None and stage is None
        self.search = Search(
            strategy,
            supernet,
            self.learner.optimizer,
            train=self._batches(train, seed),
            held_out=None if held_out is None else self._batches(held_out, spawn_seed(seed, _HELD_OUT)),
            steps=training.steps if in_steps else None,
            budget=None if in_steps else budget,
            clip_norm=training.clip_norm,
            clip=training.clip,
            scheduler=self.learner.schedule,
            autocast=self.learner.autocast if config.precision == "bfloat16" else None,
            score=self.scorer,
            costs=setup.costs(device, self.whole.info.size),
            cost_weight=0.0 if config.cost is None else config.cost.weight,
            repeat=config.trials.repeat,
        )
        if self.search.budget.samples is not None:
            bar.total = self.search.budget.samples
        self._logged = 0
        self._last: dict[str, Any] = {}

    def _batches(self, dataset: Dataset, seed: int) -> _OnDevice:
        return _OnDevice(
            self.setup.batches(dataset, self.config.search, seed=seed, device=self.device),
            self.device,
        )

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "tasks": task_states(self.setup.tasks)}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        saved = upgraded_search(saved, self.strategy, self.config.search.batch_size)
        super().load_state_dict(saved)
        load_task_states(self.setup.tasks, saved["tasks"])
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
        """Writes the log lines of the last step, unless they are written already."""
        step, search = self._last["step"], self.search
        if step == self._logged:
            return
        self._logged = step
        loss = float(self._last["loss"])
        refuse_divergence(self.run, {"loss": loss}, step - 1, self.config.search.lr)
        lr = self.learner.optimizer.param_groups[-1]["lr"]
        spent = {"step": step, "seconds": round(search.seconds, 3)}
        self.run.append(METRICS, {**spent, "lr": lr, "loss": loss})
        report = {"step": step, "samples": search.samples, **self.strategy.report()}
        with suppress(NothingNamed):  # raised if only the second stage names a genotype
            report["genotype"] = dict(search.genotype())
        self.run.append(ARCHITECTURE, report)
        self.bar.set_postfix(loss=f"{loss:.3f}", refresh=False)

    def result(self, quiet: bool, position: int) -> Result:
        network, search = self.learner.network, self.search
        genotype = search.genotype()
        if self.scorer is not None:
            # The batch-norm statistics are those of the genotype that was scored last.
            self.scorer.recalibrate(genotype)
            save_checkpoint(self.run.checkpoints, self.state_dict())
        predictor = self.learner.predictor(genotype)
        metrics = evaluate_split(
            self.config, predictor, self.validation, stop=self.stop, quiet=quiet, position=position
        )
        return Result(
            metrics=metrics,
            steps=search.spent.steps,
            parameters=count_parameters(network) + self.strategy.num_parameters(),
            multiply_adds=count_multiply_adds(network.derive(genotype), self.whole.info.size),
            peak_memory=peak_memory(self.device),
            data={"train": content_hashes(self.whole), "val": content_hashes(self.validation)},
            skipped=skipped_samples(train=self.whole, val=self.validation),
            **self.spent(),
        )


@dataclass(frozen=True)
class _OnDevice:
    """Batches of a loader, on the device that computes."""

    loader: BatchLoader
    device: torch.device

    def iterate(self, start: int = 0) -> Iterator[Batch]:
        return (batch.to(self.device) for batch in self.loader.iterate(start))
