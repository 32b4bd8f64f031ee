"""Genotypes: values that can be compared, kept in files and relied on not to change."""

from __future__ import annotations

import copy
import json
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchspace import CPSpace, Genotype, InputError, SearchSpace, load_genotype

SPACE = SearchSpace("s", {f"c{i}": [f"o{j}" for j in range(4)] for i in range(5)})
CP = CPSpace(["semseg", "depth"])
genotypes = st.lists(st.integers(0, 3), min_size=5, max_size=5).map(SPACE.decode)


@given(genotypes, genotypes, genotypes)
def test_distance_is_a_metric(x: Genotype, y: Genotype, z: Genotype) -> None:
    assert (x.distance(y) == 0) == (x == y)
    assert x.distance(y) == y.distance(x)
    assert x.distance(z) <= x.distance(y) + y.distance(z)
    assert 0 <= x.distance(y) <= len(SPACE)


@given(genotypes, genotypes)
def test_distance_counts_the_differing_indices(x: Genotype, y: Genotype) -> None:
    assert x.distance(y) == sum(a != b for a, b in zip(SPACE.encode(x), SPACE.encode(y), strict=True))


def test_diff_has_both_options_of_what_differs() -> None:
    x, y = SPACE.decode([0, 1, 2, 3, 0]), SPACE.decode([0, 3, 2, 3, 1])
    assert x.diff(y) == {"c1": ("o1", "o3"), "c4": ("o0", "o1")}
    assert y.diff(x) == {"c1": ("o3", "o1"), "c4": ("o1", "o0")}


def test_genotypes_of_different_spaces_are_not_compared() -> None:
    x = SPACE.decode([0] * 5)
    with pytest.raises(InputError, match="'s' with 5 choices, 'cp' with 4"):
        x.distance(CP.uniform("local"))
    with pytest.raises(InputError):
        CP.uniform("local").diff(CPSpace(["semseg", "edge"]).uniform("local"))


@given(genotypes)
def test_json_round_trip(genotype: Genotype) -> None:
    back = Genotype.from_json(json.loads(json.dumps(genotype.to_json())))
    assert back == genotype
    assert list(back) == list(genotype)
    assert SPACE.validate(back) == genotype


def test_json_form_is_versioned_and_names_everything() -> None:
    genotype = CP.genotype(
        {"semseg<-semseg": "local", "semseg<-depth": "none", "depth<-semseg": "s_label", "depth<-depth": "global"}
    )
    assert genotype.to_json() == {
        "format": "atrc-genotype/1",
        "space": "cp",
        "parameters": {"tasks": ["semseg", "depth"]},
        "choices": {
            "semseg<-semseg": "local",
            "semseg<-depth": "none",
            "depth<-semseg": "s_label",
            "depth<-depth": "global",
        },
    }


def test_the_file_rebuilds_the_space(tmp_path: Path) -> None:
    path = tmp_path / "genotype.json"
    genotype = CP.sample(random.Random(0))
    path.write_text(json.dumps(genotype.to_json()))
    loaded = Genotype.load(path)
    assert loaded == load_genotype(path) == genotype
    assert CPSpace(**loaded.parameters) == CP


@given(genotypes, genotypes)
def test_equal_genotypes_have_equal_hashes(x: Genotype, y: Genotype) -> None:
    assert hash(SPACE.genotype(dict(x))) == hash(x)
    if x == y:
        assert hash(x) == hash(y)


def test_neither_equality_nor_hash_depends_on_the_order_of_choices() -> None:
    one = CPSpace(["semseg", "depth"]).uniform("local")
    other = CPSpace(["depth", "semseg"]).uniform("local")
    assert list(one) != list(other)
    assert one == other
    assert len({one, other}) == 1


def test_a_genotype_equals_no_plain_mapping_and_no_other_space() -> None:
    x = SPACE.decode([0] * 5)
    assert x != dict(x)
    assert x != Genotype("t", dict(x))


def test_a_genotype_cannot_be_changed() -> None:
    x = CP.uniform("local")
    with pytest.raises(TypeError):
        x["depth<-depth"] = "global"  # type: ignore[index]
    with pytest.raises(TypeError):
        x.parameters["tasks"] = []  # type: ignore[index]
    with pytest.raises(AttributeError):
        x.space = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        x.note = "mine"  # type: ignore[attr-defined]


def test_what_it_was_made_of_and_what_it_gives_are_copies() -> None:
    choices = {"a": "x"}
    genotype = Genotype("s", choices)
    choices["a"] = "y"
    assert genotype["a"] == "x"
    plain = CP.uniform("local").to_json()
    plain["choices"].clear()
    plain["parameters"]["tasks"].append("edge")
    assert CP.uniform("local").to_json()["parameters"] == {"tasks": ["semseg", "depth"]}


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))])
def test_copies_are_equal_and_complete(duplicate: Any) -> None:
    genotype = CP.uniform("t_label")
    back = duplicate(genotype)
    assert back == genotype
    assert hash(back) == hash(genotype)
    assert back.to_json() == genotype.to_json()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "not a genotype"),
        ({"choices": {}}, "not a genotype"),
        ({"format": "atrc-genotype/2"}, "format 'atrc-genotype/2'; this version reads 'atrc-genotype/1'"),
        ({"format": "atrc-genotype/1", "space": "s"}, "'choices'"),
        ({"format": "atrc-genotype/1", "space": "s", "choices": {"a": 1}}, "'choices'"),
        ({"format": "atrc-genotype/1", "choices": {"a": "x"}}, "'space'"),
        ({"format": "atrc-genotype/1", "space": "s", "choices": {"a": "x"}, "parameters": [1]}, "'parameters'"),
    ],
)
def test_from_json_refuses_what_is_no_genotype(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^mine.*{message}"):
        Genotype.from_json(data, where="mine")


@pytest.mark.parametrize("load", [Genotype.load, load_genotype])
def test_file_errors_name_the_file(tmp_path: Path, load: Any) -> None:
    broken = tmp_path / "broken.json"
    with pytest.raises(InputError, match=r"broken\.json does not exist"):
        load(broken)
    broken.write_text("{")
    with pytest.raises(InputError, match=r"broken\.json cannot be read as JSON"):
        load(broken)
    broken.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"broken\.json cannot be read as JSON"):
        load(broken)
    broken.write_text("[]")
    with pytest.raises(InputError, match=r"broken\.json is not a genotype"):
        load(broken)
    with pytest.raises(InputError, match="cannot be read as JSON"):
        load(tmp_path)
