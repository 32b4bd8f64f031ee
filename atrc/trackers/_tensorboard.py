"""TensorBoard: ``tensorboard --logdir runs`` shows losses, probabilities of contexts, trials and results."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from atrc.trackers._base import TRACKERS, Tracker

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["TensorBoard"]


@TRACKERS.register("tensorboard")
class TensorBoard(Tracker):
    """Writes event files below ``RUN/tensorboard``, in a folder per source, since each counts its own steps."""

    needs = "tensorboard"

    def __init__(self, run: Path) -> None:
        super().__init__(run)
        self._writers: dict[str, SummaryWriter] = {}

    @classmethod
    def missing(cls) -> bool:
        return importlib.util.find_spec("tensorboard") is None

    def log(self, source: str, step: int, numbers: Mapping[str, float]) -> None:
        writer = self._writer(source, step)
        for name, value in numbers.items():
            # TensorBoard would not show "semseg<-depth" as it is
            writer.add_scalar(re.sub(r"[^\w./-]+", "_", name.replace("<-", "_from_")), value, step)

    def _writer(self, source: str, step: int) -> SummaryWriter:
        if source not in self._writers:
            from torch.utils.tensorboard import SummaryWriter  # takes seconds, and its package is an extra

            # removes lines of an earlier process from this step on, which are logged again
            self._writers[source] = SummaryWriter(str(self.run / "tensorboard" / source), purge_step=step)
        return self._writers[source]

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
