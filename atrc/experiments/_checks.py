"""Early checks: raises for unusable configs, weights and data before the first step, and before a folder is made."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import torch

from atrc.config import NO_DATASET, Config, Named
from atrc.costs import MEASURES
from atrc.machine.devices import pick_device
from atrc.machine.stopping import Stop
from atrc.networks import RANDOM_WEIGHTS, build_backbone, lacks_weights
from atrc.setup import Setup
from atrc.trackers import check_trackers
from atrc.training.scoring import SCORERS, Scoring, build_scorer, needs_data
from searchspace import InputError
from strategies import STRATEGIES, MultiTrialStrategy, OneShotStrategy
from strategies._base import refuse_unsupported

__all__ = ["Checks"]


class Checks:
    """The checks of one experiment. Every config, its weights and its data are checked once."""

    def __init__(self) -> None:
        self._configs: list[Config] = []
        self._data: list[tuple[Named, list[str]]] = []

    def config(self, config: Config) -> None:
        """Checks a config: builds its tasks, augmentation, backbone and supernet, or its space alone without data.

        Raises:
            InputError: A part of the config does not exist, does not fit, or cannot be read.
        """
        if config in self._configs:
            return
        setup = Setup.of(config)
        check_trackers(config.trackers)
        pick_device(config.device)
        if config.dataset.name == NO_DATASET:
            self._without_data(config, setup)
            self._configs.append(config)
            return
        list(setup.tasks)  # built first, so that a wrong task is named before anything else
        setup.augmentation()
        backbone = build_backbone(config, report=lambda loaded: print(loaded.summary(), file=sys.stderr))
        backbone.grid(setup.info.size)  # raises if the backbone does not take images of this size
        if lacks_weights(config):
            print(f"config {config.name}: the backbone {config.backbone.name} {RANDOM_WEIGHTS}", file=sys.stderr)
        if needs_data("search", config):
            with torch.device("meta"):
                setup.supernet(pretrained=False)
        self._configs.append(config)

    @staticmethod
    def _without_data(config: Config, setup: Setup) -> None:
        """Refuses a search that cannot do without images."""
        name = config.strategy.name
        if issubclass(STRATEGIES[name], OneShotStrategy):
            raise InputError(
                f"strategy {name!r} trains a supernet on images, and config {config.name!r} has no dataset; choose a "
                "multi-trial strategy (atrc strategies), or give dataset and tasks"
            )
        if needs_data("search", config):
            scorer = config.trials.scorer.name
            raise InputError(
                f"trials.scorer {scorer!r} needs images, and config {config.name!r} has no dataset; set "
                "trials.scorer.name=table, or give dataset and tasks"
            )
        list(setup.space)  # builds it

    def strategy(self, config: Config) -> None:
        """Checks the strategy of a config by building it.

        Raises:
            InputError: A knob, the scorer or the cost is wrong, or the strategy cannot search the space.
        """
        setup = Setup.of(config)
        strategy = setup.strategy(0)
        if isinstance(strategy, MultiTrialStrategy):
            self._scorer(config, setup)
        if config.cost is not None:
            MEASURES[config.cost.measure]
        refuse_unsupported(strategy, ("score",) if config.cost is None else ("score", "cost"))
        stage = strategy.second_stage() if isinstance(strategy, OneShotStrategy) else None
        if stage is not None and config.trials.images is not None and config.search.seconds is None:
            genotypes = min(stage.trials, strategy.space.size)
            needed = genotypes * (config.trials.images + config.trials.recalibration)
            budget = config.search.steps * config.search.batch_size
            if needed + config.search.batch_size > budget:
                raise InputError(
                    f"a budget of {budget:,} images (search.steps x search.batch_size) is too small for strategy "
                    f"{strategy.name!r}: its second stage takes up to {needed:,} images, {config.trials.images} "
                    f"held-out and {config.trials.recalibration} training ones for each of {genotypes} genotypes"
                )

    @staticmethod
    def _scorer(config: Config, setup: Setup) -> None:
        """Builds a scorer that needs no data, which may read files of its own, or looks up the name of another."""
        if SCORERS[config.trials.scorer.name].needs_data:
            return
        build_scorer(Scoring.without_images(setup, seed=0, device=torch.device("cpu"), stop=Stop()))

    def data(self, configs: Iterable[Config]) -> None:
        """Opens the splits of configs, and so fills caches once for all runs.

        It should be the last check, since it may take minutes.

        Raises:
            InputError: A split cannot be read, or has no valid pixel of a task.
        """
        for config in configs:
            wanted = config.dataset, list(config.tasks)
            if wanted not in self._data:
                Setup.of(config).splits()
                self._data.append(wanted)
