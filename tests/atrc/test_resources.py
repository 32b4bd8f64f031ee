"""Parameters and multiply-adds against the published and counted columns of Table 1 (resources)."""

from __future__ import annotations

import pytest

from atrc.build import build_tasks, cp_space, describe_dataset
from atrc.config import load_config
from atrc.resource_table import resource_rows


def table(preset: str, *overrides: str) -> dict[str, tuple[int, int]]:
    config = load_config(preset, overrides)
    info = describe_dataset(config)
    rows = resource_rows(config, build_tasks(config, info), cp_space(config), info.size)
    return {str(r["network"]): (int(r["parameters"]), int(r["multiply_adds"])) for r in rows}


NYUD = {
    "single-task, sum": (16_097_716, 40.937),
    "multi-task": (4_515_556, 17.594),
    "all-global": (4_734_172, 21.427),
    "all-local": (4_734_172, 22.194),
    "all-t_label": (5_060_994, 25.408),
    "all-s_label": (5_060_994, 25.408),
    "ATRC, released nyud_hrnet18": (5_060_994, 25.295),
}


def test_nyud_hrnet18() -> None:
    counted = table("nyud_hrnet18")
    assert counted["search supergraph"][0] == 5_459_314
    for network, (parameters, giga) in NYUD.items():
        assert counted[network][0] == parameters
        assert counted[network][1] / 1e9 == pytest.approx(giga, abs=0.0006)


@pytest.mark.parametrize(
    ("preset", "overrides", "expected"),
    [
        (
            "nyud_hrnet18",
            ["backbone.name=hrnet48"],
            {
                "multi-task": 70_000_305,
                "all-global": 71_572_785,
                "all-t_label": 73_740_107,
                "ATRC, released nyud_hrnet48": 72_478_947,
            },
        ),
        (
            "pascal_hrnet18",
            [],
            {
                "multi-task": 4_677_752,
                "all-local": 5_007_782,
                "all-s_label": 5_394_494,
                "ATRC, released pascal_hrnet18": 5_383_142,
            },
        ),
    ],
)
def test_other_networks(preset: str, overrides: list[str], expected: dict[str, int]) -> None:
    counted = table(preset, *overrides)
    assert {network: counted[network][0] for network in expected} == expected
