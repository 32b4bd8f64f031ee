"""Selections: which options are active, and at what weight."""

from __future__ import annotations

import dataclasses
import random

import pytest
import torch

from searchspace import CPSpace, InputError, Selection, Weighted

SPACE = CPSpace(["semseg", "depth"])


def test_of_a_genotype_is_one_hot_and_valid() -> None:
    genotype = SPACE.sample(random.Random(0))
    selection = Selection.of(genotype)
    selection.check(SPACE)
    for choice, option in genotype.items():
        assert selection[choice] == (Weighted(option, None),)
        assert selection.active(choice) == (option,)


def test_active_lists_the_names_in_order() -> None:
    selection = Selection({"c": (Weighted("x", None), Weighted("z", None))})
    assert selection.active("c") == ("x", "z")


def test_check_names_the_choice_without_an_active_option() -> None:
    options = dict(Selection.of(SPACE.uniform("local")).options)
    with pytest.raises(InputError, match="'depth<-semseg' without an active option"):
        Selection({**options, "depth<-semseg": ()}).check(SPACE)
    del options["semseg<-semseg"]
    with pytest.raises(InputError, match="'semseg<-semseg' without an active option"):
        Selection(options).check(SPACE)


def test_check_names_an_option_that_the_choice_does_not_have() -> None:
    options = dict(Selection.of(SPACE.uniform("local")).options)
    options["depth<-depth"] = (Weighted("local", None), Weighted("s_label", None))
    with pytest.raises(InputError, match="'s_label' in the choice 'depth<-depth', whose options are none, global"):
        Selection(options).check(SPACE)


def test_a_selection_is_frozen() -> None:
    selection = Selection.of(SPACE.uniform("local"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        selection.options = {}  # type: ignore[misc]


def test_mixing_adds_what_is_active_by_its_weight() -> None:
    x, y = torch.tensor([1.0, 2.0], dtype=torch.bfloat16), torch.tensor([10.0, 20.0], dtype=torch.bfloat16)
    share = torch.tensor(0.5, requires_grad=True)
    selection = Selection({"c": (Weighted("a", share), Weighted("b", None), Weighted("none", torch.tensor(0.25)))})
    mixed = selection.mix("c", {"a": x, "b": y, "never active": x})
    assert mixed is not None
    assert mixed.dtype is torch.bfloat16
    assert mixed.tolist() == [10.5, 21.0]
    mixed.sum().backward()
    assert share.grad is not None
    assert share.grad.item() == 3.0
    assert selection.mix("c", {}) is None
