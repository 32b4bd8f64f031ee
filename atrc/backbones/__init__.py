"""Four-scale image backbones, one file each, and a reader of pretrained weights."""

from atrc.backbones._base import BACKBONES, Backbone, Pyramid, Stage, check_image, stack_scales
from atrc.backbones._branched import BranchedBackbone
from atrc.backbones._hrnet import HRNet, HRNetConfig, hrnet18, hrnet48
from atrc.backbones._panels import PanelLayout, Panels
from atrc.backbones._patches import Patches
from atrc.backbones._resnet import ResNet, resnet50
from atrc.backbones._timm import Timm
from atrc.backbones._tiny import Tiny
from atrc.backbones.weights import LoadReport, Mismatch, load_weights
from atrc.resizing import resize

__all__ = [
    "BACKBONES",
    "Backbone",
    "BranchedBackbone",
    "HRNet",
    "HRNetConfig",
    "LoadReport",
    "Mismatch",
    "PanelLayout",
    "Panels",
    "Patches",
    "Pyramid",
    "ResNet",
    "Stage",
    "Timm",
    "Tiny",
    "check_image",
    "hrnet18",
    "hrnet48",
    "load_weights",
    "resize",
    "resnet50",
    "stack_scales",
]
