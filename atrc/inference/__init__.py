"""A trained run in use."""

from atrc.inference._open import Opened, open_run

__all__ = ["Opened", "open_run"]
