"""Context types of a context-pooling block, one file each. ``none`` has no module: its block is left out."""

from atrc.contexts._base import CONTEXTS, Context, LabelSpace
from atrc.contexts._global import GlobalContext
from atrc.contexts._label import SLabelContext, TLabelContext
from atrc.contexts._local import LocalContext

__all__ = [
    "CONTEXTS",
    "Context",
    "GlobalContext",
    "LabelSpace",
    "LocalContext",
    "SLabelContext",
    "TLabelContext",
]
