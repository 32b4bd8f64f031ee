"""Scorers: what a score looks at, what it costs, and that it depends on the trial and the seed alone."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from atrc.config import Config
from atrc.data import (
    Sample,
    Subset,
    eval_transform,
    evaluation_batches,
)
from atrc.experiments import create_search
from atrc.machine.stopping import Stop
from atrc.runs import RunDirectory
from atrc.setup import Setup
from atrc.supernets import MultiTaskSupernet
from atrc.training import execute
from atrc.training.scoring import SCORERS, InheritedScorer, Scorer, Scoring
from atrc.training.scoring._inherit import recalibrate
from searchspace import InputError, Selection
from strategies import Budget, LocalSearch, Search, Trial

CPU = torch.device("cpu")


def small(config: Config, *, steps: int = 6, search: dict[str, Any] | None = None, **changes: Any) -> Config:
    """Two tasks, trials of two steps that are scored on four images; other changes are those of `Config`."""
    trials = config.trials.model_copy(
        update={"steps": 2, "images": 4, "recalibration": 12, **changes.pop("trials", {})}
    )
    return config.model_copy(
        update={
            "tasks": {"depth": {}, "edge": {"thresholds": 5}},
            "search": config.search.model_copy(update={"steps": steps, **(search or {})}),
            "trials": trials,
            **changes,
        }
    )


def scoring(config: Config, seed: int = 0) -> Scoring:
    setup = Setup.of(config)
    return Scoring.of(setup, setup.split("train"), seed=seed, device=CPU, stop=Stop())


# -- training -------------------------------------------------------------------------------------------------------


def test_training_scores_the_same_trial_the_same(config: Config) -> None:
    settings = small(config)
    scorer = SCORERS.create("train", {}, scoring(settings))
    genotype = Setup.of(settings).space.uniform("global")
    one, again = (scorer.score(Trial(3, genotype)) for _ in range(2))
    other = scorer(Trial(4, genotype))
    assert one == again
    assert one.value != other.value


@pytest.mark.parametrize(("images", "held_out"), [(4, 4), (None, 6), (100, 6)])
def test_training_takes_its_images_and_those_it_is_scored_on(
    config: Config, images: int | None, held_out: int
) -> None:
    settings = small(config, trials={"images": images})
    scorer = SCORERS.create("train", {}, scoring(settings))
    genotype = Setup.of(settings).space.uniform("global")
    assert scorer.samples(Trial(0, genotype)) == 2 * 4 + held_out
    assert scorer.samples(Trial(0, genotype, 0.5)) == 1 * 4 + held_out
    assert scorer.score(Trial(0, genotype, 0.5)).samples == 1 * 4 + held_out


def test_a_diverged_training_has_no_finite_score(config: Config) -> None:
    settings = small(config, search={"lr": 1e30, "clip_norm": None}, trials={"steps": 3})
    scorer = SCORERS.create("train", {}, scoring(settings))
    score = scorer.score(Trial(0, Setup.of(settings).space.uniform("global")))
    assert not math.isfinite(score.value)


# -- inherited weights ----------------------------------------------------------------------------------------------


def supernet(config: Config, given: Scoring) -> MultiTaskSupernet:
    """An untrained one in which contexts count: the norm after them is initialised with a weight of 0."""
    torch.manual_seed(0)
    network = Setup.of(config).supernet()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.ones_(module.weight)
    return network


def inherited(config: Config, seed: int = 0) -> InheritedScorer:
    given = scoring(config, seed)
    return InheritedScorer(given, supernet(config, given))


def passes(network: MultiTaskSupernet) -> list[tuple[bool, Tensor]]:
    """What passes through a network from now on: whether norms use batch statistics, and the images."""
    seen: list[tuple[bool, Tensor]] = []
    norm = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    network.register_forward_pre_hook(lambda _, inputs: seen.append((norm.training, inputs[0].clone())))
    return seen


def test_inherited_scores_leave_nothing_behind(config: Config) -> None:
    settings = small(config)
    scorer = inherited(settings)
    before = [p.clone() for p in scorer.network.parameters()]
    genotypes = [Setup.of(settings).space.sample(random.Random(seed)) for seed in range(2)]
    first = [scorer.score(Trial(0, genotype)) for genotype in genotypes]
    assert [scorer(Trial(9, genotype)) for genotype in genotypes] == first
    assert first[0].value != first[1].value
    assert all(torch.equal(p, q) for p, q in zip(scorer.network.parameters(), before, strict=True))
    assert not any(module.training for module in scorer.network.modules())


@pytest.mark.parametrize(
    ("recalibration", "chunks"),
    [(1, [1]), (2, [2]), (8, [8]), (9, [9]), (12, [8, 4]), (16, [8, 8]), (17, [8, 9])],
)
def test_batch_norms_see_exactly_that_many_images_in_chunks_of_eight(
    config: Config, recalibration: int, chunks: list[int]
) -> None:
    """Whatever the batches of the search and of the evaluation are; a last image alone joins the chunk before."""
    settings = small(config, search={"batch_size": 3}, evaluate_batch=2, trials={"recalibration": recalibration})
    scorer = inherited(settings)
    seen = passes(scorer.network)
    trial = Trial(0, Setup.of(settings).space.uniform("global"))
    score = scorer.score(trial)
    assert [len(images) for training, images in seen if training] == chunks
    assert [len(images) for training, images in seen if not training] == [2, 2]
    assert score.samples == scorer.samples(trial) == recalibration + 4 == sum(len(images) for _, images in seen)


def test_recalibration_goes_through_the_training_images_epoch_by_epoch(config: Config) -> None:
    settings = small(config, trials={"recalibration": 20})

    class Counting(Subset):
        asked: list[int]

        def __getitem__(self, index: int) -> Sample:
            self.asked.append(index)
            return super().__getitem__(index)

    given = scoring(settings)
    orders = []
    for seed in (0, 0, 1):
        train = Counting(given.train, range(len(given.train)))
        train.asked = []
        own = Scoring(given.setup, seed, CPU, train, given.held_out, Stop())
        InheritedScorer(own, supernet(settings, own)).recalibrate(Setup.of(settings).space.uniform("global"))
        orders.append(train.asked)
    first = orders[0]
    assert len(first) == 20
    assert [sorted(first[start : start + 6]) for start in (0, 6, 12)] == [list(range(6))] * 3
    assert orders[0] == orders[1] != orders[2]


def test_an_inherited_score_depends_on_no_batch_size(config: Config) -> None:
    values = []
    for batch_size, evaluate_batch in ((4, 8), (2, 8), (4, 1), (3, 3)):
        settings = small(config, search={"batch_size": batch_size}, evaluate_batch=evaluate_batch)
        values.append(inherited(settings).score(Trial(0, Setup.of(settings).space.uniform("local"))).value)
    assert values[0] == values[1]
    assert values == pytest.approx([values[0]] * 4, rel=1e-5)


def test_recalibration_images_are_augmented_as_in_training(config: Config) -> None:
    def recalibrated_on(config: Config) -> list[Tensor]:
        scorer = inherited(config)
        seen = passes(scorer.network)
        scorer.recalibrate(Setup.of(config).space.uniform("global"))
        return [image for _, images in seen for image in images]

    plain = config.augmentation.model_copy(update={"scale": None, "photometric": False, "flip": 0.0})
    settings = small(config, augmentation=plain)
    given = scoring(settings)
    transform = eval_transform(given.train.info.size)
    originals = [batch.image[0] for batch in evaluation_batches(given.train, given.tasks, transform)]
    unchanged = recalibrated_on(settings)
    changed = recalibrated_on(small(config))
    assert len(unchanged) == len(changed) == settings.trials.recalibration
    assert all(any(torch.equal(image, original) for original in originals) for image in unchanged)
    assert not any(torch.equal(image, original) for image in changed for original in originals)


@pytest.mark.parametrize("cut", [1, 3, 6])
def test_recalibrated_statistics_are_the_moments_of_all_inputs(config: Config, cut: int) -> None:
    """Of the first batch norm, whose inputs do not depend on other norms."""
    settings = small(config, evaluate_batch=cut, trials={"images": None})
    given = scoring(settings)
    network = supernet(settings, given)
    norm = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    inputs: list[Tensor] = []
    hook = norm.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    recalibrate(network, Setup.of(settings).space.uniform("global"), given.held_out_batches(), CPU)
    hook.remove()
    everything = torch.cat(inputs)
    assert len(everything) == 6
    torch.testing.assert_close(norm.running_mean, everything.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, everything.var((0, 2, 3)))
    assert norm.momentum == 0.1
    assert not any(module.training for module in network.modules())


def test_a_recalibrated_network_predicts_as_its_score_says(config: Config) -> None:
    settings = small(config)
    scorer = inherited(settings)
    genotypes = [Setup.of(settings).space.uniform(name) for name in ("global", "local")]
    value = scorer.score(Trial(0, genotypes[0])).value
    scorer.score(Trial(1, genotypes[1]))
    scorer.recalibrate(genotypes[0])
    selection = Selection.of(genotypes[0])
    loss = scorer.scoring.held_out_loss(lambda batch: scorer.network(batch.image, selection, batch.valid))
    assert -loss == value


# -- inherited weights of a run -------------------------------------------------------------------------------------


def searched(config: Config, folder: Path, name: str = "gumbel_entropy") -> RunDirectory:
    strategy = config.strategy.model_validate({"name": name})
    (run,) = create_search(config.model_copy(update={"strategy": strategy}), folder)
    execute(run, quiet=True)
    return run


def of_run(config: Config, run: RunDirectory) -> Scorer:
    scorer: Scorer = SCORERS.create("inherit", {"run": str(run.path)}, scoring(config))
    return scorer


def narrowed(config: Config, *contexts: str) -> Config:
    return config.model_copy(
        update={"space": config.space.model_validate({"name": "cp", "contexts": list(contexts)})}
    )


def test_the_weights_of_a_run_score_as_its_live_network(config: Config, tmp_path: Path) -> None:
    settings = small(config)
    scorer = of_run(settings, searched(settings, tmp_path))
    trial = Trial(0, Setup.of(settings).space.uniform("global"))
    live = InheritedScorer(scoring(settings), scorer.network)  # type: ignore[attr-defined]
    assert scorer.score(trial) == live.score(trial)
    assert scorer.samples(trial) == 12 + 4
    untrained = inherited(settings)
    assert scorer.score(trial).value != untrained.score(trial).value


def test_a_supernet_that_lacks_options_is_refused(config: Config, tmp_path: Path) -> None:
    settings = small(config)
    run = searched(narrowed(settings, "none", "global"), tmp_path)
    with pytest.raises(InputError, match=r"lacks options of choice 'depth<-depth'.*: local, t_label;") as caught:
        of_run(settings, run)
    assert str(run.path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_part_of_what_a_supernet_has_can_be_searched(config: Config, tmp_path: Path) -> None:
    run = searched(small(config), tmp_path)
    settings = narrowed(small(config), "none", "global")
    genotype = Setup.of(settings).space.uniform("global")
    assert math.isfinite(of_run(settings, run).score(Trial(0, genotype)).value)


def test_a_supernet_of_other_tasks_is_refused(config: Config, tmp_path: Path) -> None:
    run = searched(small(config), tmp_path)
    with pytest.raises(InputError, match="has the tasks depth, edge, not depth"):
        of_run(small(config).model_copy(update={"tasks": {"depth": {}}}), run)


def test_a_search_by_trials_has_no_supernet_to_inherit_from(config: Config, tmp_path: Path) -> None:
    settings = small(config)
    run = searched(settings, tmp_path, "random")
    with pytest.raises(InputError, match="keeps no network"):
        of_run(settings, run)


# -- tables ---------------------------------------------------------------------------------------------------------


def write_table(path: Path, config: Config, seeds: int = 2, **extra: str) -> Path:
    space = Setup.of(config).space
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, [*space, "score", *extra])
        rows.writeheader()
        for genotype in space.enumerate():
            for seed in range(seeds):
                score = sum(option == "global" for option in genotype.values()) + 0.1 * seed
                rows.writerow({**genotype, "score": score, **extra})
    return path


@pytest.fixture
def table(config: Config, tmp_path: Path) -> tuple[Config, Path]:
    settings = small(config)
    return settings, write_table(tmp_path / "table.csv", settings)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_table_is_searched_without_training(table: tuple[Config, Path], kind: Callable[[Path], Any]) -> None:
    settings, path = table
    scorer = SCORERS.create("table", {"file": kind(path)}, scoring(settings))
    space = Setup.of(settings).space
    search = Search(LocalSearch(space, seed=0), score=scorer, budget=Budget(samples=8 * 100))
    assert search.run() == space.uniform("global")
    # a trial of a table takes what its training would have taken: two steps of four images
    assert search.samples == 8 * search.genotypes
    assert scorer(Trial(0, space.uniform("global"))).value == pytest.approx(4.05)


def test_a_failed_row_fails_its_genotype_and_no_other(table: tuple[Config, Path]) -> None:
    settings, path = table
    lines = path.read_text().splitlines()
    genotypes = list(Setup.of(settings).space.enumerate())
    lines[2] = lines[2].rpartition(",")[0] + ",nan"  # the second seed of the first genotype
    path.write_text("\n".join(lines))
    scorer = SCORERS.create("table", {"file": str(path)}, scoring(settings))
    assert math.isnan(scorer.score(Trial(0, genotypes[0])).value)
    assert math.isfinite(scorer.score(Trial(1, genotypes[1])).value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("score", "points", 1), "has no column 'score'"),
        (lambda text: text.replace("global", "globl", 1), "line .*globl"),
        (lambda text: "", "has no column"),
        (lambda text: text.replace("0.1", "good", 1), "line .*good"),
    ],
)
def test_a_broken_table_is_named_with_its_line(
    table: tuple[Config, Path], change: Callable[[str], str], message: str
) -> None:
    settings, path = table
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=message):
        SCORERS.create("table", {"file": str(path)}, scoring(settings))


def test_a_genotype_that_a_table_lacks(config: Config, tmp_path: Path) -> None:
    settings = small(config)
    path = write_table(tmp_path / "table.csv", settings, budget="0.5")
    scorer = SCORERS.create("table", {"file": str(path)}, scoring(settings))
    genotype = Setup.of(settings).space.uniform("local")
    assert scorer.score(Trial(0, genotype, 0.5)).samples == 4
    with pytest.raises(InputError, match=r"no row for .* with budget 1"):
        scorer.score(Trial(0, genotype))
