"""Test suites for users' own parts. One line in a test checks that a part does everything that the toolkit needs.

The suites are plain functions that raise AssertionError; they need no test framework::

    from atrc.testing import check_backbone

    def test_my_backbone() -> None:
        check_backbone(MyBackbone, {"width": 0.5})

The suites of strategies are in `strategies.testing`.
"""

from atrc._moved import former_names
from atrc.testing._backbones import check_backbone
from atrc.testing._datasets import check_dataset
from atrc.testing._distillation import check_distillation
from atrc.testing._multi_task_supernets import check_multi_task_supernet
from atrc.testing._supernets import check_supernet
from atrc.testing._tasks import check_task

__all__ = [
    "check_backbone",
    "check_dataset",
    "check_distillation",
    "check_multi_task_supernet",
    "check_supernet",
    "check_task",
]

__getattr__ = former_names(__name__)
