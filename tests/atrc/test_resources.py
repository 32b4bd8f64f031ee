"""Parameters and multiply-adds against the published and counted columns of Table 1 (resources)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from atrc.build import build_network, build_tasks, cp_space, describe_dataset, model_genotype
from atrc.config import Config, load_config
from atrc.network import MultiTaskNetwork
from atrc.resource_table import resource_rows, run_resources
from atrc.resources import Counter, count_parameters
from atrc.runs import RunDirectory, RunSpec
from searchspace import RELEASED, InputError, from_codes

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
    rows = resource_rows(config, describe_dataset(config).size)
    counted = {row.network: (row.total.parameters, row.total.multiply_adds) for row in rows}
    assert counted["search supergraph"][0] == 5_459_314
    for network, (parameters, giga) in NYUD.items():
        assert counted[network][0] == parameters
        assert counted[network][1] / 1e9 == pytest.approx(giga, abs=0.0006)
    for network, (mega, published) in PUBLISHED.items():
        assert counted[network][0] / 1e6 == pytest.approx(mega, abs=0.005)
        if published is not None:
            assert counted[network][1] / 1e9 == pytest.approx(published, rel=0.001)
    parts = {row.network: row.parts for row in rows}
    atrc = parts["ATRC, released nyud_hrnet18"]
    sources = 4
    assert atrc["backbone"].parameters == 3_860_720
    assert atrc["heads"].parameters == 4 * 162_944 + sum((67 + 1) * outputs for outputs in (40, 1, 3, 1))
    assert atrc["aux"].parameters == sum(73_440 + 271 * regions for regions in (40, 40, 40, 2))
    assert atrc["blocks"].parameters == 16 * 9_141
    assert atrc["fuse"].parameters == 4 * 9_112 + sources * 8_978
    assert "neck" not in atrc


@pytest.mark.parametrize(
    ("source", "model"),
    [("rooms4", "multi"), ("rooms4", "all-t_label"), ("rooms4+mti_net", "psd"), ("rooms5+fcn+aspp", "all-local")],
)
def test_parts_add_up_to_the_network(source: str, model: str) -> None:
    config = load_config(source)
    tasks = build_tasks(config, describe_dataset(config))
    with torch.device("meta"):
        network: MultiTaskNetwork = build_network(config, tasks, model, model_genotype(config, model))
    counter = Counter((64, 96))
    parts = counter.parts(network)
    assert sum(part.parameters for part in parts.values()) == count_parameters(network)
    assert sum(part.multiply_adds for part in parts.values()) == counter.multiply_adds(network)
    assert ("neck" in parts) == ("mti_net" in source)


def test_a_run_is_counted_as_what_it_trained(config: Config, tmp_path: Path) -> None:
    genotype = cp_space(config).uniform("global")
    found = RunDirectory.create(tmp_path / "found", RunSpec("train", "retrain", 0), config, genotype)
    plain = RunDirectory.create(tmp_path / "multi", RunSpec("train", "multi", 0), config)
    rows = {row.model: row.total for row in resource_rows(config, (32, 48))}
    assert run_resources(found).total == rows["all-global"]
    assert run_resources(plain).total == rows["multi"]
    searching = RunDirectory.create(tmp_path / "search", RunSpec("search", "search", 0), config)
    with pytest.raises(InputError, match="has found no genotype yet"):
        run_resources(searching)


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
