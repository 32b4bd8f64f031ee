"""What networks cost, part by part: every one that can be built from a config, or that of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from atrc.config import Config
from atrc.costs import Counter, Resources
from atrc.networks import build_backbone
from atrc.runs import RunDirectory
from atrc.setup import Setup
from atrc.supernets import supernet_of
from searchspace import NONE, RELEASED, CPSpace, Genotype, InputError, Selection, Weighted, from_codes

__all__ = ["ResourceRow", "resource_rows", "run_resources"]

MODULES = ("cross_stitch", "pap", "psd", "pad_a", "pad_b", "pad_c")
"""The other distillation modules of Table 1, in its order."""
SINGLE, MULTI, RETRAIN, SEARCH = "single", "multi", "retrain", "search"


@dataclass(frozen=True)
class ResourceRow:
    """What a network costs for one image.

    Attributes:
        network: What to call it.
        model: As commands do: ``single`` for the sum over tasks, ``multi``, ``all-global``, ``pad_a``; ``retrain``
            for a genotype, ``search`` for the supernet.
        networks: Totals of the networks that it sums, one but for ``single``.
        parts: See `atrc.costs.Counter.parts`; ``architecture`` has the parameters of a search by logits.
    """

    network: str
    model: str
    networks: tuple[Resources, ...]
    parts: Mapping[str, Resources]

    @property
    def total(self) -> Resources:
        """Of all parts."""
        return _sum(self.networks)


class _Rows:
    """Rows of one config; a backbone that networks share is built and counted once."""

    def __init__(self, config: Config, size: tuple[int, int]) -> None:
        self.setup = Setup.of(config)
        self.tasks, self.space = self.setup.tasks, self.setup.space
        self.counter = Counter(size)
        with torch.device("meta"):  # shapes are all that counts, and values take half a minute to draw
            backbone = build_backbone(config, pretrained=False)
        branched = config.backbone.options.get("branches") is not None or not isinstance(self.space, CPSpace)
        parts = self.setup.parts(pretrained=False)
        encoder = parts.encoder if branched else lambda: backbone
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
        """With everything active that can be."""
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


def resource_rows(config: Config, size: tuple[int, int]) -> list[ResourceRow]:
    """A row for every network of the config, in the order of Table 1, for one image of ``size`` (H, W)."""
    rows = _Rows(config, size)
    found = [rows.row("single-task, sum", SINGLE), rows.row("multi-task", MULTI)]
    found += [rows.row(module, module) for module in MODULES]
    space = rows.space
    if isinstance(space, CPSpace):
        uniform = [context for context in space.contexts if context != NONE]
        found += [rows.row(f"all-{context}", f"all-{context}", space.uniform(context)) for context in uniform]
        found += [rows.row(f"ATRC, released {name}", RETRAIN, genotype) for name, genotype in _released(space)]
    return [*found, rows.supernet()]


def run_resources(run: RunDirectory, size: tuple[int, int] | None = None) -> ResourceRow:
    """Of the network that a run trains, or that a search found.

    Args:
        run: A run; a search must have found its genotype.
        size: (H, W) of an image; None for the dataset's.

    Raises:
        InputError: A search that is not finished.
    """
    genotype = run.genotype()
    if run.spec.kind == "search" and genotype is None:
        raise InputError(f"run {run.path} has found no genotype yet; continue it with: atrc resume {run.path}")
    rows = _Rows(run.config, size or Setup.of(run.config).info.size)
    return rows.row(str(run.path), run.spec.model, genotype)


def _released(space: CPSpace) -> Iterator[tuple[str, Genotype]]:
    """The published genotypes that are of this space."""
    for name, (tasks, codes) in RELEASED.items():
        if CPSpace(tasks) == space:
            yield name, from_codes(tasks, codes)
