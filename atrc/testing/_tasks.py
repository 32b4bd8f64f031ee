"""The suite of tasks."""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from atrc.data.batch import label_tensor
from atrc.resizing import resize
from atrc.tasks import IGNORE, TASKS, Task
from atrc.testing._modules import close, noise
from atrc.testing._parts import left_alone, made, maker, refused, same_state, works
from strategies.testing._promises import through_a_file

__all__ = ["check_task"]

BATCH, SIZE = 2, (12, 16)
FACTS = ("name", "metric_name", "metric_unit", "higher_is_better", "fill", "channels", "regions", "weight")


def check_task(
    task: str | Callable[..., Task], options: Mapping[str, Any] | None = None, *, label: np.ndarray | None = None
) -> None:
    """Checks that a task keeps the following promises.

    - It has all attributes of a task, and its weight is a number > 0.
    - Both losses are finite numbers >= 0 with a finite gradient. Pixels with the value ``fill`` do not change them.
      If all pixels are ``fill``, both are exactly 0 with a gradient of 0. Predictions in bfloat16 are summed in
      single precision. A loss that is marked by ``any_size`` is the same for a prediction that is enlarged before.
    - ``decode()`` returns a map of the label's form, which the metric takes. The metric is finite and has the task's
      direction. A perfect map has the best score (100 for a percentage, 0 for an error). Pixels with the value
      ``fill`` do not count. Updates batch by batch give the same as one update. Two metrics share no state.
    - ``check_label()`` accepts correct labels, also mirrored or empty ones, and says in one line what is wrong.
    - ``flip_label()`` mirrors; applied twice, it changes nothing. ``rescale_label()`` by 1 changes nothing.
    - ``draw()`` returns a picture, and ``stored()`` a picture or array for a file, of labels and of decoded maps.
    - ``state_dict()`` holds everything that ``fit()`` learns. A state of another task is refused. ``fit()`` writes
      only into its cache.
    - It changes no argument, and does not use the global generators.

    Args:
        task: Registered name; or a class or function that makes a task.
        options: Options of the task.
        label: Correct label in a dataset's form, ``(H, W)`` or ``(H, W, C)``, without pixels of the value ``fill``,
            and with more than one value. It is optional for class maps.

    Raises:
        AssertionError: A promise is broken; the message says which.

    Example::

        def test_my_task() -> None:
            check_task(MyTask, {"weight": 2.0})
    """
    name, make = maker(TASKS, task, options)
    part: Task = made(name, make, Task, options)
    _check_facts(name, part)
    whole = _class_map(name, part) if label is None else label
    partial = whole.copy()
    partial[1:4, 2:6] = part.fill
    kept = partial.copy()
    with left_alone(name):
        _check_label_values(name, part, whole, partial)
        _check_forms(name, part, partial)
        for kind, channels in (("loss", part.channels), ("aux_loss", part.regions)):
            _check_loss(name, getattr(part, kind), kind, channels, _batch(partial), part.fill)
        _check_metric(name, part, partial)
        _check_pictures(name, part, partial)
        _check_fit(name, make, partial)
    assert _equal(partial, kept), f"{name} changes the label that it is given: work on a copy"


def _check_facts(name: str, task: Task) -> None:
    for fact in FACTS:
        assert hasattr(task, fact), f"{name} does not state its {fact}: set it in the class or in __init__"
    for fact in ("channels", "regions"):
        value = getattr(task, fact)
        right = isinstance(value, int) and value > 0
        assert right, f"the {fact} of {name} must be a whole number > 0, not {value!r}"
    right = math.isfinite(task.weight) and task.weight > 0
    assert right, f"the weight of {name} must be a finite number > 0, not {task.weight!r}"


def _class_map(name: str, task: Task) -> np.ndarray:
    assert task.fill == IGNORE, f"{name} has labels of its own form: give the suite a label"
    generator = np.random.default_rng(0)
    blocks = generator.integers(0, task.regions, (-(-SIZE[0] // 4), -(-SIZE[1] // 4)))
    blocks.flat[:2] = 0, 1
    return np.kron(blocks, np.ones((4, 4))).astype(np.uint8)


def _batch(label: np.ndarray) -> Tensor:
    """Returns a batch of the label and its mirror image."""
    return label_tensor([label, label[::-1]])


def _ignored(label: Tensor, fill: float) -> Tensor:
    """Returns ``(B, H, W)`` bool: True where a label is ``fill`` in all channels."""
    same = label.isnan() if math.isnan(fill) else label == fill
    return same if label.ndim == 3 else same.all(1)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and bool(((one == other) | (one != one)).all())


def _check_loss(
    name: str, loss: Callable[[Tensor, Tensor], Tensor], kind: str, channels: int, label: Tensor, fill: float
) -> None:
    prediction = noise(len(label), channels, *label.shape[-2:]).requires_grad_()
    kept = prediction.detach().clone(), label.clone()
    with works(f"{kind} of {name} must take predictions {tuple(prediction.shape)} and labels {tuple(label.shape)}"):
        found = loss(prediction, label)
        found.backward()
    assert found.ndim == 0, f"{kind} of {name} must be one number, but has the shape {tuple(found.shape)}"
    right = bool(found.isfinite()) and float(found.detach()) >= 0
    assert right, f"{kind} of {name} must be finite and >= 0, but is {float(found.detach())}"
    gradient = prediction.grad
    assert gradient is not None
    assert gradient.isfinite().all(), f"{kind} of {name} has a gradient that is not finite: mask before dividing"
    assert gradient.any(), f"{kind} of {name} has no gradient in the prediction: it must be learnt from"
    untouched = torch.equal(prediction.detach(), kept[0]) and close(label.nan_to_num(7), kept[1].nan_to_num(7))
    assert untouched, f"{kind} of {name} changes what it is given: work on a copy"

    if getattr(loss, "any_size", False):
        small = noise(len(label), channels, label.shape[-2] // 4, label.shape[-1] // 4)
        with works(f"{kind} of {name}, which is marked by any_size, must take a prediction {tuple(small.shape)}"):
            alike = close(loss(small, label), loss(resize(small, label.shape[-2:]), label))
        assert alike, f"{kind} of {name} is marked by any_size, but not that of the prediction at the label's size"

    ignored = _ignored(label, fill)
    with torch.no_grad():
        other = loss(torch.where(ignored[:, None], prediction + 3, prediction), label)
    blind = close(other, found.detach()) and not gradient.movedim(1, -1)[ignored].any()
    assert blind, f"{kind} of {name} depends on pixels whose label is fill, {fill}: leave them out of the sum"

    empty = torch.full_like(label, fill)
    prediction = prediction.detach().requires_grad_()
    nothing = loss(prediction, empty)
    with works(f"{kind} of {name} must be differentiable where no pixel is valid: multiply by 0, do not return one"):
        nothing.backward()
    right = float(nothing.detach()) == 0 and prediction.grad is not None and not prediction.grad.any()
    assert right, (
        f"{kind} of {name} must be 0 with a gradient of 0 where no pixel is valid, but is {float(nothing.detach())}: "
        "divide by the number of valid pixels, at least 1"
    )
    half = prediction.detach().bfloat16()
    with works(f"{kind} of {name} must take predictions in bfloat16"):
        found = loss(half, label)
    right = found.dtype == torch.float32 and close(found, loss(half.float(), label))
    assert right, f"{kind} of {name} loses digits of predictions in bfloat16: call float() on them first"


def _check_metric(name: str, task: Task, label: np.ndarray) -> None:
    truth = _batch(label)
    output = noise(len(truth), task.channels, *truth.shape[-2:])
    with works(f"decode() of {name} must take predictions {tuple(output.shape)}"):
        decoded = task.decode(output)
    expected = f"decode() of {name} must give a map of the label's form"
    assert decoded.shape == truth.shape, f"{expected}, {tuple(truth.shape)}, but gives {tuple(decoded.shape)}"
    half = task.decode(output.bfloat16()).dtype
    assert half in (torch.float32, torch.int64), f"{expected}, in float32 or int64, but bfloat16 gives {half}"

    assert task.metric() is not task.metric(), f"metric() of {name} must give a fresh metric every time"

    def score(*pairs: tuple[Tensor, Tensor]) -> float:
        metric = task.metric()
        for prediction, true in pairs:
            metric.update(prediction, true)
        value = metric.compute()
        assert value.ndim == 0, f"the metric of {name} must compute one number, not {tuple(value.shape)}"
        return float(value)

    with works(f"the metric of {name} must take decode(prediction) and the label"):
        found = score((decoded, truth))
    assert math.isfinite(found), f"the metric of {name} must be finite, but is {found}"
    direction = task.metric().higher_is_better
    assert direction is task.higher_is_better, (
        f"{name} says higher_is_better={task.higher_is_better}, but its metric says {direction}"
    )
    ignored = _ignored(truth, task.fill)
    ignored = ignored if truth.ndim == 3 else ignored[:, None].expand_as(truth)
    perfect = score((torch.where(ignored, 0, truth).to(decoded.dtype), truth))
    best = 100.0 if task.higher_is_better and task.metric_unit == "%" else 0.0
    if best or not task.higher_is_better:
        right = abs(perfect - best) < 1e-2
        assert right, f"the metric of {name} gives a perfect map {perfect}, but the best score is {best:g}"
    better = perfect > found if task.higher_is_better else perfect < found
    assert better, f"the metric of {name} gives a perfect map {perfect} and a random one {found}: turn its direction"
    other = score((torch.where(ignored, decoded.flip(-1), decoded), truth))
    assert math.isclose(other, found, rel_tol=1e-5), (
        f"the metric of {name} counts pixels whose label is fill, {task.fill}: leave them out"
    )
    apart = score(*((decoded[i : i + 1], truth[i : i + 1]) for i in range(len(truth))))
    assert math.isclose(apart, found, rel_tol=1e-4), (
        f"the metric of {name} is {apart} image by image and {found} all at once: sum counts, and divide in compute()"
    )


def _check_label_values(name: str, task: Task, whole: np.ndarray, partial: np.ndarray) -> None:
    right = {"the label": whole, "a label with pixels that are fill": partial}
    right["a label that is all fill"] = np.full_like(whole, task.fill)
    right["a mirrored label"] = task.flip_label(partial)
    for what, label in right.items():
        with works(f"check_label() of {name} must look at {what}"):
            said = task.check_label(label)
        assert said is None, f"check_label() of {name} must accept {what}, but says: {said}"
    wrong = {f"a label of shape {whole[..., None, None].shape}": whole[..., None, None]}
    if task.fill == IGNORE:
        outside = whole.copy()
        outside[0, 0] = 254
        wrong["a class that does not exist (254)"] = outside
    for what, label in wrong.items():
        with works(f"check_label() of {name} must say what is wrong, not raise, for {what}"):
            said = task.check_label(label)
        assert said, f"check_label() of {name} must refuse {what}, but accepts it: return what is wrong with it"
        assert "\n" not in said, f"check_label() of {name} must say what is wrong in one line, not {said!r}"


def _check_forms(name: str, task: Task, label: np.ndarray) -> None:
    flipped = task.flip_label(label)
    back = task.flip_label(flipped)
    assert _equal(back, label), f"flip_label() of {name} twice must be the label again: mirror it from left to right"
    marked = np.full_like(label, task.fill)
    marked[:, 0] = label[:, -1]
    mirrored = _ignored(label_tensor([task.flip_label(marked)]), task.fill)[0, :, :-1]
    assert mirrored.all(), f"flip_label() of {name} must move the first column to the last: mirror the columns"
    same = task.rescale_label(label, 1.0)
    assert _equal(same, label), f"rescale_label() of {name} by 1 must be the label itself"


def _check_pictures(name: str, task: Task, label: np.ndarray) -> None:
    decoded = task.decode(noise(1, task.channels, *label.shape[:2]))[0]
    decoded = decoded.movedim(0, -1) if decoded.ndim == 3 else decoded
    for what, shown in (("a label", label), ("a decoded map", decoded.numpy())):
        kept = shown.copy()
        with works(f"draw() of {name} must draw {what}"):
            picture = task.draw(shown)
        given = isinstance(picture, np.ndarray) and (picture.shape, picture.dtype)
        right = given == ((*label.shape[:2], 3), np.uint8)
        assert right, f"draw() of {name} must give an (H, W, 3) uint8 picture of {what}"
        assert _equal(shown, kept), f"draw() of {name} changes what it is given: work on a copy"
    with works(f"stored() of {name} must give what a PNG or NPY file keeps"):
        stored = task.stored(decoded.numpy())
        if isinstance(stored, Image.Image):
            stored.save(io.BytesIO(), format="PNG")
        else:
            np.save(io.BytesIO(), stored, allow_pickle=False)


def _check_fit(name: str, make: Callable[[], Task], label: np.ndarray) -> None:
    labels = [label, label[::-1], label[:, ::-1].copy()]
    with tempfile.TemporaryDirectory() as folder:
        task, again, other = make(), make(), make()
        with works(f"fit() of {name} must take the labels of the training split"):
            task.fit(labels, Path(folder) / "cache" / "one")
            again.fit(labels, Path(folder) / "cache" / "other")
        state = task.state_dict()
        same_state(f"fit() of {name} must learn the same from the same labels", state, again.state_dict())
        with works(f"the state_dict() of {name} must be saved, and loaded by weights_only"):
            other.load_state_dict(through_a_file(state))
        regions, truth = noise(BATCH, task.regions, *label.shape[:2]), _batch(label)
        same = torch.equal(task.aux_loss(regions, truth), other.aux_loss(regions, truth))
        assert same, f"{name} has another loss after its state_dict() was loaded: put all that fit() learns into it"
        left = [path.name for path in Path(folder).iterdir() if path.name != "cache"]
        assert not left, f"fit() of {name} writes {left} beside its cache"
    refused(
        f"{name} must refuse a state that is not its own in one line",
        lambda: make().load_state_dict({"no such state": torch.zeros(1)}),
    )
