"""The suite of supernets: modules with a space, a loss and a method that derives networks."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from atrc.testing._modules import check_evaluation, check_gradients, check_state, close, seeded, stirred
from atrc.testing._parts import same_state, works
from searchspace import SPACES, Genotype, SearchSpace, Selection, Supernet, Weighted, build_space

__all__ = ["check_supernet", "genotypes_of"]

aten = torch.ops.aten
MIXING = {aten.add, aten.add_, aten.mul, aten.mul_, aten.sum}


def check_supernet(
    make: Callable[[], Any], batch: Any, *, genotypes: int = 3, inherits: bool = False, name: str = "the supernet"
) -> None:
    """Checks that a supernet keeps the following promises, on which strategies rely.

    - It has ``space``, ``loss`` and ``derive``. A space with a registered name can be built again from its
      parameters, and genotypes can be read again from their files.
    - Under the selection of any genotype, and with all options active, the loss is a finite number. A weight of 1 has
      the same effect as None. If several options are active, the loss is differentiable in their weights, for every
      choice.
    - Inactive options are not computed: a genotype takes less work than all options together.
    - With all options active, gradients reach every parameter.
    - In evaluation mode the loss is the same twice, changes no state, and does not use the global generators.
    - torch's seed determines its weights. ``state_dict()`` holds its whole state, and can be saved and loaded
      strictly.
    - ``derive()`` returns a new module and changes nothing. Parameter shapes are the same every time. The module
      shares no parameter with the supernet, and has at most as many.

    Args:
        make: Function that makes a new supernet.
        batch: Batch for its loss.
        genotypes: Number of genotypes to try.
        inherits: Whether a derived network must compute the same as the supernet, after it got the supernet's weights
            by name. Then ``derived.loss(batch, Selection.of(genotype))`` has to equal that of the supernet.
        name: Name of the supernet in messages.

    Raises:
        AssertionError: A promise is broken; the message says which.

    Example::

        def test_my_supernet() -> None:
            check_supernet(lambda: MyNetwork(space), (torch.randn(8, 1), torch.randn(8, 1)))
    """
    with works(f"{name} must be made"):
        net = seeded(make)
    right = isinstance(net, nn.Module) and isinstance(net, Supernet) and isinstance(net.space, SearchSpace)
    assert right, f"{name} must be a torch module with a search space, loss(batch, selection) and derive(genotype)"
    space: SearchSpace = net.space
    _check_space(name, space)
    tried = genotypes_of(space, genotypes)
    stirred(net).eval()
    for genotype in tried:
        _check_one_hot(name, net, batch, genotype)
    _check_weights(name, net, batch)
    _check_inactive(name, net, batch)
    everything = selection_of(space)

    def run(one: nn.Module) -> dict[str, Tensor]:
        loss: Any = one.loss
        return {"its loss": loss(batch, everything)}

    check_evaluation(name, net, run)
    check_state(name, make, run)
    for genotype in tried:
        _check_derived(name, net, genotype)
        if inherits:
            _check_inherited(name, net, batch, genotype)
    check_gradients(name, seeded(make), run)


def genotypes_of(space: SearchSpace, count: int) -> list[Genotype]:
    """Draws genotypes from the space, always the same."""
    generator = random.Random(0)
    return [space.sample(generator) for _ in range(count)]


def selection_of(space: SearchSpace) -> Selection:
    """Returns the selection of all options of every choice with equal weights."""
    return Selection(
        {c: tuple(Weighted(option, torch.tensor(1.0 / len(names))) for option in names) for c, names in space.items()}
    )


def _check_space(name: str, space: SearchSpace) -> None:
    for genotype in genotypes_of(space, 2):
        again = Genotype.from_json(genotype.to_json())
        assert again == genotype, f"genotypes of {name} must be read back from their files as they were written"
    if space.name in SPACES:
        with works(f"the space of {name} must be built again from its name and parameters"):
            rebuilt = build_space(space.name, **space.parameters)
        assert rebuilt == space, f"the space of {name} is another one when it is built from its name and parameters"


def _check_one_hot(name: str, net: Any, batch: Any, genotype: Genotype) -> None:
    with torch.no_grad(), works(f"{name} must run under the selection of {genotype}"):
        loss = net.loss(batch, Selection.of(genotype))
        weighted = Selection({c: (Weighted(option, torch.tensor(1.0)),) for c, option in genotype.items()})
        same = net.loss(batch, weighted)
    assert loss.ndim == 0, f"the loss of {name} must be one number, but has the shape {tuple(loss.shape)}"
    assert loss.isfinite(), f"the loss of {name} must be finite, but is {float(loss)} for {genotype}"
    assert close(loss, same), f"{name} must take a weight of None as a weight of 1: multiply by nothing else"


def _check_weights(name: str, net: Any, batch: Any) -> None:
    space: SearchSpace = net.space
    active = selection_of(space)
    weights = {c: [w.requires_grad_() for _, w in active[c] if w is not None] for c in space}
    with works(f"{name} must run with every option active, and be differentiable in the weights"):
        net.loss(batch, active).backward()
    for choice, own in weights.items():
        learnt = any(w.grad is not None and bool(w.grad != 0) for w in own)
        assert learnt or len(own) == 1, (
            f"the loss of {name} does not depend on the weights of {choice!r}: multiply every option by its weight"
        )
        finite = all(w.grad is None or bool(w.grad.isfinite()) for w in own)
        assert finite, f"the loss of {name} has a gradient in the weights of {choice!r} that is not finite"
    net.zero_grad()


class _Work(TorchDispatchMode):
    """Counts the output elements of all operations except sums and products, by which options are mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        if func.overloadpacket not in MIXING:
            self.elements += sum(x.numel() for x in tree_leaves(given) if isinstance(x, Tensor))
        return given


def _work(net: Any, batch: Any, selection: Selection) -> int:
    with torch.no_grad(), _Work() as work:
        net.loss(batch, selection)
    return work.elements


def _check_inactive(name: str, net: Any, batch: Any) -> None:
    space: SearchSpace = net.space
    everything = _work(net, batch, selection_of(space))
    # Some genotypes may need all nodes, e.g. a tree without a common node.
    least = min(_work(net, batch, Selection.of(genotype)) for genotype in genotypes_of(space, 8))
    assert least < everything or space.size == 1, (
        f"{name} computes as much for one genotype as with every option active: "
        "go through selection[choice], which lists what is active, and compute no other option"
    )


def _check_derived(name: str, net: Any, genotype: Genotype) -> None:
    before = {path: tensor.clone() for path, tensor in net.state_dict().items()}
    with works(f"{name} must derive a network of {genotype}"):
        derived, again = net.derive(genotype), net.derive(genotype)
    right = isinstance(derived, nn.Module) and derived is not net
    assert right, f"derive() of {name} must give a new torch module"
    same_state(f"derive() of {name} must leave the supernet as it is", before, net.state_dict())
    own = {tensor.data_ptr() for tensor in net.state_dict().values() if tensor.numel()}
    shared = [path for path, tensor in derived.state_dict().items() if tensor.numel() and tensor.data_ptr() in own]
    assert not shared, f"derive() of {name} must share nothing with the supernet, but shares {shared[0]}"
    count, whole = (sum(p.numel() for p in one.parameters()) for one in (derived, net))
    assert count <= whole, f"derive() of {name} must hold only what was chosen: it has {count} parameters of {whole}"
    shapes = [{path: tuple(x.shape) for path, x in one.state_dict().items()} for one in (derived, again)]
    assert shapes[0] == shapes[1], f"derive() of {name} must give the same parameters every time"


def _check_inherited(name: str, net: Any, batch: Any, genotype: Genotype) -> None:
    derived = net.derive(genotype).eval()
    own, selection = net.state_dict(), Selection.of(genotype)
    with torch.no_grad(), works(f"the network that {name} derives must take its weights by name, and run"):
        derived.load_state_dict({path: own[path] for path in derived.state_dict()})
        expected, found = net.eval().loss(batch, selection), derived.loss(batch, selection)
    assert close(found, expected), (
        f"the network that {name} derives must compute with its weights what the supernet does: "
        f"its loss is {float(found)} instead of {float(expected)} for {genotype}"
    )
