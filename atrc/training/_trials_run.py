"""Runs of multi-trial searches, which score genotypes one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from tqdm import tqdm

from atrc.config import NO_DATASET
from atrc.costs import count_multiply_adds, count_parameters
from atrc.data import content_hashes, skipped_samples
from atrc.machine.memory import peak_memory
from atrc.machine.stopping import Stop
from atrc.runs import Result, RunDirectory
from atrc.runs.earlier import upgraded_trials
from atrc.setup import Setup
from atrc.supernets import SUPERNETS
from atrc.training._search_run import SearchRun, search_budget
from atrc.training._trial_processes import TrialProcesses
from atrc.training.scoring import Scorer, Scoring, build_scorer
from searchspace import Genotype, best_fit
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
        scorer: Any = build_scorer(scoring)
        self.scorer: Scorer = scorer
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
        counts, whole = self._counts(self.search.genotype()), self.scorer.scoring.whole
        return Result(
            metrics={},
            steps=self.search.spent.trials,
            parameters=counts.get("parameters"),
            multiply_adds=counts.get("multiply_adds"),
            peak_memory=peak_memory(self.device),
            data={} if whole is None else {"train": content_hashes(whole)},
            skipped={} if whole is None else skipped_samples(train=whole),
            **self.spent(),
        )

    def _counts(self, genotype: Genotype) -> Mapping[str, int]:
        """Returns what is known of the network of a genotype: there is none without a dataset, or of some spaces."""
        setup = self.setup
        if self.config.dataset.name == NO_DATASET or best_fit(SUPERNETS, setup.space) is None:
            return self.scorer.counts(genotype)
        network: Any = setup.network("found", genotype, pretrained=False)
        return {
            "parameters": count_parameters(network),
            "multiply_adds": count_multiply_adds(network, setup.info.size),
        }
