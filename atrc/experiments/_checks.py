"""Refusing early: what a run could not use shows before the first step, and before a folder is made."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import torch

from atrc.config import Config, Named
from atrc.costs import MEASURES
from atrc.machine.devices import pick_device
from atrc.networks import RANDOM_WEIGHTS, build_backbone, lacks_weights
from atrc.setup import Setup
from atrc.trackers import check_trackers
from atrc.training.scoring import SCORERS
from searchspace import InputError
from strategies import MultiTrialStrategy, OneShotStrategy
from strategies._base import refuse_unsupported

__all__ = ["Checks"]


class Checks:
    """The checks of one experiment, which look at every config, its weights and its data once."""

    def __init__(self) -> None:
        self._configs: list[Config] = []
        self._data: list[tuple[Named, list[str]]] = []

    def config(self, config: Config) -> None:
        """Builds the networks of a config.

        Raises:
            InputError: Something in it does not exist, does not fit, or cannot be read.
        """
        if config in self._configs:
            return
        setup = Setup.of(config)
        check_trackers(config.trackers)
        pick_device(config.device)
        setup.tasks  # noqa: B018 - built here, so that a wrong one is named first
        setup.augmentation()
        backbone = build_backbone(config, report=lambda loaded: print(loaded.summary(), file=sys.stderr))
        backbone.grid(setup.info.size)  # says so where it takes no images of this size
        if lacks_weights(config):
            print(f"config {config.name}: the backbone {config.backbone.name} {RANDOM_WEIGHTS}", file=sys.stderr)
        with torch.device("meta"):
            setup.supernet(pretrained=False)
        self._configs.append(config)

    def strategy(self, config: Config) -> None:
        """Builds the strategy of a config.

        Raises:
            InputError: A wrong knob, scorer or cost, or a strategy that cannot search the space.
        """
        strategy = Setup.of(config).strategy(0)
        if isinstance(strategy, MultiTrialStrategy):
            SCORERS[config.trials.scorer.name]
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

    def data(self, configs: Iterable[Config]) -> None:
        """Opens the splits of configs: what a first use prepares then serves all runs.

        It comes last of what is checked, since it may take minutes.

        Raises:
            InputError: A split cannot be read, or has no valid pixel of a task.
        """
        for config in configs:
            wanted = config.dataset, list(config.tasks)
            if wanted not in self._data:
                Setup.of(config).splits()
                self._data.append(wanted)
