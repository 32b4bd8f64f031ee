"""Datasets, augmentation and batches."""

from atrc._moved import former_names
from atrc.data._base import DATASETS, Dataset, DatasetInfo, Sample, skipped_samples
from atrc.data.answer import Answer, Need
from atrc.data.batch import Batch, collate, image_windows
from atrc.data.check import DatasetReport, Finding, check_dataset, inspect_dataset
from atrc.data.content import content_hashes
from atrc.data.folder import Folder
from atrc.data.loader import BatchLoader, evaluation_batches
from atrc.data.none import NoImages
from atrc.data.nyud import NYUD
from atrc.data.pascal_context import PascalContext
from atrc.data.planted import Planted
from atrc.data.preview import contact_sheet
from atrc.data.rooms import Rooms
from atrc.data.subset import Subset, hold_out
from atrc.data.transforms import (
    Compose,
    Flip,
    Normalize,
    Pad,
    Photometric,
    RandomCrop,
    RandomScale,
    ScaledCrop,
    Transform,
    View,
    eval_transform,
    train_transform,
)

__all__ = [
    "DATASETS",
    "NYUD",
    "Answer",
    "Batch",
    "BatchLoader",
    "Compose",
    "Dataset",
    "DatasetInfo",
    "DatasetReport",
    "Finding",
    "Flip",
    "Folder",
    "Need",
    "NoImages",
    "Normalize",
    "Pad",
    "PascalContext",
    "Photometric",
    "Planted",
    "RandomCrop",
    "RandomScale",
    "Rooms",
    "Sample",
    "ScaledCrop",
    "Subset",
    "Transform",
    "View",
    "check_dataset",
    "collate",
    "contact_sheet",
    "content_hashes",
    "eval_transform",
    "evaluation_batches",
    "hold_out",
    "image_windows",
    "inspect_dataset",
    "skipped_samples",
    "train_transform",
]

__getattr__ = former_names(__name__)
