"""The crops of a training: those of a single-task network are those of all others, as Delta_m needs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from atrc.config import Config
from atrc.data import DATASETS, BatchLoader, Rooms
from atrc.setup import Setup
from searchspace import InputError
from searchspace.registry import forget


def images(config: Config, *names: str) -> torch.Tensor:
    """What the first 16 steps of a network of these tasks see."""
    setup = Setup.of(config)
    tasks = {name: setup.tasks[name] for name in names}
    train, _ = setup.splits(tasks)
    batches = list(BatchLoader(train, tasks, setup.augmentation(), batch_size=4, seed=0).iterate(0, 16))
    assert all(set(batch.labels) == set(names) for batch in batches)
    return torch.cat([batch.image for batch in batches])


@pytest.fixture
def often(config: Config) -> Config:
    """A rule that most crops of a room break, so that they are drawn again."""
    return config.model_copy(update={"augmentation": config.augmentation.model_copy(update={"crop_dominance": 0.3})})


def test_single_task_networks_see_what_the_others_see(often: Config) -> None:
    every = images(often, *often.tasks)
    assert torch.equal(every, images(often, "depth"))
    assert torch.equal(every, images(often, "semseg"))
    tasks = often.augmentation.model_copy(update={"crop_by": "tasks"})
    before = often.model_copy(update={"augmentation": tasks})
    assert torch.equal(every, images(before, *often.tasks))
    assert not torch.equal(every, images(before, "depth")), "the rule of earlier versions"


class Unsegmented(Rooms):
    """Rooms of whose label maps of classes no file is there."""

    __module__ = "a_plugin"

    def __init__(self, split: str, tasks: list[str], **options: object) -> None:
        if "semseg" in tasks:
            raise InputError("semseg/0.png: no such file")
        super().__init__(split, tasks, **options)


@pytest.fixture
def unsegmented() -> Iterator[str]:
    DATASETS.register("unsegmented")(Unsegmented)
    yield "unsegmented"
    forget("a_plugin")


def test_a_dataset_whose_semseg_cannot_be_read_is_cropped_without_it(
    often: Config, unsegmented: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A config without semseg never asked for its files, and need not have them."""
    expected = images(often.model_copy(update={"tasks": {"depth": {}}}), "depth")
    named = often.dataset.model_copy(update={"name": unsegmented})
    found = images(often.model_copy(update={"tasks": {"depth": {}}, "dataset": named}), "depth")
    assert "crops are not guided by semseg, whose labels cannot be read: semseg/0.png" in capsys.readouterr().err
    assert not torch.equal(found, expected)
    with pytest.raises(InputError, match="no such file"):
        images(often.model_copy(update={"dataset": named}), "depth")
