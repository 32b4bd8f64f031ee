"""The embedded dataset `planted`, a problem whose best contexts are known."""

from atrc.data.planted.content import CONTENTS
from atrc.data.planted.dataset import Planted
from atrc.data.planted.scene import Scenes

__all__ = ["CONTENTS", "Planted", "Scenes"]
