"""A device that is none: its tensors lie in the CPU's memory, but everything else takes them for those of a GPU.

torch lets a program register a backend in Python. Ours is called ``card``. Under `Watched` its operators run on the
CPU, and whatever would make a GPU wait, or would not run there at all, is noted:

- a *read*: a value that the program asks for (``item``, ``tolist``, ``bool``, a mask as an index);
- a *copy* between the card and the CPU, and a tensor that is made on the card from numbers of the program;
- a *mix*: an operator on the card that also takes a tensor of the CPU.

Code that asks for ``cuda`` by name takes its other way, that of any device without kernels of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["CARD", "Watched"]


class _Module:
    """The module ``torch.card``. It says that there is no card, so that nobody uses it unasked."""

    def is_available(self) -> bool:
        return False

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return 0

    def current_device(self) -> int:
        return 0

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    def manual_seed_all(self, seed: int) -> None:
        pass

    def _is_in_bad_fork(self) -> bool:
        return False


_REGISTER = "_setup_privateuseone_for_python_backend"
CARD = torch.device("cpu")
if hasattr(backend_registration, _REGISTER):  # since torch 2.9
    getattr(backend_registration, _REGISTER)("card", backend_module=_Module())
    CARD = torch.device("card:0")


class _OnCard(Tensor):
    """A tensor of the card. ``raw`` is its memory."""

    raw: Tensor

    @staticmethod
    def __new__(cls, raw: Tensor) -> _OnCard:
        made: _OnCard = torch.Tensor._make_wrapper_subclass(
            cls, raw.shape, raw.stride(), raw.storage_offset(), dtype=raw.dtype, device=CARD
        )
        made.raw = raw
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} on the card, but nobody watches")


class Watched(TorchDispatchMode):
    """Runs the card as long as it is entered, and notes what a GPU would wait for.

    Attributes:
        noted: What was noted, as text, with the number of times.
    """

    def __init__(self) -> None:
        super().__init__()
        self.noted: Counter[str] = Counter()
        self._functions = _Functions(self)
        self._generators = patch.object(torch, "Generator", _Generator)

    def __enter__(self) -> Watched:
        super().__enter__()
        self._functions.__enter__()
        self._generators.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._generators.stop()
        self._functions.__exit__(kind, error, trace)
        super().__exit__(kind, error, trace)

    def note(self, kind: str, what: object, *shapes: object) -> None:
        """Notes an event."""
        self.noted[" ".join([kind, str(what).removeprefix("aten."), *map(str, shapes)])] += 1

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        here = [x for x in given if isinstance(x, _OnCard)]
        shapes = [tuple(x.shape) for x in given]
        target = kwargs.get("device")
        if target is not None:
            target = kwargs["device"] = torch.device(target)
            if target.type == CARD.type:
                kwargs["device"] = torch.device("cpu")
            if given and target.type != given[0].device.type:
                self.note("copy", func, *shapes)
        if here and len(here) < len(given):
            self.note("copy" if func is torch.ops.aten.copy_.default else "mix", func, *shapes)
        if here and (func in _READS or _has_mask(func, args)):
            self.note("read", func, *shapes)
        out = func(*tree_map(_raw, args), **tree_map(_raw, kwargs))
        on_card = bool(here) if target is None else target.type == CARD.type
        known = {id(x.raw): x for x in here}  # in-place operators return what they were given

        def wrapped(x: Any) -> Any:
            if not isinstance(x, Tensor):
                return x
            if id(x) in known:
                return known[id(x)]
            return _OnCard(x) if on_card else x

        return tree_map(wrapped, out)


class _Functions(TorchFunctionMode):
    """Notes what never reaches the operators."""

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self._watched = watched

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.tolist and isinstance(args[0], _OnCard):
            self._watched.note("read", "tolist", tuple(args[0].shape))
            return args[0].raw.tolist()
        if func is torch.Tensor.new_tensor and isinstance(args[0], _OnCard):
            self._watched.note("copy", "new_tensor")
            return _OnCard(args[0].raw.new_tensor(*args[1:], **kwargs))
        if func in (torch.tensor, torch.as_tensor) and not isinstance(args[0], Tensor):
            device = torch.device(kwargs.get("device") or "cpu")
            if device.type == CARD.type:
                self._watched.note("copy", func.__name__)
                return _OnCard(func(*args, **{**kwargs, "device": "cpu"}))
        return func(*args, **kwargs)


class _Generator(torch.Generator):
    """A generator of the CPU, since a backend in Python has none of its own."""

    def __new__(cls, device: torch.device | str = "cpu") -> _Generator:
        return super().__new__(cls)


def _raw(x: Any) -> Any:
    return x.raw if isinstance(x, _OnCard) else x


_aten = torch.ops.aten
_READS = {
    _aten._local_scalar_dense.default,
    _aten.equal.default,
    _aten.is_nonzero.default,
    _aten.nonzero.default,
    _aten.masked_select.default,
    _aten._unique2.default,
    _aten.unique_dim.default,
    _aten.bincount.default,
    _aten.repeat_interleave.Tensor,
}
"""Operators that make the program wait: it needs their value, or the size of their result."""


def _has_mask(func: Any, args: Any) -> bool:
    """Returns whether an index is a mask, which has to be counted first."""
    if func.overloadpacket not in (_aten.index, _aten.index_put, _aten.index_put_, _aten._index_put_impl_):
        return False
    return any(isinstance(x, Tensor) and x.dtype is torch.bool for x in args[1])
