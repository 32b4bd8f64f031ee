"""Label maps made from label files and from other label maps: pure functions on arrays.

Class maps are ``(H, W)`` uint8 with 255 = ignore. Error messages do not name the file; the caller adds it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from atrc.data.resample import nearest_index
from atrc.data.spec import COMPARISON
from atrc.tasks import IGNORE
from searchspace.errors import InputError

__all__ = ["boundaries", "class_map", "looked_up", "measured_map", "positives", "resize_any"]

_OPERATORS: Mapping[str, Callable[[np.ndarray, float], np.ndarray]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


def class_map(values: np.ndarray, *, ignore: Sequence[int] = (IGNORE,), offset: float = 0) -> np.ndarray:
    """Turns the whole numbers of a label file into a class map.

    Args:
        values: ``(H, W)``, whole numbers of any type.
        ignore: Values that become 255; 255 itself always stays.
        offset: Added to all other values.

    Raises:
        InputError: The array has channels, a value is not whole, or is outside 0..255 after the offset.
    """
    values = _whole(values)
    ignored = np.isin(values, [*ignore, IGNORE])
    classes = values + int(offset)
    classes[ignored] = IGNORE
    if classes.size and not 0 <= classes.min() <= classes.max() <= IGNORE:
        bad = classes.min() if classes.min() < 0 else classes.max()
        shifted = f" (offset {offset:+g})" if offset else ""
        hint = "; name it under 'ignore'?" if bad < 0 else ""
        raise InputError(f"value {bad - int(offset)} becomes class {bad}{shifted}, outside 0..{IGNORE}{hint}")
    return classes.astype(np.uint8)


def looked_up(values: np.ndarray, lookup: Mapping[int, int], *, ignore: Sequence[int] = (IGNORE,)) -> np.ndarray:
    """Returns the class map in which every value is replaced by ``lookup[value]``.

    Args:
        values: ``(H, W)``, whole numbers of any type.
        lookup: Old value -> new class. If 255 is not a key, it stays 255.
        ignore: Values that become 255 before the lookup.

    Raises:
        InputError: A value has no entry; the message names it.
    """
    values = _whole(values)
    known = {IGNORE: IGNORE, **lookup, **dict.fromkeys(ignore, IGNORE)}
    table = np.full(max(known) + 2, -1, np.int64)  # the last entry serves every larger value
    table[list(known)] = list(known.values())
    classes = table[np.where((values >= 0) & (values <= max(known)), values, -1)]
    if classes.size and classes.min() < 0:
        raise InputError(f"value {values[classes < 0][0]} has no entry in 'lookup'")
    return classes.astype(np.uint8)


def positives(values: np.ndarray, comparison: str, *, ignore: Sequence[int] = (IGNORE,)) -> np.ndarray:
    """Returns the class map that is 1 where ``comparison`` (such as ``"> 0"``) holds, 0 elsewhere, 255 where ignored.

    Args:
        values: ``(H, W)`` numbers.
        comparison: An operator and a number.
        ignore: Values that become 255, regardless of the comparison.
    """
    if values.ndim != 2:
        raise InputError(f"expected one value per pixel, got an array of shape {values.shape}")
    match = COMPARISON.fullmatch(comparison)
    if match is None:
        raise InputError(f'expected a comparison such as "> 0", got {comparison!r}')
    classes = _OPERATORS[match[1]](values, float(match[2])).astype(np.uint8)
    classes[np.isin(values, list(ignore))] = IGNORE
    return classes


def boundaries(label: np.ndarray) -> np.ndarray:
    """Returns the boundary map of a class map.

    A pixel is 1 if its class differs from that of the pixel to its right or of the pixel below it, and 0 if not. A
    step between two classes thus gives a line one pixel wide, on the upper or left side of the step. An ignored pixel
    is 255. An ignored neighbour counts as equal, because its class is unknown.

    Args:
        label: ``(H, W)`` uint8, 255 = ignore.

    Returns:
        ``(H, W)`` uint8 of 0, 1 and 255.
    """
    labelled = label != IGNORE
    edge = np.zeros(label.shape, np.uint8)
    edge[:, :-1] |= (label[:, :-1] != label[:, 1:]) & labelled[:, 1:]
    edge[:-1] |= (label[:-1] != label[1:]) & labelled[1:]
    edge[~labelled] = IGNORE
    return edge


def measured_map(
    values: np.ndarray,
    *,
    scale: float = 1.0,
    offset: float = 0.0,
    invalid: float | None = None,
    signs: Sequence[float] | None = None,
    unit: bool = False,
) -> np.ndarray:
    """Turns the measurements of a label file into float32, 0 (or the zero vector) where nothing was measured.

    Args:
        values: ``(H, W)`` or ``(H, W, C)``.
        scale: Factor on the values; for depth, it converts them to metres.
        offset: Number that is added after scaling.
        invalid: Value of the file that means "not measured", in any channel; may be not-a-number. Pixels that are 0
            in the file (in all channels) are not measured, either.
        signs: C factors, after scale and offset.
        unit: Scales each pixel's vector to length 1; vectors shorter than 0.001 become invalid.

    Raises:
        InputError: A value is not finite and was not declared invalid, or `signs` does not fit the channels.
    """
    stacked = values.astype(np.float32).reshape(*values.shape[:2], -1)
    unmeasured = ~stacked.any(axis=2)
    if invalid is not None:
        hits = np.isnan(stacked) if np.isnan(invalid) else stacked == np.float32(invalid)
        unmeasured |= hits.any(axis=2)
    result = stacked * np.float32(scale) + np.float32(offset)
    if signs is not None:
        if len(signs) != result.shape[2]:
            raise InputError(f"'signs' has {len(signs)} factors, but the map has {result.shape[2]} channels")
        result = result * np.asarray(signs, np.float32)
    if unit:
        length = np.linalg.norm(result, axis=2, keepdims=True)
        unmeasured |= length[..., 0] < 1e-3
        result = result / np.maximum(length, np.float32(1e-3))
    result[unmeasured] = 0
    if not np.isfinite(result).all():
        raise InputError("a value is infinite or not a number; declare it as 'invalid' if that means 'not measured'")
    return result.reshape(values.shape)


def resize_any(label: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resamples a 0 / 1 / 255 map so that no line is lost.

    A side that shrinks is cut into strips of whole pixels, one per target row or column. A target pixel is 1 if any
    pixel of its area is 1, else 255 if all of them are ignored, else 0. A side that grows takes the nearest pixel.
    The share of 1s therefore grows when the map shrinks.

    Args:
        label: ``(H, W)`` uint8 of 0, 1 and 255.
        size: ``(rows, columns)``.
    """
    # The largest rank of an area wins: ignored < negative < positive.
    rank = np.select([label == 1, label == IGNORE], [2, 0], 1).astype(np.uint8)
    for axis, new in enumerate(size):
        old = rank.shape[axis]
        if new < old:
            rank = np.maximum.reduceat(rank, np.arange(new) * old // new, axis=axis)
        else:
            rank = np.take(rank, nearest_index(old, new), axis=axis)
    return np.asarray([IGNORE, 0, 1], np.uint8)[rank]


def _whole(values: np.ndarray) -> np.ndarray:
    """Returns ``(H, W)`` whole numbers as int64."""
    if values.ndim != 2:
        raise InputError(f"expected one class per pixel, got an array of shape {values.shape}")
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all() or (values != np.rint(values)).any():
            odd = values[~finite] if not finite.all() else values[values != np.rint(values)]
            raise InputError(f"value {odd[0]:g} is not a class: expected whole numbers")
    return values.astype(np.int64)
