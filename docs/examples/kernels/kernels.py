# kernels.py
"""Which convolution refines the features of every task? A space, its supernet and its view, for all commands."""

from torch import nn

from analysis.figures import Words
from analysis.views import VIEWS, SpaceView
from atrc.supernets import SUPERNETS, MultiTaskSupernet
from searchspace import SPACES, SearchSpace

KERNELS = {"point": (1, 1), "row": (1, 5), "column": (5, 1), "square": (3, 3)}


@SPACES.register("kernels")
class Kernels(SearchSpace):
    """A kernel for every task."""

    def __init__(self, tasks, kernels=tuple(KERNELS)):
        choices = {task: list(kernels) for task in tasks}
        super().__init__("kernels", choices, {"tasks": list(tasks), "kernels": list(kernels)})


def convolution(channels, kernel):
    padding = [size // 2 for size in KERNELS[kernel]]
    layer = nn.Conv2d(channels, channels, KERNELS[kernel], padding=padding, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(channels), nn.ReLU())


@SUPERNETS.register("kernels")
class KernelNetwork(MultiTaskSupernet):
    """A network with the convolutions of all options; a selection says which of them run."""

    space_type = Kernels

    def __init__(self, parts, space):
        super().__init__(parts, space)
        self.refine = nn.ModuleDict(
            {task: nn.ModuleDict({k: convolution(self.channels[task], k) for k in space[task]}) for task in space}
        )

    def forward(self, image, selection, valid=None):
        encoded = self.encode(image)
        refined = {}
        for task, x in encoded.features.items():
            outputs = {kernel: self.refine[task][kernel](x) for kernel in selection.active(task)}
            refined[task] = selection.mix(task, outputs)
        return self.finish(refined, encoded)

    def parts(self):
        return {**super().parts(), "blocks": [self.refine]}


@VIEWS.register("kernels")
class KernelsView(SpaceView):
    """How the analysis speaks of kernels."""

    space_type = Kernels
    words = Words("task", "Kernel")
