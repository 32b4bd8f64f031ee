"""ENAS: a recurrent controller, rewarded by the scores of its samples with shared weights.

Pham et al., Efficient Neural Architecture Search via Parameter Sharing, ICML 2018.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from searchspace import CostModel, Genotype, SearchSpace, Selection
from strategies._base import STRATEGIES
from strategies._categorical import Categorical, entropy, seeded_generator
from strategies._knobs import number, whole
from strategies._optimizers import eager
from strategies._step import DataUse
from strategies.one_shot._base import OneShotStrategy

__all__ = ["ENAS"]


@STRATEGIES.register("enas")
class ENAS(OneShotStrategy):
    """Search by an LSTM that names one option after the other, given the options before, and learns by REINFORCE.

    Weights learn on one sample from a training batch; the reward of another one is minus its loss on a held-out
    batch. The baseline is a moving average of rewards.

    Args:
        space: Any space of independent choices.
        seed: Initialises the controller and seeds its samples.
        lr: Learning rate of the controller's Adam, > 0.
        hidden: Number of units of the LSTM, at least 1.
        temperature: Divisor of the controller's logits, > 0.
        tanh_constant: Bound of the logits, > 0. They are this times tanh, which keeps the controller from certainty.
        entropy_weight: Weight of the samples' entropy in the reward.
        baseline_decay: Decay of the moving average, in [0, 1).
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
        rate, hidden = number("lr", lr, above=0), whole("hidden", hidden)
        self._temperature = number("temperature", temperature, above=0)
        self._tanh_constant = number("tanh_constant", tanh_constant, above=0)
        self._entropy_weight = number("entropy_weight", entropy_weight)
        self._decay = number("baseline_decay", baseline_decay, at_least=0, below=1)
        self._generator = seeded_generator(seed)
        self._layout = Categorical(space)
        choices, options = self._layout.mask.shape
        self.controller = nn.ModuleDict(
            {
                # Made empty, since initialisation would draw from the global generator.
                "lstm": nn.LSTM(hidden, hidden, batch_first=True, device="meta").to_empty(device="cpu"),
                "embedding": nn.utils.skip_init(nn.Embedding, choices * options + 1, hidden),
                "head": nn.utils.skip_init(nn.Linear, hidden, choices * options, bias=False),
            }
        )
        with torch.no_grad():
            for parameter in self.controller.parameters():
                parameter.uniform_(-0.1, 0.1, generator=self._generator)
        self.optimizer = eager(torch.optim.Adam)(self.controller.parameters(), lr=rate)
        self._baseline: float | None = None
        self._log_p = self._entropy = torch.zeros(())
        self._indices: list[int] = []
        self._costs: CostModel | None = None
        self._cost_weight = 0.0

    def anneal(self, progress: float) -> None:
        pass

    def charge(self, costs: CostModel, weight: float) -> None:
        self._costs, self._cost_weight = costs, weight

    def parameters(self) -> Sequence[Tensor]:
        return list(self.controller.parameters())

    def select(self) -> Selection:
        return self._selection(self._name(self._generator))

    def select_to_learn(self) -> Selection:
        self._indices = self._name(self._generator)
        rows = self._rows(self._indices)
        log_p = torch.log_softmax(rows, dim=-1)
        self._log_p = log_p[torch.arange(len(rows)), torch.tensor(self._indices)].sum()
        self._entropy = entropy(rows).sum()
        return self._selection(self._indices)

    def reward(self, score: float) -> None:
        if self._costs is not None:
            score -= self._cost_weight * self._costs.share(self.space, self.space.decode(self._indices))
        score += self._entropy_weight * float(self._entropy.detach())
        if self._baseline is None:
            self._baseline = score
        self._baseline = self._decay * self._baseline + (1 - self._decay) * score
        (-(score - self._baseline) * self._log_p).backward()

    def update(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._log_p = self._entropy = torch.zeros(())

    def genotype(self) -> Genotype:
        """Returns the genotype that the controller names if it takes the most probable option at every choice."""
        return self.space.decode(self._name(None))

    @torch.no_grad()
    def report(self) -> dict[str, Any]:
        rows = self._rows(self._name(None))
        return {
            "entropy": float(entropy(rows).mean()),
            "baseline": self._baseline,
            "probabilities": self._layout.table(torch.softmax(rows, dim=-1)),
        }

    @torch.no_grad()
    def _name(self, generator: torch.Generator | None) -> list[int]:
        """Names one option after the other, by index: a sampled one or, without a generator, the most probable."""
        lstm = self.controller["lstm"]
        weights = [lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, lstm.bias_hh_l0]
        embedded, heads = self._embedding(), self._heads()
        hidden = cell = embedded.new_zeros(1, embedded.shape[1])
        mask, width = self._layout.mask, self._layout.mask.shape[1]
        row, indices = -1, []
        for j in range(len(mask)):
            hidden, cell = torch.lstm_cell(embedded[row][None], (hidden, cell), *weights)  # type: ignore[arg-type]
            p = torch.softmax(self._logits(hidden @ heads[j].T)[0].masked_fill(~mask[j], -torch.inf), dim=-1)
            indices.append(int(p.argmax() if generator is None else torch.multinomial(p, 1, generator=generator)))
            row = j * width + indices[-1]
        return indices

    def _rows(self, indices: Sequence[int]) -> Tensor:
        """Returns logits ``(J, K)`` of every choice, given the options of the choices before: all at once."""
        mask, width = self._layout.mask, self._layout.mask.shape[1]
        before = [-1, *(j * width + index for j, index in enumerate(indices[:-1]))]
        hidden, _ = self.controller["lstm"](self._embedding()[before][None])
        rows = self._logits(torch.einsum("jh,jkh->jk", hidden[0], self._heads()))
        return rows.masked_fill(~mask, -torch.inf)

    def _logits(self, raw: Tensor) -> Tensor:
        return self._tanh_constant * torch.tanh(raw / self._temperature)

    def _embedding(self) -> Tensor:
        """Returns one row for each (choice, option) pair, and a last row to start with."""
        return self.controller["embedding"].weight  # type: ignore[return-value]

    def _heads(self) -> Tensor:
        """Returns the weights of the head, ``(J, K, hidden)``."""
        return self.controller["head"].weight.view(*self._layout.mask.shape, -1)  # type: ignore[operator]

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
