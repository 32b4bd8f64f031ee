"""The suites of supernets on every one in the tree, on examples, and on some that break one promise each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from atrc.networks import MultiTaskNetwork, Parts, Predictions
from atrc.supernets import SUPERNETS, BranchingSupernet, TreeCosts
from atrc.testing import check_multi_task_supernet, check_supernet
from searchspace import SPACES, BMTASSpace, CPSpace, Genotype, SearchSpace, Selection, ToySpace, Weighted
from strategies.testing import SparseSpace, ToySupernet, toy_batch

TASKS = ["semseg", "depth"]
SHIPPED: dict[str, tuple[SearchSpace, bool]] = {"cp": (CPSpace(TASKS), False), "bmtas": (BMTASSpace(TASKS), True)}
"""A space of each, and whether networks inherit weights by their names."""


def test_the_suite_covers_the_registry() -> None:
    assert set(SHIPPED) == set(SUPERNETS)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped(name: str) -> None:
    space, inherits = SHIPPED[name]
    check_multi_task_supernet(name, space, inherits=inherits)


@pytest.mark.parametrize("space", [ToySpace(choices=3, options=3, seed=0), SparseSpace()], ids=["toy", "sparse"])
def test_toys(space: SearchSpace) -> None:
    check_supernet(lambda: ToySupernet(space), toy_batch(0, 0))


# -- supernets that break a promise ----------------------------------------------------------------------------------

SPACE = SearchSpace("paths", {"first": ["short", "long"], "second": ["short", "long", "none"]})
BATCH = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


class Paths(nn.Module):
    """Keeps every promise: each choice adds a layer of its own for each option."""

    def __init__(self, space: SearchSpace = SPACE) -> None:
        super().__init__()
        self.space = space
        layers = {"short": lambda: nn.Linear(4, 4), "long": lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU())}
        self.layers = nn.ModuleDict(
            {
                choice: nn.ModuleDict({option: layers[option]() for option in options if option in layers})
                for choice, options in space.items()
            }
        )

    def options(self, selection: Selection, choice: str) -> Iterator[Weighted]:
        yield from selection[choice]

    def forward(self, x: Tensor, selection: Selection) -> Tensor:
        for choice in self.space:
            layers: Any = self.layers[choice]
            for option, weight in self.options(selection, choice):
                if option != "none":
                    y = layers[option](x)
                    x = x + (y if weight is None else weight * y)
        return x

    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        return self(batch, selection).square().mean()

    def derive(self, genotype: Genotype) -> nn.Module:
        return type(self)(SearchSpace(self.space.name, {choice: [option] for choice, option in genotype.items()}))


def test_the_toy_keeps_every_promise() -> None:
    check_supernet(Paths, BATCH, inherits=True)


class RunsEverything(Paths):
    """With a weight of 0 where an option is inactive."""

    def options(self, selection: Selection, choice: str) -> Iterator[Weighted]:
        given = dict(selection[choice])
        for option in self.space[choice]:
            yield Weighted(option, given[option] if option in given else torch.tensor(0.0))


class LeavesWeightsOut(Paths):
    def options(self, selection: Selection, choice: str) -> Iterator[Weighted]:
        for option, weight in selection[choice]:
            yield Weighted(option, weight if choice == "first" else None)


class DoublesOne(Paths):
    """A weight that is none counts twice."""

    def options(self, selection: Selection, choice: str) -> Iterator[Weighted]:
        for option, weight in selection[choice]:
            yield Weighted(option, torch.tensor(2.0) if weight is None else weight)


class LosesAnOption(Paths):
    def options(self, selection: Selection, choice: str) -> Iterator[Weighted]:
        if selection.active("first") == ("long",):
            raise NotImplementedError("long")
        return super().options(selection, choice)


class OneLossEach(Paths):
    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        return self(batch, selection).square().mean(1)


class Infinite(Paths):
    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        return super().loss(batch, selection) / 0


class Idle(Paths):
    def __init__(self, space: SearchSpace = SPACE) -> None:
        super().__init__(space)
        self.idle = nn.Parameter(torch.ones(3))


class CountsCalls(Paths):
    calls = 0

    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        everything = len(selection.active("first")) > 1
        self.calls += everything
        return super().loss(batch, selection) + self.calls * everything


class DrawsInLoss(Paths):
    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        torch.rand(())
        return super().loss(batch, selection)


class LearnsInEvaluation(Paths):
    def __init__(self, space: SearchSpace = SPACE) -> None:
        super().__init__(space)
        self.register_buffer("seen", torch.zeros(()))

    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        self.seen += 1
        return super().loss(batch, selection)


class ForgetsItsScale(Paths):
    def __init__(self, space: SearchSpace = SPACE) -> None:
        super().__init__(space)
        self.scale = float(torch.rand(()))

    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        return super().loss(batch, selection) * self.scale


class NeverTheSame(Paths):
    made = count()

    def __init__(self, space: SearchSpace = SPACE) -> None:
        super().__init__(space)
        nn.init.constant_(next(self.parameters()), float(next(self.made)))


class DerivesItself(Paths):
    def derive(self, genotype: Genotype) -> nn.Module:
        return self


class Shares(Paths):
    def derive(self, genotype: Genotype) -> nn.Module:
        derived = Paths(SearchSpace(self.space.name, {c: [o] for c, o in genotype.items()}))
        derived.layers = self.layers
        return derived


class ChangesInDerive(Paths):
    def derive(self, genotype: Genotype) -> nn.Module:
        with torch.no_grad():
            next(self.parameters()).add_(1)
        return super().derive(genotype)


class DerivesTooMuch(Paths):
    def derive(self, genotype: Genotype) -> nn.Module:
        return nn.ModuleList(Paths() for _ in range(2))


class DerivesAtRandom(Paths):
    made = count()

    def derive(self, genotype: Genotype) -> nn.Module:
        return nn.Linear(1 + next(self.made) % 2, 1)


class DerivesAnother(Paths):
    """Not what the supernet computes."""

    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        return super().loss(batch, selection) * sum(map(len, self.space.values()))


class NoDerive(nn.Module):
    space = SPACE

    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        return batch.mean()


class NotAsRegistered(ToySpace):
    """Its parameters make another space."""

    def __init__(self) -> None:
        super().__init__(choices=2, options=2)
        self.parameters = {"choices": 3, "options": 2}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (RunsEverything, "computes as much for one genotype as with every option active"),
        (LeavesWeightsOut, "does not depend on the weights of 'second'"),
        (DoublesOne, "must take a weight of None as a weight of 1"),
        (LosesAnOption, "must run under the selection of .*first: long.*NotImplementedError: long"),
        (OneLossEach, r"must be one number, but has the shape \(8,\)"),
        (Infinite, "must be finite, but is inf"),
        (Idle, "gives idle no gradient"),
        (CountsCalls, "gives its loss differently the second time in evaluation mode"),
        (DrawsInLoss, "in evaluation mode uses the global generator of torch"),
        (LearnsInEvaluation, "changes its seen in evaluation mode"),
        (ForgetsItsScale, "gives its loss differently after its state_dict\\(\\) was loaded"),
        (NeverTheSame, "torch's seed must fix the weights"),
        (DerivesItself, r"derive\(\) of .* must give a new torch module"),
        (Shares, "must share nothing with the supernet"),
        (ChangesInDerive, "must leave the supernet as it is"),
        (DerivesTooMuch, "must hold only what was chosen"),
        (DerivesAtRandom, "must give the same parameters every time"),
        (DerivesAnother, "must compute with its weights what the supernet does"),
        (NoDerive, r"must be a torch module with a search space, loss\(batch, selection\) and derive\(genotype\)"),
        (lambda: ToySupernet(NotAsRegistered()), "is another one when it is built from its name and parameters"),
    ],
)
def test_a_broken_promise_is_caught(broken: Callable[[], Any], message: str) -> None:
    assert "toy" in SPACES
    batch = BATCH if isinstance(broken, type) else toy_batch(0, 0)
    with pytest.raises(AssertionError, match=message) as caught:
        check_supernet(broken, batch, inherits=True)
    assert "\n" not in str(caught.value)


# -- multi-task supernets that break a promise -----------------------------------------------------------------------


class WiderPredictions(BranchingSupernet):
    def forward(self, image: Tensor, selection: Selection, valid: Tensor | None = None) -> Predictions:
        predictions = super().forward(image, selection, valid)
        maps = {**predictions.final, "extra": predictions.final["depth"]}
        return Predictions(maps, predictions.regions)


class HalvesUnderAMask(BranchingSupernet):
    def forward(self, image: Tensor, selection: Selection, valid: Tensor | None = None) -> Predictions:
        return super().forward(image if valid is None else image / 2, selection)


class AnotherAlone(BranchingSupernet):
    @classmethod
    def network(cls, parts: Parts, genotype: Genotype) -> MultiTaskNetwork:
        return parts.baseline("multi")

    def derive(self, genotype: Genotype) -> MultiTaskNetwork:
        return BranchingSupernet.network(self._built_from, genotype)


class PredictsMore(BranchingSupernet):
    def forward(self, image: Tensor, selection: Selection, valid: Tensor | None = None) -> Predictions:
        predictions = super().forward(image, selection, valid)
        return Predictions({task: x + 1 for task, x in predictions.final.items()}, predictions.regions)


class DerivesAModule(BranchingSupernet):
    def derive(self, genotype: Genotype) -> Any:
        return nn.Linear(1, 1)


class UnitOfItsOwn(BranchingSupernet):
    @classmethod
    def costs(cls, parts: Any, space: Any, *given: Any) -> TreeCosts:
        return TreeCosts(space, [1.0] * 4, unit="euros")


class Backwards(TreeCosts):
    def of(self, choices: Any) -> float:
        return -super().of(choices)

    def share(self, space: Any, choices: Any) -> float:
        return 0.0

    def expected_share(self, space: Any, probabilities: Tensor) -> Tensor:
        return torch.zeros(())


class PaysForLess(BranchingSupernet):
    @classmethod
    def costs(cls, parts: Any, space: Any, *given: Any) -> TreeCosts:
        return Backwards(space, [1.0] * 4, unit="parameters")


class LargeShare(TreeCosts):
    def share(self, space: Any, choices: Any) -> float:
        return 1.5


class SharesMore(BranchingSupernet):
    @classmethod
    def costs(cls, parts: Any, space: Any, *given: Any) -> TreeCosts:
        return LargeShare(space, [1.0] * 4, unit="parameters")


class NoExpectation(TreeCosts):
    def expected_share(self, space: Any, probabilities: Tensor) -> Tensor:
        return torch.tensor(0.123)


class ExpectsSomethingElse(BranchingSupernet):
    @classmethod
    def costs(cls, parts: Any, space: Any, *given: Any) -> TreeCosts:
        return NoExpectation(space, [1.0] * 4, unit="parameters")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (WiderPredictions, "the final predictions of .* must be"),
        (HalvesUnderAMask, "predicts semseg differently under a mask that is all valid"),
        (AnotherAlone, r"network\(\) of .* must have the parameters of what derive\(\) gives"),
        (PredictsMore, "must predict semseg as the supernet does, with its weights"),
        (DerivesAModule, r"must give a network like atrc\.networks\.MultiTaskNetwork: no tasks"),
        (UnitOfItsOwn, "must have the unit of their measure, not 'euros'"),
        (PaysForLess, "the costs of .* must be those of its networks"),
        (SharesMore, "must be between 0 and 1, but is 1.5"),
        (ExpectsSomethingElse, "must expect the share of a genotype for it"),
    ],
)
def test_a_broken_promise_of_a_multi_task_supernet_is_caught(broken: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message) as caught:
        check_multi_task_supernet(broken, BMTASSpace(TASKS), inherits=True)
    assert "\n" not in str(caught.value)


def test_a_multi_task_supernet_that_another_hides_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SUPERNETS._entries, "abc", PredictsMore)
    monkeypatch.setattr(SUPERNETS, "_entries", dict(sorted(SUPERNETS._entries.items())))
    with pytest.raises(AssertionError, match="must be found for its space, but PredictsMore is"):
        check_multi_task_supernet("bmtas", BMTASSpace(TASKS))


def test_a_multi_task_supernet_of_another_space_is_named() -> None:
    with pytest.raises(AssertionError, match="the space_type of supernet 'cp' must fit the space BMTASSpace"):
        check_multi_task_supernet("cp", BMTASSpace(TASKS))
