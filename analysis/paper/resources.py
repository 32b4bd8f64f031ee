"""The resource columns of the paper's tables, counted again, beside the published numbers."""

from __future__ import annotations

import pandas as pd

from analysis.paper.published import published_table
from analysis.resources import resource_rows
from atrc.config import load_config
from atrc.setup import Setup
from searchspace import InputError

__all__ = ["paper_resources"]

RELEASED = "retrain"


def paper_resources(number: int | str) -> pd.DataFrame:
    """A row per network of a table, with the paper's own backbone and image size; ATRC has the released genotype.

    Args:
        number: Number of a table that publishes resources: 1.

    Returns:
        ``label``, ``model``, ``parameters``, ``multiply_adds``, ``rounded_parameters_M`` (every network's rounded to
        two digits and added up, as the paper does), ``paper_parameters_M``, ``paper_multiply_adds_G``,
        ``parameters_difference_M`` (rounded minus published) and ``multiply_adds_difference_percent`` (ours minus
        theirs).

    Raises:
        InputError: No such table, or one without resources.
    """
    table = published_table(number)
    if not table.resources:
        raise InputError(f"table {number} of the paper publishes no parameters and multiply-adds; table 1 does")
    preset = table.preset(table.own_place)
    config = load_config(preset)
    counted = {}
    for row in resource_rows(config, Setup.of(config).info.size):
        if row.model != RELEASED or row.network.endswith(preset):
            counted[row.model] = row
    rows = []
    for published in table.rows:
        row = counted[published.model]
        ours, rounded = row.total, sum(round(network.parameters / 1e6, 2) for network in row.networks)
        assert published.parameters is not None
        assert published.multiply_adds is not None
        rows.append(
            {
                "label": published.label,
                "model": published.model,
                "parameters": ours.parameters,
                "multiply_adds": ours.multiply_adds,
                "rounded_parameters_M": round(rounded, 2),
                "paper_parameters_M": published.parameters,
                "paper_multiply_adds_G": published.multiply_adds,
                "parameters_difference_M": round(rounded - published.parameters, 2),
                "multiply_adds_difference_percent": 100 * (ours.multiply_adds / 1e9 / published.multiply_adds - 1),
            }
        )
    return pd.DataFrame(rows)
