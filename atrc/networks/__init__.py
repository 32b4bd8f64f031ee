"""Multi-task networks: backbone, neck, distillation module, and a head and a prediction layer for every task.

`MultiTaskNetwork` is the class of stand-alone networks: single-task and multi-task baselines, fixed contexts, found
genotypes. Supernets, which run under selections, are built on the same `Trunk`; see `atrc.supernets`.
"""

from atrc.networks._build import MODELS, MULTI, RANDOM_WEIGHTS, Parts, build_backbone, lacks_weights, single_task
from atrc.networks._loss import multi_task_loss
from atrc.networks._network import MultiTaskNetwork
from atrc.networks._trunk import Decoder, Encoded, Encoder, Predictions, Trunk, on_grid

__all__ = [
    "MODELS",
    "MULTI",
    "RANDOM_WEIGHTS",
    "Decoder",
    "Encoded",
    "Encoder",
    "MultiTaskNetwork",
    "Parts",
    "Predictions",
    "Trunk",
    "build_backbone",
    "lacks_weights",
    "multi_task_loss",
    "on_grid",
    "single_task",
]
