"""Reading checkpoints: what is loaded, what is reported, what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from atrc.backbones import Tiny, hrnet18, load_weights
from searchspace.errors import InputError


@pytest.fixture
def source() -> Tiny:
    """A backbone none of whose tensors is at its initial value."""
    torch.manual_seed(1)
    tiny = Tiny()
    with torch.no_grad():
        for tensor in tiny.state_dict().values():
            tensor.add_(torch.rand(tensor.shape) if tensor.is_floating_point() else 7)
    return tiny


@pytest.fixture
def target() -> Tiny:
    torch.manual_seed(2)
    return Tiny()


def save(content: Any, folder: Path) -> Path:
    path = folder / "weights.pth"
    torch.save(content, path)
    return path


def same(a: Tiny, b: Tiny) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def head() -> dict[str, Tensor]:
    parts = (
        "incre_modules.0.0.conv1",
        "downsamp_modules.0.0",
        "final_layer.0",
        "classifier",
        "head.fc",
        "last_layer",
    )
    return {f"{part}.weight": torch.zeros(2) for part in parts}


@pytest.mark.parametrize(
    ("prefix", "container"),
    [
        ("", ()),
        ("module.", ("state_dict",)),
        ("backbone.", ("model",)),
        ("model.", ("model_state",)),
        ("module.model.encoder.", ("model", "state_dict")),
    ],
)
def test_round_trip_through_wrappers(
    source: Tiny, target: Tiny, tmp_path: Path, prefix: str, container: tuple[str, ...]
) -> None:
    content: dict[str, Any] = {prefix + name: x for name, x in (source.state_dict() | head()).items()}
    for key in container:
        content = {"epoch": 3, key: content}
    report = load_weights(target, save(content, tmp_path))
    assert same(source, target)
    assert report.complete
    assert set(report.matched) == set(source.state_dict())
    assert set(report.ignored) == {prefix + name for name in head()}
    assert report.unexpected == report.missing == report.mismatched == ()
    assert report.summary() == f"tiny: 126 of 126 tensors loaded from {report.path} (6 ignored: classifier)"


def test_hrnet_from_a_classification_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source, target = hrnet18(), hrnet18()
    # The 2019 release predates the step counters of batch norm.
    weights = {n: x for n, x in source.state_dict().items() if not n.endswith("num_batches_tracked")}
    report = load_weights(target, save(weights | head(), tmp_path))
    assert report.complete
    assert report.summary().startswith(f"hrnet18: {len(weights)} of {len(weights)} tensors loaded")
    assert torch.equal(source.state_dict()["bn1.weight"], target.state_dict()["bn1.weight"])
    assert torch.equal(source.stage4[1].fuse_layers[0][3][0].weight, target.stage4[1].fuse_layers[0][3][0].weight)


def test_a_partly_fitting_checkpoint_loads_and_says_so(source: Tiny, target: Tiny, tmp_path: Path) -> None:
    weights = dict(source.state_dict())
    stem, bias = "stem.0.0.weight", "stem.0.1.bias"
    weights[stem] = torch.zeros(16, 4, 3, 3)
    del weights[bias]
    weights["decoder.conv.weight"] = torch.zeros(1)
    before = {name: x.clone() for name, x in target.state_dict().items()}
    report = load_weights(target, save(weights, tmp_path))

    (mismatch,) = report.mismatched
    assert (mismatch.name, mismatch.here, mismatch.in_file) == (stem, (16, 3, 3, 3), (16, 4, 3, 3))
    assert report.missing == (bias,)
    assert report.unexpected == ("decoder.conv.weight",)
    assert not report.complete
    after = target.state_dict()
    assert all(torch.equal(after[n], before[n] if n in (stem, bias) else weights[n]) for n in after)
    assert report.summary().splitlines() == [
        f"tiny: 124 of 126 tensors loaded from {report.path}; INCOMPLETE, the others keep their values",
        "  1 missing in the file: stem.0.1.bias",
        "  1 of another shape: stem.0.0.weight (16, 3, 3, 3) here, (16, 4, 3, 3) in the file",
        "  1 in the file only: decoder.conv.weight",
    ]


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_a_damaged_file_is_named(source: Tiny, target: Tiny, tmp_path: Path, damage: str) -> None:
    path = save(source.state_dict(), tmp_path)
    data = path.read_bytes()
    path.write_bytes({"truncated": data[: len(data) // 2], "empty": b"", "text": b"<html>404</html>\n"}[damage])
    assert_refused(target, path, "not a checkpoint, or a truncated one")


def test_a_missing_file_is_named(target: Tiny, tmp_path: Path) -> None:
    assert_refused(target, tmp_path / "absent.pth", "no weights file")


@pytest.mark.parametrize("content", [{"epoch": 3}, [torch.zeros(1)], torch.zeros(1), {"state_dict": {}}])
def test_a_file_without_named_tensors_is_refused(target: Tiny, tmp_path: Path, content: Any) -> None:
    assert_refused(target, save(content, tmp_path), "no named tensors")


def test_python_objects_are_not_loaded(target: Tiny, tmp_path: Path) -> None:
    assert_refused(target, save({"state_dict": {}, "net": Tiny()}, tmp_path), "Python objects besides tensors")


def test_a_checkpoint_of_another_network_is_refused(target: Tiny, tmp_path: Path) -> None:
    assert_refused(target, save({"features.0.weight": torch.zeros(3)}, tmp_path), "features.0.weight")


def test_a_checkpoint_of_another_width_is_refused(target: Tiny, tmp_path: Path) -> None:
    # The step counters have no shape and fit everywhere; they alone are no match.
    assert_refused(target, save(Tiny(width=0.5).state_dict(), tmp_path), "(8, 3, 3, 3) in the file")


def test_two_entries_for_one_tensor_are_refused(source: Tiny, target: Tiny, tmp_path: Path) -> None:
    name = "stem.0.0.weight"
    weights = source.state_dict() | {f"module.{name}": torch.zeros(16, 3, 3, 3)}
    assert_refused(target, save(weights, tmp_path), f"module.{name}")


def test_safetensors_says_what_to_install(target: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.safetensors"
    path.touch()
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    assert_refused(target, path, "pip install safetensors")


def test_safetensors_are_read(source: Tiny, target: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.safetensors"
    path.touch()
    library = ModuleType("safetensors.torch")
    library.load_file = lambda name, device: source.state_dict()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "safetensors", ModuleType("safetensors"))
    monkeypatch.setitem(sys.modules, "safetensors.torch", library)
    assert load_weights(target, path).complete
    assert same(source, target)


def assert_refused(target: Tiny, path: Path, reason: str) -> None:
    """One line that names the file and the reason, and a backbone left as it was."""
    before = {name: x.clone() for name, x in target.state_dict().items()}
    with pytest.raises(InputError) as caught:
        load_weights(target, path)
    message = str(caught.value)
    assert str(path) in message
    assert reason in message
    assert "\n" not in message
    assert all(torch.equal(x, before[name]) for name, x in target.state_dict().items())
