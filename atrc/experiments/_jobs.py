"""How many runs at a time: as cores and memory allow."""

from __future__ import annotations

import os

import psutil

from atrc.config import Config
from atrc.machine.devices import pick_device
from atrc.setup import Setup

__all__ = ["PIXEL_MEMORY", "PROCESS_MEMORY", "default_jobs", "run_memory"]

PROCESS_MEMORY, PIXEL_MEMORY = 600 * 2**20, 7 * 2**10
"""Bytes of a run on a CPU: of its process, and for every pixel of a batch.

No published run takes more. The largest ``peak_memory`` in their result.json is 734 MiB with 8 images of 48 x 64,
1008 with 12 of 96 x 64, and 1247 with 8 of 96 x 128. They have the backbone ``tiny``; larger ones take more a pixel.
"""


def default_jobs(config: Config) -> int:
    """Runs at a time: on a GPU one, on a CPU as many as its cores and its free memory allow.

    Raises:
        InputError: The config names a device, a plugin or a dataset that does not exist.
    """
    if pick_device(config.device).type != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores // config.threads, psutil.virtual_memory().available // run_memory(config)))


def run_memory(config: Config) -> int:
    """Bytes that a run on a CPU takes, estimated from its images and its batch size."""
    height, width = Setup.of(config).info.size
    batch = max(config.search.batch_size, config.train.batch_size)
    return PROCESS_MEMORY + PIXEL_MEMORY * height * width * batch
