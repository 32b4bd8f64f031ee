"""The pieces of the conformance suite, one promise each."""

from __future__ import annotations

import copy
import io
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from searchspace import Costs, InputError
from strategies._base import OneShotStrategy
from strategies.testing._search import OneShotSearch, Search

__all__ = [
    "Start",
    "check_charge",
    "check_determinism",
    "check_expected_rank",
    "check_global_generators",
    "check_optimum",
    "check_report",
    "check_resume",
    "check_same_state",
    "check_validity",
]

Start = Callable[[], Search]
"""Starts the same search anew."""


def check_determinism(start: Start, steps: int) -> None:
    """The same seed gives the same proposals, genotype and state; asking for results changes none of them."""
    first, second = start(), start()
    for index in range(steps):
        proposed, again = first.step(), second.step()
        assert proposed == again, f"step {index}: the same seed proposed {again}, and {proposed} before"
        # Only the second one is asked: a result may be looked at without changing the search.
        second.strategy.genotype()
        if isinstance(second.strategy, OneShotStrategy):
            second.strategy.report()
    assert first.strategy.genotype() == second.strategy.genotype(), "the same seed named another genotype"
    check_same_state(first.state_dict(), second.state_dict())


def check_resume(start: Start, steps: int, cuts: Sequence[int]) -> None:
    """Save -> new object -> load -> continue equals the uninterrupted search, bit for bit, at every cut.

    The state goes through ``torch.save`` and ``torch.load(weights_only=True)``. It is a snapshot: neither the search
    that gave it nor the one that loaded it changes it.
    """
    whole = start()
    trace = whole.run(steps)
    for cut in cuts:
        stopped = start()
        stopped.run(cut)
        snapshot = stopped.strategy.state_dict()
        saved = _through_a_file(stopped.state_dict())
        kept = copy.deepcopy(saved["strategy"])
        stopped.run(steps - cut)
        check_same_state(kept, snapshot, f"state_dict() at step {cut}, after the search went on")

        resumed = start()
        resumed.load_state_dict(saved)
        check_same_state(kept, resumed.strategy.state_dict(), f"state_dict() right after loading step {cut}")
        for index, expected in enumerate(trace[cut:], start=cut):
            got = resumed.step()
            assert got == expected, f"resumed at step {cut}, step {index} proposed {got} instead of {expected}"
        check_same_state(kept, saved["strategy"], f"loaded state of step {cut}, after the search went on")
        check_same_state(whole.state_dict(), resumed.state_dict(), f"state after resuming at step {cut}")
        assert resumed.strategy.genotype() == whole.strategy.genotype(), f"resumed at step {cut}: another genotype"


def check_validity(start: Start, steps: int) -> None:
    """Every proposal and every named genotype belongs to the space; a supernet computes what is active, no more."""
    search = start()
    space = search.strategy.space
    for index in range(steps):
        with _promised(f"genotype() before step {index}"):
            space.validate(search.strategy.genotype())
        if isinstance(search, OneShotSearch):
            search.supernet.calls.clear()
        with _promised(f"proposal of step {index}"):
            proposal = search.step()
        if isinstance(search, OneShotSearch):
            expected: Counter[tuple[str, str]] = Counter()
            for selection in proposal:
                assert set(selection) == set(space), f"selection has the choices {list(selection)}, not {list(space)}"
                for choice, active in selection.items():
                    names = [option for option, _ in active]
                    ordered = [option for option in space[choice] if option in names]
                    assert names == ordered, f"active options of {choice!r} must be in the space's order, got {names}"
                    assert all(math.isfinite(w) for _, w in active), f"weights of {choice!r} are not finite: {active}"
                    expected.update((choice, name) for name in names)
            assert search.supernet.calls == expected, f"computed {search.supernet.calls}, active are {expected}"
    with _promised("genotype() after the last step"):
        space.validate(search.strategy.genotype())


def check_report(start: Start, steps: int) -> None:
    """``report()`` is plain, and has for every choice probabilities of its own options that sum to 1."""
    search = start()
    strategy = search.strategy
    assert isinstance(strategy, OneShotStrategy), "only a one-shot strategy reports"
    for _ in range(steps + 1):
        report = strategy.report()
        with _promised("report() must hold plain values"):
            json.dumps(report)
        probabilities = report["probabilities"]
        assert set(probabilities) == set(strategy.space), f"report has probabilities of {list(probabilities)}"
        for choice, options in probabilities.items():
            foreign = set(options) - set(strategy.space[choice])
            assert not foreign, f"report has {sorted(foreign)} in the choice {choice!r}"
            assert all(p >= 0 for p in options.values()), f"negative probability in {choice!r}: {options}"
            total = math.fsum(options.values())
            assert abs(total - 1) < 1e-5, f"probabilities of {choice!r} sum to {total}: {options}"
        search.step()


def check_global_generators(start: Start, steps: int) -> None:
    """Nothing draws from, or seeds, the global generators of Python, NumPy and torch."""
    # Seeding again with the seed of an earlier run would go unseen if nothing had been drawn since.
    random.random(), np.random.random(), torch.rand(())  # noqa: NPY002
    before = _global_generators()
    search = start()
    search.run(steps)
    search.load_state_dict(_through_a_file(search.state_dict()))
    search.strategy.genotype()
    for name, state in _global_generators().items():
        assert state == before[name], f"the global generator of {name} was used; draw from one of your own"


def check_optimum(start: Callable[[int], Search], steps: int) -> None:
    """The known optimum is named in at least 9 of 10 toy problems, after ``steps`` steps each.

    Args:
        start: Starts the search with a given seed.
        steps: Length of one search.
    """
    enough, seeds = 9, 10
    missed = []
    for seed in range(seeds):
        search = start(seed)
        search.run(steps)
        search.finish()
        if search.strategy.genotype() != search.optimum:
            missed.append(f"seed {seed}: {search.strategy.genotype()} for {search.optimum}")
    found = seeds - len(missed)
    assert found >= enough, (
        f"the optimum was found in {found} of {seeds} toy spaces, not {enough}; {'; '.join(missed)}"
    )


def check_charge(start: Callable[[int], OneShotSearch], steps: int, seeds: int = 3) -> None:
    """Charged far more than options differ in loss, a strategy names the cheapest genotype; or it refuses costs.

    Args:
        start: Starts the search with a given seed, in a space without constraints between choices.
        steps: Length of one search.
        seeds: How many searches.
    """
    for seed in range(seeds):
        search = start(seed)
        space = search.strategy.space
        cheapest = space.genotype({choice: options[-1] for choice, options in space.items()})
        costs = Costs({c: {o: float(o != cheapest[c]) for o in options} for c, options in space.items()})
        try:
            search.charge(costs, weight=10.0)
        except InputError:
            return
        search.run(steps)
        search.finish()
        named = search.strategy.genotype()
        assert named == cheapest, f"seed {seed}: charged, it named {named} and not the cheapest, {cheapest}"


def check_expected_rank(start: Callable[[int], Search], steps: int, draws: int, seeds: int = 30) -> None:
    """A random baseline names the best of its draws: its mean rank over seeds is the expected one.

    The best of n uniform draws, with replacement, among M genotypes has rank k or a worse one with the probability
    ``(1 - (k - 1) / M)^n``. The mean may be four standard errors off.

    Args:
        start: Starts the search with a given seed, in a space without constraints between choices.
        steps: Length of one search.
        draws: Genotypes that are drawn and scored in it.
        seeds: How many searches.
    """
    ranks = []
    for seed in range(seeds):
        search = start(seed)
        search.run(steps)
        search.finish()
        named = search.score(search.strategy.genotype())
        ranks.append(1 + sum(search.score(g) > named for g in search.strategy.space.enumerate()))
    size = search.strategy.space.size
    at_least = [(1 - k / size) ** draws for k in range(size)]
    mean = math.fsum(at_least)
    variance = math.fsum((2 * k + 1) * p for k, p in enumerate(at_least)) - mean**2
    found, tolerance = math.fsum(ranks) / seeds, 4 * math.sqrt(variance / seeds)
    assert abs(found - mean) <= tolerance, (
        f"the mean rank over {seeds} seeds is {found:.2f}; of the best of {draws} draws from {size} genotypes "
        f"{mean:.2f} +- {tolerance:.2f} is expected"
    )


def check_same_state(expected: Any, got: Any, path: str = "state") -> None:
    """Two states are equal, tensors bit for bit; the message has the path of the first difference."""
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


@contextmanager
def _promised(what: str) -> Iterator[None]:
    """Turns the refusal of an input into the failure of a check."""
    try:
        yield
    except (InputError, TypeError) as error:
        raise AssertionError(f"{what}: {error}") from error


def _through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def _global_generators() -> dict[str, Any]:
    _, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002, what is watched is the legacy generator
    return {
        "random": random.getstate(),
        "numpy.random": (list(keys), rest),
        "torch": torch.get_rng_state().tolist(),
    }
