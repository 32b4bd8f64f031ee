"""The schema of configs: every part is given by its registered name and its options."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from searchspace.yaml_text import write_yaml

__all__ = [
    "NO_DATASET",
    "Augmentation",
    "Compare",
    "Config",
    "Cost",
    "Model",
    "Named",
    "SearchTraining",
    "Training",
    "Trials",
]


NO_DATASET = "none"
"""Name of the dataset of a config that leaves it out."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Named(BaseModel):
    """A registered name with its options: ``{name: rooms, size: [96, 128]}``; or the name alone: ``rooms``."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"name": given}
        if not isinstance(given, Mapping | Named):
            raise ValueError("expected a name, or a mapping with 'name' and its options")
        return given

    @property
    def options(self) -> dict[str, Any]:
        """Options: all keys except the name."""
        return copy.deepcopy(self.model_extra or {})


class Model(_Strict):
    """The network around the search space.

    Attributes:
        neck: A registered neck with its options, between backbone and heads; None for none.
        head: A registered design of heads with its options.
        hidden: d, the number of attention channels; None for C // 2.
        dropout: Probability of dropping a channel (dropout2d) in derived networks.
        contexts: Options per context type, e.g. ``{local: {border: zero}}``.
        distillations: Options per distillation module that networks are trained with, e.g. ``{pap: {steps: 4}}``.
        fused: Whether computations that contexts share are done once; faster, with the same results.
        checkpoint: Whether the backward pass computes every block again; slower, with less memory and the same
            results.
        mask_padding: Whether label regions leave out padded pixels. The paper's released code includes them.
    """

    neck: Named | None = None
    head: Named = Named(name="shallow")
    hidden: int | None = Field(None, gt=0)
    dropout: float = Field(0.05, ge=0, lt=1)
    contexts: dict[str, dict[str, Any]] = {}
    distillations: dict[str, dict[str, Any]] = {}
    fused: bool = True
    checkpoint: bool = False
    mask_padding: bool = True

    @field_validator("head", mode="before")
    @classmethod
    def _shallow_by_default(cls, head: Any) -> Any:
        return {"name": "shallow", **head} if isinstance(head, Mapping) else head

    @property
    def of_contexts(self) -> dict[str, Any]:
        """Returns the options for modules with context-pooling blocks."""
        return self.model_dump(exclude={"neck", "head", "distillations"})


class Training(_Strict):
    """The training of a supernet or of a network. Defaults are the paper's.

    Attributes:
        steps: Number of optimiser steps.
        batch_size: Samples per step.
        optimizer: ``sgd`` (with ``momentum``) or ``adamw``.
        lr: Learning rate at the start; it falls to 0 as ``(1 - step / steps) ** power``, step by step.
        backbone_lr_factor: Factor on ``lr`` for the backbone.
        warmup: Number of steps of linear warm-up.
        clip_norm: Largest gradient norm; None does not clip.
    """

    steps: int = Field(40_000, gt=0)
    batch_size: int = Field(8, gt=0)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = Field(0.01, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    power: float = Field(0.9, ge=0)
    backbone_lr_factor: float = Field(1.0, gt=0)
    warmup: int = Field(0, ge=0)
    clip_norm: float | None = Field(None, gt=0)


class SearchTraining(Training):
    """The budget of a search, and the training of its supernet. Defaults are the paper's.

    Attributes:
        steps: Budget in steps of ``batch_size`` images. If a strategy reads held-out images, too, a step takes the
            same number of these. A second stage takes its share out of the budget.
        seconds: Budget in seconds instead of ``steps``, which is then unused. Such a search does not repeat to the
            bit.
        clip: Parameters over which the gradient norm is taken in single-level steps: ``joint``, weights and
            architecture parameters together, as in the paper's released code; or ``weights`` alone.
    """

    seconds: float | None = Field(None, gt=0)
    clip: Literal["joint", "weights"] = "joint"


class Augmentation(_Strict):
    """Training augmentation, in the order of the paper; see `atrc.data.transforms`.

    Attributes:
        scale: Range of the random scale, or None.
        crop_dominance: A crop is drawn again while one class of ``semseg`` covers this share of it.
        crop_by: Source of this ``semseg``. ``dataset``: it is used even if it is no task of the run, so that
            single-task networks see the same crops as others, as in the paper's released code. ``tasks``: it is used
            only if it is a task of the run.
        crop_labels: Whether tasks may adapt their labels to a crop. Human parts ignore a crop without a person, as in
            the paper's released code.
        flip: Probability of a horizontal flip.
        photometric: Whether brightness, contrast, saturation and hue vary.
    """

    scale: tuple[float, float] | None = (0.5, 2.0)
    crop_dominance: float = Field(0.75, gt=0, le=1)
    crop_by: Literal["dataset", "tasks"] = "dataset"
    crop_labels: bool = True
    flip: float = Field(0.5, ge=0, le=1)
    photometric: bool = True


class Trials(_Strict):
    """The scoring of genotypes, by a multi-trial strategy and by the second stage of some one-shot strategies.

    Attributes:
        scorer: A registered scorer with its options: ``train``, ``inherit`` or ``table``.
        steps: Number of optimiser steps of a trial with full budget.
        images: Number of held-out images for a score, drawn by the seed; None for all.
        recalibration: Number of training images from which batch-norm statistics are computed anew, before a genotype
            is scored with inherited weights.
        number: Maximum number of trials; None: limited by the budget only.
        repeat: Whether a genotype that was scored before is scored again. Otherwise it gets the same score at no
            cost.
        in_flight: Number of trials that a strategy proposes before it gets the first of their scores.
        told: Order in which a strategy gets scores. ``in_order`` of its proposals: the result depends on the config
            only. ``as_they_come``: faster with several processes, but not repeatable.
    """

    scorer: Named = Named(name="train")
    steps: int = Field(1000, gt=0)
    images: int | None = Field(64, gt=0)
    recalibration: int = Field(64, gt=0)
    number: int | None = Field(None, gt=0)
    repeat: bool = False
    in_flight: int = Field(1, gt=0)
    told: Literal["in_order", "as_they_come"] = "in_order"


class Cost(_Strict):
    """Penalty on expensive genotypes.

    Attributes:
        measure: Cost of the contexts: ``multiply_adds``, ``parameters`` or ``latency``.
        weight: Penalty of the most expensive genotype, in units of the loss or the score; the cheapest pays 0.
    """

    measure: str = "multiply_adds"
    weight: float = Field(0.1, ge=0)


class Compare(_Strict):
    """A comparison of strategies.

    Attributes:
        strategies: Label -> a registered strategy with its options; without a name, the label is the name.
        samples: Budget of every search, in images. An image counts each time it passes through a network.
        points: Number of equal parts of the budget; after each, the genotype that the search would choose is trained
            and evaluated.
        networks: Source of what these genotypes are worth. ``train``: they are trained from scratch, as are the
            baselines. ``table``: the table of this problem that ships with the package, see `atrc.cpbench`; nothing
            but the searches is run. ``none``: unknown; on problems whose answer is known, what was found is still
            compared.
    """

    strategies: dict[str, Named]
    samples: int = Field(gt=0)
    points: int = Field(4, gt=0)
    networks: Literal["train", "table", "none"] = "train"

    @field_validator("strategies", mode="before")
    @classmethod
    def _named_by_label(cls, strategies: Any) -> Any:
        if isinstance(strategies, Sequence) and not isinstance(strategies, str):
            strategies = {name: {} for name in strategies}
        if not isinstance(strategies, Mapping):
            return strategies
        return {
            label: {"name": label, **knobs} if isinstance(knobs, Mapping) else knobs or {"name": label}
            for label, knobs in strategies.items()
        }

    @field_validator("strategies")
    @classmethod
    def _usable_labels(cls, strategies: dict[str, Named]) -> dict[str, Named]:
        for label in strategies:
            if not re.fullmatch(r"[\w.-]+", label):
                raise ValueError(f"a label may hold letters, digits, '.', '_' and '-', not {label!r}")
        return strategies


class Config(_Strict):
    """The config of an experiment, which holds everything that a run depends on.

    Attributes:
        name: Name of the folder under ``runs/``.
        plugins: Modules or ``.py`` files that are imported first; they register spaces, tasks, strategies, ...
        dataset: A registered dataset with its options. Only multi-trial searches of a table do without.
        tasks: Task name -> options that replace the dataset's, e.g. ``{edge: {weight: 20}}``. A list of names gives
            no options. The rows of genotypes have the same order.
        backbone: A registered backbone with its options. ``weights`` is the path of pretrained weights. ``branches``
            is the path of a genotype of the space ``bmtas``; the backbone is then branched into its tree.
        space: A registered space; ``cp`` and ``bmtas`` take their tasks from ``tasks``.
        strategy: A registered strategy with its options.
        model: The network around the space.
        search: Training of the supernet, and the budget. A multi-trial search may use steps times batch size images.
        train: Training of every stand-alone network.
        held_out: Share of the training images that is held out for the architecture updates of bi-level and reward
            strategies, and for scores. Single-level strategies train on all images, unless a second stage scores
            genotypes (`spos`, `random_ws`).
        trials: Scoring of genotypes.
        compare: Strategies of `atrc compare`, and their budget.
        cost: Penalty on expensive genotypes; None for none.
        augmentation: Augmentation of training samples.
        trackers: Tools that get a copy of the log of runs; see `atrc.trackers`.
        seeds: Seeds; each makes one run.
        workers: Number of processes that prepare batches; 0 prepares them in the training process.
        threads: Number of CPU threads of a run. A run repeats to the bit with the same number. Throughput is highest
            with one thread per run and one run per core.
        device: Device of the computations; ``auto`` takes a GPU if there is one.
        precision: Autocast type of the forward pass.
        checkpoint_every: Number of steps between checkpoints.
        log_every: Number of steps between lines of metrics.jsonl.
        evaluate_batch: Batch size of evaluation.
    """

    name: str = Field(min_length=1, pattern=r"^[\w.+-]+$")
    plugins: list[str] = []
    dataset: Named = Named(name=NO_DATASET)
    tasks: dict[str, dict[str, Any]] = Field({}, validate_default=True)
    backbone: Named = Named(name="hrnet18")
    space: Named = Named(name="cp")
    strategy: Named = Named(name="gumbel_entropy")
    model: Model = Model()
    search: SearchTraining = SearchTraining(clip_norm=10.0)
    train: Training = Training()
    held_out: float = Field(0.5, gt=0, lt=1)
    trials: Trials = Trials()
    cost: Cost | None = None
    compare: Compare | None = None
    augmentation: Augmentation = Augmentation()
    trackers: list[str] = []
    seeds: list[int] = Field([0], min_length=1)
    workers: int = Field(0, ge=0)
    threads: int = Field(1, gt=0)
    device: str = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpoint_every: int = Field(500, gt=0)
    log_every: int = Field(20, gt=0)
    evaluate_batch: int = Field(8, gt=0)

    @field_validator("tasks", mode="before")
    @classmethod
    def _list_of_tasks(cls, tasks: Any) -> Any:
        if isinstance(tasks, Sequence) and not isinstance(tasks, str):
            return {name: {} for name in tasks}
        if isinstance(tasks, Mapping):
            return {name: options or {} for name, options in tasks.items()}
        return tasks

    @field_validator("tasks")
    @classmethod
    def _some_tasks(cls, tasks: dict[str, dict[str, Any]], others: ValidationInfo) -> dict[str, dict[str, Any]]:
        if "dataset" not in others.data:  # it is wrong itself
            return tasks
        without_data = others.data["dataset"].name == NO_DATASET
        if tasks and without_data:
            raise ValueError("tasks need a dataset, and the key 'dataset' is missing")
        if not tasks and not without_data:
            raise ValueError("name at least one task")
        return tasks

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError("seeds must be different and not negative")
        return seeds

    def to_yaml(self) -> str:
        """Writes the resolved config as YAML. `load_config` reads an equal config from it."""
        return write_yaml(self.model_dump(mode="json"))
