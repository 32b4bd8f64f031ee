"""The networks of timm (Wightman, "PyTorch Image Models", 2019), by name.

They promise less than a `Backbone`: some round the sizes of their maps down, some take only multiples of some size,
some put channels last. Each network is tried when it is built, and differences are compensated by padding.

timm's ``features_only`` renames the tensors that it keeps. `Timm` saves and loads them under the names of the whole
network, so that `atrc.backbones.load_weights` reads checkpoints of timm as they are.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from atrc.backbones._base import BACKBONES, Backbone, check_image
from searchspace.errors import InputError

__all__ = ["Timm"]

MAPS = 4
FINEST = 4
TRIED = (64, 96)
"""H x W; a new network is tried with images that are slightly larger."""
NEAREST_SHOWN = 3


@BACKBONES.register("timm")
class Timm(Backbone):
    """A network of timm with a map at stride 4 and three coarser ones, e.g. ``model: convnext_tiny``.

    Needs the package timm: ``pip install 'atrc[timm]'``. An image whose maps would be too small is padded with zeros
    at the right and the bottom, and its maps are cropped.

    Args:
        model: Name in ``timm.list_models()``, optionally with a tag of its weights: ``resnet18.a1_in1k``.
        pretrained: Whether to download weights. For a local file, use the config's ``backbone.weights`` instead.
        options: Options of ``timm.create_model``, e.g. ``drop_path_rate`` or ``output_stride``.

    Raises:
        InputError: timm cannot be imported or cannot make the network; or the network does not have such maps, or
            does not take images of any size.
    """

    paths = ("checkpoint_path",)

    def __init__(self, model: str, *, pretrained: bool = False, **options: Any) -> None:
        super().__init__()
        timm = _import_timm()
        if not timm.is_model(str(model)):
            raise InputError(f"timm has no model {model!r}{_nearest(str(model), timm.list_models())}")
        self.name = f"timm {model}"
        whole, options = _without_values(timm, model, options)
        levels = _levels(self.name, [level["reduction"] for level in getattr(whole, "feature_info", ())])
        self.network = _create(timm, model, options, pretrained=pretrained, features_only=True, out_indices=levels)
        info = self.network.feature_info
        self.strides, self.channels = tuple(info.reduction()), tuple(info.channels())
        self._channels_last = getattr(self.network, "output_fmt", None) == "NHWC"
        self._grid = self._find_grid()
        self._names = dict(_names(self.network, set(whole.state_dict())))
        self.register_state_dict_post_hook(_to_names_of_timm)
        self.register_load_state_dict_pre_hook(_to_own_names)

    def forward(self, image: Tensor) -> list[Tensor]:
        check_image(image)
        height, width = image.shape[-2:]
        right, bottom = -width % self._grid, -height % self._grid
        if not right and not bottom:
            return self._maps(image)
        maps = self._maps(functional.pad(image, (0, right, 0, bottom)))
        return [x[..., : -(-height // s), : -(-width // s)] for x, s in zip(maps, self.strides, strict=True)]

    def _maps(self, image: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.network(image)
        return [x.permute(0, 3, 1, 2) for x in maps] if self._channels_last else maps

    def _find_grid(self) -> int:
        """Returns the smallest number such that images padded to its multiples give the maps of a backbone."""
        coarsest = max(self.strides)
        failures = []
        self.eval()  # keeps the statistics of batch norms unchanged
        for grid in (1, coarsest, 2 * coarsest):
            # Odd multiples reveal networks that round sizes down or need an even number of pixels.
            failure = self._failure([(length // grid + 1) * grid for length in TRIED])
            if failure is None:
                self.train()
                return grid
            failures.append(failure)
        raise InputError(f"{self.name} does not take images of any size, as a backbone must: {failures[1]}")

    def _failure(self, size: Sequence[int]) -> str | None:
        """Returns what is wrong with the maps of an image of ``size``, or None."""
        given = " x ".join(map(str, size))
        expected = [(1, c, *(-(-n // s) for n in size)) for c, s in zip(self.channels, self.strides, strict=True)]
        try:
            with torch.no_grad():
                shapes = [tuple(x.shape) for x in self._maps(torch.zeros(1, 3, *size))]
        except Exception as error:  # a network may fail in any way on an image that does not fit
            return f"{given} pixels give {_line(error)}"
        return None if shapes == expected else f"{given} pixels give maps {shapes}, not {expected}"


def _import_timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise InputError(f"backbone 'timm' needs the package timm: pip install 'atrc[timm]' ({error})") from error
    except Exception as error:  # torch raises this if torchvision was built for another version of torch
        raise InputError(
            f"backbone 'timm' needs the package timm, which is installed but cannot be imported ({_line(error)}); "
            f"the torchvision that it needs must be of the same build as torch {torch.__version__}"
        ) from error


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=NEAREST_SHOWN, cutoff=0.5)
    return f"; the nearest are {', '.join(near)}" if near else "; timm.list_models() gives their names"


def _create(timm: Any, model: str, options: Mapping[str, Any], **ours: Any) -> Any:
    try:
        return timm.create_model(model, **ours, **options)
    except Exception as error:  # timm passes on any error of its networks and downloads
        given = f" with {', '.join(f'{key}={value!r}' for key, value in options.items())}" if options else ""
        hint = "; give a weights file with backbone.weights" if ours.get("pretrained") else ""
        raise InputError(f"timm cannot make {model}{given}: {_line(error)}{hint}") from error


def _without_values(timm: Any, model: str, options: Mapping[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    """Returns the whole network on the meta device, and the options, with one that allows any image size."""
    with torch.device("meta"):
        try:
            lifted = {"strict_img_size": False, **options}
            return timm.create_model(model, **lifted), lifted
        except Exception:  # most networks have no such option
            return _create(timm, model, options), dict(options)


def _levels(name: str, strides: Sequence[int]) -> tuple[int, ...]:
    """Returns the indices of the maps to keep, given the strides of all maps."""
    last_finest = max((i for i, stride in enumerate(strides) if stride == FINEST), default=len(strides))
    first = min(last_finest, len(strides) - MAPS)
    if first < 0 or strides[first] != FINEST:
        has = f"at strides {', '.join(map(str, dict.fromkeys(strides)))}" if strides else "that timm knows of"
        raise InputError(
            f"{name} has {len(strides)} maps {has}; a backbone needs {MAPS}, the finest at stride {FINEST}"
        )
    return tuple(range(first, first + MAPS))


def _names(network: nn.Module, whole: set[str]) -> Iterator[tuple[str, str]]:
    """Yields the tensor names of a ``features_only`` network, each with its name in the ``whole`` one.

    timm keeps names, wraps the network, or flattens containers: ``stages.0`` -> ``stages_0``.
    """
    wrapped = len(list(network.children())) == 1
    for own in network.state_dict():
        first, _, rest = own.partition(".")
        taken_apart = [f"{first[:i]}.{first[i + 1 :]}.{rest}" for i, letter in enumerate(first) if letter == "_"]
        candidates = [own, *([rest] if wrapped else taken_apart)]
        yield own, next((name for name in candidates if name in whole), own)


def _to_names_of_timm(backbone: Any, tensors: dict[str, Any], prefix: str, _: Any) -> None:
    for own, name in backbone._names.items():
        if f"{prefix}network.{own}" in tensors:
            tensors[prefix + name] = tensors.pop(f"{prefix}network.{own}")


def _to_own_names(backbone: Any, tensors: dict[str, Any], prefix: str, *_: Any) -> None:
    for own, name in backbone._names.items():
        if prefix + name in tensors:
            tensors[f"{prefix}network.{own}"] = tensors.pop(prefix + name)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
