"""The module of the paper in a foreign network: task features in, refined task features of the same shapes out.

python atrc_module.py
"""

import torch
from torch import nn

from atrc import ATRC
from searchspace import CPSpace

TASKS = {"semseg": 5, "depth": 1}  # channels of the predictions
REGIONS = {"semseg": 5, "depth": 8}  # of the region maps that label contexts read
WIDTH = 16


class MyNetwork(nn.Module):
    """An encoder and a head per task; ATRC sits before the predictions."""

    def __init__(self, genotype):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, WIDTH, 3, stride=4, padding=1), nn.ReLU())
        self.heads = nn.ModuleDict({task: nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for task in TASKS})
        self.auxiliary = nn.ModuleDict({task: nn.Conv2d(WIDTH, regions, 1) for task, regions in REGIONS.items()})
        self.atrc = ATRC(WIDTH, genotype)
        self.predict = nn.ModuleDict({task: nn.Conv2d(WIDTH, channels, 1) for task, channels in TASKS.items()})

    def forward(self, image):
        x = self.encoder(image)
        features = {task: head(x) for task, head in self.heads.items()}
        regions = {task: head(x) for task, head in self.auxiliary.items()}
        refined = self.atrc(features, regions)
        return {task: layer(refined[task]) for task, layer in self.predict.items()}, regions


def loss(outputs, regions, image):
    """Brightness in five classes, and brightness itself: labels that cost nothing."""
    grey = image.mean(1)[:, ::4, ::4]
    entropy = nn.functional.cross_entropy
    classes, bins = (grey * 5).long().clamp(max=4), (grey * 8).long().clamp(max=7)
    final = entropy(outputs["semseg"], classes) + (outputs["depth"][:, 0] - grey).abs().mean()
    return final + entropy(regions["semseg"], classes) + entropy(regions["depth"], bins)


def main():
    torch.manual_seed(0)
    genotype = CPSpace(list(TASKS)).from_matrix(
        {
            "semseg": {"semseg": "t_label", "depth": "global"},
            "depth": {"semseg": "s_label", "depth": "local"},
        }
    )
    network = MyNetwork(genotype)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    values = []
    for _ in range(60):
        image = torch.rand(4, 3, 1, 1) * torch.rand(4, 3, 48, 64)
        value = loss(*network(image), image)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    print(f"loss from {values[0]:.2f} to {sum(values[-10:]) / 10:.2f} in {len(values)} steps")


if __name__ == "__main__":
    main()
