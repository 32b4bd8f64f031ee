"""The suite of multi-task supernets, which configs build."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, cast

import torch

from atrc.backbones import Tiny
from atrc.costs import MEASURES, count_parameters
from atrc.data import Batch
from atrc.networks import Parts, Predictions
from atrc.supernets import SUPERNETS, MultiTaskSupernet, supernet_of
from atrc.tasks import Depth, SemSeg, Task
from atrc.testing._modules import close, noise, seeded, stirred
from atrc.testing._parts import found, works
from atrc.testing._supernets import check_supernet, genotypes_of
from searchspace import CostModel, Genotype, SearchSpace, Selection

__all__ = ["check_multi_task_supernet"]

BATCH, SIZE, CLASSES = 2, (33, 48), 5


def check_multi_task_supernet(
    network: str | type[MultiTaskSupernet], space: SearchSpace, *, genotypes: int = 3, inherits: bool = False
) -> None:
    """Checks the promises of an `atrc.supernets.MultiTaskSupernet`, on a small backbone and random images.

    It runs `check_supernet`, and checks the following promises:

    - The network is the one that is found for its space. Every final prediction has the channels of its task, and
      every region map has its regions. A mask without padding has the same effect as no mask.
    - ``derive()`` returns a network with ``tasks``, ``backbone`` and ``parts()`` that predicts the same tasks;
      ``network()`` returns one with the same parameters.
    - ``costs()`` is a cost model. Shares are between 0 and 1, and the expected share of a single genotype is its
      share. A genotype that costs more parameters has at least as many parameters.

    Args:
        network: Registered name, or a class.
        space: A space of the tasks ``semseg`` and ``depth``, for a backbone of four stages.
        genotypes: Number of genotypes to try.
        inherits: Whether a derived network must predict the same as the supernet, after it got the supernet's weights
            by name.

    Raises:
        AssertionError: A promise is broken; the message says which.

    Example::

        def test_my_network() -> None:
            check_multi_task_supernet(MyNetwork, MySpace(["semseg", "depth"]))
    """
    name, kind = found(SUPERNETS, network)
    assert issubclass(kind, MultiTaskSupernet), f"{name} must be an atrc.supernets.MultiTaskSupernet"
    assert isinstance(space, kind.space_type), f"the space_type of {name} must fit the space {space!r}"
    if kind in SUPERNETS.values():
        with works(f"{name} must be found for its space"):
            best = supernet_of(space)
        assert best is kind, (
            f"{name} must be found for its space, but {best.__name__} is: give it a space_type closer"
        )
    tasks: dict[str, Task] = {"semseg": SemSeg(CLASSES), "depth": Depth()}

    parts, made = Parts(tasks, _backbone), cast(Any, kind)

    def make() -> Any:
        return made(parts, space)

    batch = _batch()
    check_supernet(make, batch, genotypes=genotypes, name=name)
    net = stirred(seeded(make)).eval()
    costs = _costs(name, kind, parts, space)
    priced = []
    for genotype in genotypes_of(space, genotypes):
        _check_predictions(name, net, batch, genotype, tasks)
        derived = _check_derived(name, net, batch, genotype, parts)
        if inherits:
            _check_inherited(name, net, derived, batch, genotype)
        _check_shares(name, costs, space, genotype)
        priced.append((costs.of(genotype), count_parameters(derived), genotype))
    priced.sort(key=lambda one: one[:2])
    for (cheap, few, one), (dear, many, other) in pairwise(priced):
        assert few <= many or close(torch.tensor(cheap), torch.tensor(dear)), (
            f"the costs of {name} must be those of its networks, but {one} costs {cheap:g} and has {few} parameters, "
            f"and {other} costs {dear:g} and has {many}"
        )


def _backbone() -> Tiny:
    return Tiny(width=0.25)


def _batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    labels = {
        "semseg": torch.randint(0, CLASSES, (BATCH, *SIZE), generator=generator),
        "depth": 1 + 4 * torch.rand(BATCH, *SIZE, generator=generator),
    }
    return Batch(noise(BATCH, 3, *SIZE), labels, torch.ones(BATCH, 1, *SIZE, dtype=torch.bool), ["one", "two"])


def _check_shapes(name: str, predictions: Any, tasks: Mapping[str, Task]) -> None:
    assert isinstance(predictions, Predictions), f"{name} must give atrc.networks.Predictions"
    grid = _backbone().grid(SIZE)
    expected = {task: (BATCH, made.channels, *grid) for task, made in tasks.items()}
    shapes = {task: tuple(x.shape) for task, x in predictions.final.items()}
    assert shapes == expected, f"the final predictions of {name} are {shapes}, but must be {expected}"
    expected = {task: (BATCH, tasks[task].regions, *grid) for task in predictions.regions}
    shapes = {task: tuple(x.shape) for task, x in predictions.regions.items()}
    assert shapes == expected, f"the region maps of {name} are {shapes}, but must be {expected}"


@torch.no_grad()
def _check_predictions(name: str, net: Any, batch: Batch, genotype: Genotype, tasks: Mapping[str, Task]) -> None:
    selection = Selection.of(genotype)
    with works(f"{name} must predict with a mask and without"):
        predictions, masked = net(batch.image, selection), net(batch.image, selection, batch.valid)
    _check_shapes(name, predictions, tasks)
    for task, x in predictions.final.items():
        assert close(masked.final[task], x), f"{name} predicts {task} differently under a mask that is all valid"


@torch.no_grad()
def _check_derived(name: str, net: Any, batch: Batch, genotype: Genotype, parts: Parts) -> Any:
    derived = net.derive(genotype)
    lacking = [one for one in ("tasks", "backbone", "parts") if not hasattr(derived, one)]
    assert not lacking, f"derive() of {name} must give a network like atrc.networks.MultiTaskNetwork: no {lacking[0]}"
    with works(f"the network that {name} derives must predict"):
        predictions = derived.eval()(batch.image, batch.valid)
    _check_shapes(f"the network that {name} derives", predictions, parts.tasks)
    with works(f"network() of {name} must make what derive() makes"):
        alone = type(net).network(parts, genotype)
    shapes = [{path: tuple(x.shape) for path, x in one.state_dict().items()} for one in (derived, alone)]
    assert shapes[0] == shapes[1], f"network() of {name} must have the parameters of what derive() gives"
    return derived


@torch.no_grad()
def _check_inherited(name: str, net: Any, derived: Any, batch: Batch, genotype: Genotype) -> None:
    own = net.state_dict()
    with works(f"the network that {name} derives must take its weights by name"):
        derived.load_state_dict({path: own[path] for path in derived.state_dict()})
    expected, predictions = net(batch.image, Selection.of(genotype)), derived(batch.image)
    for task, x in expected.final.items():
        assert close(predictions.final[task], x), (
            f"the network that {name} derives must predict {task} as the supernet does, with its weights: {genotype}"
        )


def _costs(name: str, kind: type[MultiTaskSupernet], parts: Parts, space: SearchSpace) -> CostModel:
    with works(f"{name} must say what genotypes cost"):
        costs = kind.costs(parts, space, MEASURES["parameters"](), SIZE, torch.device("cpu"))
    assert costs.unit == "parameters", f"the costs of {name} must have the unit of their measure, not {costs.unit!r}"
    return costs


def _check_shares(name: str, costs: CostModel, space: SearchSpace, genotype: Genotype) -> None:
    with works(f"the costs of {name} must know the shares of {genotype}"):
        share = costs.share(space, genotype)
        rows = torch.zeros(len(space), max(map(len, space.values())), dtype=torch.float64)
        for row, index in zip(rows, space.encode(genotype), strict=True):
            row[index] = 1
        expected = float(costs.expected_share(space, rows))
    assert -1e-6 <= share <= 1 + 1e-6, f"a share of the costs of {name} must be between 0 and 1, but is {share}"
    same = abs(expected - share) < 1e-6
    assert same, f"the costs of {name} must expect the share of a genotype for it, {share}, but expect {expected}"
