"""Registries: collisions, unknown names, and entries of packages outside this tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from searchspace import SPACES, CPSpace, InputError, Registry, ToySpace, UnknownNameError

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


def run(code: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path or ""), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_an_installed_package_brings_a_space_and_a_strategy_that_conforms(tmp_path: Path) -> None:
    install(tmp_path, "outside", POINTS, OUTSIDE)
    user = run(USER, tmp_path)
    assert user.returncode == 0, user.stderr
    assert user.stdout == "conforms\n"


def test_an_installed_space_and_strategies_are_listed_and_run(tmp_path: Path) -> None:
    install(tmp_path, "outside", POINTS, OUTSIDE)
    (tmp_path / "config.yaml").write_text(CONFIG)

    def atrc(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1", "ATRC_CACHE": "cache"}
        command = [sys.executable, "-m", "atrc", *arguments]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = {row["name"]: row["kind"] for row in json.loads(atrc("strategies", "--json"))}
    assert listed["outside_softmax"] == "one-shot"
    assert listed["outside_backwards"] == "multi-trial"
    for name in ("outside_softmax", "outside_backwards"):
        atrc("search", "config.yaml", "-s", f"strategy.name={name}", "-o", name, "-q", "-j", "1")
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


def test_a_broken_package_is_named_every_time_and_leaves_the_rest_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "broken_plugin", "[test.broken]\nbad = broken_plugin:Bad\n", "import not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[type] = Registry("thing", "test.broken")
    registry.register("mine")(ToySpace)
    for _ in range(2):
        with pytest.raises(InputError, match=r"thing 'bad'.*'broken_plugin:Bad' of test\.broken.*not_there"):
            list(registry)
    assert registry["mine"] is ToySpace


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
