"""Spaces as YAML: both forms, there and back, and files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from searchspace import (
    SPACES,
    CPSpace,
    InputError,
    SearchSpace,
    ToySpace,
    UnknownNameError,
    build_space,
    dump_space,
    load_space,
)


def load(folder: Path, text: str) -> SearchSpace:
    path = folder / "space.yaml"
    path.write_text(text)
    return load_space(path)


def test_a_registered_space_with_its_parameters(tmp_path: Path) -> None:
    space = load(tmp_path, "space: cp\ntasks: [semseg, depth]\n")
    assert isinstance(space, CPSpace)
    assert space == CPSpace(["semseg", "depth"])


def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    space = load(tmp_path, "space: cp\ntasks: [semseg, depth]\n")
    assert load_space(str(tmp_path / "space.yaml")) == space
    with pytest.raises(InputError, match=r"space file missing\.yaml does not exist"):
        load_space("missing.yaml")


def test_choices_written_out(tmp_path: Path) -> None:
    space = load(tmp_path, "name: my switches\nchoices:\n  norm: [batch, group]\n  act: [relu, gelu, silu]\n")
    assert space == SearchSpace("my switches", {"norm": ["batch", "group"], "act": ["relu", "gelu", "silu"]})
    assert list(space) == ["norm", "act"]


@pytest.mark.parametrize(
    "space",
    [
        CPSpace(["semseg", "depth"]),
        CPSpace(["semseg", "depth"], contexts=["none", "local"]),
        ToySpace(choices=2, options=3, seed=7),
        SearchSpace("by hand", {"z": ["1", "yes", "null"], "a": ["x: y", "#"]}),
    ],
)
def test_round_trip(tmp_path: Path, space: SearchSpace) -> None:
    back = load(tmp_path, dump_space(space))
    assert back == space
    assert type(back) is type(space)
    assert back.parameters == space.parameters


def test_round_trip_keeps_the_class_of_a_space_without_parameters(tmp_path: Path) -> None:
    @SPACES.register("test-plain")
    class Plain(SearchSpace):
        def __init__(self) -> None:
            super().__init__("test-plain", {"a": ["x"]})

    try:
        assert isinstance(load(tmp_path, dump_space(Plain())), Plain)
    finally:
        del SPACES._entries["test-plain"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold"),
        ("- cp", "must hold"),
        ("name: x", "must hold"),
        ("name: x\nchoices: [a, b]", "must hold"),
        ("name: x\nchoices: {a: [x]}\nextra: 1", "must hold"),
        ("name: x\nchoices: {}", "no choices"),
        ("name: x\nchoices: {a: 3}", "list of option names, got 3"),
        ("name: x\nchoices: {a: [on, off]}", "list of option names, got .True, False."),
        ("name: x\nchoices: {on: [a, b]}", "must have names, got True"),
        ("space: cp: [", "cannot be read"),
        ("space: cq\ntasks: [a]", "unknown space 'cq', did you mean 'cp'"),
        ("space: cp\ntask: [a]", "'task'"),
        ("space: cp\nname: mine\ntasks: [a]", "'name'"),
        ("space: cp\ntasks: depth", "list of names, got 'depth'"),
        ("space: cp\ntasks: 4", "'cp'"),
        ("space: toy\noptions: many", "'toy'"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, text)
    assert "space.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml does not exist"):
        load_space(tmp_path / "nowhere.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xff")
    with pytest.raises(InputError, match=r"binary\.yaml cannot be read"):
        load_space(tmp_path / "binary.yaml")


def test_build_space() -> None:
    assert build_space("cp", tasks=["a"]) == CPSpace(["a"])
    with pytest.raises(UnknownNameError, match="unknown space 'toi', did you mean 'toy'"):
        build_space("toi")
    with pytest.raises(InputError, match="space 'cp'"):
        build_space("cp")
