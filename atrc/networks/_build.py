"""Builds networks from a config: backbone, neck, heads, and baselines."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from atrc.backbones import BACKBONES, Backbone, BranchedBackbone, LoadReport, load_weights
from atrc.config import Config, Model
from atrc.distillation import DISTILLATIONS, Distillation
from atrc.heads import HEADS
from atrc.necks import NECKS
from atrc.networks._network import MultiTaskNetwork
from atrc.networks._trunk import Decoder, Encoder
from atrc.tasks import Task
from searchspace import InputError, UnknownNameError, build_space, load_genotype
from searchspace.bmtas import tree_space

__all__ = ["MODELS", "MULTI", "RANDOM_WEIGHTS", "Parts", "build_backbone", "lacks_weights", "single_task"]

MODELS = ("single-TASK", "multi", "consensus", "all-CONTEXT", "GENOTYPE.json", "a distillation module")
"""Kinds of stand-alone networks, in words for messages."""
SINGLE, MULTI = "single-", "multi"
_PLAIN = "none"
"""Name of the distillation module of the single-task and the multi-task baseline."""
RANDOM_WEIGHTS = "begins with random weights, the paper's with ImageNet weights; set -s backbone.weights=FILE"
"""The end of a remark on a backbone that `lacks_weights`."""


def single_task(model: str, tasks: Iterable[str]) -> str | None:
    """Returns the task of the model ``single-TASK``, or None for any other model.

    Raises:
        UnknownNameError: The task is not one of ``tasks``.
    """
    if not model.startswith(SINGLE):
        return None
    name, known = model.removeprefix(SINGLE), list(tasks)
    if name not in known:
        raise UnknownNameError("task", name, known, f"model {model!r}")
    return name


@dataclass(frozen=True)
class Parts:
    """The parts that all networks of a config are built from.

    Attributes:
        tasks: Task name -> task.
        encoder: Function that returns a new encoder, which tasks share.
        decoder: Neck and heads.
        model: Options of contexts and distillation modules.
        backbone: Function that returns a new backbone that is not branched; None if the encoder is one.
    """

    tasks: Mapping[str, Task]
    encoder: Callable[[], Encoder]
    decoder: Decoder = field(default_factory=Decoder)
    model: Model = field(default_factory=Model)
    backbone: Callable[[], Backbone] | None = None

    @classmethod
    def of(cls, config: Config, tasks: Mapping[str, Task], *, pretrained: bool = True) -> Parts:
        """Returns the parts of a config.

        Args:
            config: The config.
            tasks: All tasks of the config, by name.
            pretrained: False to skip pretrained weights, for networks whose checkpoint is loaded next.
        """

        def backbone() -> Backbone:
            return build_backbone(config, pretrained=pretrained)

        def encoder() -> Encoder:
            return _build_encoder(config, backbone)

        return cls(tasks, encoder, _build_decoder(config), config.model, backbone)

    def network(self, distil: Callable[[Mapping[str, int]], Distillation]) -> MultiTaskNetwork:
        """Returns a new stand-alone network of all tasks.

        Args:
            distil: Function that returns the distillation module for task -> C of its features.
        """
        encoder = self.encoder()
        return MultiTaskNetwork(encoder, self.tasks, distil(self.decoder.channels(encoder, self.tasks)), self.decoder)

    def baseline(self, model: str) -> MultiTaskNetwork:
        """Returns a new stand-alone network without a genotype.

        Args:
            model: ``single-TASK``, ``multi``, or the registered name of a distillation module.

        Raises:
            InputError: The model is none of these, the task is unknown, or the module does not take its options.
        """
        name = single_task(model, self.tasks)
        if name is not None:
            alone = Parts({name: self.tasks[name]}, self.backbone or self.encoder, self.decoder, self.model)
            return alone.baseline(MULTI)
        module = _PLAIN if model == MULTI else model
        return self.network(lambda channels: self.distillation(module, channels))

    def distillation(self, name: str, channels: Mapping[str, int]) -> Distillation:
        """Returns a registered distillation module with the config's options.

        Args:
            name: Registered name of the module.
            channels: Task -> C of its features.

        Raises:
            InputError: The config has an unknown option of the module, or lacks one that the module needs.
        """
        module: Distillation = DISTILLATIONS.create(name, self.model.distillations.get(name, {}), channels)
        return module


def _build_decoder(config: Config) -> Decoder:
    """Returns the config's neck and heads."""
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
    """Returns the config's backbone, not branched, with pretrained weights if the config names a file.

    Args:
        config: The config.
        pretrained: False to skip the weights, for a network whose checkpoint is loaded next.
        report: Function that is called with a report on the loaded weights.
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


def lacks_weights(config: Config) -> bool:
    """Returns whether the config has the key ``backbone.weights`` without a value, so that weights are random."""
    options = config.backbone.options
    return "weights" in options and options["weights"] is None


def _build_encoder(config: Config, backbone: Callable[[], Backbone]) -> Encoder:
    """Returns the config's backbone, branched if ``backbone.branches`` names a genotype file.

    Raises:
        InputError: The file does not exist, or holds no tree for the config's tasks.
    """
    branches = config.backbone.options.get("branches")
    if branches is None:
        return backbone()
    try:
        genotype = load_genotype(Path(branches))
    except InputError as error:
        raise InputError(f"backbone.branches: {error}; search a tree with the space bmtas") from None
    space = tree_space(genotype, config.tasks)
    if space is None:
        raise InputError(
            f"backbone.branches: {branches} must be a genotype of the space bmtas for the tasks "
            f"{', '.join(config.tasks)}; it is of {build_space(genotype.space, **genotype.parameters)!r}"
        )
    return BranchedBackbone(backbone, space, space.validate(genotype))
