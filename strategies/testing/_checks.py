"""Checks of the mechanics of any search, one promise each: the same bits, legal proposals, a true ledger."""

from __future__ import annotations

import copy
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from searchspace import InputError
from strategies.one_shot import OneShotStrategy
from strategies.testing._problems import Problem, supernet_problem
from strategies.testing._promises import global_generators, named, promised, through_a_file, timeless

__all__ = [
    "Start",
    "check_determinism",
    "check_global_generators",
    "check_ledger",
    "check_report",
    "check_resume",
    "check_same_state",
    "check_second_stage",
    "check_validity",
]

Start = Callable[[], Problem]
"""Function that starts the same search anew."""


def check_determinism(start: Start, events: int) -> None:
    """Checks that the same seed gives the same proposals, genotype and state; asking for results changes none."""
    first, second = start(), start()
    for index in range(events):
        happened, again = first.advance(), second.advance()
        assert happened == again, f"event {index}: the same seed gave {again}, and {happened} before"
        # Only the second one is asked: a result may be looked at without changing the search.
        named(second)
        if isinstance(second.search.strategy, OneShotStrategy):
            second.search.strategy.report()
    assert named(first) == named(second), "the same seed named another genotype"
    check_same_state(timeless(first), timeless(second))


def check_resume(start: Start, events: int, cuts: Sequence[int]) -> None:
    """Checks that save -> new object -> load -> continue equals the uninterrupted search bit for bit, at every cut.

    The state goes through ``torch.save`` and ``torch.load(weights_only=True)``. It is a snapshot: neither the search
    that gave it nor the one that loaded it changes it.
    """
    whole = start()
    trace = whole.run(events)
    for cut in cuts:
        stopped = start()
        stopped.run(cut)
        snapshot = stopped.search.strategy.state_dict()
        saved = through_a_file(stopped.search.state_dict())
        kept = copy.deepcopy(saved["strategy"])
        stopped.run(events - cut)
        check_same_state(kept, snapshot, f"state_dict() at event {cut}, after the search went on")

        resumed = start()
        resumed.load_state_dict(saved)
        check_same_state(kept, resumed.search.strategy.state_dict(), f"state_dict() right after loading event {cut}")
        for index, expected in enumerate(trace[cut:], start=cut):
            got = resumed.advance()
            assert got == expected, f"resumed at event {cut}, event {index} was {got} instead of {expected}"
        check_same_state(kept, saved["strategy"], f"loaded state of event {cut}, after the search went on")
        check_same_state(timeless(whole), timeless(resumed), f"state after resuming at event {cut}")
        assert named(resumed) == named(whole), f"resumed at event {cut}: another genotype"


def check_validity(start: Start, events: int) -> None:
    """Checks that all genotypes belong to the space, and that a supernet computes active options and no others.

    A selection of one option for every choice is a proposal.
    """
    problem = start()
    space = problem.space
    for index in range(events):
        with promised(f"proposal of event {index}"):
            happened = problem.advance()
            if happened is not None and happened[0] == "asked":
                space.genotype(happened[2])
        with promised(f"genotype() after event {index}"):
            genotype = named(problem)
            if genotype is not None:
                space.validate(genotype)
        if problem.supernet is not None:
            expected: Counter[tuple[str, str]] = Counter()
            for selection in problem.supernet.selections:
                assert set(selection.options) == set(space), f"selection has the choices {list(selection.options)}"
                for choice in space:
                    names = list(selection.active(choice))
                    ordered = [option for option in space[choice] if option in names]
                    assert names == ordered, f"active options of {choice!r} must be in the space's order, got {names}"
                    weights = [1.0 if w is None else w.item() for _, w in selection[choice]]
                    assert all(map(math.isfinite, weights)), f"weights of {choice!r} are not finite: {weights}"
                    expected.update((choice, name) for name in names)
                active = {choice: selection.active(choice) for choice in space}
                if all(len(names) == 1 for names in active.values()):
                    with promised(f"proposal of event {index}"):
                        space.genotype({choice: names[0] for choice, names in active.items()})
            calls = problem.supernet.calls
            assert calls == expected, f"computed {calls}, active are {expected}"


def check_report(start: Start, events: int) -> None:
    """Checks that ``report()`` is plain, with probabilities of each choice's own options that sum to 1."""
    problem = start()
    strategy = problem.search.strategy
    assert isinstance(strategy, OneShotStrategy), "only a one-shot strategy reports"
    for _ in range(events + 1):
        report = strategy.report()
        with promised("report() must hold plain values"):
            json.dumps(report)
        probabilities = report["probabilities"]
        assert set(probabilities) == set(strategy.space), f"report has probabilities of {list(probabilities)}"
        for choice, options in probabilities.items():
            foreign = set(options) - set(strategy.space[choice])
            assert not foreign, f"report has {sorted(foreign)} in the choice {choice!r}"
            assert all(p >= 0 for p in options.values()), f"negative probability in {choice!r}: {options}"
            total = math.fsum(options.values())
            assert abs(total - 1) < 1e-5, f"probabilities of {choice!r} sum to {total}: {options}"
        problem.advance()


def check_ledger(start: Start, events: int) -> None:
    """Checks that every training step uses the number of batches that ``looks()`` returns."""
    problem = start()
    search = problem.search
    strategy = search.strategy
    assert isinstance(strategy, OneShotStrategy), "only a one-shot strategy makes steps"
    before = 0
    for _ in range(events):
        happened = problem.advance()
        if happened is not None and happened[0] == "step":
            took = search.samples - before
            assert took == strategy.looks(), f"a step took {took} batches, looks() says {strategy.looks()}"
        before = search.samples


def check_second_stage(make: Callable[[], OneShotStrategy], steps: int) -> None:
    """Checks that a second stage keeps to the budget, and that no genotype is named before it.

    A budget that is too small for it must be refused. A strategy without a second stage passes.
    """
    strategy = make()
    stage = strategy.second_stage()
    if stage is None:
        return
    problem = supernet_problem(strategy, steps)
    search = problem.search
    for event in search:
        if event.kind == "step":
            assert named(problem) is None, f"{named(problem)} is named before the second stage has scored anything"
    limit = search.budget.samples
    assert limit is not None
    assert search.samples <= limit, f"the search took {search.samples} images of {limit}"
    assert search.spent.steps >= steps, f"{search.spent.steps} of {steps} steps were made"
    assert 0 < search.spent.trials <= stage.trials, f"the second stage made {search.spent.trials} trials"
    try:
        supernet_problem(make(), 0)
    except InputError:
        return
    raise AssertionError("a budget that leaves nothing for the training was not refused")


def check_global_generators(start: Start, events: int) -> None:
    """Checks that nothing draws from, or seeds, the global generators of Python, NumPy and torch."""
    # Seeding again with the seed of an earlier run would go unseen if nothing had been drawn since.
    random.random(), np.random.random(), torch.rand(())  # noqa: NPY002
    before = global_generators()
    problem = start()
    problem.run(events)
    problem.load_state_dict(through_a_file(problem.search.state_dict()))
    named(problem)
    for name, state in global_generators().items():
        assert state == before[name], f"the global generator of {name} was used; draw from one of your own"


def check_same_state(expected: Any, got: Any, path: str = "state") -> None:
    """Checks that two states are equal, tensors bit for bit. The message has the path of the first difference."""
    assert type(expected) is type(got), f"{path}: {type(got).__name__} instead of {type(expected).__name__}"
    if isinstance(expected, Mapping):
        assert list(expected) == list(got), f"{path}: keys {list(got)} instead of {list(expected)}"
        for key in expected:
            check_same_state(expected[key], got[key], f"{path}[{key!r}]")
    elif isinstance(expected, list | tuple):
        assert len(expected) == len(got), f"{path}: {len(got)} entries instead of {len(expected)}"
        for index, (one, other) in enumerate(zip(expected, got, strict=True)):
            check_same_state(one, other, f"{path}[{index}]")
    elif isinstance(expected, Tensor):
        same = expected.dtype == got.dtype and torch.equal(expected, got)
        assert same, f"{path}: {got} instead of {expected}"
    else:
        assert expected == got, f"{path}: {got!r} instead of {expected!r}"
