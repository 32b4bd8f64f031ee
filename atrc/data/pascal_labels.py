"""Label maps of PASCAL-Context from the arrays of the pack ``PASCAL_MT``: pure functions.

Class maps are ``(H, W)`` uint8 with 255 = ignore. Error messages do not name the file; the caller adds it.
"""

from __future__ import annotations

import numpy as np

from atrc.tasks import IGNORE
from searchspace.errors import InputError, UnknownNameError

__all__ = ["CLASSES", "PARTS", "WITH_NORMALS", "class_boundaries", "human_parts", "known_normals", "salient"]

CLASSES = [
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
]
"""Names of the semseg classes; the index is the label."""

PARTS = ["background", "head", "torso", "upper arms", "lower arms", "upper legs", "lower legs"]
"""Names of the human_parts classes; the index is the label."""

_PERSON = 15
"""The class of persons in PASCAL-Part."""

_PART_NAMES = (
    ("hair", "head", "lear", "rear", "leye", "reye", "lebrow", "rebrow", "mouth", "nose"),
    ("neck", "torso"),
    ("luarm", "ruarm"),
    ("llarm", "rlarm", "lhand", "rhand"),
    ("luleg", "ruleg"),
    ("llleg", "rlleg", "lfoot", "rfoot"),
)
_GROUP_OF_PART = {name: group for group, names in enumerate(_PART_NAMES, start=1) for name in names}
"""The 24 parts of a person, in six groups."""

WITH_NORMALS = (
    *(3, 4, 6, 9, 10, 11, 13, 15, 17, 18, 22, 23, 29, 30, 33, 34, 36, 37, 38, 39, 41, 43),
    *(46, 49, 50, 51, 53, 55, 56, 59, 61, 62, 65, 66, 68, 69, 72, 73, 78, 83, 84, 85, 87, 88),
    *(95, 96, 101, 104, 105, 107, 111, 113, 115, 122, 124, 135, 141, 142, 143, 146, 150, 154, 157, 158, 159, 165),
    *(172, 174, 181, 183, 184, 191, 193, 195, 197, 199, 202, 213, 215, 216, 219, 220, 223, 225, 228, 230, 232, 233),
    *(238, 239, 242, 243, 246, 250, 251, 252, 255, 260, 261, 263, 269, 272, 273, 275, 281, 283, 284, 285, 286, 287),
    *(288, 290, 291, 292, 293, 295, 304, 307, 309, 310, 314, 315, 319, 323, 329, 330, 331, 336, 342, 345, 349, 350),
    *(351, 352, 355, 357, 368, 370, 371, 374, 379, 380, 383, 384, 397, 401, 403, 405, 407, 408, 411, 412, 413, 414),
    *(417, 419, 421, 423, 427, 429, 430, 432, 440, 441, 442, 443, 444, 446, 454, 457),
)
"""Classes of PASCAL-Context (numbers of its ``LabelMap``) that have normals.

NYUD-v2 has these classes under the same names; 427 is its television. Others have no normals, because the network
that the normals come from was trained on NYUD-v2."""


def human_parts(anno: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the six groups of parts of all persons; 0 elsewhere, and 255 everywhere if no person has parts.

    Where parts overlap, the last one counts.

    Args:
        anno: The struct ``anno`` as SciPy reads it: ``(1, 1)`` with the field ``objects``, a ``(1, K)`` struct of
            ``class_ind``, ``mask`` and ``parts``; parts are a ``(1, P)`` struct of ``part_name`` and ``mask``, or
            empty.
        size: ``(H, W)`` of the image.

    Raises:
        InputError: The structs have another form, the size of a mask is not the image's, or a part of a person has an
            unknown name.
    """
    parts = np.zeros(size, np.uint8)
    persons = 0
    for found in _field(anno, "objects").ravel():
        of_object = _field(found, "parts")
        if int(_field(found, "class_ind").item()) != _PERSON or of_object.size == 0:
            continue
        persons += 1
        for part in of_object.ravel():
            name = str(_field(part, "part_name").item())
            if name not in _GROUP_OF_PART:
                raise UnknownNameError("part of a person", name, _GROUP_OF_PART)
            mask = _field(part, "mask").astype(bool)
            if mask.shape != size:
                raise InputError(f"the mask of part {name!r} is {mask.shape}, but its image is {size}")
            parts[mask] = _GROUP_OF_PART[name]
    if not persons:
        parts.fill(IGNORE)
    return parts


def _field(struct: np.ndarray, name: str) -> np.ndarray:
    """Returns a field of a 1x1 struct."""
    try:
        return np.asarray(struct[name].item() if struct[name].dtype == object else struct[name])
    except (IndexError, KeyError, TypeError, ValueError):
        raise InputError(f"the struct 'anno' has no field {name!r} where it should") from None


def class_boundaries(label_map: np.ndarray) -> np.ndarray:
    """Returns 1 where the Laplacian of the class numbers is not 0, thinned to lines; ``(H, W)`` uint8.

    For the Laplacian, the map is mirrored at the image's border.
    """
    from scipy import ndimage  # deferred, as is the next: other datasets need neither
    from skimage.morphology import thin

    laplacian = ndimage.laplace(label_map.astype(np.int64), mode="mirror")
    return thin(laplacian != 0).astype(np.uint8)


def known_normals(colours: np.ndarray, label_map: np.ndarray) -> np.ndarray:
    """Returns ``2 x / 255 - 1``, normalised to length 1; the zero vector where the class is not in `WITH_NORMALS`.

    Args:
        colours: ``(H, W, 3)`` uint8.
        label_map: ``(H, W)`` class numbers of PASCAL-Context.

    Returns:
        ``(H, W, 3)`` float32.

    Raises:
        InputError: The two differ in size, or the colours do not have three channels.
    """
    if colours.shape != (*label_map.shape, 3):
        raise InputError(f"normals are {colours.shape}, expected {(*label_map.shape, 3)}")
    known = np.isin(label_map, WITH_NORMALS)
    normals = (2 * np.arange(256, dtype=np.float32) / 255 - 1)[colours]
    # every length is at least 3 ** 0.5 / 255, because only the value 127.5 would give 0, and it is no byte
    length = np.sqrt(np.einsum("hwc,hwc->hw", normals, normals))
    normals *= (known / length)[..., None]
    return normals


def salient(grey: np.ndarray) -> np.ndarray:
    """Returns 1 where the grey value is above half of 255, else 0.

    Raises:
        InputError: There is more than one channel.
    """
    if grey.ndim != 2:
        raise InputError(f"expected one value per pixel, got an array of shape {grey.shape}")
    return (grey > 127.5).astype(np.uint8)
