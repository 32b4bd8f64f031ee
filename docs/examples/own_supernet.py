"""A search on one's own network and data: which activation should every layer of a perceptron have?

python own_supernet.py [STRATEGY]      # any one-shot strategy, e.g. darts, spos, gdas
"""

import sys
from itertools import pairwise

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from atrc import Problem
from searchspace import SearchSpace

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sine": torch.sin}


class Perceptron(nn.Module):
    """A supernet needs a space, a loss under a selection, and a way to derive a network."""

    def __init__(self, space, width=32):
        super().__init__()
        self.space = space
        sizes = [1] + [width] * len(space)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.out = nn.Linear(width, 1)

    def forward(self, x, selection):
        for choice, layer in zip(self.space, self.layers, strict=True):
            y = layer(x)
            x = selection.mix(choice, {option: ACTIVATIONS[option](y) for option in selection.active(choice)})
        return self.out(x)

    def loss(self, batch, selection):
        x, y = batch
        return (self(x, selection) - y).square().mean()

    def derive(self, genotype):
        return Perceptron(SearchSpace(self.space.name, {choice: [option] for choice, option in genotype.items()}))


def waves(seed):
    """A fast wave on a slow one: what a network of sines can do, and one of ramps cannot."""
    x = torch.rand(4096, 1, generator=torch.Generator().manual_seed(seed)) * 12 - 6
    return DataLoader(TensorDataset(x, torch.sin(2 * x)), batch_size=64, shuffle=True)


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "gumbel_entropy"
    space = SearchSpace("activations", {"layer0": list(ACTIVATIONS), "layer1": list(ACTIVATIONS)})
    problem = Problem(
        supernet=lambda: Perceptron(space),
        train=waves(0),
        held_out=waves(1),  # for strategies that ask for it
        optimizer=lambda weights: torch.optim.Adam(weights, lr=0.01),
    )
    knobs = {} if name in ("spos", "random_ws") else {"lr": 0.02}
    search = problem.search(name, seed=0, knobs=knobs, steps=600, clip_norm=10.0)
    for event in search:
        if event.kind == "step" and event.step % 100 == 0:
            print(f"step {event.step}: loss {float(event.loss):.3f}, {search.samples} samples")
    print("found:", dict(search.genotype()))


if __name__ == "__main__":
    main()
