"""Runs of multi-trial searches, which score genotypes one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from tqdm import tqdm

from atrc.costs import count_multiply_adds, count_parameters
from atrc.data import content_hashes, skipped_samples
from atrc.machine.memory import peak_memory
from atrc.machine.stopping import Stop
from atrc.runs import Result, RunDirectory
from atrc.runs.earlier import upgraded_trials
from atrc.setup import Setup
from atrc.training._search_run import SearchRun, search_budget
from atrc.training._trial_processes import TrialProcesses
from atrc.training.scoring import Scoring, build_scorer
from strategies import Budget, Event, MultiTrialStrategy, Search

__all__ = ["TrialsRun"]


class TrialsRun(SearchRun):
    """A search by trials of genotypes, each scored by itself."""

    def __init__(
        self,
        run: RunDirectory,
        setup: Setup,
        strategy: MultiTrialStrategy,
        device: torch.device,
        stop: Stop,
        bar: tqdm[Any],
        jobs: int,
    ) -> None:
        super().__init__(run, setup, device, stop, bar)
        config = self.config
        batch = config.search.batch_size
        scoring = Scoring.for_search(
            setup, seed=run.spec.seed, device=device, stop=stop, tick=lambda: bar.update(batch)
        )
        self.whole = scoring.whole
        scorer: Any = build_scorer(scoring)
        if jobs > 1 and config.trials.in_flight > 1:
            scorer = self.workers = TrialProcesses(scorer, run.path, min(jobs, config.trials.in_flight), stop)
        budget = search_budget(config)
        self.search = Search(
            strategy,
            score=scorer,
            budget=Budget(samples=budget.samples, seconds=budget.seconds, trials=config.trials.number),
            costs=setup.costs(device),
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
        parameters = multiply_adds = 0
        if self.config.tasks:
            network: Any = self.setup.network("found", search.genotype(), pretrained=False)
            parameters = count_parameters(network)
            multiply_adds = count_multiply_adds(network, self.setup.info.size)
        splits = {} if self.whole is None else {"train": self.whole}
        return Result(
            metrics={},
            steps=search.spent.trials,
            parameters=parameters,
            multiply_adds=multiply_adds,
            peak_memory=peak_memory(self.device),
            data={name: content_hashes(split) for name, split in splits.items()},
            skipped=skipped_samples(**splits),
            **self.spent(),
        )
