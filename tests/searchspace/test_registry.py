"""Registries: collisions, unknown names, and entries of packages outside this tree."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchspace import SPACES, CPSpace, InputError, Registry, ToySpace, UnknownNameError
from searchspace.registry import forget

ROOT = Path(__file__).parents[2]

OUTSIDE = '''
"""A space and a strategy that know this project, which does not know them."""

import random

import torch

from searchspace import CPSpace, Genotype, SearchSpace, Selection, Weighted
from strategies import MultiTrialStrategy, OneShotStrategy


class Narrow(CPSpace):
    def __init__(self, tasks):
        super().__init__(tasks, contexts=("none", "global", "t_label"))


class Backwards(MultiTrialStrategy):
    """Every genotype once, the last one first."""

    name, summary, paper = "outside_backwards", "enumeration from the end", "none"

    def propose(self):
        left = list(self.space.enumerate())[: self.space.size - len(self.asked)]
        return left[-1] if left else None


class Ring(SearchSpace):
    def __init__(self, length=3):
        super().__init__("ring", {f"r{i}": ("left", "right") for i in range(length)}, {"length": length})


class Softmax(OneShotStrategy):
    """Plain gradient descent on a softmax over every choice."""

    name, summary, paper = "outside_softmax", "softmax relaxation", "none"

    def __init__(self, space, *, seed=0, lr=10.0):
        super().__init__(space, seed=seed)
        self.lr = lr
        self.logits = [torch.zeros(len(options), requires_grad=True) for options in space.values()]

    def anneal(self, progress):
        pass

    def select(self):
        return Selection({
            choice: tuple(map(Weighted, options, logits.softmax(0)))
            for (choice, options), logits in zip(self.space.items(), self.logits)
        })

    def update(self):
        for logits in self.logits:
            logits.data -= self.lr * logits.grad
            logits.grad = None

    def genotype(self):
        return self.space.decode([int(logits.argmax()) for logits in self.logits])

    def report(self):
        return {"probabilities": {
            choice: dict(zip(options, logits.softmax(0).tolist()))
            for (choice, options), logits in zip(self.space.items(), self.logits)
        }}

    def state_dict(self):
        return {"logits": [logits.detach().clone() for logits in self.logits]}

    def load_state_dict(self, state):
        for logits, saved in zip(self.logits, state["logits"]):
            logits.data.copy_(saved)
'''

USER = """
import random

from searchspace import SPACES, build_space, dump_space
from strategies import STRATEGIES, build_strategy
from strategies.testing import check_multi_trial, check_one_shot

assert {"cp", "toy", "ring"} <= set(SPACES), list(SPACES)
assert {"fixed", "gumbel_entropy", "outside_softmax"} <= set(STRATEGIES), list(STRATEGIES)
ring = build_space("ring", length=5)
assert ring.size == 32 and type(ring).__module__ == "outside"
assert ring.sample(random.Random(0)) in set(ring.enumerate())
assert build_strategy("gumbel_entropy", ring, seed=0).num_parameters() == 10
check_one_shot(lambda space, seed: build_strategy("outside_softmax", space, seed=seed), steps=4, optimum_steps=25)
check_multi_trial(lambda space, seed: build_strategy("outside_backwards", space, seed=seed), optimum_trials=81)
print("conforms")
"""

POINTS = """
[atrc.spaces]
ring = outside:Ring
narrow = outside:Narrow

[atrc.strategies]
outside_softmax = outside:Softmax
outside_backwards = outside:Backwards
"""

CONFIG = """
name: outside
dataset: {name: rooms, size: [32, 48], train: 8, val: 2}
tasks: {depth: {}, edge: {thresholds: 5}}
space: {name: narrow}
backbone: {name: tiny, width: 0.25}
search: {steps: 4, batch_size: 2}
trials: {steps: 2, images: 2}
"""


def install(folder: Path, name: str, entry_points: str, source: str = "") -> None:
    """What ``pip install`` leaves of a package: the module, and its metadata beside it."""
    (folder / f"{name}.py").write_text(source)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def python_path(*folders: Path) -> dict[str, str]:
    """Where a process looks for modules: in these folders, and in the tree that this file belongs to."""
    return {"PYTHONPATH": os.pathsep.join(map(str, (*folders, ROOT)))}


def run(code: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **python_path(*folders), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def atrc(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a folder, which holds installed packages too."""
    environment = {**os.environ, **python_path(folder), "OMP_NUM_THREADS": "1", "ATRC_CACHE": "cache"}
    command = [sys.executable, "-m", "atrc", *arguments]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def test_an_installed_package_brings_a_space_and_a_strategy_that_conforms(tmp_path: Path) -> None:
    install(tmp_path, "outside", POINTS, OUTSIDE)
    user = run(USER, tmp_path)
    assert user.returncode == 0, user.stderr
    assert user.stdout == "conforms\n"


def test_an_installed_space_and_strategies_are_listed_and_run(tmp_path: Path) -> None:
    install(tmp_path, "outside", POINTS, OUTSIDE)
    (tmp_path / "config.yaml").write_text(CONFIG)
    done = atrc(tmp_path, "strategies", "--json")
    assert done.returncode == 0, done.stderr
    listed = {row["name"]: row["kind"] for row in json.loads(done.stdout)}
    assert listed["outside_softmax"] == "one-shot"
    assert listed["outside_backwards"] == "multi-trial"
    for name in ("outside_softmax", "outside_backwards"):
        done = atrc(tmp_path, "search", "config.yaml", "-s", f"strategy.name={name}", "-o", name, "-q", "-j", "1")
        assert done.returncode == 0, done.stderr
        found = json.loads((tmp_path / name / "search/seed0/genotype.json").read_text())["choices"]
        assert set(found.values()) <= {"none", "global", "t_label"}
        assert len(found) == 4


def test_searchspace_does_not_import_torch() -> None:
    code = "import sys, searchspace; searchspace.CPSpace(['a', 'b']).uniform('local'); print('torch' in sys.modules)"
    found = run(code)
    assert found.stdout == "False\n", found.stderr


def test_an_entry_point_is_loaded_only_when_a_name_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "lazy_plugin", "[test.lazy]\nother = lazy_plugin:Other\n", "class Other: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[type] = Registry("thing", "test.lazy")
    registry.register("mine")(ToySpace)
    assert registry["mine"] is ToySpace
    assert "lazy_plugin" not in sys.modules
    assert registry["other"].__name__ == "Other"
    assert list(registry) == ["mine", "other"]
    assert len(registry) == 2


BROKEN = r"thing 'bad'.*'broken_plugin:Bad' of test\.broken.*not_there"


@pytest.fixture
def with_a_broken_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[type]:
    points = "[test.broken]\nbad = broken_plugin:Bad\ngood = whole_plugin:Good\n"
    install(tmp_path, "broken_plugin", points, "import not_there\n")
    install(tmp_path, "whole_plugin", "", "class Good: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[type] = Registry("thing", "test.broken")
    registry.register("mine")(ToySpace)
    return registry


def test_a_broken_package_is_a_warning_once_and_leaves_the_rest_usable(with_a_broken_package: Registry[type]) -> None:
    registry = with_a_broken_package
    assert registry["mine"] is ToySpace
    with pytest.warns(UserWarning, match=BROKEN) as warned:
        assert list(registry) == ["mine", "good"]
    assert len(warned) == 1
    assert "\n" not in str(warned[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(registry) == 2
        assert "bad" not in registry
        assert registry["good"].__name__ == "Good"
        with pytest.raises(UnknownNameError, match=r"unknown thing 'worse'.*known: good, mine"):
            registry["worse"]


def test_the_name_of_a_broken_package_is_refused_with_the_reason(with_a_broken_package: Registry[type]) -> None:
    with pytest.warns(UserWarning, match=BROKEN), pytest.raises(InputError, match=BROKEN):
        with_a_broken_package["bad"]
    with pytest.raises(InputError, match=BROKEN):
        with_a_broken_package["bad"]


def test_commands_work_beside_a_broken_package(tmp_path: Path) -> None:
    install(tmp_path, "broken_plugin", "[atrc.strategies]\nbad = broken_plugin:Bad\n", "import not_there\n")
    listed = atrc(tmp_path, "strategies", "--json")
    assert listed.returncode == 0, listed.stderr
    assert {"random", "darts"} <= {row["name"] for row in json.loads(listed.stdout)}
    assert listed.stderr.count("cannot be loaded: ModuleNotFoundError: No module named 'not_there'") == 1
    (tmp_path / "config.yaml").write_text(CONFIG.replace("name: narrow", "name: cp"))
    refused = atrc(tmp_path, "search", "config.yaml", "-s", "strategy.name=bad", "-q", "-j", "1")
    assert refused.returncode == 2, refused.stderr
    assert "'broken_plugin:Bad' of atrc.strategies, cannot be loaded" in refused.stderr.splitlines()[-1]


HOME = """
from {registers} import REGISTRY

known = "{name}" in REGISTRY  # a look-up while the home is imported


@REGISTRY.register("{name}")
class Entry: pass
"""


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[type]]:
    """A registry whose home is a package of two modules."""
    folder = tmp_path / "house_plugin"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "ours.py").write_text(
        "from searchspace import Registry\nREGISTRY = Registry('thing', 'test.home', home=('house_plugin.a', "
        "'house_plugin.b'))\n"
    )
    for name in ("a", "b"):
        (folder / f"{name}.py").write_text(HOME.format(registers="house_plugin.ours", name=name))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("house_plugin.ours").REGISTRY
    for name in [module for module in sys.modules if module.partition(".")[0] == "house_plugin"]:
        del sys.modules[name]


def test_a_home_is_imported_when_the_registry_is_first_looked_into(at_home: Registry[type]) -> None:
    assert "house_plugin.a" not in sys.modules
    assert at_home["b"].__module__ == "house_plugin.b"
    assert list(at_home) == ["a", "b"]
    assert not sys.modules["house_plugin.a"].known


def test_a_module_of_the_home_may_be_imported_first(at_home: Registry[type]) -> None:
    importlib.import_module("house_plugin.b")
    assert sorted(at_home) == ["a", "b"]


def test_a_name_of_the_home_is_refused_to_others_before_anybody_looked(at_home: Registry[type]) -> None:
    with pytest.raises(InputError, match=r"'a' is registered twice: by house_plugin\.a\.Entry and by searchspace\."):
        at_home.register("a")(ToySpace)
    assert at_home["a"].__module__ == "house_plugin.a"
    at_home.register("c")(ToySpace)
    assert at_home["c"] is ToySpace


def test_a_home_that_cannot_be_imported_is_tried_again(at_home: Registry[type], tmp_path: Path) -> None:
    module = tmp_path / "house_plugin" / "b.py"
    whole = module.read_text()
    module.write_text("import not_there\n")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="not_there"):
            list(at_home)
    module.write_text(whole)
    importlib.invalidate_caches()
    assert list(at_home) == ["a", "b"]


def test_a_module_of_the_home_that_is_forgotten_is_imported_again(at_home: Registry[type]) -> None:
    first = at_home["b"]
    forget("house_plugin.b")
    del sys.modules["house_plugin.b"]
    assert at_home["b"].__module__ == "house_plugin.b"
    assert at_home["b"] is not first


def test_an_installed_package_cannot_take_a_name_that_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "rival_plugin", "[test.rival]\ncp = rival_plugin:CPSpace\n", "class CPSpace: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[type] = Registry("space", "test.rival")
    registry.register("cp")(CPSpace)
    with pytest.raises(
        InputError, match=r"registered twice: by searchspace\.cp\.CPSpace and by rival_plugin\.CPSpace"
    ):
        list(registry)


def test_a_name_is_taken_once() -> None:
    registry: Registry[type] = Registry("thing", "test.nothing")
    registry.register("a")(ToySpace)
    with pytest.raises(InputError, match=r"thing 'a' is registered twice: by searchspace\.toy\.ToySpace and by"):
        registry.register("a")(CPSpace)
    assert registry["a"] is ToySpace


def test_the_same_definition_may_register_again() -> None:
    registry: Registry[type] = Registry("thing", "test.nothing")

    def define() -> type:
        @registry.register("a")
        class Again: ...

        return Again

    define()
    again = define()
    assert registry["a"] is again


def test_the_decorator_returns_what_it_decorates() -> None:
    registry: Registry[type] = Registry("thing", "test.nothing")
    assert registry.register("a")(ToySpace) is ToySpace


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="unknown space 'cpp', did you mean 'cp'"):
        SPACES["cpp"]
    assert "cpp" not in SPACES
    assert SPACES.get("cpp") is None
    assert {"cp", "toy"} <= set(SPACES)
