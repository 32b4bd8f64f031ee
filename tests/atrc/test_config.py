"""Configs: presets, overrides, round trips."""

from __future__ import annotations

import pytest

from atrc.build import build_tasks, cp_space, describe_dataset
from atrc.config import load_config, parse_config, preset_names
from searchspace import InputError


@pytest.mark.parametrize("name", ["demo", "rooms4", "rooms5", "ccp", "nyud_hrnet18", "pascal_hrnet18"])
def test_every_preset_builds_its_tasks_and_space(name: str) -> None:
    config = load_config(name)
    tasks = build_tasks(config, describe_dataset(config))
    assert list(tasks) == list(cp_space(config).tasks)
    assert config.name == name
    assert name in preset_names()


def test_paper_recipe_is_the_default() -> None:
    """The paper: 40,000 steps of 8, SGD 0.9, weight decay 5e-4, poly 0.9, clip 10 in search."""
    config = load_config("nyud_hrnet18")
    for training in (config.search, config.train):
        assert (training.steps, training.batch_size, training.optimizer) == (40_000, 8, "sgd")
        assert (training.momentum, training.weight_decay, training.power, training.lr) == (0.9, 5e-4, 0.9, 0.01)
    assert config.search.clip_norm == 10.0
    assert load_config("pascal_hrnet18").search.lr == 0.005
    assert config.strategy.options == {}


def test_resolved_config_reads_back_to_the_same() -> None:
    for name in preset_names():
        config = load_config(name, ["seeds=[4, 5]", "model.contexts={local: {border: zero}}"])
        assert parse_config(config.to_yaml(), "copy") == config


def test_overrides_nest_and_turn_lists_of_tasks_into_options() -> None:
    config = load_config("nyud_hrnet18", ["tasks.edge.weight=5", "search.steps=7", "dataset.root=elsewhere"])
    assert config.tasks == {"semseg": {}, "depth": {}, "normals": {}, "edge": {"weight": 5}}
    assert config.search.steps == 7
    assert config.dataset.options["root"] == "elsewhere"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b", "must hold a mapping"),
        ("name: [", "is not YAML"),
        ("name: x\ntasks: [semseg]", "'dataset' is missing"),
        ("name: a/b\ndataset: {name: rooms}\ntasks: [semseg]", "name:"),
        ("name: x\ndataset: {name: rooms}\ntasks: []", "at least one task"),
    ],
)
def test_broken_files(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_config(text, "x.yaml")
