"""`rooms`: an embedded dataset of rendered indoor scenes with exact labels for six tasks."""

from atrc.data.rooms.dataset import PROFILES, Rooms
from atrc.data.rooms.labels import CLASSES, PARTS
from atrc.data.rooms.renderer import VERSION, Rendering, render

__all__ = ["CLASSES", "PARTS", "PROFILES", "VERSION", "Rendering", "Rooms", "render"]
