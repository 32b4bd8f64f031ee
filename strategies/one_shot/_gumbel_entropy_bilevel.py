"""The paper's search with two levels, to compare with its single one (Sec. 3.3)."""

from __future__ import annotations

from strategies._base import STRATEGIES
from strategies._step import DataUse
from strategies.one_shot._gumbel_entropy import GumbelEntropy

__all__ = ["GumbelEntropyBiLevel"]


@STRATEGIES.register("gumbel_entropy_bilevel")
class GumbelEntropyBiLevel(GumbelEntropy):
    """`GumbelEntropy`, whose logits learn from held-out images: an ablation.

    As in first-order DARTS, a step takes a training batch for the weights, and a held-out one for the logits at the
    present weights. Each has samples of its own. So a search of the same number of images has half as many steps.
    """

    name = "gumbel_entropy_bilevel"
    summary = "the paper's search with two levels, an ablation: logits learn from held-out images"
    paper = "after Bruggemann et al., ICCV 2021, and Liu et al., ICLR 2019"
    data_use = DataUse.BI_LEVEL
    passes = 2
