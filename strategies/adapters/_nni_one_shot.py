"""NNI's DARTS, GumbelDARTS, Proxyless and RandomOneShot as one-shot strategies on any of our supernets.

NNI mixes the outputs of candidate modules. Here the candidates of a choice are constants, the unit vectors. NNI's
mixed layer then returns the vector of weights itself, with NNI's gradient, and this vector is a selection. So NNI's
estimators run unchanged on any of our supernets, whose candidates need not be modules with one input.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from searchspace import Genotype, SearchSpace, Selection, Weighted
from strategies._base import STRATEGIES, spawn_seed
from strategies._knobs import number, pair
from strategies._step import DataUse
from strategies.adapters._nni import OwnGlobals, load
from strategies.multi_trial import RandomSearch
from strategies.one_shot import OneShotStrategy, SinglePath

__all__ = ["NNIDARTS", "NNIGumbelDARTS", "NNIProxyless", "NNIRandomOneShot"]


class _UnitVector(nn.Module):
    """A candidate that returns the unit vector e_k, ``(width,)``."""

    def __init__(self, width: int, k: int) -> None:
        super().__init__()
        self.register_buffer("value", torch.eye(width)[k])

    def forward(self, _: Tensor) -> Tensor:
        return self.value  # type: ignore[return-value]


def mixed_layers(strategy: str, space: SearchSpace) -> dict[str, Any]:
    """Returns for every choice the module into which a strategy of NNI turns a `LayerChoice` of its options.

    Args:
        strategy: Name of a class in ``nni.nas.strategy``.
        space: Any space without constraints between choices.
    """
    model_space, layer_choice = load("nni.nas.nn.pytorch", "ModelSpace"), load("nni.nas.nn.pytorch", "LayerChoice")

    class Choices(model_space):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(
                layer_choice({name: _UnitVector(len(options), k) for k, name in enumerate(options)}, label=f"{j}")
                for j, options in enumerate(space.values())
            )

    mutated = load("nni.nas.strategy", strategy)().mutate_model(Choices())
    return dict(zip(space, mutated.layers, strict=True))


class NNIDifferentiable(OneShotStrategy):
    """A differentiable strategy of NNI: bi-level, with alphas that learn by Adam as NNI sets it up.

    Args:
        space: Any space without constraints between choices.
        seed: Seeds everything that NNI draws.
        lr: Learning rate of the alphas, > 0.
        betas: Decay rates of their Adam's two moments, in [0, 1).
        weight_decay: Weight decay of the alphas, >= 0.
    """

    data_use = DataUse.BI_LEVEL
    passes = 2
    nni: ClassVar[str]
    """Name of a class in ``nni.nas.strategy``."""

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        lr: float = 3e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-3,
    ) -> None:
        super().__init__(space, seed=seed)
        rate, decay = number("lr", lr, above=0), number("weight_decay", weight_decay, at_least=0)
        moments = pair("betas", betas, at_least=0, below=1)
        self._globals = OwnGlobals(seed)
        with self._globals:
            self.layers = mixed_layers(self.nni, space)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=rate, betas=moments, weight_decay=decay)

    def parameters(self) -> Sequence[Tensor]:
        return [layer._arch_alpha for layer in self.layers.values()]

    def anneal(self, progress: float) -> None:
        pass

    def select(self) -> Selection:
        nothing = torch.zeros(())
        with self._globals:
            weights = {choice: layer(nothing).unbind() for choice, layer in self.layers.items()}
        return Selection(
            {
                choice: tuple(
                    Weighted(option, weight) for option, weight in zip(options, weights[choice], strict=True)
                )
                for choice, options in self.space.items()
            }
        )

    def update(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def genotype(self) -> Genotype:
        best = {choice: int(layer._arch_alpha.argmax()) for choice, layer in self.layers.items()}
        return self.space.genotype({choice: self.space[choice][k] for choice, k in best.items()})

    def report(self) -> dict[str, Any]:
        return {
            "probabilities": {
                choice: dict(zip(options, torch.softmax(self.layers[choice]._arch_alpha, -1).tolist(), strict=True))
                for choice, options in self.space.items()
            }
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "alphas": [alpha.detach().clone() for alpha in self.parameters()],
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "generators": self._globals.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        with torch.no_grad():
            for alpha, value in zip(self.parameters(), state["alphas"], strict=True):
                alpha.copy_(value)
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self._globals.load_state_dict(state["generators"])


@STRATEGIES.register("nni_darts")
class NNIDARTS(NNIDifferentiable):
    """NNI's first-order DARTS, a cross-check of our `DARTS`. Args: see `NNIDifferentiable`."""

    name = "nni_darts"
    summary = "NNI's DARTS: bi-level, softmax-weighted options"
    paper = "Liu et al., ICLR 2019"
    nni = "DARTS"


@STRATEGIES.register("nni_gumbel_darts")
class NNIGumbelDARTS(NNIDifferentiable):
    """NNI's bi-level search with relaxed one-hot samples at temperature 1. Args: see `NNIDifferentiable`."""

    name = "nni_gumbel_darts"
    summary = "NNI's GumbelDARTS: bi-level, relaxed one-hot samples"
    paper = "Xie et al., ICLR 2019"
    nni = "GumbelDARTS"


@STRATEGIES.register("nni_proxyless")
class NNIProxyless(NNIDifferentiable):
    """NNI's ProxylessNAS: binary gates. All options run in the architecture's half of a step.

    The genotype is the argmax of the probabilities; NNI's own export draws one. Args: see `NNIDifferentiable`.
    """

    name = "nni_proxyless"
    summary = "NNI's ProxylessNAS: one option runs for the weights, all for the architecture"
    paper = "Cai et al., ICLR 2019"
    active_paths = "one or all"
    nni = "Proxyless"

    def select(self) -> Selection:
        return Selection.of(self.space.genotype(self._resample()))

    def select_to_learn(self) -> Selection:
        self._resample()
        return super().select()

    def _resample(self) -> dict[str, str]:
        with self._globals:
            return {choice: next(iter(layer.resample({}).values())) for choice, layer in self.layers.items()}


@STRATEGIES.register("nni_random_one_shot")
class NNIRandomOneShot(SinglePath):
    """NNI's uniform sampling of paths, followed by the second stage of our `RandomWeightSharing`.

    NNI itself exports a random genotype, without a second stage.

    Args:
        space: Any space without constraints between choices.
        seed: Seeds both stages, each with a generator of its own.
        final_trials: Number of genotypes that are scored.
    """

    name = "nni_random_one_shot"
    summary = "NNI's uniformly sampled paths, then the best of random genotypes on inherited weights"
    paper = "Li and Talwalkar, UAI 2019"
    meets_constraints = False

    def __init__(self, space: SearchSpace, *, seed: int = 0, final_trials: int = 1000) -> None:
        super().__init__(
            space, seed=seed, final=RandomSearch(space, seed=spawn_seed(seed, 1)), final_trials=final_trials
        )
        self._globals = OwnGlobals(seed)
        with self._globals:
            self.layers = mixed_layers("RandomOneShot", space)

    def select(self) -> Selection:
        with self._globals:
            # Left to itself NNI seeds a generator from the system for every draw; it is handed the global one.
            given = np.random.mtrand._rand
            drawn = {c: layer.choice.random(random_state=given) for c, layer in self.layers.items()}
        return Selection.of(self.space.genotype(drawn))

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "generators": self._globals.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._globals.load_state_dict(state["generators"])
