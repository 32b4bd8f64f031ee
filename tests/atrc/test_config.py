"""Configs: presets, overrides, round trips."""

from __future__ import annotations

from pathlib import Path

import pytest

from atrc.config import load_config, parse_config, preset_names, ships, variant_names, variant_summary
from atrc.networks import lacks_weights
from atrc.setup import Setup
from searchspace import InputError


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_builds_its_tasks_and_space(name: str) -> None:
    config = load_config(name)
    tasks = Setup.of(config).tasks
    assert list(tasks) == list(Setup.of(config).space.tasks)
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


def test_variants_change_a_preset_one_after_the_other() -> None:
    config = load_config("rooms5+short+fcn+aspp")
    assert config.name == "rooms5+short+fcn+aspp"
    assert (config.search.steps, config.train.steps, config.search.lr) == (300, 300, load_config("rooms5").search.lr)
    assert config.strategy.options == {"lr": 0.05}
    assert config.model.head.name == "fcn"
    assert config.model.head.options == {"channels": 48, "skip": 16, "rates": [1, 2, 3], "aspp": True}
    assert load_config("rooms4+aspp").model.head.name == "shallow"
    assert load_config("pascal_resnet50+wide").backbone.options == {"width": 2}, (
        "of another name, without its options"
    )
    assert load_config("rooms4+short+branched").backbone.options["branches"] == (
        "runs/rooms4+short+bmtas/search/seed0/genotype.json"
    )


def test_variants_of_a_file_and_those_that_do_not_exist(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("name: own\ndataset: {name: rooms}\ntasks: [semseg]\nsearch: {lr: 0.5}\n")
    config = load_config(f"{file}+short")
    assert (config.name, config.search.lr, config.search.steps) == ("own+short", 0.5, 300)
    with pytest.raises(InputError, match=r"unknown variant 'shot' .*did you mean 'short'"):
        load_config("rooms4+shot")
    assert ships("rooms4+short+fpm")
    assert not ships("own+short")
    assert not ships("rooms4+own")


def test_every_variant_says_what_it_changes() -> None:
    for name in variant_names():
        assert variant_summary(name).endswith(".")
        assert load_config(f"rooms4+{name}") != load_config("rooms4")


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


TEXT = "name: x\ndataset: {name: rooms, size: [32, 48]}\ntasks: [semseg]\n"


def test_a_learning_rate_may_be_written_as_people_do() -> None:
    """In an override, in a file, and in the config that a run keeps; quotes make text."""
    override = parse_config(TEXT, "x", ["strategy={name: darts, lr: 1e-3}", "dataset.note='1e-3'"])
    assert override.strategy.options == {"lr": 0.001}
    assert override.dataset.options["note"] == "1e-3"
    assert parse_config(override.to_yaml(), "copy") == override
    assert parse_config(TEXT + "strategy: {name: darts, lr: 2E-3}\n", "x").strategy.options == {"lr": 0.002}


PRESET_STRATEGY = {"lr": 0.2, "freeze": "entropy"}


@pytest.mark.parametrize(
    ("overrides", "name", "options"),
    [
        (["strategy.name=darts"], "darts", {}),
        (["strategy=darts"], "darts", {}),
        (["strategy.name=darts", "strategy.lr=0.5"], "darts", {"lr": 0.5}),
        (["strategy.lr=0.5", "strategy.name=darts"], "darts", {"lr": 0.5}),
        (["strategy.lr=0.5", "strategy=darts"], "darts", {"lr": 0.5}),
        (["strategy=darts", "strategy.lr=0.5"], "darts", {"lr": 0.5}),
        (["strategy.lr=0.5", "strategy.name=darts", "strategy.name=snas"], "snas", {"lr": 0.5}),
        (["strategy.name=gumbel_entropy"], "gumbel_entropy", PRESET_STRATEGY),
        (["strategy={name: gumbel_entropy}"], "gumbel_entropy", {}),
        (["strategy={name: darts, betas: [0, 0]}", "strategy.name=snas"], "snas", {}),
        (["strategy.name=darts", "strategy={name: snas, lr: 1}"], "snas", {"lr": 1}),
    ],
)
def test_another_name_drops_the_options_of_the_old_one(
    overrides: list[str], name: str, options: dict[str, object]
) -> None:
    text = TEXT + "strategy: {name: gumbel_entropy, lr: 0.2, freeze: entropy}\n"
    strategy = parse_config(text, "x", overrides).strategy
    assert (strategy.name, strategy.options) == (name, options)


def test_a_name_alone_is_enough() -> None:
    text = "name: x\ndataset: rooms\ntasks: [semseg]\nstrategy: darts\n"
    text += "model: {neck: fpm, head: fcn}\ntrials: {scorer: train}\n"
    config = parse_config(text, "x", ["backbone=tiny", "strategy.lr=0.5"])
    assert (config.dataset.name, config.backbone.name, config.model.head.name) == ("rooms", "tiny", "fcn")
    assert config.model.neck is not None
    assert (config.model.neck.name, config.trials.scorer.name) == ("fpm", "train")
    assert (config.strategy.name, config.strategy.options) == ("darts", {"lr": 0.5})
    assert parse_config(config.to_yaml(), "copy") == config
    with pytest.raises(
        InputError, match="x: strategy: expected a name, or a mapping with 'name' and its options, got 5"
    ):
        parse_config(text, "x", ["strategy=5"])


def test_an_option_without_a_name_is_one_of_the_default() -> None:
    config = parse_config(TEXT, "x", ["strategy.lr=0.5", "model.head.skip=4", "trials.scorer.run=a"])
    assert (config.strategy.name, config.strategy.options) == ("gumbel_entropy", {"lr": 0.5})
    assert (config.model.head.name, config.trials.scorer.name) == ("shallow", "train")
    compare = "compare={samples: 9, strategies: [darts, snas]}"
    found = parse_config(TEXT, "x", [compare, "compare.strategies.darts.lr=1", "compare.strategies.snas.name=gdas"])
    assert found.compare is not None
    assert {label: (one.name, one.options) for label, one in found.compare.strategies.items()} == {
        "darts": ("darts", {"lr": 1}),
        "snas": ("gdas", {}),
    }


def test_a_name_that_is_no_part_drops_nothing() -> None:
    """Neither the config's own name, nor that of a spec that stands in the config."""
    text = TEXT.replace("{name: rooms, size: [32, 48]}", "{name: folder, spec: {name: a, images: 'x/{id}.jpg'}}")
    config = parse_config(text, "x", ["name=other", "dataset.spec.name=b"])
    assert config.name == "other"
    assert config.dataset.options["spec"] == {"name": "b", "images": "x/{id}.jpg"}


@pytest.mark.parametrize("name", preset_names())
def test_presets_of_the_papers_data_follow_its_released_code(name: str) -> None:
    """Its genotypes and numbers stand beside ours; docs/method.md says in what it differs from the paper's text."""
    config = load_config(name)
    released = name.startswith(("nyud_", "pascal_"))
    border = config.model.contexts.get("local", {}).get("border", "mask")
    assert border == ("zero" if released else "mask")
    assert config.model.mask_padding is not released
    assert lacks_weights(config) is released
    assert (config.augmentation.crop_by, config.augmentation.crop_labels) == ("dataset", True)
    assert config.search.clip == "joint"
