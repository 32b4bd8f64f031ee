"""Local attention in every form at the sizes of the benchmarks: error against the definition, time, memory."""

from __future__ import annotations

import functools
import importlib.util
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from atrc.contexts.local_attention import forms_on, local_attention
from gpu_check.rows import Attempt, Given, Rows
from gpu_check.timing import interleaved, peak_memory, quartiles

__all__ = ["nyud", "pascal"]

WINDOW = 9
BORDER = "zero"
"""The rule of the presets of the benchmarks; the tests cover the other."""
PLAIN = ("tiled", "unfold")
"""Forms to compare with. It is no fault that their copies do not fit into memory, or that sums in bfloat16 err."""
LIMITS = {torch.float32: 1e-4, torch.bfloat16: 4e-2}
"""Largest error, relative to the largest number of the definition. Products in TF32 would miss the first tenfold."""
_CASE_SECONDS = 15.0
"""Seconds that must be left for a case to begin: two forms may be compiled."""


@dataclass(frozen=True)
class Size:
    """A size of maps on the grid of stride 4.

    Attributes:
        title: What it is the size of.
        batch, channels, height, width: The size.
    """

    title: str
    batch: int
    channels: int
    height: int
    width: int

    @property
    def text(self) -> str:
        """The size in words."""
        return f"{self.title}, {self.batch}x{self.channels}x{self.height}x{self.width}"


_NYUD = (Size("NYUD-v2, HRNet18", 8, 33, 107, 140), Size("NYUD-v2, HRNet48", 8, 90, 107, 140))
_PASCAL = (Size("PASCAL-Context, HRNet18", 8, 33, 128, 128),)
_QUICK = (Size("small", 2, 5, 13, 17),)


def nyud(given: Given, rows: Rows) -> None:
    """Checks the sizes of NYUD-v2: images of 425x560, and the channels of both backbones."""
    _sizes(_QUICK if given.quick else _NYUD, rows)


def pascal(given: Given, rows: Rows) -> None:
    """Checks the size of PASCAL-Context: images of 512x512."""
    _sizes(_QUICK if given.quick else _PASCAL, rows)


def _sizes(sizes: tuple[Size, ...], rows: Rows) -> None:
    if rows.device.type == "cuda":
        torch.cuda.set_device(rows.device)  # Triton launches on the current device
        if importlib.util.find_spec("triton") is None:
            rows.add("triton and flex", "skipped", "triton cannot be imported")
    for size in sizes:
        for kind in LIMITS:
            if rows.device.type == "cpu" and kind != torch.float32:
                continue  # the kernel of a CPU has no half precision
            name = f"{size.text}, {str(kind).removeprefix('torch.')}"
            if rows.left < _CASE_SECONDS and not rows.given.quick:
                rows.add(name, "not run", "out of time")
                continue
            found = rows.attempt(functools.partial(_case, name, size, kind, rows))
            if found.wrong:
                rows.add(name, "failed", found.wrong, detail=found.detail)


def _case(name: str, size: Size, kind: torch.dtype, rows: Rows) -> None:
    """Checks one size in one type: the error of every form, then its time and memory."""
    rows.begin(f"{name}: the definition in double precision")
    if rows.device.type == "cuda":
        torch.compiler.reset()  # so that FlexAttention is compiled for this size alone
    inputs = _inputs(size, kind, rows.device)
    images = sorted({0, size.batch - 1})
    truth = {image: _definition(inputs, image) for image in images}
    firsts: dict[str, Attempt[tuple[float, float]]] = {}
    runs: dict[str, Callable[[], Any]] = {}
    for form in forms_on(rows.device):
        rows.begin(f"{name}: {form}, first call")
        run = functools.partial(_step, form, *inputs)
        firsts[form] = rows.attempt(functools.partial(_first, run, truth, rows))
        if not firsts[form].wrong:
            runs[form] = run
    rows.begin(f"{name}: times")
    quick = rows.given.quick
    times = rows.attempt(lambda: interleaved(runs, rows.device, 2 if quick else 15, min(8.0, rows.left / 3)))
    plain = None if times.value is None or "unfold" not in runs else statistics.median(times.value["unfold"])
    for form, first in firsts.items():
        numbers: dict[str, Any] = {}
        wrong, detail = first.wrong or times.wrong, first.detail or times.detail
        if first.value is not None:
            numbers["first call s"], numbers["error"] = first.value
            if not first.value[1] <= LIMITS[kind]:  # so that NaN is wrong
                wrong = f"the error is above {LIMITS[kind]:g} of the largest number"
            if times.value is not None:
                numbers["ms"] = statistics.median(times.value[form])
                numbers["quartiles ms"] = quartiles(times.value[form])
                if plain is not None:
                    numbers["times unfold"] = plain / numbers["ms"]
            memory = rows.attempt(functools.partial(peak_memory, runs[form], rows.device))
            wrong, detail = wrong or memory.wrong, detail or memory.detail
            numbers |= {f"{what} MiB": mib for what, mib in (memory.value or {}).items() if what != "peak"}
        spared = form in PLAIN and (first.out_of_memory or (kind == torch.bfloat16 and first.value is not None))
        status = "ok" if not wrong else "note" if spared else "failed"
        rows.add(f"{name}: {form}", status, "out of memory" if first.out_of_memory else wrong, numbers, detail=detail)


def _inputs(size: Size, kind: torch.dtype, device: torch.device) -> list[Tensor]:
    """Queries, keys, values, and a gradient of the result: numbers that every type holds."""
    generator = torch.Generator().manual_seed(0)
    shape = (size.batch, size.channels, size.height, size.width)
    return [torch.randn(shape, generator=generator).bfloat16().to(device).to(kind) for _ in range(4)]


def _step(form: str, q: Tensor, k: Tensor, v: Tensor, cotangent: Tensor) -> list[Tensor]:
    """Returns the result and the gradients of queries, keys and values."""
    leaves = [x.detach().requires_grad_() for x in (q, k, v)]
    out = local_attention(leaves[0], leaves[1], leaves[2], window=WINDOW, border=BORDER, form=form)
    return [out.detach(), *torch.autograd.grad(out, leaves, cotangent)]


def _definition(inputs: list[Tensor], image: int) -> list[Tensor]:
    """The same for one image, by the definition in double precision; a whole batch would need much memory."""
    return _step("unfold", *(x[image : image + 1].double() for x in inputs))


def _first(run: Callable[[], list[Tensor]], truth: dict[int, list[Tensor]], rows: Rows) -> tuple[float, float]:
    """Returns the seconds of the first call, which may compile, and the largest error of its results."""
    start = time.monotonic()
    found = run()
    rows.synchronize()
    seconds = time.monotonic() - start
    errors = [
        (got[image : image + 1].double() - expected).abs().max() / expected.abs().max()
        for image, results in truth.items()
        for got, expected in zip(found, results, strict=True)
    ]
    return seconds, float(torch.stack(errors).max())
