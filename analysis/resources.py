"""Parameters and multiply-adds of networks, part by part: of every one of a config, or of the one of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from analysis.views import view_of
from atrc.config import Config
from atrc.costs import Counter, Resources
from atrc.distillation import DISTILLATIONS
from atrc.networks import build_backbone
from atrc.runs import RunDirectory
from atrc.setup import Setup
from atrc.supernets import supernet_of
from searchspace import NONE, Genotype, InputError, Selection, Weighted

__all__ = ["ResourceRow", "resource_rows", "run_resources"]

MODULES = ("cross_stitch", "pap", "psd", "pad_a", "pad_b", "pad_c")
"""The other distillation modules of Table 1, in its order."""
SINGLE, MULTI, RETRAIN, SEARCH = "single", "multi", "retrain", "search"
EMPTY = f"all-{NONE}"
"""The genotype that cuts every block: its network is the multi-task baseline, which has a row."""


@dataclass(frozen=True)
class ResourceRow:
    """Cost of a network for one image.

    Attributes:
        network: Name of the network, for readers.
        model: Name of the network in commands: ``single`` for the sum over tasks, ``multi``, ``all-global``,
            ``pad_a``; ``retrain`` for a genotype, ``search`` for the supernet.
        networks: Totals of the networks that are summed: one per task for ``single``, otherwise one.
        parts: Part -> its resources, as `atrc.costs.Counter.parts` gives them; ``architecture`` has the
            parameters of a search by logits.
    """

    network: str
    model: str
    networks: tuple[Resources, ...]
    parts: Mapping[str, Resources]

    @property
    def total(self) -> Resources:
        """Sum of all parts."""
        return _sum(self.networks)


class _Rows:
    """Rows of one config; a backbone that networks share is built and counted once."""

    def __init__(self, config: Config, size: tuple[int, int]) -> None:
        setup = Setup.of(config)
        self.tasks, self.space = setup.tasks, setup.space
        self.view = view_of(self.space)
        self.counter = Counter(size)
        with torch.device("meta"):  # shapes are all that counts, and values take half a minute to draw
            backbone = build_backbone(config, pretrained=False)
        parts = setup.parts(pretrained=False)
        shared = self.view.shares_backbone and config.backbone.options.get("branches") is None
        encoder = (lambda: backbone) if shared else parts.encoder
        self.parts = replace(parts, backbone=lambda: backbone, encoder=encoder)
        self.kind: Any = supernet_of(self.space)

    def row(self, label: str, model: str, genotype: Genotype | None = None) -> ResourceRow:
        names = [f"single-{task}" for task in self.tasks] if model == SINGLE else [model]
        return _row(label, model, [self.counter.parts(self._network(name, genotype)) for name in names])

    def _network(self, model: str, genotype: Genotype | None) -> Any:
        with torch.device("meta"):
            if genotype is None:
                return self.parts.baseline(model)
            return self.kind.network(self.parts, self.space.validate(genotype))

    def supernet(self) -> ResourceRow:
        """The row of the supernet, with every option of every choice active."""
        with torch.device("meta"):
            network = self.kind(self.parts, self.space)
        everything = {c: tuple(Weighted(option, None) for option in options) for c, options in self.space.items()}
        logits = {"architecture": Resources(sum(map(len, self.space.values())), 0)}
        parts = self.counter.parts(network, Selection(everything))
        return _row("search supergraph", SEARCH, [parts | logits])


def _row(label: str, model: str, networks: Sequence[Mapping[str, Resources]]) -> ResourceRow:
    nothing = Resources(0, 0)
    names = dict.fromkeys(part for costs in networks for part in costs)
    parts = {part: _sum(costs.get(part, nothing) for costs in networks) for part in names}
    return ResourceRow(label, model, tuple(_sum(costs.values()) for costs in networks), parts)


def _sum(costs: Iterable[Resources]) -> Resources:
    return sum(costs, start=Resources(0, 0))


def _further_modules(rows: _Rows, config: Config) -> list[ResourceRow]:
    """Rows of all other distillation modules, for instance of plugins, but for those that need options and have none.

    Raises:
        InputError: A module refuses the options that the config gives it.
    """
    found = []
    for module in sorted(set(DISTILLATIONS) - {*MODULES, NONE}):
        try:
            found.append(rows.row(module, module))
        except InputError:
            if module in config.model.distillations:
                raise
    return found


def resource_rows(config: Config, size: tuple[int, int]) -> list[ResourceRow]:
    """A row for every network of the config, in the order of Table 1, for one image of ``size`` (H, W)."""
    rows = _Rows(config, size)
    found = [rows.row("single-task, sum", SINGLE), rows.row("multi-task", MULTI)]
    found += [rows.row(module, module) for module in MODULES]
    found += _further_modules(rows, config)
    named = {name: genotype for name, genotype in rows.space.named().items() if name != EMPTY}
    found += [rows.row(name, name, genotype) for name, genotype in named.items()]
    released = rows.view.released(rows.space)
    found += [rows.row(label, RETRAIN, genotype) for label, genotype in released.items()]
    return [*found, rows.supernet()]


def run_resources(run: RunDirectory, size: tuple[int, int] | None = None) -> ResourceRow:
    """Resources of the network that a run trains, or that a search found.

    Args:
        run: A run; a search must have found its genotype.
        size: Height and width of an image, in pixels; None for the dataset's.

    Raises:
        InputError: A search that is not finished.
    """
    genotype = run.genotype()
    if run.spec.kind == "search" and genotype is None:
        raise InputError(f"run {run.path} has found no genotype yet; continue it with: atrc resume {run.path}")
    rows = _Rows(run.config, size or Setup.of(run.config).info.size)
    return rows.row(str(run.path), run.spec.model, genotype)
