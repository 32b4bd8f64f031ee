"""Independent categorical distributions over the options of every choice, which most one-shot strategies learn.

J choices with at most K options are held as one (J, K) matrix, so that sampling, entropy and updates are a handful of
tensor operations, whatever the number of choices. Places beyond the options of a choice are masked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from searchspace import Genotype, SearchSpace, Selection, Weighted

__all__ = ["Categorical", "entropy", "gumbel_noise", "gumbel_softmax", "restore_generator", "seeded_generator"]


def seeded_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Returns a new generator with this seed, which draws on ``device``; the global one stays as it is."""
    generator = torch.Generator(device)
    generator.manual_seed(seed)
    return generator


def restore_generator(generator: torch.Generator, state: Tensor) -> None:
    """Sets a generator to a state that ``get_state`` returned.

    Generators of a CPU and of a GPU draw in different ways. If the state is of the other kind, because a search goes
    on elsewhere, it seeds the generator: the draws go on with new numbers, always the same ones.
    """
    if state.numel() == generator.get_state().numel():
        generator.set_state(state)
    else:
        generator.manual_seed(int.from_bytes(hashlib.sha256(state.numpy().tobytes()).digest()[:7], "big"))


def gumbel_noise(uniform: Tensor) -> Tensor:
    """Turns uniform variables u in [0, 1) into Gumbel(0, 1) variables ``-log(-log u)``, of the same shape."""
    tiny = torch.finfo(uniform.dtype).tiny
    exponential = -torch.log(uniform.clamp_min(tiny))
    return -torch.log(exponential.clamp_min(tiny))


def gumbel_softmax(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Returns the soft one-hot variable of eq. 7, ``softmax((log alpha + G) / lambda)``, shaped like the logits.

    Args:
        logits: ``(..., K)`` log alpha, unnormalised; -inf marks a masked place.
        noise: ``(..., K)`` Gumbel variables.
        temperature: lambda > 0.
    """
    return torch.softmax((logits + noise) / temperature, dim=-1)


def entropy(logits: Tensor) -> Tensor:
    """Returns the entropy in nats of softmax(logits) over the last dimension; places of -inf contribute 0."""
    log_p = torch.log_softmax(logits, dim=-1)
    return -(log_p.exp() * log_p.masked_fill(log_p.isneginf(), 0.0)).sum(-1)


class Categorical:
    """Logits of independent categorical distributions.

    Attributes:
        logits: Leaf tensor ``(J, K)``, 0 at the start (uniform); an optimiser updates it.
        mask: Mask ``(J, K)``, True where a choice has an option.
        places: Places ``(n,)`` of the options in the flattened matrices, in order.
    """

    def __init__(self, space: SearchSpace, device: torch.device | str = "cpu") -> None:
        self.space = space
        widths = torch.tensor([len(options) for options in space.values()])
        mask = torch.arange(int(widths.max())) < widths[:, None]
        self._everywhere = mask.tolist()  # a copy that the CPU reads without waiting for a GPU
        self.mask, self.places = mask.to(device), mask.flatten().nonzero().squeeze(1).to(device)
        self.logits = torch.zeros(mask.shape, device=device, requires_grad=True)

    @property
    def masked_logits(self) -> Tensor:
        """Logits ``(J, K)`` with -inf at the masked places."""
        return self.logits.masked_fill(~self.mask, -torch.inf)

    @property
    def probabilities(self) -> Tensor:
        """Probabilities ``(J, K)``; every row sums to 1."""
        return torch.softmax(self.masked_logits, dim=-1)

    def num_parameters(self) -> int:
        """Returns the number of logits that belong to an option."""
        return len(self.places)

    def genotype(self) -> Genotype:
        """Returns the genotype of the most probable option of every choice."""
        return self.space.decode(self.masked_logits.argmax(-1).tolist())

    def gumbel_noise(self, generator: torch.Generator) -> Tensor:
        """Draws ``(J, K)`` Gumbel variables."""
        return gumbel_noise(torch.rand(self.mask.shape, generator=generator, device=self.mask.device))

    def sample(self, generator: torch.Generator, number: int = 1, probabilities: Tensor | None = None) -> Tensor:
        """Draws ``(J, number)`` indices of options from the distributions, without replacement.

        Args:
            generator: The source of the draws.
            number: Number of options per choice. A choice with fewer of positive probability repeats its first.
            probabilities: Probabilities ``(J, K)``; by default those of the distributions.
        """
        p = self.probabilities.detach() if probabilities is None else probabilities
        # The largest of log p + Gumbel noise is a draw from p, the next one a draw from the rest, and so on.
        drawn = (p.log() + self.gumbel_noise(generator)).topk(min(number, p.shape[1]), dim=-1)
        return torch.where(drawn.values.isneginf(), drawn.indices[:, :1], drawn.indices)

    def selection(
        self, weights: Tensor | None, active: Tensor | None = None, constant: Sequence[int] | None = None
    ) -> Selection:
        """Builds a selection from a weight matrix.

        Args:
            weights: Weights ``(J, K)``; None for a constant 1 everywhere.
            active: Mask ``(J, K)`` of the options that are computed; None for all. It is read: on a GPU, this waits.
            constant: J indices. If one is >= 0, that option alone is active, with a constant 1.
        """
        width = self.mask.shape[1]
        flat = (None,) * self.mask.numel() if weights is None else weights.flatten().unbind()
        on = self._everywhere if active is None else active.tolist()
        only = [-1] * len(on) if constant is None else constant
        options: dict[str, tuple[Weighted, ...]] = {}
        for j, (choice, names) in enumerate(self.space.items()):
            if only[j] >= 0:
                options[choice] = (Weighted(names[only[j]], None),)
            else:
                chosen = (k for k in range(len(names)) if on[j][k])
                options[choice] = tuple(Weighted(names[k], flat[j * width + k]) for k in chosen)
        return Selection(options)

    def one_hot(self, indices: Tensor) -> Tensor:
        """Returns a mask ``(J, K)`` that is True at ``indices``, ``(J,)`` or ``(J, number)``."""
        return torch.zeros_like(self.mask).scatter_(1, indices.reshape(len(self.mask), -1), True)

    def table(self, probabilities: Tensor) -> dict[str, dict[str, float]]:
        """Turns a ``(J, K)`` matrix into plain numbers, ``{choice: {option: probability}}``."""
        table = probabilities.detach().tolist()
        return {
            choice: dict(zip(names, row[: len(names)], strict=True))
            for (choice, names), row in zip(self.space.items(), table, strict=True)
        }

    def state_dict(self) -> dict[str, Any]:
        """Returns a copy of the logits."""
        return {"logits": self.logits.detach().clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copies the logits in place, so that an optimiser keeps its reference."""
        with torch.no_grad():
            self.logits.copy_(state["logits"])
