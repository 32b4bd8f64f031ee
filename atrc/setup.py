"""From a config to everything that it stands for: the one place where its names are looked up.

A `Setup` is made once for a run, a check or a look at a run, and handed on: whoever needs a part of it asks for it
here, and gets the same part as everybody else.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import torch

from atrc.config import Config, Training, import_plugins
from atrc.costs import MEASURES
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
from atrc.data.labelled import LabelMaps, refuse_unlabelled
from atrc.distillation import DISTILLATIONS
from atrc.networks import MODELS, MultiTaskNetwork, Parts
from atrc.supernets import FixedSelection, MultiTaskSupernet, supernet_of
from atrc.tasks import TASKS, Task
from searchspace import SPACES, CostModel, Genotype, InputError, SearchSpace, UnknownNameError
from searchspace.calls import call_with_options
from searchspace.errors import did_you_mean
from strategies import Strategy, build_strategy, resolve_genotype

__all__ = ["Setup"]


class Setup:
    """A config's dataset, tasks, space and networks, each built when it is first asked for.

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
        """The setup of a config, whose plugins are imported.

        Raises:
            InputError: A plugin cannot be imported.
        """
        import_plugins(config)
        return cls(config)

    # -- data and tasks -------------------------------------------------------------------------------------

    @cached_property
    def info(self) -> DatasetInfo:
        """The dataset's facts, without opening it."""
        named = self.config.dataset
        return call_with_options(f"dataset {named.name!r}", DATASETS[named.name].describe, named.options)

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """Task name -> task, with the dataset's facts and the config's options.

        Raises:
            UnknownNameError: A task is not registered, or the dataset lacks it.
        """
        tasks: dict[str, Task] = {}
        for name, options in self.config.tasks.items():
            TASKS[name]  # reports an unregistered task before a missing one
            if name not in self.info.tasks:
                raise UnknownNameError("task", name, self.info.tasks, f"of dataset {self.info.name}")
            tasks[name] = TASKS.create(name, {**self.info.tasks[name], **options})
        return tasks

    def split(self, name: str, tasks: Iterable[str] | None = None) -> Dataset:
        """A split of the dataset.

        Args:
            name: ``"train"``, ``"val"``, or what else the dataset has.
            tasks: The tasks whose labels it gives; by default all of the config's.
        """
        named, wanted = self.config.dataset, list(self.config.tasks if tasks is None else tasks)
        dataset: Dataset = DATASETS.create(named.name, named.options, name, wanted)
        return dataset

    def train(self, tasks: Mapping[str, Task] | None = None) -> Dataset:
        """The training split, with the labels of tasks and with those that only crops are drawn by.

        Args:
            tasks: The tasks of a network; by default all.

        Raises:
            InputError: It cannot be read, or has no valid pixel of a task.
        """
        learnt = tasks or self.tasks
        ruling = [name for name in self._drawn_by() if name not in learnt]
        try:
            train = self.split("train", [*learnt, *ruling])
        except InputError as error:
            if not ruling or ruling[0] in self.config.tasks:
                raise
            train = self.split("train", learnt)
            print(f"crops are not drawn by {ruling[0]}, which cannot be read: {error}", file=sys.stderr)
        refuse_unlabelled(train, learnt, "train")
        return train

    def _drawn_by(self) -> list[str]:
        """The class map that crops are drawn by, where the dataset has one and there are crops."""
        augmentation, label = self.config.augmentation, RandomCrop.label
        cropped = augmentation.scale is not None and augmentation.crop_dominance < 1
        if not cropped or augmentation.crop_by == "tasks" or label not in self.info.tasks:
            return []
        return [label]

    def splits(self, tasks: Mapping[str, Task] | None = None) -> tuple[Dataset, Dataset]:
        """The training and the validation split: one that cannot be used shows before the training.

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
        """The training images that weights learn from, and the others.

        Raises:
            InputError: One of the two has no valid pixel of a task.
        """
        rest, held_out = hold_out(train, self.config.held_out)
        refuse_unlabelled(rest, self.tasks, "train, without what is held out")
        refuse_unlabelled(held_out, self.tasks, "train, held out")
        return rest, held_out

    def fit(self, train: Dataset, tasks: Mapping[str, Task] | None = None) -> None:
        """Fits tasks, by default all, to the training labels (normals: centroids)."""
        for name, task in (tasks or self.tasks).items():
            task.fit(LabelMaps(train, name), train.info.cache)

    def augmentation(self) -> Compose:
        """The transform of training samples.

        Raises:
            InputError: It would move images whose labels cannot follow.
        """
        config, info = self.config.augmentation, self.info
        if info.grid is not None and (config.scale is not None or config.flip):
            raise InputError(
                f"labels of the dataset {info.name} lie on a grid of their own: its images cannot be scaled or "
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
        """Augmented training batches, in an order that follows from the seed.

        Args:
            dataset: The images.
            training: The section of the config that gives the batch size.
            seed: Seeds order and augmentation.
            device: Where the batches will go.
            tasks: The tasks whose labels they have; by default all.
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
        """The space (a `searchspace.SearchSpace`); one that is made of tasks takes the config's."""
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
        """The parts that networks are built from; see `Parts.of`."""
        return Parts.of(self.config, self.tasks, pretrained=pretrained)

    def supernet(self, *, pretrained: bool = True) -> MultiTaskSupernet:
        """A new supernet; see `parts`."""
        kind: Any = supernet_of(self.space)
        network: MultiTaskSupernet = kind(self.parts(pretrained=pretrained), self.space)
        return network

    def genotype(self, model: str) -> Genotype | None:
        """The genotype that a model's name stands for, or None for a network that is no genotype's.

        Args:
            model: ``single-TASK``, ``multi``, the registered name of a distillation module, a name that the space
                gives (``all-global``), or the path of a genotype file.

        Raises:
            InputError: None of these, an unknown task, a genotype for other tasks, or a module that cannot be built.
        """
        if model.startswith("single-"):
            name = model.removeprefix("single-")
            if name not in self.config.tasks:
                raise UnknownNameError("task", name, self.config.tasks, f"model {model!r}")
            return None
        if model == "multi":
            return None
        if model in DISTILLATIONS:
            self.parts().distillation(model, dict.fromkeys(self.config.tasks, 8))
            return None
        named = self.space.named()
        if model.replace("-label", "_label") not in named and not model.startswith("all-") and model[-5:] != ".json":
            modules = sorted(DISTILLATIONS)
            near = did_you_mean(model, ["multi", "consensus", *modules, *named])
            raise InputError(f"model {model!r} is none of {', '.join(MODELS)} ({', '.join(modules)}){near}")
        return resolve_genotype(model, self.space)

    def network(
        self, model: str, genotype: Genotype | None, *, pretrained: bool = True
    ) -> MultiTaskNetwork | FixedSelection:
        """A new stand-alone network.

        Args:
            model: See `genotype`; read where there is no genotype.
            genotype: The genotype, or None.
            pretrained: See `Parts.of`.

        Raises:
            InputError: A genotype of another space, or no such model.
        """
        parts = self.parts(pretrained=pretrained)
        if genotype is None:
            return parts.baseline(model)
        self.space.validate(genotype)
        return supernet_of(self.space).network(parts, genotype)

    def costs(self, device: torch.device, size: tuple[int, int] | None = None) -> CostModel | None:
        """A model of what genotypes cost, by the config's ``cost.measure``; None where no cost counts.

        Args:
            device: Where a measure that computes modules does so.
            size: (H, W) of an image; by default the dataset's.

        Raises:
            UnknownNameError: No such measure.
        """
        if self.config.cost is None:
            return None
        measure = MEASURES.create(self.config.cost.measure, {})
        parts = self.parts(pretrained=False)
        return supernet_of(self.space).costs(parts, self.space, measure, size or self.info.size, device)

    def strategy(self, seed: int, knobs: Mapping[str, Any] | None = None) -> Strategy:
        """A new strategy on the space.

        Args:
            seed: Its seed.
            knobs: Its knobs; by default the config's.
        """
        named = self.config.strategy
        return build_strategy(named.name, self.space, seed=seed, knobs=named.options if knobs is None else knobs)
