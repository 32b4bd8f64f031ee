"""Executing a run: from its directory to its result, from wherever it was left.

A run is defined by its directory alone, so a new run, a resumed one and one that was killed take the same path. On a
CPU the result is the same to the last bit however often it was interrupted: the state covers weights, optimiser,
strategy and random generators, and the data order follows from the seed and the step.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from atrc.build import (
    build_dataset,
    build_network,
    build_search_network,
    build_space,
    build_tasks,
    describe_dataset,
    fit_tasks,
    import_plugins,
)
from atrc.config import Config, Training
from atrc.data import (
    Batch,
    BatchLoader,
    Dataset,
    eval_transform,
    evaluation_batches,
    hold_out,
    skipped_samples,
)
from atrc.measures import MEASURES
from atrc.network import MultiTaskNetwork, SearchNetwork
from atrc.resources import count_multiply_adds, count_parameters
from atrc.runs import Result, RunDirectory
from atrc.trackers import tracked
from atrc.training.allocator import keep_memory
from atrc.training.augmentation import training_transform
from atrc.training.checkpoint import latest, load_checkpoint, save_checkpoint
from atrc.training.evaluation import evaluate
from atrc.training.learner import Learner, SearchLearner, WeightLearner
from atrc.training.memory import peak_memory, reset_peak_memory
from atrc.training.prediction_files import PredictionFiles
from atrc.training.scoring import Setting
from atrc.training.stopping import Interrupted, Stop, stop_requests
from atrc.training.trials import choose_finally, execute_trials
from searchspace import InputError
from strategies import STRATEGIES, DataUse, MultiTrialStrategy, OneShotStrategy, build_strategy

__all__ = ["evaluate_split", "execute", "load_learner", "pick_device"]


def execute(run: RunDirectory, *, quiet: bool = False, position: int = 0) -> Result:
    """Runs to the end, starting from the newest checkpoint if there is one.

    Args:
        run: A finished run gives its result at once.
        quiet: No progress bars.
        position: Line of the progress bar, where several runs share a screen.

    Raises:
        Interrupted: SIGINT or SIGTERM came; a checkpoint was written.
        InputError: The config names something that does not exist or does not fit.
    """
    if run.finished:
        return run.result()
    keep_memory()
    import_plugins(run.config)
    with tracked(run):
        return _execute(run, quiet=quiet, position=position)


def _execute(run: RunDirectory, *, quiet: bool, position: int) -> Result:
    config = run.config
    device = pick_device(config.device)
    reset_peak_memory(device)
    strategy = _build_strategy(run)
    if isinstance(strategy, MultiTrialStrategy):
        return _execute_trials(run, strategy, device, quiet=quiet, position=position)
    # Initialisation and dropout draw from torch's global generator, which is seeded here and saved in checkpoints.
    torch.manual_seed(run.spec.seed)
    learner, training = _build_learner(run, strategy, device)
    # both, so that a split that cannot be read is found before the training and not after it
    whole, validation = (build_dataset(config, split, learner.tasks) for split in ("train", "val"))
    train, held_out = whole, None
    if learner.data_use is not DataUse.SINGLE_LEVEL or (strategy is not None and strategy.final is not None):
        train, held_out = hold_out(whole, config.held_out)
    loaders = [
        BatchLoader(
            part,
            learner.tasks,
            training_transform(config.augmentation, whole.info.size),
            batch_size=training.batch_size,
            seed=run.spec.seed,
            workers=config.workers,
            pin=device.type == "cuda",
        )
        for part in (train, held_out)[: learner.data_use.batches]
        if part is not None
    ]
    if config.cost is not None and isinstance(learner, SearchLearner):
        measure = MEASURES.create(config.cost.measure, {})
        learner.strategy.charge(learner.network.costs(measure, whole.info.size, device), config.cost.weight)
    state = _State()
    checkpoint = latest(run.checkpoints)
    if checkpoint is None:
        fit_tasks(learner.tasks, whole)
    else:
        _restore(_load_state(learner, checkpoint), learner, state)
    run.rewind(state.step, "metrics.jsonl", "architecture.jsonl")
    with stop_requests(insist=True) as stop:
        _train(run, learner, training, loaders, state, stop, device, quiet=quiet, position=position)
        if isinstance(learner, SearchLearner) and held_out is not None and _must_choose(learner.strategy):
            setting = Setting(config, run.spec.seed, device, learner.tasks, train, held_out, stop)
            choose_finally(run, learner.strategy, learner.network, setting, quiet=quiet, position=position)
            save_checkpoint(run.checkpoints, _all_state(learner, state))
        metrics = evaluate_split(config, learner, validation, device, stop=stop, quiet=quiet, position=position)
    genotype = learner.genotype()
    if genotype is not None:
        run.write_genotype(build_space(config).canonical(genotype))
    result = Result(
        metrics=metrics,
        steps=training.steps,
        samples=training.steps * training.batch_size * learner.data_use.batches,
        seconds=round(state.seconds, 3),
        parameters=count_parameters(learner.network) + _architecture_parameters(learner),
        multiply_adds=count_multiply_adds(_deployed(learner), train.info.size),
        peak_memory=peak_memory(device),
        skipped=skipped_samples(train=whole, val=validation),
    )
    run.write_result(result)
    return result


def _must_choose(strategy: OneShotStrategy) -> bool:
    """Whether a last stage is still to come."""
    return strategy.final is not None and not strategy.final.history


def load_learner(run: RunDirectory, device: torch.device) -> Learner:
    """The trained network of a run, in evaluation mode.

    Raises:
        InputError: The run has no checkpoint yet, or a damaged one.
    """
    import_plugins(run.config)
    strategy = _build_strategy(run)
    if isinstance(strategy, MultiTrialStrategy):
        raise InputError(f"run {run.path} is a search by trials, which keeps no network: train what it found")
    learner, _ = _build_learner(run, strategy, device, pretrained=False)
    checkpoint = latest(run.checkpoints)
    if checkpoint is None:
        raise InputError(f"run {run.path} has no checkpoint yet; start it with: atrc resume {run.path}")
    _load_state(learner, checkpoint)
    learner.network.eval()
    return learner


def pick_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one.

    Raises:
        InputError: No such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} cannot be used: {' '.join(str(error).split())[:100]}") from None
    return device


@dataclass
class _State:
    """How far a run is."""

    step: int = 0
    seconds: float = 0.0


def _build_strategy(run: RunDirectory) -> OneShotStrategy | MultiTrialStrategy | None:
    """The strategy of a search, which is of one of the two kinds; None for any other run."""
    if run.spec.kind != "search":
        return None
    name, knobs = run.config.strategy.name, run.config.strategy.options
    if "storage" not in knobs and "storage" in inspect.signature(STRATEGIES[name]).parameters:
        # A study that the user puts nowhere lies in the run.
        knobs |= {"storage": f"sqlite:///{run.path.resolve() / 'study.db'}", "shared": False}
    strategy = build_strategy(name, build_space(run.config), seed=run.spec.seed, knobs=knobs)
    assert isinstance(strategy, OneShotStrategy | MultiTrialStrategy)
    return strategy


def _execute_trials(
    run: RunDirectory, strategy: MultiTrialStrategy, device: torch.device, *, quiet: bool, position: int
) -> Result:
    config = run.config
    tasks = build_tasks(config, describe_dataset(config))
    whole = build_dataset(config, "train", tasks)
    fit_tasks(tasks, whole)
    train, held_out = hold_out(whole, config.held_out)
    with stop_requests(insist=True) as stop:

        def setting(tick: Callable[[], Any]) -> Setting:
            return Setting(config, run.spec.seed, device, tasks, train, held_out, stop, tick)

        return execute_trials(run, strategy, setting, quiet=quiet, position=position)


def _build_learner(
    run: RunDirectory, strategy: OneShotStrategy | None, device: torch.device, *, pretrained: bool = True
) -> tuple[Learner, Training]:
    config = run.config
    tasks = build_tasks(config, describe_dataset(config))
    autocast = config.precision == "bfloat16"
    if strategy is not None:
        supernet = build_search_network(config, tasks, pretrained=pretrained).to(device)
        return SearchLearner(supernet, strategy, config.search, autocast=autocast), config.search
    network = build_network(config, tasks, run.spec.model, run.genotype(), pretrained=pretrained).to(device)
    return WeightLearner(network, config.train, autocast=autocast), config.train


def _train(
    run: RunDirectory,
    learner: Learner,
    training: Training,
    loaders: Sequence[BatchLoader],
    state: _State,
    stop: Stop,
    device: torch.device,
    *,
    quiet: bool,
    position: int,
) -> None:
    config = run.config
    bar = tqdm(
        total=training.steps,
        initial=state.step,
        desc=f"{run.spec.model} seed {run.spec.seed}",
        unit="step",
        disable=quiet,
        position=position,
        leave=position == 0,
        dynamic_ncols=True,
    )
    started, before = time.perf_counter(), state.seconds
    with bar:
        batches = zip(*(loader.iterate(state.step, training.steps) for loader in loaders), strict=True)
        for step, (batch, *held_out) in enumerate(batches, state.step):
            parts = learner.step(batch.to(device), step, *(part.to(device) for part in held_out))
            state.step = step + 1
            state.seconds = before + time.perf_counter() - started
            bar.update()
            if state.step % config.log_every == 0 or state.step == training.steps:
                numbers = {name: float(value) for name, value in parts.items()}
                if not all(map(math.isfinite, numbers.values())):
                    raise InputError(
                        f"the loss of {run.path} became {numbers['loss']} at step {step}; "
                        f"lower the learning rate ({training.lr}) or set clip_norm"
                    )
                lr = learner.optimizer.param_groups[-1]["lr"]
                run.append(
                    "metrics.jsonl",
                    {"step": state.step, "seconds": round(state.seconds, 3), "lr": lr, **numbers},
                )
                report = learner.report()
                if report is not None:
                    run.append("architecture.jsonl", {"step": state.step, **report})
                bar.set_postfix(loss=f"{numbers['loss']:.3f}", refresh=False)
            if state.step % config.checkpoint_every == 0 or state.step == training.steps or stop.requested:
                save_checkpoint(run.checkpoints, _all_state(learner, state))
            if stop.requested:
                raise Interrupted(
                    f"stopped at step {state.step} of {training.steps}; continue: atrc resume {run.path}"
                )


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


def _all_state(learner: Learner, state: _State) -> dict[str, Any]:
    generators = {"cpu": torch.get_rng_state()}
    if learner.device.type == "cuda":
        generators["cuda"] = torch.cuda.get_rng_state(learner.device)
    return {
        "step": state.step,
        "seconds": state.seconds,
        "learner": learner.state_dict(),
        "generators": generators,
    }


def _load_state(learner: Learner, checkpoint: Path) -> dict[str, Any]:
    """Loads a learner's state; returns all that the checkpoint holds.

    Raises:
        InputError: A damaged checkpoint, or one of other networks than this version builds.
    """
    saved = load_checkpoint(checkpoint)
    try:
        learner.load_state_dict(saved["learner"])
    except (RuntimeError, KeyError, ValueError) as error:  # what torch raises where names or shapes differ
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{checkpoint} does not fit what its run's config makes in this version: {reason}") from None
    return saved


def _restore(saved: dict[str, Any], learner: Learner, state: _State) -> None:
    torch.set_rng_state(saved["generators"]["cpu"])
    if "cuda" in saved["generators"] and learner.device.type == "cuda":
        torch.cuda.set_rng_state(saved["generators"]["cuda"], learner.device)
    state.step, state.seconds = saved["step"], saved["seconds"]


def _architecture_parameters(learner: Learner) -> int:
    return learner.strategy.num_parameters() if isinstance(learner, SearchLearner) else 0


def _deployed(learner: Learner) -> MultiTaskNetwork | SearchNetwork:
    """The network whose cost counts: of a search, the one it found."""
    if isinstance(learner, SearchLearner):
        return learner.network.derive(learner.genotype())
    return learner.network
