"""A trained run in use: its network, and its metrics on a split."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from tqdm import tqdm

from atrc.build import (
    build_network,
    build_search_network,
    build_space,
    build_tasks,
    describe_dataset,
    import_plugins,
)
from atrc.config import Config
from atrc.data import Batch, Dataset, eval_transform, evaluation_batches
from atrc.machine.stopping import Interrupted, Stop
from atrc.runs import RunDirectory
from atrc.runs.checkpoint import latest, load_checkpoint
from atrc.training._earlier import upgraded_search
from atrc.training.evaluation import evaluate
from atrc.training.learner import Learner, SearchLearner, WeightLearner
from atrc.training.prediction_files import PredictionFiles
from searchspace import InputError
from strategies import STRATEGIES, MultiTrialStrategy, OneShotStrategy, build_strategy

__all__ = [
    "NoNetwork",
    "build_run_strategy",
    "build_search_learner",
    "build_weight_learner",
    "evaluate_split",
    "fitting",
    "load_learner",
]


class NoNetwork(InputError):
    """A run that has no trained network: a search by trials, or one without a checkpoint yet."""


def build_run_strategy(run: RunDirectory) -> OneShotStrategy | MultiTrialStrategy | None:
    """The strategy of a search, which is of one of the two kinds; None for any other run."""
    if run.spec.kind != "search":
        return None
    name, knobs = run.config.strategy.name, run.config.strategy.options
    if "storage" in inspect.signature(STRATEGIES[name]).parameters:
        knobs.setdefault("distinct", not run.config.trials.repeat)
        if knobs.get("storage") is None:
            # A study that the user puts nowhere lies in the run.
            knobs |= {"storage": f"sqlite:///{run.path.resolve() / 'study.db'}", "shared": False}
        elif knobs.get("study") is None:
            study = f"{run.config.name}-{run.spec.model}-{name}-seed{run.spec.seed}"
            knobs |= {"study": study, "join": False}
    strategy = build_strategy(name, build_space(run.config), seed=run.spec.seed, knobs=knobs)
    assert isinstance(strategy, OneShotStrategy | MultiTrialStrategy)
    return strategy


def build_weight_learner(run: RunDirectory, device: torch.device, *, pretrained: bool = True) -> WeightLearner:
    """The network of a training run, newly initialised."""
    config = run.config
    tasks = build_tasks(config, describe_dataset(config))
    network = build_network(config, tasks, run.spec.model, run.genotype(), pretrained=pretrained).to(device)
    return WeightLearner(network, config.train, autocast=config.precision == "bfloat16")


def build_search_learner(
    run: RunDirectory, strategy: OneShotStrategy, device: torch.device, *, pretrained: bool = True
) -> SearchLearner:
    """The supernet of a search, newly initialised."""
    config = run.config
    supernet = build_search_network(config, build_tasks(config, describe_dataset(config)), pretrained=pretrained)
    return SearchLearner(supernet.to(device), strategy, config.search, autocast=config.precision == "bfloat16")


def load_learner(run: RunDirectory, device: torch.device) -> Learner:
    """The trained network of a run, in evaluation mode.

    Raises:
        NoNetwork: The run is a search by trials, or has no checkpoint yet.
        InputError: Its checkpoint is damaged.
    """
    import_plugins(run.config)
    strategy = build_run_strategy(run)
    if isinstance(strategy, MultiTrialStrategy):
        raise NoNetwork(f"run {run.path} is a search by trials, which keeps no network: train what it found")
    checkpoint = latest(run.checkpoints)
    if checkpoint is None:
        raise NoNetwork(f"run {run.path} has no checkpoint yet; start it with: atrc resume {run.path}")
    saved = load_checkpoint(checkpoint)
    learner: Learner
    if strategy is None:
        learner = trained = build_weight_learner(run, device, pretrained=False)
        with fitting(checkpoint):
            trained.load_state_dict(saved["learner"])
    else:
        learner = searched = build_search_learner(run, strategy, device, pretrained=False)
        with fitting(checkpoint):
            content = upgraded_search(saved, strategy, run.config.search.batch_size)
            searched.network.load_state_dict(content["search"]["training"]["supernet"])
            strategy.load_state_dict(content["search"]["strategy"])
            searched.load_task_state(content["tasks"])
    learner.network.eval()
    return learner


@contextmanager
def fitting(checkpoint: Path) -> Iterator[None]:
    """Within it the content of a checkpoint is loaded into what a run's config makes.

    Raises:
        InputError: It is of other networks than this version builds.
    """
    try:
        yield
    except (RuntimeError, KeyError, ValueError, TypeError) as error:  # what torch raises where names or shapes differ
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{checkpoint} does not fit what its run's config makes in this version: {reason}") from None


def evaluate_split(
    config: Config,
    learner: Learner,
    split: Dataset,
    device: torch.device,
    *,
    save_predictions: Path | None = None,
    stop: Stop | None = None,
    quiet: bool = False,
    position: int = 0,
) -> dict[str, float]:
    """Metrics of a learner on a split.

    Args:
        config: Says how many images at a time, and by how many processes they are prepared.
        learner: What is measured.
        split: With the labels of all its tasks.
        device: Where the learner computes.
        save_predictions: The folder where every decoded map is written, see `PredictionFiles`; None writes none.
        stop: Asks for an early end.
        quiet: No progress bar.
        position: Line of the progress bar, where several runs share a screen.

    Raises:
        InputError: A sample cannot be read, or a prediction cannot be written.
        Interrupted: ``stop`` was requested.
    """
    save = None if save_predictions is None else PredictionFiles(save_predictions, learner.tasks)
    batches = evaluation_batches(
        split,
        learner.tasks,
        eval_transform(split.info.size),
        batch_size=config.evaluate_batch,
        workers=config.workers,
    )
    total = -(-len(split) // config.evaluate_batch)

    def watched() -> Iterator[Batch]:
        for batch in tqdm(
            batches, total=total, desc="evaluate", unit="batch", disable=quiet, position=position, leave=False
        ):
            if stop is not None and stop.requested:
                raise Interrupted("stopped during evaluation; a resumed run starts it again")
            yield batch

    learner.network.eval()
    return evaluate(learner.predict, watched(), learner.tasks, device, save=save)
