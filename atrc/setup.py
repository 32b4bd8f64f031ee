"""Builds everything that a config names: dataset, tasks, space, networks, costs and strategy.

Everything that needs a part of a config asks a `Setup` for it. A run makes one and passes it on, so all its parts use
the same tasks and the same space.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import torch

from atrc.config import Config, Training, import_plugins
from atrc.costs import MEASURES, count_multiply_adds, count_parameters
from atrc.data import (
    DATASETS,
    BatchLoader,
    Compose,
    Dataset,
    DatasetInfo,
    Photometric,
    RandomCrop,
    RandomScale,
    hold_out,
    train_transform,
)
from atrc.data.cache import hashed
from atrc.data.labelled import fit_task, refuse_unlabelled
from atrc.distillation import DISTILLATIONS
from atrc.networks import MODELS, MULTI, MultiTaskNetwork, Parts, single_task
from atrc.supernets import FixedSelection, MultiTaskSupernet, supernet_of
from atrc.tasks import TASKS, Task
from searchspace import SPACES, CostModel, Genotype, InputError, SearchSpace, UnknownNameError
from searchspace.calls import call_with_options
from searchspace.errors import did_you_mean
from strategies import Strategy, build_strategy, resolve_genotype

__all__ = ["Setup"]

_COUNTED: dict[tuple[Any, ...], int] = {}
"""What was counted in this process -> multiply-adds."""


class Setup:
    """The dataset, tasks, space and networks of a config, each built when it is first used.

    Example::

        setup = Setup.of(load_config("demo"))
        train, validation = setup.splits()
        network = setup.network("all-local", setup.genotype("all-local"))

    Attributes:
        config: The config.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    @classmethod
    def of(cls, config: Config) -> Setup:
        """Imports the plugins of a config and returns its setup.

        Raises:
            InputError: A plugin cannot be imported.
        """
        import_plugins(config)
        return cls(config)

    # -- data and tasks -------------------------------------------------------------------------------------

    @cached_property
    def info(self) -> DatasetInfo:
        """The description of the dataset. No file is opened."""
        named = self.config.dataset
        return call_with_options(f"dataset {named.name!r}", DATASETS[named.name].describe, named.options)

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """Task name -> task, with the dataset's facts and the config's options.

        Raises:
            UnknownNameError: A task is not registered, or the dataset has no labels for it.
        """
        tasks: dict[str, Task] = {}
        for name in self.config.tasks:
            TASKS[name]  # raises for a task that is not registered, before the dataset is asked
            if name not in self.info.tasks:
                raise UnknownNameError("task", name, self.info.tasks, f"of dataset {self.info.name}")
            tasks[name] = TASKS.create(name, self._task_options(name))
        return tasks

    def _task_options(self, name: str) -> dict[str, Any]:
        """Returns the arguments of a task: the dataset's facts, and the config's options."""
        return {**self.info.tasks[name], **self.config.tasks[name]}

    def split(self, name: str, tasks: Iterable[str] | None = None) -> Dataset:
        """Returns a split of the dataset.

        Args:
            name: ``"train"``, ``"val"``, or another split of the dataset.
            tasks: The tasks whose labels are loaded; by default all tasks of the config.
        """
        named, wanted = self.config.dataset, list(self.config.tasks if tasks is None else tasks)
        dataset: Dataset = DATASETS.create(named.name, named.options, name, wanted)
        return dataset

    def train(self, tasks: Mapping[str, Task] | None = None) -> Dataset:
        """Returns the training split with the labels of tasks, and with labels that only guide crops.

        Args:
            tasks: The tasks of a network; by default all.

        Raises:
            InputError: The split cannot be read, or has no valid pixel of a task.
        """
        learnt = tasks or self.tasks
        ruling = [name for name in self._drawn_by() if name not in learnt]
        try:
            train = self.split("train", [*learnt, *ruling])
        except InputError as error:
            if not ruling or ruling[0] in self.config.tasks:
                raise
            train = self.split("train", learnt)
            print(f"crops are not guided by {ruling[0]}, whose labels cannot be read: {error}", file=sys.stderr)
        refuse_unlabelled(train, learnt, "train")
        return train

    def _drawn_by(self) -> list[str]:
        """Returns the name of the class map that guides crops, in a list, or an empty list if there is none."""
        augmentation, label = self.config.augmentation, RandomCrop.label
        cropped = augmentation.scale is not None and augmentation.crop_dominance < 1
        if not cropped or augmentation.crop_by == "tasks" or label not in self.info.tasks:
            return []
        return [label]

    def splits(self, tasks: Mapping[str, Task] | None = None) -> tuple[Dataset, Dataset]:
        """Returns the training and the validation split, after a check that both can be used.

        Args:
            tasks: The tasks of a network; by default all.

        Raises:
            InputError: A split cannot be read, or has no valid pixel of a task.
        """
        learnt = tasks or self.tasks
        train, validation = self.train(learnt), self.split("val", learnt)
        refuse_unlabelled(validation, learnt, "val")
        return train, validation

    def held_out(self, train: Dataset) -> tuple[Dataset, Dataset]:
        """Splits the training images into those that weights learn from and those that are held out.

        Raises:
            InputError: One of the two has no valid pixel of a task.
        """
        rest, held_out = hold_out(train, self.config.held_out)
        refuse_unlabelled(rest, self.tasks, "train, without what is held out")
        refuse_unlabelled(held_out, self.tasks, "train, held out")
        return rest, held_out

    def fit(self, train: Dataset, tasks: Mapping[str, Task] | None = None) -> None:
        """Fits tasks, by default all, to the training labels; normals learn their centroids."""
        for name, task in (tasks or self.tasks).items():
            fit_task(name, task, self._task_options(name), train)

    def augmentation(self) -> Compose:
        """Returns the transform of training samples.

        Raises:
            InputError: The config scales or mirrors images, but the labels lie on a grid of their own.
        """
        config, info = self.config.augmentation, self.info
        if info.grid is not None and (config.scale is not None or config.flip):
            raise InputError(
                f"labels of the dataset {info.name} have a grid of their own, so its images cannot be scaled or "
                "mirrored; set augmentation.scale=null and augmentation.flip=0"
            )
        return train_transform(
            info.size,
            scale=RandomScale(*config.scale) if config.scale else None,
            crop_dominance=config.crop_dominance,
            crop_labels=config.crop_labels,
            flip=config.flip,
            photometric=Photometric() if config.photometric else None,
        )

    def batches(
        self,
        dataset: Dataset,
        training: Training,
        *,
        seed: int,
        device: torch.device,
        tasks: Mapping[str, Task] | None = None,
    ) -> BatchLoader:
        """Returns a loader of augmented training batches, in an order that follows from the seed.

        Args:
            dataset: The images.
            training: The section of the config with the batch size.
            seed: Seed of the order and of the augmentation.
            device: The device that the batches are for.
            tasks: The tasks whose labels the batches have; by default all.
        """
        return BatchLoader(
            dataset,
            tasks or self.tasks,
            self.augmentation(),
            batch_size=training.batch_size,
            seed=seed,
            workers=self.config.workers,
            pin=device.type == "cuda",
        )

    # -- space and networks ---------------------------------------------------------------------------------

    @cached_property
    def space(self) -> Any:
        """The space, a `searchspace.SearchSpace`. A space with the parameter ``tasks`` gets the config's tasks."""
        named = self.config.space
        options = named.options
        if "tasks" in inspect.signature(SPACES[named.name]).parameters:
            options.setdefault("tasks", list(self.config.tasks))
            if list(options["tasks"]) != list(self.config.tasks):
                raise InputError(
                    f"space.tasks must be the config's tasks ({', '.join(self.config.tasks)}), got {options['tasks']}"
                )
        space: SearchSpace = SPACES.create(named.name, options)
        return space

    def parts(self, *, pretrained: bool = True) -> Parts:
        """Returns the parts that networks are built from; see `Parts.of`.

        Raises:
            InputError: The config has no tasks.
        """
        self.refuse_without_tasks()
        return Parts.of(self.config, self.tasks, pretrained=pretrained)

    def refuse_without_tasks(self) -> None:
        """Raises InputError if the config has no tasks, so that nothing can be trained."""
        if not self.config.tasks:
            raise InputError(
                f"config {self.config.name!r} names no dataset and no tasks, so nothing can be trained; its space "
                "can be searched by a table, with a multi-trial strategy and trials.scorer=table"
            )

    def supernet(self, *, pretrained: bool = True) -> MultiTaskSupernet:
        """Returns a new supernet; see `parts`."""
        kind: Any = supernet_of(self.space)
        network: MultiTaskSupernet = kind(self.parts(pretrained=pretrained), self.space)
        return network

    def genotype(self, model: str) -> Genotype | None:
        """Returns the genotype of a model's name, or None for a network that has no genotype.

        Args:
            model: ``single-TASK``, ``multi``, the registered name of a distillation module, a named genotype of the
                space (``all-global``), or the path of a genotype file.

        Raises:
            InputError: The model is none of these, names an unknown task, has a genotype for other tasks, or is a
                module that cannot be built.
        """
        if single_task(model, self.config.tasks) is not None or model == MULTI:
            return None
        if model in DISTILLATIONS:
            self.parts().distillation(model, dict.fromkeys(self.config.tasks, 8))
            return None
        named = self.space.named()
        if model.replace("-label", "_label") not in named and not model.startswith("all-") and model[-5:] != ".json":
            modules = sorted(DISTILLATIONS)
            near = did_you_mean(model, [MULTI, "consensus", *modules, *named])
            raise InputError(f"model {model!r} is none of {', '.join(MODELS)} ({', '.join(modules)}){near}")
        return resolve_genotype(model, self.space)

    def network(
        self, model: str, genotype: Genotype | None, *, pretrained: bool = True
    ) -> MultiTaskNetwork | FixedSelection:
        """Returns a new stand-alone network.

        Args:
            model: See `genotype`; used only if there is no genotype.
            genotype: The genotype, or None.
            pretrained: See `Parts.of`.

        Raises:
            InputError: The genotype is of another space, or the model does not exist.
        """
        parts = self.parts(pretrained=pretrained)
        if genotype is None:
            return parts.baseline(model)
        self.space.validate(genotype)
        return supernet_of(self.space).network(parts, genotype)

    def multiply_adds(self, network: Any, model: str, genotype: Genotype | None) -> int:
        """Returns the multiply-adds of a network of `network` for an image of the dataset.

        In one process, networks of the same config, model and genotype are counted once.

        Args:
            network: The network.
            model: See `genotype`.
            genotype: The genotype, or None.
        """
        config = self.config.model_dump(mode="json", include={"tasks", "dataset", "backbone", "space", "model"})
        named = model if genotype is None else genotype.to_json()
        key = type(network), count_parameters(network), self.info.size, hashed([config, named])
        if key not in _COUNTED:
            _COUNTED[key] = count_multiply_adds(network, self.info.size)
        return _COUNTED[key]

    def costs(self, device: torch.device, size: tuple[int, int] | None = None) -> CostModel | None:
        """Returns the cost model of the config's ``cost.measure``, or None if the config sets no cost.

        Args:
            device: The device for measures that run modules, such as latency.
            size: (H, W) of an image; by default the dataset's.

        Raises:
            UnknownNameError: The measure does not exist.
        """
        if self.config.cost is None:
            return None
        measure = MEASURES.create(self.config.cost.measure, {})
        parts = self.parts(pretrained=False)
        return supernet_of(self.space).costs(parts, self.space, measure, size or self.info.size, device)

    def strategy(self, seed: int, knobs: Mapping[str, Any] | None = None) -> Strategy:
        """Returns a new strategy on the space.

        Args:
            seed: Seed of the strategy.
            knobs: Knobs of the strategy; by default the config's.
        """
        named = self.config.strategy
        return build_strategy(named.name, self.space, seed=seed, knobs=named.options if knobs is None else knobs)
