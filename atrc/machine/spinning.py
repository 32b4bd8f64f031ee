"""How long idle threads of OpenMP, which torch computes with, wait for work before they give up their core."""

from __future__ import annotations

import os

__all__ = ["spin_briefly"]


def spin_briefly() -> None:
    """Makes idle threads spin for microseconds only. It takes effect if torch is not loaded yet.

    By default they spin for milliseconds after every operator. Our kernels run on threads of their own, which share
    their cores with the idle ones for so long: on two threads a step of the search module takes half as much time
    again. Nothing changes if the environment sets ``GOMP_SPINCOUNT`` or ``OMP_WAIT_POLICY``.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
