"""``importance``: permuting every block on kept features, against full forward passes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch

from analysis.blocks import Blocks
from analysis.importance import block_importance, permuted_metrics
from atrc.bench import Case, Setting
from atrc.config import load_config
from atrc.data import Batch, eval_transform, evaluation_batches
from atrc.setup import Setup
from searchspace import NONE

__all__ = ["importance"]


def importance(setting: Setting) -> Iterator[Case]:
    """Importance of all blocks of a network of four tasks on rooms, with the metrics that Delta_m needs."""
    sizes = {"tiny": (4, 1)} if setting.quick else {"tiny": (16, 10), "hrnet18": (8, 4)}
    for backbone, (images, permutations) in sizes.items():
        overrides = [f"dataset.val={images}", "dataset.train=16", f"backbone.name={backbone}"]
        config = load_config("demo" if setting.quick else "rooms4", overrides)
        setup = Setup.of(config)
        setup.fit(setup.split("train"))
        tasks, dataset, space = setup.tasks, setup.split("val"), setup.space
        transform = eval_transform(dataset.info.size)
        batches = list(evaluation_batches(dataset, tasks, transform, batch_size=config.evaluate_batch))
        torch.manual_seed(0)
        genotype = space.sample(random.Random(0))
        blocks = Blocks(setup.network("found", genotype).to(setting.device).eval())
        kept = sum(option != NONE for option in genotype.values())
        yield Case(
            f"{backbone}: {kept} blocks, {permutations} permutations of {images} images",
            {
                "kept features": partial(_kept, blocks, batches, images, permutations, setting),
                "full forward passes": partial(_full, blocks, batches, images, permutations, setting),
            },
            reference="full forward passes",
        )


def _kept(blocks: Blocks, batches: Sequence[Batch], images: int, permutations: int, setting: Setting) -> None:
    block_importance(blocks, batches, images, permutations=permutations, device=setting.device, quiet=True)


def _full(blocks: Blocks, batches: Sequence[Batch], images: int, permutations: int, setting: Setting) -> None:
    """Every block's outputs in one pass; then, for every permutation, the whole network and all metrics."""
    generator = np.random.default_rng(0)
    orders = [torch.from_numpy(generator.permutation(images)) for _ in range(permutations)]
    for target, source in blocks.space.pairs():
        if blocks.chosen(target, source) != NONE:
            list(permuted_metrics(blocks, batches, target, source, orders, device=setting.device))
