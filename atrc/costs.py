"""What genotypes cost in a config's network, for searches that weigh cost."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from atrc.build import build_search_network
from atrc.config import Config
from atrc.measures import MEASURES
from atrc.tasks import Task
from searchspace import CostModel

__all__ = ["network_costs"]


def network_costs(
    config: Config, tasks: Mapping[str, Task], size: tuple[int, int], device: torch.device
) -> CostModel:
    """Costs by the config's ``cost.measure``; what they say exactly is said by the space's supernet.

    Args:
        config: With a ``cost`` section.
        tasks: Its tasks.
        size: (H, W) of an image.
        device: Where latency is measured.

    Raises:
        UnknownNameError: No such measure.
    """
    assert config.cost is not None
    measure = MEASURES.create(config.cost.measure, {})
    with torch.device("meta"):
        supernet = build_search_network(config, tasks, pretrained=False)
    return supernet.costs(measure, size, device)
