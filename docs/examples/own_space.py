"""A space of quite another kind: a cell of NAS-Bench-201, on scikit-learn's digits, searched by any strategy.

    python own_space.py [STRATEGY]         # any registered one: darts, spos, evolution, optuna_tpe, ...

Dong and Yang, NAS-Bench-201, ICLR 2020: four nodes, and on each of the six edges between them one of five operations.
"""

import sys

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from searchspace import SPACES, SearchSpace, Selection
from strategies import Budget, OneShotStrategy, Score, Search, build_strategy

EDGES = [(source, target) for target in range(1, 4) for source in range(target)]
WIDTH, BATCH = 8, 64


@SPACES.register("nb201")
class Cell201(SearchSpace):
    def __init__(self):
        super().__init__("nb201", {f"{source}->{target}": list(OPERATIONS) for source, target in EDGES})


def conv(kernel):
    return nn.Sequential(nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, kernel, padding=kernel // 2), nn.BatchNorm2d(WIDTH))


class Zero(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)


OPERATIONS = {
    "none": Zero,
    "skip_connect": nn.Identity,
    "nor_conv_1x1": lambda: conv(1),
    "nor_conv_3x3": lambda: conv(3),
    "avg_pool_3x3": lambda: nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
}


class Network(nn.Module):
    """Stem, one cell, and a classifier. It holds the options of its space: all of them, or those of a genotype."""

    def __init__(self, space):
        super().__init__()
        self.space = space
        self.stem = nn.Sequential(nn.Conv2d(1, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH))
        self.edges = nn.ModuleDict({edge: nn.ModuleDict({o: OPERATIONS[o]() for o in space[edge]}) for edge in space})
        self.classifier = nn.Linear(WIDTH, 10)

    def forward(self, image, selection):
        nodes = [self.stem(image)]
        for target in range(1, 4):
            edges = [f"{source}->{target}" for source in range(target)]
            nodes.append(sum(self.mixed(edge, node, selection) for edge, node in zip(edges, nodes, strict=True)))
        return self.classifier(torch.relu(nodes[-1]).mean((2, 3)))

    def mixed(self, edge, x, selection):
        return selection.mix(edge, {option: self.edges[edge][option](x) for option in selection.active(edge)})

    def loss(self, batch, selection):
        image, label = batch
        return nn.functional.cross_entropy(self(image, selection), label)

    def derive(self, genotype):
        return Network(SearchSpace("nb201", {edge: [option] for edge, option in genotype.items()}))


def digits():
    """Loaders of training, held-out and test images."""
    data = load_digits()
    image = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    label = torch.tensor(data.target)
    order = torch.randperm(len(label), generator=torch.Generator().manual_seed(0))
    parts = order[:1200], order[1200:1500], order[1500:]
    return [DataLoader(TensorDataset(image[part], label[part]), batch_size=BATCH, shuffle=True) for part in parts]


def trained(network, genotype, loader, steps, seed):
    """Trains a network of a genotype from scratch."""
    torch.manual_seed(seed)
    optimizer, selection = torch.optim.Adam(network.parameters(), 0.01), Selection.of(genotype)
    while steps > 0:
        for batch in loader:
            optimizer.zero_grad()
            network.loss(batch, selection).backward()
            optimizer.step()
            steps -= 1
    return network.eval()


@torch.no_grad()
def accuracy(network, genotype, loader):
    selection = Selection.of(genotype)
    right = sum(int((network(image, selection).argmax(1) == label).sum()) for image, label in loader)
    return right / len(loader.dataset)


class Trained:
    """The score of a trial: accuracy on held-out images after a short training."""

    def __init__(self, space, train, held_out, steps=30):
        self.space, self.train, self.held_out, self.steps = space, train, held_out, steps

    def samples(self, trial):
        return int(self.steps * trial.budget) * BATCH + len(self.held_out.dataset)

    def __call__(self, trial):
        network = Network(self.space).derive(trial.genotype)
        trained(network, trial.genotype, self.train, int(self.steps * trial.budget), trial.number)
        return Score(accuracy(network, trial.genotype, self.held_out), self.samples(trial))


def main():
    torch.manual_seed(0)
    name = sys.argv[1] if len(sys.argv) > 1 else "darts"
    train, held_out, test = digits()
    space, budget = Cell201(), Budget(samples=20_000)
    strategy = build_strategy(
        name, space, seed=0, knobs={"final_trials": 50} if name in ("spos", "random_ws") else {}
    )
    if isinstance(strategy, OneShotStrategy):
        supernet = Network(space)
        optimizer = torch.optim.Adam(supernet.parameters(), 0.01)
        search = Search(strategy, supernet, optimizer, train=train, held_out=held_out, budget=budget)
    else:
        search = Search(strategy, score=Trained(space, train, held_out), budget=budget)
    genotype = search.run()
    print(f"{name}: {search.samples} images in {search.seconds:.1f} s; {dict(genotype)}")
    network = trained(Network(space).derive(genotype), genotype, train, 100, seed=0)
    print(f"accuracy of the found cell on test images: {accuracy(network, genotype, test):.3f}")


if __name__ == "__main__":
    main()
