"""The resource columns of Table 1 for any config: every network that can be built from it, one row each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from atrc.build import build_backbone, build_network, build_search_network
from atrc.config import Config
from atrc.resources import Counter, count_parameters
from atrc.tasks import Task
from searchspace import NONE, RELEASED, CPSpace, Genotype, Selection, Weighted, from_codes

__all__ = ["resource_rows"]

MODULES = ("cross_stitch", "pap", "psd", "pad_a", "pad_b", "pad_c")
"""The other distillation modules of Table 1, in its order."""


def resource_rows(
    config: Config, tasks: Mapping[str, Task], space: CPSpace, size: tuple[int, int]
) -> list[dict[str, str | int]]:
    """Rows of ``network``, ``parameters`` and ``multiply_adds`` for one image of ``size`` (H, W).

    The supergraph's parameters include the architecture's; its multiply-adds are those of a step in which every
    candidate is active.
    """
    rows: list[dict[str, str | int]] = []
    counter = Counter(size)
    with torch.device("meta"):  # shapes are all that counts, and values take half a minute to draw
        backbone = build_backbone(config, pretrained=False)

    def add(label: str, *models: tuple[str, Genotype | None]) -> None:
        with torch.device("meta"):
            networks = [build_network(config, tasks, *model, backbone=backbone) for model in models]
        cost = counter.resources(networks)
        rows.append({"network": label, "parameters": cost.parameters, "multiply_adds": cost.multiply_adds})

    add("single-task, sum", *((f"single-{task}", None) for task in tasks))
    add("multi-task", ("multi", None))
    for module in MODULES:
        add(module, (module, None))
    for context in space.contexts:
        if context != NONE:
            add(f"all-{context}", (f"all-{context}", space.uniform(context)))
    for name, genotype in _released(space):
        add(f"ATRC, released {name}", ("released", genotype))
    with torch.device("meta"):
        supernet = build_search_network(config, tasks, backbone=lambda: backbone)
    everything = Selection({c: tuple(Weighted(option, None) for option in options) for c, options in space.items()})
    rows.append(
        {
            "network": "search supergraph",
            "parameters": count_parameters(supernet) + sum(len(options) for options in space.values()),
            "multiply_adds": counter.multiply_adds(supernet, everything),
        }
    )
    return rows


def _released(space: CPSpace) -> Iterator[tuple[str, Genotype]]:
    """The published genotypes that are of this space."""
    for name, (tasks, codes) in RELEASED.items():
        if CPSpace(tasks) == space:
            yield name, from_codes(tasks, codes)
