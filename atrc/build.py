"""From a config to objects: tasks, datasets, spaces, networks. The one place where registered names are looked up."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atrc.backbones import BACKBONES, Backbone, BranchedBackbone, LoadReport, load_weights
from atrc.config import Config, import_plugins
from atrc.data import DATASETS, Dataset, DatasetInfo, RandomCrop
from atrc.data.labelled import refuse_unlabelled
from atrc.distillation import DISTILLATIONS, Distillation
from atrc.heads import HEADS
from atrc.necks import NECKS
from atrc.network import Decoder, MultiTaskNetwork, SearchNetwork
from atrc.supernets import SUPERNETS
from atrc.tasks import TASKS, Task
from searchspace import (
    SPACES,
    BMTASSpace,
    CPSpace,
    Genotype,
    InputError,
    SearchSpace,
    UnknownNameError,
    load_genotype,
)
from searchspace import build_space as build_named_space
from searchspace.calls import call_with_options
from searchspace.errors import did_you_mean
from strategies import resolve_genotype

__all__ = [
    "MODELS",
    "build_backbone",
    "build_dataset",
    "build_decoder",
    "build_distillation",
    "build_encoder",
    "build_network",
    "build_search_network",
    "build_space",
    "build_tasks",
    "cp_space",
    "describe_dataset",
    "fit_tasks",
    "import_plugins",
    "lacks_weights",
    "model_genotype",
    "open_splits",
    "open_train",
    "supernet_of",
]

MODELS = ("single-TASK", "multi", "consensus", "all-CONTEXT", "GENOTYPE.json", "a distillation module")
"""What a stand-alone network can be, in words for messages."""
_PLAIN = "none"
"""The distillation of the single-task and the multi-task baseline."""


def describe_dataset(config: Config) -> DatasetInfo:
    """The dataset's facts, without opening it."""
    name = config.dataset.name
    return call_with_options(f"dataset {name!r}", DATASETS[name].describe, config.dataset.options)


def build_dataset(config: Config, split: str, tasks: Iterable[str] | None = None) -> Dataset:
    """A split of the config's dataset with the labels of ``tasks``, by default all of the config's."""
    names = list(config.tasks if tasks is None else tasks)
    dataset: Dataset = DATASETS.create(config.dataset.name, config.dataset.options, split, names)
    return dataset


def open_train(config: Config, tasks: Mapping[str, Task]) -> Dataset:
    """The training split with the labels of tasks, and with what crops are drawn by, which the crop leaves out again.

    Raises:
        InputError: It cannot be read, or has no valid pixel of a task.
    """
    ruling = [name for name in _drawn_by(config) if name not in tasks]
    try:
        train = build_dataset(config, "train", [*tasks, *ruling])
    except InputError as error:
        if not ruling or ruling[0] in config.tasks:
            raise
        train = build_dataset(config, "train", tasks)
        print(f"crops are not drawn by {ruling[0]}, which cannot be read: {error}", file=sys.stderr)
    refuse_unlabelled(train, tasks, "train")
    return train


def _drawn_by(config: Config) -> list[str]:
    """The class map that crops are drawn by, where the dataset has one and there are crops."""
    augmentation, label = config.augmentation, RandomCrop.label
    cropped = augmentation.scale is not None and augmentation.crop_dominance < 1
    if not cropped or augmentation.crop_by == "tasks" or label not in describe_dataset(config).tasks:
        return []
    return [label]


def open_splits(config: Config, tasks: Mapping[str, Task]) -> tuple[Dataset, Dataset]:
    """`open_train`, and the validation split: both, so that one that cannot be used shows before the training.

    Raises:
        InputError: A split cannot be read, or has no valid pixel of a task.
    """
    train, validation = open_train(config, tasks), build_dataset(config, "val", tasks)
    refuse_unlabelled(validation, tasks, "val")
    return train, validation


def build_tasks(config: Config, info: DatasetInfo) -> dict[str, Task]:
    """The config's tasks with the dataset's facts and the config's options."""
    tasks: dict[str, Task] = {}
    for name, options in config.tasks.items():
        TASKS[name]  # an unknown task is that first, and only then one that this dataset lacks
        if name not in info.tasks:
            raise UnknownNameError("task", name, info.tasks, f"of dataset {info.name}")
        tasks[name] = TASKS.create(name, {**info.tasks[name], **options})
    return tasks


class _Labels(Sequence[np.ndarray]):
    """The label maps of one task, read when asked for."""

    def __init__(self, dataset: Dataset, task: str) -> None:
        self.dataset, self.task = dataset, task

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[index].labels[self.task]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))


def fit_tasks(tasks: Mapping[str, Task], train: Dataset) -> None:
    """Lets every task learn what it takes from the training labels (normals: centroids)."""
    for name, task in tasks.items():
        task.fit(_Labels(train, name), train.info.cache)


def build_space(config: Config) -> SearchSpace:
    """The config's space; a space that is made of tasks takes the config's."""
    options = config.space.options
    if "tasks" in inspect.signature(SPACES[config.space.name]).parameters:
        options.setdefault("tasks", list(config.tasks))
        if list(options["tasks"]) != list(config.tasks):
            raise InputError(
                f"space.tasks must be the config's tasks ({', '.join(config.tasks)}), got {options['tasks']}"
            )
    space: SearchSpace = SPACES.create(config.space.name, options)
    return space


def cp_space(config: Config) -> CPSpace:
    """The config's space, where only the cp space will do."""
    space = build_space(config)
    if not isinstance(space, CPSpace):
        raise InputError(f"this command is about the cp space; the config's space is {config.space.name!r}")
    return space


def supernet_of(space: SearchSpace) -> type[SearchNetwork]:
    """The kind of supernet that runs a space: the registered one whose `SearchNetwork.space_type` fits best.

    Raises:
        InputError: There is none.
    """
    fitting = [kind for kind in SUPERNETS.values() if isinstance(space, kind.space_type)]
    if not fitting:
        kinds = ", ".join(sorted(SUPERNETS))
        raise InputError(f"no supernet is registered for the space {space.name!r}; there are those of: {kinds}")
    return max(fitting, key=lambda kind: len(kind.space_type.__mro__))


def build_decoder(config: Config) -> Decoder:
    """The config's neck and heads."""
    neck, heads = config.model.neck, config.model.head
    HEADS[heads.name]
    if neck is not None:
        NECKS[neck.name]
    return Decoder(
        heads=lambda scales: HEADS.create(heads.name, heads.options, scales),
        neck=None if neck is None else lambda scales, outputs: NECKS.create(neck.name, neck.options, scales, outputs),
    )


def build_backbone(
    config: Config, *, pretrained: bool = True, report: Callable[[LoadReport], None] | None = None
) -> Backbone:
    """The config's backbone, with its pretrained weights where the config names a file, not branched.

    Args:
        config: The config.
        pretrained: False leaves the weights out, for a network whose checkpoint is loaded next.
        report: Is handed what was loaded.
    """
    options = config.backbone.options
    if "tasks" in inspect.signature(BACKBONES[config.backbone.name]).parameters:
        options.setdefault("tasks", list(config.tasks))
    weights = options.pop("weights", None)
    options.pop("branches", None)
    if not pretrained and "pretrained" in options:
        options["pretrained"] = False
    backbone: Backbone = BACKBONES.create(config.backbone.name, options)
    if weights and pretrained:
        loaded = load_weights(backbone, Path(weights))
        if report:
            report(loaded)
    return backbone


RANDOM_WEIGHTS = "begins with random weights, the paper's with ImageNet's; give them with -s backbone.weights=FILE"
"""What is said of a backbone where `lacks_weights`."""


def lacks_weights(config: Config) -> bool:
    """Whether the config asks for pretrained weights of its backbone (by a key that is empty) and has none."""
    options = config.backbone.options
    return "weights" in options and options["weights"] is None


def build_encoder(config: Config, *, pretrained: bool = True) -> Backbone | BranchedBackbone:
    """What several tasks share: the config's backbone, branched where ``backbone.branches`` names a genotype file.

    Raises:
        InputError: The file does not exist, or holds no tree of the config's tasks.
    """
    branches = config.backbone.options.get("branches")
    if branches is None:
        return build_backbone(config, pretrained=pretrained)
    try:
        genotype = load_genotype(Path(branches))
    except InputError as error:
        raise InputError(f"backbone.branches: {error}; search a tree with the space bmtas") from None
    space = build_named_space(genotype.space, **genotype.parameters)
    if not isinstance(space, BMTASSpace) or set(space.tasks) != set(config.tasks):
        raise InputError(
            f"backbone.branches: {branches} must be a genotype of the space bmtas for the tasks "
            f"{', '.join(config.tasks)}; it is of {space!r}"
        )
    return BranchedBackbone(lambda: build_backbone(config, pretrained=pretrained), space, space.validate(genotype))


def build_search_network(
    config: Config,
    tasks: Mapping[str, Task],
    *,
    pretrained: bool = True,
    backbone: Callable[[], Backbone] | None = None,
) -> SearchNetwork:
    """The supernet of the config.

    Args:
        config: The config.
        tasks: All its tasks.
        pretrained: See `build_backbone`.
        backbone: Gives what takes the place of the config's backbone.
    """
    space = build_space(config)
    kind: Any = supernet_of(space)

    def make() -> Backbone | BranchedBackbone:
        return backbone() if backbone else build_encoder(config, pretrained=pretrained)

    network: SearchNetwork = kind(make, tasks, space, build_decoder(config), config.model)
    return network


def model_genotype(config: Config, model: str) -> Genotype | None:
    """The genotype that a model's name stands for, or None for a network without contexts.

    Args:
        config: The config.
        model: ``single-TASK``, ``multi``, ``all-CONTEXT``, the path of a genotype file, or the registered name of a
            distillation module.

    Raises:
        InputError: None of these, an unknown task, a genotype for other tasks, or a module that cannot be built.
    """
    if model.startswith("single-"):
        name = model.removeprefix("single-")
        if name not in config.tasks:
            raise UnknownNameError("task", name, config.tasks, f"model {model!r}")
        return None
    if model == "multi":
        return None
    if model in DISTILLATIONS:
        build_distillation(config, model, dict.fromkeys(config.tasks, 8))
        return None
    if not model.startswith("all-") and not model.endswith(".json"):
        modules = sorted(DISTILLATIONS)
        near = did_you_mean(model, ["multi", "consensus", *modules])
        raise InputError(f"model {model!r} is none of {', '.join(MODELS)} ({', '.join(modules)}){near}")
    return resolve_genotype(model, build_space(config))


def build_network(
    config: Config,
    tasks: Mapping[str, Task],
    model: str,
    genotype: Genotype | None,
    *,
    pretrained: bool = True,
    backbone: Backbone | None = None,
) -> MultiTaskNetwork:
    """A stand-alone network.

    Args:
        config: The config.
        tasks: All its tasks.
        model: See `model_genotype`; read where there is no genotype.
        genotype: The contexts.
        pretrained: See `build_backbone`.
        backbone: Takes the place of the config's backbone.
    """
    decoder = build_decoder(config)
    if genotype is not None:
        space = build_space(config)
        space.validate(genotype)

        def make() -> Any:
            return backbone or build_encoder(config, pretrained=pretrained)

        return supernet_of(space).stand_alone(make, tasks, genotype, decoder, config.model)
    if model.startswith("single-"):
        name = model.removeprefix("single-")
        tasks = {name: tasks[name]}
        encoder: Any = backbone or build_backbone(config, pretrained=pretrained)
    else:
        encoder = backbone or build_encoder(config, pretrained=pretrained)
    module = model if model in DISTILLATIONS else _PLAIN
    distillation = build_distillation(config, module, decoder.channels(encoder, tasks))
    return MultiTaskNetwork(encoder, tasks, distillation, decoder)


def build_distillation(config: Config, name: str, channels: Mapping[str, int]) -> Distillation:
    """A registered distillation module with the config's options.

    Args:
        config: The config.
        name: The registered name.
        channels: Task -> C of its features.

    Raises:
        InputError: An option that it does not have, or one that it needs and the config does not give.
    """
    module: Distillation = DISTILLATIONS.create(name, config.model.distillations.get(name, {}), channels)
    return module
