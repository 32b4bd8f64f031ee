"""Four-scale image backbones, one file each, and the reading of pretrained weights."""

from atrc.backbones._base import BACKBONES, Backbone, check_image, resize, stack_scales
from atrc.backbones._hrnet import HRNet, HRNetConfig, hrnet18, hrnet48
from atrc.backbones._resnet import ResNet, resnet50
from atrc.backbones._tiny import Tiny
from atrc.backbones.weights import LoadReport, Mismatch, load_weights

__all__ = [
    "BACKBONES",
    "Backbone",
    "HRNet",
    "HRNetConfig",
    "LoadReport",
    "Mismatch",
    "ResNet",
    "Tiny",
    "check_image",
    "hrnet18",
    "hrnet48",
    "load_weights",
    "resize",
    "resnet50",
    "stack_scales",
]
