"""A package of somebody else: parts in a folder, with tests of one line each that their own pytest runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PARTS = '''
"""A task and a distillation module of one's own."""

from torch import nn

from atrc.distillation import DISTILLATIONS, Distillation
from atrc.metrics import MeanIoU
from atrc.tasks import IGNORE, TASKS, Task
from torch.nn import functional


@TASKS.register("window")
class Window(Task):
    name = "window"
    metric_name, metric_unit, higher_is_better, fill = "mIoU", "%", True, IGNORE
    channels, regions, weight = 2, 2, 1.0

    def loss(self, prediction, label):
        pixels = functional.cross_entropy(prediction.float(), label, ignore_index=IGNORE, reduction="sum")
        return pixels / (label != IGNORE).sum().clamp(min=1)

    def aux_loss(self, regions, label):
        return self.loss(regions, label)

    def decode(self, prediction):
        return prediction.argmax(1)

    def metric(self):
        return MeanIoU(2, ignore=IGNORE)

    def draw(self, label):
        return (label[..., None] * [[[100, 100, 100]]]).astype("uint8")

    def check_label(self, label):
        if label.ndim != 2:
            return f"shape is {label.shape}, expected (H, W)"
        return None if ((label < 2) | (label == IGNORE)).all() else "windows are 0, 1 and 255"


class Careless(Window):
    def loss(self, prediction, label):
        return functional.cross_entropy(prediction.float(), label, ignore_index=IGNORE)


@DISTILLATIONS.register("own_layer")
class OwnLayer(Distillation):
    def __init__(self, channels, *, kernel=1):
        super().__init__()
        self.layers = nn.ModuleDict({t: nn.Conv2d(c, c, kernel, padding=kernel // 2) for t, c in channels.items()})

    def forward(self, features, regions, valid=None):
        return {task: layer(features[task]) for task, layer in self.layers.items()}
'''
TESTS = """
import my_parts

from atrc.testing import check_distillation, check_task


def test_window():
    check_task("window")


def test_own_layer():
    check_distillation("own_layer", {"kernel": 3})


def test_careless():
    check_task(my_parts.Careless)
"""


def test_somebody_elses_tests_run_the_suites(tmp_path: Path) -> None:
    (tmp_path / "my_parts.py").write_text(PARTS)
    (tmp_path / "test_my_parts.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_parts.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    said = "loss of task 'Careless' must be 0 with a gradient of 0 where no pixel is valid, but is nan"
    assert f"AssertionError: {said}" in done.stdout
