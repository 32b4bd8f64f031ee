"""Dense-prediction tasks, one file each."""

from atrc.tasks._base import IGNORE, TASKS, Task, load_task_states, task_states
from atrc.tasks._depth import Depth
from atrc.tasks._edge import Edge
from atrc.tasks._field import Field
from atrc.tasks._human_parts import HumanParts
from atrc.tasks._losses import any_size, loss_at
from atrc.tasks._normals import Normals
from atrc.tasks._saliency import Saliency
from atrc.tasks._semseg import SemSeg

__all__ = [
    "IGNORE",
    "TASKS",
    "Depth",
    "Edge",
    "Field",
    "HumanParts",
    "Normals",
    "Saliency",
    "SemSeg",
    "Task",
    "any_size",
    "load_task_states",
    "loss_at",
    "task_states",
]
