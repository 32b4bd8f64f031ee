"""Choice of the device that computes."""

from __future__ import annotations

import torch

from searchspace import InputError

__all__ = ["pick_device"]


def pick_device(name: str) -> torch.device:
    """Returns the device of a name; ``auto`` is a GPU if there is one, else the CPU.

    Raises:
        InputError: The device does not exist or cannot be used.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} cannot be used: {' '.join(str(error).split())[:100]}") from None
    return device
