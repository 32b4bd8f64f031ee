"""Local attention on a CPU: a kernel in C that never holds more than a strip of similarities.

The image is laid out as one run of pixels per channel, rows padded by the window's radius, so that the neighbour
``(dy, dx)`` of every pixel lies at one constant offset. The kernel (`kernel.c`) walks over strips of pixels whose
similarities stay in the cache. The backward pass computes them again from queries, keys and the forward's log-sum-exp
instead of keeping them (as in FlashAttention, Dao et al., NeurIPS 2022).

The kernel is compiled for this machine when it is first used, in about two seconds, and kept in the cache folder.
Results do not depend on the number of threads.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from atrc.files import cache_root
from searchspace import InputError

__all__ = ["kernel_works", "local_attention_compiled"]

_STRIP, _SLACK = 64, 32  # as in kernel.c
_SOURCE = Path(__file__).with_name("kernel.c")
_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-std=gnu11", "-shared", "-fPIC")


def local_attention_compiled(q_BdHW: Tensor, k_BdHW: Tensor, v_BeHW: Tensor, *, window: int, border: str) -> Tensor:
    """`atrc.contexts.local_attention.local_attention` for CPU tensors of float32 or float64.

    Raises:
        InputError: There is no C compiler.
    """
    out: Tensor = _LocalAttention.apply(q_BdHW, k_BdHW, v_BeHW, window, border)
    return out


@functools.cache
def kernel_works() -> bool:
    """Whether the kernel can be compiled here; tries it."""
    try:
        _library()
    except InputError:
        return False
    return True


class _LocalAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, window: int, border: str) -> Tensor:
        grid = _Grid(q, v, window, border)
        out = np.empty((len(q), v.shape[1], grid.length), grid.dtype)
        log_sum = np.empty((len(q), grid.length), grid.dtype)
        arrays = grid.queries(q), grid.neighbours(k), grid.neighbours(v), *grid.masks, out, log_sum
        grid.run("forward", (), arrays)
        ctx.grid, ctx.log_sum = grid, log_sum
        result = grid.image(out)
        ctx.save_for_backward(q, k, v, result)
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, result = ctx.saved_tensors
        grid: _Grid = ctx.grid
        # what the softmax subtracts from every weight's gradient: sum_j P_j dP_j = out . dout
        common = grid.queries((result * grad).sum(1, keepdim=True))
        flat_k, flat_v = grid.neighbours(k), grid.neighbours(v)
        dq = np.empty((*q.shape[:2], grid.length), grid.dtype)
        dk, dv = np.zeros_like(flat_k), np.zeros_like(flat_v)
        arrays = grid.queries(q), flat_k, flat_v, *grid.masks, ctx.log_sum, grid.queries(grad), common, dq, dk, dv
        for parity in (0, 1):
            grid.run("backward", (parity,), arrays)
        return grid.image(dq), grid.image_of_neighbours(dk), grid.image_of_neighbours(dv), None, None


class _Grid:
    """The layout of one image size: rows of ``W + 2 * radius`` pixels, one after the other.

    Attributes:
        row: Pixels from one row to the next.
        length: Pixels of the queries, padded to whole strips.
        reach: From a pixel's first neighbour to its last.
        masks: ``(window, ...)`` additive masks, 0 or -inf: over neighbours' rows, by pixel, and over their columns,
            by pixel within the row.
    """

    def __init__(self, q: Tensor, v: Tensor, window: int, border: str) -> None:
        self.B, self.d, self.H, self.W = q.shape
        self.e, self.window = v.shape[1], window
        self.radius, self._margin = window // 2, window - 1
        self.row = self.W + 2 * self.radius
        self.length = -(-self.H * self.row // _STRIP) * _STRIP
        self.reach = self._margin * (self.row + 1)
        self.dtype = np.dtype(str(q.dtype).removeprefix("torch."))
        self.masks = _masks(self.H, self.W, self.length, window, border, self.dtype)

    def queries(self, x: Tensor) -> np.ndarray:
        """(B, c, H, W) -> (B, c, margin + length + margin + slack): what belongs to the pixel itself."""
        return self._flat(x, 0, self._margin, self.length + 2 * self._margin + _SLACK)

    def neighbours(self, x: Tensor) -> np.ndarray:
        """(B, c, H, W) -> (B, c, length + reach + slack): the first neighbour of pixel p lies at p."""
        return self._flat(x, self.radius, self.radius, self.length + self.reach + _SLACK)

    def image(self, flat: np.ndarray) -> Tensor:
        """(B, c, length) -> (B, c, H, W)."""
        return self._image(flat, 0, 0)

    def image_of_neighbours(self, flat: np.ndarray) -> Tensor:
        """What `neighbours` made, back."""
        return self._image(flat, self.radius, self.radius)

    def run(self, name: str, extra: tuple[int, ...], arrays: tuple[np.ndarray, ...]) -> None:
        """Calls a function of the kernel on as many threads as torch uses, each for its share of the tasks."""
        is_float = self.dtype == np.float32
        function = getattr(_library(), f"{name}_{'float' if is_float else 'double'}")
        scale = (ctypes.c_float if is_float else ctypes.c_double)(self.d**-0.5)
        long = ctypes.c_int64
        sizes = (self.d, self.e, self.window, long(self.row), long(self.length), long(self.reach), scale)
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]
        threads = torch.get_num_threads()

        def share(thread: int) -> None:
            function(long(thread), long(threads), *extra, long(self.B), *sizes, *pointers)

        if threads == 1:
            share(0)
        else:
            list(_pool(threads).map(share, range(threads)))

    def _flat(self, x: Tensor, top: int, start: int, length: int) -> np.ndarray:
        flat = np.zeros((*x.shape[:2], length), self.dtype)
        self._rows(flat, top, start)[...] = x.detach().numpy()
        return flat

    def _image(self, flat: np.ndarray, top: int, start: int) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self._rows(flat, top, start)))

    def _rows(self, flat: np.ndarray, top: int, start: int) -> np.ndarray:
        """(B, c, H, W) view of the image inside a flat layout."""
        first = flat[:, :, start + top * self.row :]
        item = flat.itemsize
        strides = (*flat.strides[:2], self.row * item, item)
        return np.lib.stride_tricks.as_strided(first, (*flat.shape[:2], self.H, self.W), strides)


@functools.lru_cache(maxsize=8)
def _masks(H: int, W: int, length: int, window: int, border: str, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """See `_Grid.masks`."""
    radius = window // 2
    row = W + 2 * radius
    rows, columns = np.zeros((window, length), dtype), np.zeros((window, row + _STRIP), dtype)
    if border == "mask":
        y, x = np.arange(length) // row, np.arange(row + _STRIP) % row
        for i in range(window):
            # pixels of the padding keep all neighbours: a softmax over none would be NaN
            rows[i, (y < H) & ~_inside(y + i - radius, H)] = -np.inf
            columns[i, (x < W) & ~_inside(x + i - radius, W)] = -np.inf
    return rows, columns


def _inside(index: np.ndarray, extent: int) -> np.ndarray:
    return (index >= 0) & (index < extent)


@functools.lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "local-attention")


@functools.cache
def _library() -> ctypes.CDLL:
    """The compiled kernel; a file of the cache whose name says source, compiler and processor."""
    command = [*shlex.split(os.environ.get("CC", "cc")), *_FLAGS]
    told = "\n".join((_SOURCE.read_text(), *command, platform.machine(), _processor()))
    path = cache_root() / "kernels" / f"local-{hashlib.sha256(told.encode()).hexdigest()[:16]}.so"
    try:
        if not path.exists():
            _compile(command, path)
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise InputError(f"local attention's kernel cannot be built: {error}") from None


def _compile(command: list[str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        done = subprocess.run([*command, str(_SOURCE), "-o", str(made)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(f"local attention's kernel cannot be built: {done.stderr.strip()[-200:]}")
        made.replace(path)


def _processor() -> str:
    """What the compiler's choice of instructions depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
