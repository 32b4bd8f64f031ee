"""Compiles kernels in C for this machine (a second or two), and keeps them in the cache folder."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from atrc.machine.files import cache_root
from searchspace import InputError

__all__ = ["compile_all", "compiled", "compiles", "run_kernel"]

_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-std=gnu11", "-shared", "-fPIC")


@functools.cache
def compiled(source: Path) -> ctypes.CDLL:
    """Returns the functions of a kernel. The name of its cached file depends on source, compiler and processor.

    Args:
        source: A C file. Headers in its folder belong to it.

    Raises:
        InputError: The kernel cannot be built, e.g. since there is no C compiler.
    """
    command = [*shlex.split(os.environ.get("CC", "cc")), *_FLAGS]
    parts = [source, *sorted(source.parent.glob("*.h"))]
    told = "\n".join((*(part.read_text() for part in parts), *command, platform.machine(), _processor()))
    name = f"{source.parent.name}-{source.stem}-{hashlib.sha256(told.encode()).hexdigest()[:16]}.so"
    path = cache_root() / "kernels" / name
    try:
        if not path.exists():
            _compile([*command, str(source)], path)
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise InputError(f"the kernel {source.name} cannot be built: {error}") from None


@functools.cache
def compiles(source: Path) -> bool:
    """Returns whether a kernel can be compiled here, after an attempt."""
    try:
        compiled(source)
    except InputError:
        return False
    return True


def run_kernel(source: Path, name: str, threads: int, sizes: Iterable[Any], arrays: Iterable[Any]) -> None:
    """Calls a function of a kernel on several threads, each for its share of the work.

    The function gets the number of the thread, the number of threads, sizes, and the addresses of arrays. It returns
    0, or something else if there is not enough memory.

    Args:
        source: The C file; see `compiled`.
        name: Name of the function.
        threads: Number of threads.
        sizes: Whole numbers, or ctypes numbers of other types.
        arrays: Tensors, or None for no array.

    Raises:
        InputError: The kernel cannot be built.
        MemoryError: There is not enough memory.
    """
    function = getattr(compiled(source), name)
    given: list[Any] = [ctypes.c_int64(size) if isinstance(size, int) else size for size in sizes]
    given += [ctypes.c_void_p(None if array is None else array.data_ptr()) for array in arrays]

    def share(thread: int) -> int:
        status: int = function(ctypes.c_int64(thread), ctypes.c_int64(threads), *given)
        return status

    others = [_pool(threads - 1).submit(share, thread) for thread in range(1, threads)]
    # This thread takes a share of its own: one that only waited would leave its core to others.
    statuses = [share(0), *(other.result() for other in others)]
    if any(statuses):
        raise MemoryError(f"not enough memory for the buffers of {name}")


@functools.lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "kernel")


@functools.cache
def compile_all() -> None:
    """Compiles the kernels of this package that are not compiled yet, so that no clock of a run measures it.

    That takes a second or two. A kernel that cannot be compiled says so when it is used, or has a substitute.
    """
    for source in sorted(Path(__file__).parents[1].rglob("*.c")):
        compiles(source)


def _compile(command: list[str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        done = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(f"the kernel {command[-1]} cannot be built: {done.stderr.strip()[-200:]}")
        made.replace(path)


def _processor() -> str:
    """Returns the processor's features, on which the compiler's choice of instructions depends."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
