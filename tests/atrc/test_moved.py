"""Former names of modules: they lead to the new places, say so, and name what is gone."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from atrc._moved import MOVED


@pytest.mark.parametrize("former", MOVED)
def test_a_former_name_leads_to_names_that_are_there(former: str) -> None:
    sys.modules.pop(former, None)
    with pytest.warns(DeprecationWarning, match=f"{former} has moved to {MOVED[former][0]}"):
        module = importlib.import_module(former)
    assert module.__all__
    for name in module.__all__:
        places = map(importlib.import_module, MOVED[former])
        assert any(getattr(place, name, None) is getattr(module, name) for place in places)


def test_a_name_that_is_gone_is_named() -> None:
    sys.modules.pop("atrc.build", None)
    with pytest.warns(DeprecationWarning, match="has moved"):
        former = importlib.import_module("atrc.build")
    with pytest.raises(AttributeError, match=r"atrc\.build has moved to atrc\.setup and .*which have no 'cp_space'"):
        _ = former.cp_space


def test_a_plugin_of_before_is_imported() -> None:
    code = "from atrc.network import MultiTaskNetwork\nfrom atrc.experiment import *\nprint(create_search.__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "atrc.experiments._create", done.stderr
