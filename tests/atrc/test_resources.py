"""Parameters and multiply-adds against the published and counted columns of Table 1 (resources)."""

from __future__ import annotations

import pytest
import torch

from atrc.build import build_network, build_tasks, cp_space, describe_dataset, model_genotype
from atrc.config import load_config
from atrc.resource_table import resource_rows
from atrc.resources import count_parameters
from searchspace import RELEASED, from_codes

NYUD = {
    "single-task, sum": (16_097_716, 40.937),
    "multi-task": (4_515_556, 17.594),
    "cross_stitch": (4_516_628, 17.594),
    "all-global": (4_734_172, 21.427),
    "all-local": (4_734_172, 22.194),
    "all-t_label": (5_060_994, 25.408),
    "all-s_label": (5_060_994, 25.408),
    "ATRC, released nyud_hrnet18": (5_060_994, 25.295),
}

PUBLISHED = {
    "cross_stitch": (4.52, None),  # how its sums were counted is not known
    "pad_a": (4.59, 18.68),
    "pad_b": (5.02, 25.18),
    "pad_c": (5.50, 32.42),
}
"""M and G, as printed."""


def test_nyud_hrnet18() -> None:
    config = load_config("nyud_hrnet18")
    info = describe_dataset(config)
    rows = resource_rows(config, build_tasks(config, info), cp_space(config), info.size)
    counted = {str(row["network"]): (int(row["parameters"]), int(row["multiply_adds"])) for row in rows}
    assert counted["search supergraph"][0] == 5_459_314
    for network, (parameters, giga) in NYUD.items():
        assert counted[network][0] == parameters
        assert counted[network][1] / 1e9 == pytest.approx(giga, abs=0.0006)
    for network, (mega, published) in PUBLISHED.items():
        assert counted[network][0] / 1e6 == pytest.approx(mega, abs=0.005)
        if published is not None:
            assert counted[network][1] / 1e9 == pytest.approx(published, rel=0.001)


@pytest.mark.parametrize(
    ("preset", "overrides", "expected"),
    [
        (
            "nyud_hrnet18",
            ["backbone.name=hrnet48"],
            {
                "multi": 70_000_305,
                "all-global": 71_572_785,
                "all-t_label": 73_740_107,
                "nyud_hrnet48": 72_478_947,
            },
        ),
        (
            "pascal_hrnet18",
            [],
            {
                "multi": 4_677_752,
                "all-local": 5_007_782,
                "all-s_label": 5_394_494,
                "pascal_hrnet18": 5_383_142,
            },
        ),
    ],
)
def test_parameters_of_other_networks(preset: str, overrides: list[str], expected: dict[str, int]) -> None:
    config = load_config(preset, overrides)
    tasks = build_tasks(config, describe_dataset(config))
    for model, parameters in expected.items():
        genotype = from_codes(*RELEASED[model]) if model in RELEASED else model_genotype(config, model)
        with torch.device("meta"):
            assert count_parameters(build_network(config, tasks, model, genotype, pretrained=False)) == parameters
