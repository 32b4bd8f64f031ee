"""Small networks and data for the tests of the `atrc` package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from atrc.config import Config, parse_config

TINY_EXPERIMENT = """
name: tiny-test
dataset: {name: rooms, size: [32, 48], train: 12, val: 4}
tasks: {semseg: {}, depth: {}, normals: {centroids: 8}, edge: {thresholds: 5}}
backbone: {name: tiny, width: 0.25}
strategy: {name: gumbel_entropy, lr: 0.2}
search: {steps: 8, batch_size: 4, lr: 0.02, clip_norm: 10.0}
train: {steps: 6, batch_size: 4, lr: 0.02}
checkpoint_every: 3
log_every: 2
"""


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Rendered and decoded data goes into a folder of this test session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATRC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Whatever the test before asked for."""
    torch.set_num_threads(1)


@pytest.fixture
def config() -> Config:
    """Four tasks on rooms of 32 x 48 pixels: a search in about a second."""
    return parse_config(TINY_EXPERIMENT, "test config")


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """The same as a file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY_EXPERIMENT)
    return path
