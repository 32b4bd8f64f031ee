"""Messages that a person can act on, and the promises of the error classes."""

from __future__ import annotations

import copy
import pickle

import pytest

from searchspace import InputError, SearchSpace, UnknownNameError
from searchspace.errors import did_you_mean


def test_the_message_has_the_name_the_place_the_nearest_and_the_known() -> None:
    error = UnknownNameError("task", "dpeth", ["semseg", "depth"], where="tasks[1] in demo.yaml")
    assert str(error) == "unknown task 'dpeth' (tasks[1] in demo.yaml), did you mean 'depth'?; known: semseg, depth"


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    assert str(UnknownNameError("task", "zzz", ["semseg"])) == "unknown task 'zzz'; known: semseg"
    assert str(UnknownNameError("task", "zzz", iter([]))) == "unknown task 'zzz'; known: none"
    assert did_you_mean("zzz", ["semseg"]) == ""


@pytest.mark.parametrize("name", ["norms", "normal", "Normals", "nromals"])
def test_the_nearest_name(name: str) -> None:
    assert did_you_mean(name, ["semseg", "depth", "normals", "edge"]) == ", did you mean 'normals'?"


def test_what_may_catch_it() -> None:
    error = UnknownNameError("task", "x", ["y"])
    assert isinstance(error, InputError)
    assert isinstance(error, KeyError)
    assert isinstance(error, ValueError)


def test_it_survives_the_way_from_a_worker_process() -> None:
    error = UnknownNameError("task", "dpeth", ["depth"], "here")
    for back in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(back) is UnknownNameError
        assert str(back) == str(error)
    assert str(pickle.loads(pickle.dumps(InputError("one line")))) == "one line"


def test_a_key_that_is_no_text_is_unknown_too() -> None:
    space = SearchSpace("s", {"a": ["x"]})
    with pytest.raises(UnknownNameError, match="unknown choice 0"):
        space[0]  # type: ignore[index]
    with pytest.raises(UnknownNameError, match="unknown option 1"):
        space.genotype({"a": 1})  # type: ignore[dict-item]
