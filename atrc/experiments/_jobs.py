"""Chooses the number of runs at a time from cores and memory."""

from __future__ import annotations

import psutil

from atrc.config import NO_DATASET, Config
from atrc.machine.cores import cores
from atrc.machine.devices import pick_device
from atrc.setup import Setup

__all__ = ["PIXEL_MEMORY", "PROCESS_MEMORY", "default_jobs", "run_memory"]

PROCESS_MEMORY, PIXEL_MEMORY = 600 * 2**20, 7 * 2**10
"""Memory of a run on a CPU, in bytes: for its process, and for every pixel of a batch.

No published run takes more. The largest ``peak_memory`` in their result.json is 734 MiB with 8 images of 48 x 64,
1008 with 12 of 96 x 64, and 1247 with 8 of 96 x 128. Their backbone is ``tiny``; larger ones take more per pixel.
"""


def default_jobs(config: Config) -> int:
    """Returns the number of runs at a time: one on a GPU, as many as cores and free memory allow on a CPU.

    Raises:
        InputError: The config names a device, a plugin or a dataset that does not exist.
    """
    if pick_device(config.device).type != "cpu":
        return 1
    return max(1, min(cores() // config.threads, psutil.virtual_memory().available // run_memory(config)))


def run_memory(config: Config) -> int:
    """Returns the estimated memory of a run on a CPU in bytes, from its image size and its batch size.

    Without images, the memory of a process.
    """
    if config.dataset.name == NO_DATASET:
        return PROCESS_MEMORY
    height, width = Setup.of(config).info.size
    batch = max(config.search.batch_size, config.train.batch_size)
    return PROCESS_MEMORY + PIXEL_MEMORY * height * width * batch
