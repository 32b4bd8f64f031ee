"""Devices that compute."""

from __future__ import annotations

import torch

from searchspace import InputError

__all__ = ["pick_device"]


def pick_device(name: str) -> torch.device:
    """The device of a name; ``auto`` is the GPU where there is one.

    Raises:
        InputError: No such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} cannot be used: {' '.join(str(error).split())[:100]}") from None
    return device
