"""ENAS: a recurrent controller, rewarded for what its samples score with shared weights.

Pham et al., Efficient Neural Architecture Search via Parameter Sharing, ICML 2018.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from searchspace import Costs, Genotype, InputError, SearchSpace, Selection
from strategies._base import STRATEGIES, DataUse, OneShotStrategy, seeded_generator
from strategies._categorical import Categorical, entropy

__all__ = ["ENAS"]


@STRATEGIES.register("enas")
class ENAS(OneShotStrategy):
    """An LSTM names one option after the other, each given the ones before, and learns by REINFORCE.

    Weights learn on one sample from a training batch; the reward of another one is minus its loss on a held-out
    batch. The baseline is a moving average of rewards.

    Args:
        space: Any space of independent choices.
        seed: Initialises the controller and seeds its samples.
        lr: Learning rate of the controller's Adam.
        hidden: Units of the LSTM.
        temperature: Divides the controller's logits.
        tanh_constant: Logits are this times tanh, which keeps the controller from certainty.
        entropy_weight: Rewards entropy of the samples.
        baseline_decay: Of the moving average.
    """

    name = "enas"
    summary = "a recurrent controller learns by REINFORCE from held-out scores with shared weights"
    paper = "Pham et al., ICML 2018"
    data_use = DataUse.REWARD
    passes = 1.5
    active_paths = "one"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        lr: float = 3.5e-4,
        hidden: int = 100,
        temperature: float = 5.0,
        tanh_constant: float = 2.5,
        entropy_weight: float = 1e-4,
        baseline_decay: float = 0.99,
    ) -> None:
        super().__init__(space, seed=seed)
        if temperature <= 0 or lr <= 0 or hidden < 1:
            raise InputError(f"lr, hidden and temperature must be > 0, got {lr=}, {hidden=}, {temperature=}")
        self._temperature, self._tanh_constant = temperature, tanh_constant
        self._entropy_weight, self._decay = entropy_weight, baseline_decay
        self._generator = seeded_generator(seed)
        self._layout = Categorical(space)
        choices, options = self._layout.mask.shape
        self.controller = nn.ModuleDict(
            {
                "cell": nn.utils.skip_init(nn.LSTMCell, hidden, hidden),
                # One row a (choice, option) pair, and one to start with.
                "embedding": nn.utils.skip_init(nn.Embedding, choices * options + 1, hidden),
                "head": nn.utils.skip_init(nn.Linear, hidden, choices * options, bias=False),
            }
        )
        with torch.no_grad():
            for parameter in self.controller.parameters():
                parameter.uniform_(-0.1, 0.1, generator=self._generator)
        self.optimizer = torch.optim.Adam(self.controller.parameters(), lr=lr)
        self._baseline: float | None = None
        self._log_p = self._entropy = torch.zeros(())
        self._indices: list[int] = []
        self._costs: Tensor | None = None
        self._cost_weight = 0.0

    def anneal(self, progress: float) -> None:
        pass

    def charge(self, costs: Costs, weight: float) -> None:
        self._costs, self._cost_weight = self._layout.matrix(costs), weight

    def parameters(self) -> Sequence[Tensor]:
        return list(self.controller.parameters())

    @torch.no_grad()
    def select(self) -> Selection:
        return self._selection(self._run(self._generator)[0])

    def select_to_learn(self) -> Selection:
        self._indices, rows = self._run(self._generator)
        log_p = torch.log_softmax(rows, dim=-1)
        self._log_p = log_p[torch.arange(len(rows)), torch.tensor(self._indices)].sum()
        self._entropy = entropy(rows).sum()
        return self._selection(self._indices)

    def reward(self, score: float) -> None:
        if self._costs is not None:
            spent = sum(float(self._costs[j, k]) for j, k in enumerate(self._indices))
            score -= self._cost_weight * spent
        score += self._entropy_weight * float(self._entropy.detach())
        if self._baseline is None:
            self._baseline = score
        self._baseline = self._decay * self._baseline + (1 - self._decay) * score
        (-(score - self._baseline) * self._log_p).backward()

    def update(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._log_p = self._entropy = torch.zeros(())

    @torch.no_grad()
    def genotype(self) -> Genotype:
        """What the controller names when it takes the most probable option at every choice."""
        return self.space.decode(self._run(None)[0])

    @torch.no_grad()
    def report(self) -> dict[str, Any]:
        rows = self._run(None)[1]
        return {
            "entropy": float(entropy(rows).mean()),
            "baseline": self._baseline,
            "probabilities": self._layout.table(torch.softmax(rows, dim=-1)),
        }

    def _run(self, generator: torch.Generator | None) -> tuple[list[int], Tensor]:
        """Indices of the options, sampled or (without a generator) most probable, and the ``(J, K)`` logits."""
        cell, embedding, head = self.controller["cell"], self.controller["embedding"], self.controller["head"]
        mask = self._layout.mask
        width = mask.shape[1]
        weight = head.weight.view(*mask.shape, -1)  # type: ignore[operator]
        inputs = embedding.weight[-1:]  # type: ignore[index]
        state = None
        indices, rows = [], []
        for j in range(len(mask)):
            state = cell(inputs, state)
            logits = self._tanh_constant * torch.tanh((weight[j] @ state[0][0]) / self._temperature)
            logits = logits.masked_fill(~mask[j], -torch.inf)
            with torch.no_grad():
                p = torch.softmax(logits, dim=-1)
                index = int(p.argmax() if generator is None else torch.multinomial(p, 1, generator=generator))
            indices.append(index)
            rows.append(logits)
            row = j * width + index
            inputs = embedding.weight[row : row + 1]  # type: ignore[index]
        return indices, torch.stack(rows)

    def _selection(self, indices: Sequence[int]) -> Selection:
        return Selection.of(self.space.decode(indices))

    def state_dict(self) -> dict[str, Any]:
        return {
            "controller": {name: value.clone() for name, value in self.controller.state_dict().items()},
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "generator": self._generator.get_state(),
            "baseline": self._baseline,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.controller.load_state_dict(state["controller"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self._generator.set_state(state["generator"])
        self._baseline = state["baseline"]
