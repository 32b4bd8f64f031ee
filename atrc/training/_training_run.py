"""Executes runs that train a stand-alone network."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from atrc.costs import count_parameters
from atrc.data import BatchLoader, Dataset, content_hashes, skipped_samples
from atrc.inference import evaluate_split
from atrc.machine.memory import peak_memory
from atrc.machine.stopping import Interrupted, Stop, stop_requests
from atrc.runs import Result, RunDirectory
from atrc.runs.checkpoint import decisive, fitting, latest, load_checkpoint, refuse_other_config, save_checkpoint
from atrc.setup import Setup
from atrc.training.learner import WeightLearner
from searchspace import Genotype, InputError

__all__ = ["Beginning", "begin_training", "execute_training", "refuse_divergence"]


@dataclass
class _State:
    """Progress of a run: finished steps, and seconds of training."""

    step: int = 0
    seconds: float = 0.0


class Beginning(NamedTuple):
    """What a training has before its first step, but for what its tasks learn from the data (`Setup.fit`)."""

    learner: WeightLearner
    loader: BatchLoader
    train: Dataset
    validation: Dataset


def begin_training(setup: Setup, model: str, genotype: Genotype | None, seed: int, device: torch.device) -> Beginning:
    """Builds a network and everything that trains it. Seeds torch's global generator.

    Args:
        setup: Setup of the config.
        model: The model, see `Setup.genotype`; used only if there is no genotype.
        genotype: The genotype, or None for a baseline.
        seed: Seed of initialisation, order of data and augmentation.
        device: Where to compute.
    """
    config, training = setup.config, setup.config.train
    # Initialisation and dropout draw from torch's global generator, which checkpoints save.
    torch.manual_seed(seed)
    network: Any = setup.network(model, genotype).to(device)
    learner = WeightLearner(network, training, bfloat16=config.precision == "bfloat16")
    train, validation = setup.splits(learner.tasks)
    loader = setup.batches(train, training, seed=seed, device=device, tasks=learner.tasks)
    return Beginning(learner, loader, train, validation)


def execute_training(run: RunDirectory, setup: Setup, device: torch.device, *, quiet: bool, position: int) -> Result:
    """Trains a network to the end, from the newest checkpoint if there is one; see `atrc.training.execute`."""
    config, training = run.config, run.config.train
    genotype, seed = run.genotype(), run.spec.seed
    learner, loader, train, validation = begin_training(setup, run.spec.model, genotype, seed, device)
    network, state = learner.network, _State()
    checkpoint = latest(run.checkpoints)
    if checkpoint is None:
        setup.fit(train, learner.tasks)
    else:
        saved = load_checkpoint(checkpoint)
        refuse_other_config(saved, config, run.path)
        with fitting(checkpoint):
            learner.load_state_dict(saved["learner"])
        _restore(saved, learner, state)
    run.rewind(state.step, "metrics.jsonl")
    with stop_requests(insist=True) as stop:
        _train(run, learner, loader, state, stop, quiet=quiet, position=position)
        metrics = evaluate_split(config, learner.predictor(), validation, stop=stop, quiet=quiet, position=position)
    result = Result(
        metrics=metrics,
        steps=training.steps,
        samples=training.steps * training.batch_size,
        seconds=round(state.seconds, 3),
        parameters=count_parameters(network),
        multiply_adds=setup.multiply_adds(network, run.spec.model, run.genotype()),
        peak_memory=peak_memory(device),
        data={"train": content_hashes(train), "val": content_hashes(validation)},
        skipped=skipped_samples(train=train, val=validation),
    )
    run.write_result(result)
    return result


def _train(
    run: RunDirectory,
    learner: WeightLearner,
    loader: BatchLoader,
    state: _State,
    stop: Stop,
    *,
    quiet: bool,
    position: int,
) -> None:
    config, training = run.config, run.config.train
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
        for step, batch in enumerate(loader.iterate(state.step, training.steps), state.step):
            parts = learner.step(batch.to(learner.device), step)
            state.step = step + 1
            state.seconds = before + time.perf_counter() - started
            bar.update()
            if state.step % config.log_every == 0 or state.step == training.steps:
                numbers = {name: float(value) for name, value in parts.items()}
                refuse_divergence(run, numbers, step, training.lr)
                lr = learner.optimizer.param_groups[-1]["lr"]
                run.append(
                    "metrics.jsonl",
                    {"step": state.step, "seconds": round(state.seconds, 3), "lr": lr, **numbers},
                )
                bar.set_postfix(loss=f"{numbers['loss']:.3f}", refresh=False)
            if state.step % config.checkpoint_every == 0 or state.step == training.steps or stop.requested:
                save_checkpoint(run.checkpoints, {**_all_state(learner, state), "config": decisive(config)})
            if stop.requested:
                raise Interrupted(
                    f"stopped at step {state.step} of {training.steps}; continue: atrc resume {run.path}"
                )


def refuse_divergence(run: RunDirectory, numbers: dict[str, float], step: int, lr: float) -> None:
    """Raises InputError if a loss is not finite."""
    if not all(map(math.isfinite, numbers.values())):
        raise InputError(
            f"the loss of {run.path} became {numbers['loss']} at step {step}; lower the learning rate ({lr}) or set "
            "clip_norm"
        )


def _all_state(learner: WeightLearner, state: _State) -> dict[str, Any]:
    generators = {"cpu": torch.get_rng_state()}
    if learner.device.type == "cuda":
        generators["cuda"] = torch.cuda.get_rng_state(learner.device)
    return {
        "step": state.step,
        "seconds": state.seconds,
        "learner": learner.state_dict(),
        "generators": generators,
    }


def _restore(saved: dict[str, Any], learner: WeightLearner, state: _State) -> None:
    torch.set_rng_state(saved["generators"]["cpu"])
    if "cuda" in saved["generators"] and learner.device.type == "cuda":
        torch.cuda.set_rng_state(saved["generators"]["cuda"], learner.device)
    state.step, state.seconds = saved["step"], saved["seconds"]
