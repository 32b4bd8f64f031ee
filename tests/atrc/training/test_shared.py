"""What trials share: that it is made once, and that scores are the same to the bit as if every trial made its own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from atrc.config import Config
from atrc.data import Sample, Subset
from atrc.experiments import create_search
from atrc.machine.stopping import Stop
from atrc.networks import Predictions
from atrc.setup import Setup
from atrc.supernets import ContextSupernet, MultiTaskSupernet
from atrc.training import execute
from atrc.training.scoring import SCORERS, InheritedScorer, Scoring, _shared
from searchspace import Genotype, Selection
from strategies import Trial

CPU = torch.device("cpu")
SPACES = {"cp": {"name": "cp"}, "bmtas": {"name": "bmtas", "stages": 4}}


class Counting(Subset):
    """Counts how often an image is read."""

    def __init__(self, dataset: Any) -> None:
        super().__init__(dataset, range(len(dataset)))
        self.reads = 0

    def __getitem__(self, index: int) -> Sample:
        self.reads += 1
        return super().__getitem__(index)


def small(config: Config, space: str = "cp") -> Config:
    trials = config.trials.model_copy(update={"steps": 2, "images": 5, "recalibration": 10})
    tasks = {"depth": {}, "normals": {"centroids": 8}}
    changed: dict[str, Any] = {"tasks": tasks, "trials": trials, "evaluate_batch": 2}
    return config.model_copy(update={**changed, "space": config.space.model_validate(SPACES[space])})


def scoring(config: Config) -> Scoring:
    setup = Setup.of(config)
    train, held_out = setup.held_out(setup.split("train"))
    return Scoring(setup, 0, CPU, Counting(train), Counting(held_out), Stop())


def inherited(config: Config, kind: type[MultiTaskSupernet] | None = None) -> InheritedScorer:
    given = scoring(config)
    torch.manual_seed(0)
    network: Any = given.setup.supernet() if kind is None else kind(given.setup.parts(), given.setup.space)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.ones_(module.weight)  # the norm after the contexts has a weight of 0 at first
    return InheritedScorer(given, network)


def genotypes(config: Config, number: int = 3) -> list[Genotype]:
    rng = random.Random(0)
    return [Setup.of(config).space.sample(rng) for _ in range(number)]


def outcomes(scorer: InheritedScorer, of: list[Genotype]) -> Iterator[tuple[float, list[Tensor]]]:
    """The scores of genotypes, each with the buffers of the network after it; weights change after the second."""
    for number, genotype in enumerate(of):
        yield scorer.score(Trial(number, genotype)).value, [buffer.clone() for buffer in scorer.network.buffers()]
        if number == 1:
            with torch.no_grad():
                next(scorer.network.backbone.parameters()).mul_(1.5)


class MirrorsFirst(ContextSupernet):
    """Computes its backbone for the mirrored image as well, outside of `encode`."""

    def forward(self, image: Tensor, selection: Selection, valid: Tensor | None = None) -> Predictions:
        self.backbone(image.flip(-1))
        return super().forward(image, selection, valid)


@pytest.mark.parametrize(
    ("space", "kind", "most"),
    [("cp", None, 2**28), ("cp", None, 2**19), ("bmtas", None, 2**28), ("cp", MirrorsFirst, 2**28)],
)
def test_scores_are_those_of_trials_that_share_nothing(
    config: Config, monkeypatch: pytest.MonkeyPatch, space: str, kind: Any, most: int
) -> None:
    settings = small(config, space)
    of = genotypes(settings, 5)
    monkeypatch.setattr(_shared, "MOST_KEPT", most)
    shared = list(outcomes(inherited(settings, kind), of))
    monkeypatch.setattr(_shared, "MOST_KEPT", 0)
    own = list(outcomes(inherited(settings, kind), of))
    assert len({value for value, _ in own}) > 1
    for (value, buffers), (expected, others) in zip(shared, own, strict=True):
        assert value == expected
        assert all(torch.equal(one, other) for one, other in zip(buffers, others, strict=True))


def test_images_and_their_features_are_made_once(config: Config) -> None:
    settings = small(config)
    scorer = inherited(settings)
    computed: list[int] = []
    scorer.network.backbone.register_forward_hook(lambda _, inputs, __: computed.append(len(inputs[0])))
    given: Any = scorer.scoring
    for number, genotype in enumerate(genotypes(settings)):
        scorer.score(Trial(number, genotype))
    assert computed == [8, 2, 2, 2, 1]
    assert (given.train.reads, given.held_out.reads) == (10, 5)
    with torch.no_grad():
        next(scorer.network.predict.parameters()).add_(1.0)
    scorer.score(Trial(9, genotypes(settings)[0]))
    assert computed == [8, 2, 2, 2, 1] * 2


def test_what_is_too_large_is_not_kept(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shared, "MOST_KEPT", 0)
    settings = small(config)
    scorer = inherited(settings)
    given: Any = scorer.scoring
    for number, genotype in enumerate(genotypes(settings)):
        scorer.score(Trial(number, genotype))
    assert (given.train.reads, given.held_out.reads) == (30, 15)
    assert not scorer._trunk._features


def test_trained_trials_share_the_images_that_they_are_scored_on(config: Config) -> None:
    settings = small(config)
    given: Any = scoring(settings)
    scorer = SCORERS.create("train", {}, given)
    trials = [Trial(number, genotype) for number, genotype in enumerate(genotypes(settings))]
    values = [scorer.score(trial).value for trial in trials]
    assert given.held_out.reads == 5
    assert values == [SCORERS.create("train", {}, scoring(settings)).score(trial).value for trial in trials]


def test_the_start_of_processes_is_in_no_search_s_seconds(config: Config, tmp_path: Path) -> None:
    """A process imports the plugins of the config before its first trial; this one takes 1.5 seconds."""
    (tmp_path / "plugin_slow.py").write_text("import time\ntime.sleep(1.5)\n")
    trials = small(config).trials.model_copy(update={"in_flight": 2, "number": 2, "steps": 1, "images": 1})
    strategy = config.strategy.model_validate({"name": "random"})
    plugins = [str(tmp_path / "plugin_slow.py")]
    settings = small(config).model_copy(update={"trials": trials, "strategy": strategy, "plugins": plugins})
    (run,) = create_search(settings, tmp_path / "runs")
    execute(run, quiet=True, jobs=2)
    assert run.result().trials == 2
    assert run.result().seconds < 1.5
