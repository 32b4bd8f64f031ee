"""Counted resources beside the published ones."""

from __future__ import annotations

import pytest
import torch

from analysis.paper.published import published_table, table_numbers
from analysis.paper.resources import paper_resources
from atrc.config import load_config
from atrc.costs import count_parameters
from atrc.setup import Setup
from searchspace import InputError

UNEXPLAINED = {"pap", "psd", "all-t_label", "all-s_label", "retrain"}
"""PAP and PSD cannot be rebuilt from what is published; nobody has explained the rows with label contexts."""


def test_table_1() -> None:
    counted = paper_resources(1).set_index("model")
    assert len(counted) == 13
    assert counted.loc["single", "rounded_parameters_M"] == 16.09
    known = counted.drop(index=["pap", "psd"])
    assert (known["parameters_difference_M"].abs() < 0.005).all()
    explained = counted.drop(index=list(UNEXPLAINED))
    assert (explained["multiply_adds_difference_percent"].abs() < 0.1).all()


def rows_of_tables() -> list[str]:
    """Every preset with its variant that a row of a table names."""
    tables = [published_table(number) for number in table_numbers()]
    presets = {
        preset + (f"+{row.variant}" if row.variant else "")
        for table in tables
        for preset in table.places.values()
        for row in table.rows
    }
    return sorted(presets)


@pytest.mark.parametrize("source", rows_of_tables())
def test_every_row_of_every_table_has_a_network(source: str) -> None:
    config = load_config(source, ["backbone.branches=null"] if "+branched" in source else [])
    assert config.name == source
    if config.dataset.name == "folder":
        config = config.model_copy(update={"dataset": load_config("rooms4").dataset})
        if set(config.tasks) != set(load_config("rooms4").tasks):
            config = config.model_copy(update={"dataset": load_config("rooms5").dataset})

    with torch.device("meta"):
        supernet = Setup.of(config).supernet(pretrained=False)
        network = Setup.of(config).network("multi", None, pretrained=False)
    assert 0 < count_parameters(network) <= count_parameters(supernet)


def test_tables_without_resources() -> None:
    with pytest.raises(InputError, match="table 2 of the paper publishes no parameters"):
        paper_resources(2)
