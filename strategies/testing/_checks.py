"""The pieces of the conformance suite, one promise each."""

from __future__ import annotations

import copy
import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from searchspace import Costs, Genotype, InputError, SearchSpace
from strategies._base import MultiTrialStrategy, NothingNamed, OneShotStrategy, Strategy, Trial
from strategies._budget import Score
from strategies.testing._problems import Problem, SparseSpace, supernet_problem, table_problem
from strategies.testing._promises import global_generators, promised, through_a_file

__all__ = [
    "Start",
    "check_charge",
    "check_constraints",
    "check_cost",
    "check_determinism",
    "check_expected_rank",
    "check_failures",
    "check_global_generators",
    "check_in_flight",
    "check_ledger",
    "check_optimum",
    "check_report",
    "check_resume",
    "check_same_state",
    "check_second_stage",
    "check_validity",
]

Start = Callable[[], Problem]
"""Starts the same search anew."""


def check_determinism(start: Start, events: int) -> None:
    """The same seed gives the same proposals, genotype and state; asking for results changes none of them."""
    first, second = start(), start()
    for index in range(events):
        happened, again = first.advance(), second.advance()
        assert happened == again, f"event {index}: the same seed gave {again}, and {happened} before"
        # Only the second one is asked: a result may be looked at without changing the search.
        _named(second)
        if isinstance(second.search.strategy, OneShotStrategy):
            second.search.strategy.report()
    assert _named(first) == _named(second), "the same seed named another genotype"
    check_same_state(_timeless(first), _timeless(second))


def check_resume(start: Start, events: int, cuts: Sequence[int]) -> None:
    """Save -> new object -> load -> continue equals the uninterrupted search, bit for bit, at every cut.

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
        check_same_state(_timeless(whole), _timeless(resumed), f"state after resuming at event {cut}")
        assert _named(resumed) == _named(whole), f"resumed at event {cut}: another genotype"


def check_validity(start: Start, events: int) -> None:
    """Every proposal and every named genotype belongs to the space; a supernet computes what is active, no more.

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
            named = _named(problem)
            if named is not None:
                space.validate(named)
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
    """``report()`` is plain, and has for every choice probabilities of its own options that sum to 1."""
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
    """A training step takes as many images as ``looks()`` says; a second stage and its budget are entered too."""
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
    """A second stage fits into the budget, a budget that is too small for it is refused, and nothing is named before.

    A strategy without a second stage passes.
    """
    strategy = make()
    stage = strategy.second_stage()
    if stage is None:
        return
    problem = supernet_problem(strategy, steps)
    search = problem.search
    for event in search:
        if event.kind == "step":
            assert _named(problem) is None, f"{_named(problem)} is named before the second stage has scored anything"
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
    """Nothing draws from, or seeds, the global generators of Python, NumPy and torch."""
    # Seeding again with the seed of an earlier run would go unseen if nothing had been drawn since.
    random.random(), np.random.random(), torch.rand(())  # noqa: NPY002
    before = global_generators()
    problem = start()
    problem.run(events)
    problem.load_state_dict(through_a_file(problem.search.state_dict()))
    _named(problem)
    for name, state in global_generators().items():
        assert state == before[name], f"the global generator of {name} was used; draw from one of your own"


def check_optimum(start: Callable[[int], Problem], seeds: int = 10, enough: int | None = None) -> None:
    """The known optimum is named in at least nine of ten toy problems, each searched to its end.

    Args:
        start: Starts the search with a given seed.
        seeds: How many problems.
        enough: In how many the optimum has to be found; by default in nine tenths of them.
    """
    enough = math.ceil(0.9 * seeds) if enough is None else enough
    missed = []
    for seed in range(seeds):
        problem = start(seed)
        with promised(f"search with seed {seed}"):
            named = problem.search.run()
        if named != problem.optimum:
            missed.append(f"seed {seed}: {named} for {problem.optimum}")
    found = seeds - len(missed)
    assert found >= enough, (
        f"the optimum was found in {found} of {seeds} toy spaces, not {enough}. Other knobs may do: the searches are "
        f"short, and the scores of multi-trial ones are made to trap a local search. {'; '.join(missed)}"
    )


def check_charge(make: Callable[[int], OneShotStrategy], steps: int, seeds: int = 3) -> None:
    """Charged far more than options differ in loss, a strategy names the cheapest genotype.

    One that supports no costs is refused when the search is built.

    Args:
        make: Builds the strategy for a seed, in a space without constraints between choices.
        steps: Length of one search.
        seeds: How many searches.
    """
    for seed in range(seeds):
        strategy = make(seed)
        space = strategy.space
        cheapest = space.genotype({choice: options[-1] for choice, options in space.items()})
        costs = _distance_from(cheapest, space)
        charged = partial(supernet_problem, strategy, steps, seed, costs=costs, cost_weight=10.0)
        if not strategy.supports(space, ("score", "cost")):
            _check_refusal(strategy, charged)
            return
        named = charged().search.run()
        assert named == cheapest, f"seed {seed}: charged, it named {named} and not the cheapest, {cheapest}"


def check_cost(make: Callable[[], MultiTrialStrategy], trials: int = 12) -> None:
    """Scores are told with the penalty of cost in them, and the strategy names the best of what it was told."""
    strategy = make()
    space = strategy.space
    cheapest = space.genotype({choice: options[-1] for choice, options in space.items()})
    costs = _distance_from(cheapest, space)
    problem = table_problem(strategy, trials, costs=costs, cost_weight=10.0)
    told: dict[Genotype, tuple[float, float]] = {}
    for event in problem.search:
        if event.kind == "told":
            assert event.score is not None
            assert event.value is not None
            assert event.cost == costs.of(event.trial.genotype), f"cost {event.cost} of trial {event.trial.number}"
            told[event.trial.genotype] = (event.trial.budget, event.score)
            paid = 0.0 if strategy.multi_objective else 10.0 * costs.share(space, event.trial.genotype)
            assert event.score == event.value - paid, f"trial {event.trial.number} was told {event.score}"
    named = problem.search.genotype()
    assert told[named] == max(told.values()), (
        f"{named} was named, which was told {told[named]} of {max(told.values())}"
    )


def check_constraints(start: Callable[[SearchSpace], Problem], make: Callable[[SearchSpace], Strategy]) -> None:
    """In a space with constraints between choices every proposal is legal; or the search is refused when it is built.

    Args:
        start: Starts a search of the space.
        make: Builds the strategy for the space.
    """
    space = SparseSpace()
    strategy = make(space)
    if not strategy.supports(space):
        _check_refusal(strategy, lambda: start(space))
        return
    problem = start(space)
    with promised("a search of a space with constraints between choices"):
        for event in problem.search:
            if event.kind in ("asked", "told"):
                space.validate(event.trial.genotype)
        space.validate(problem.search.genotype())


def _check_refusal(strategy: Strategy, start: Callable[[], Problem]) -> None:
    said = ""
    try:
        start()
    except InputError as error:
        said = str(error)
    assert said, f"{strategy.name} does not support this search, and the search is not refused"
    assert strategy.name in said, f"the refusal does not name the strategy: {said}"


def check_failures(make: Callable[[], MultiTrialStrategy], trials: int = 24) -> None:
    """Trials that fail, the first one and every third, are neither named nor the end of the search."""
    problem = table_problem(make(), trials, fails=lambda trial: trial.number % 3 == 0)
    failed: set[Genotype] = set()
    scored: set[Genotype] = set()
    with promised("a search whose trials fail"):
        for event in problem.search:
            if event.kind == "told":
                (failed if event.score is None else scored).add(event.trial.genotype)
                assert event.named is None or event.named in scored, f"{event.named} is named, which has no score"
    assert failed, "no trial failed"
    assert scored, f"after failures no trial was scored: {problem.search.ended}"
    assert problem.search.genotype() in scored, f"{problem.search.genotype()} is named, which has no score"


def check_in_flight(make: Callable[[], MultiTrialStrategy], trials: int = 12, in_flight: int = 3) -> None:
    """With several trials in flight a search resumes to the same bits, however fast the scores come."""

    def start() -> Problem:
        return table_problem(make(), trials, in_flight=in_flight)

    events = 2 * trials
    with promised(f"a search with {in_flight} trials in flight"):
        check_resume(start, events, cuts=(1, trials // 2, trials))
    expected = start().run(events)
    with ThreadPoolExecutor(in_flight) as pool:
        problem = table_problem(make(), trials, in_flight=in_flight, score=_Background(start(), pool))
        got = problem.run(events)
    assert got == expected, "with scores that come in another order the search is another one"


class _Background:
    """Scores in the background, the earlier trials slower than the later ones."""

    def __init__(self, problem: Problem, pool: ThreadPoolExecutor) -> None:
        self._problem, self._pool = problem, pool

    def __call__(self, trial: Trial) -> Score:
        error = random.Random(repr(trial)).gauss(0.0, 0.1)
        return Score(self._problem.score(trial.genotype) + error * (1.0 - trial.budget), 1)

    def submit(self, trial: Trial) -> Future[Score]:
        return self._pool.submit(self._late, trial)

    def _late(self, trial: Trial) -> Score:
        time.sleep(0.002 * (3 - trial.number % 3))
        return self(trial)


def check_expected_rank(start: Callable[[int], Problem], draws: int, seeds: int = 30) -> None:
    """A random baseline names the best of its draws: its mean rank over seeds is the expected one.

    The best of n uniform draws, with replacement, among M genotypes has rank k or a worse one with the probability
    ``(1 - (k - 1) / M)^n``. The mean may be four standard errors off.

    Args:
        start: Starts the search with a given seed, in a space without constraints between choices.
        draws: Genotypes that are drawn and scored in it.
        seeds: How many searches.
    """
    ranks = []
    for seed in range(seeds):
        problem = start(seed)
        named = problem.score(problem.search.run())
        ranks.append(1 + sum(problem.score(g) > named for g in problem.space.enumerate()))
    size = problem.space.size
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


def _named(problem: Problem) -> Genotype | None:
    """What the search would name now; None where it says that nothing can be named yet."""
    try:
        return problem.search.genotype()
    except NothingNamed:
        return None


def _timeless(problem: Problem) -> dict[str, Any]:
    """All state but the seconds."""
    state = problem.search.state_dict()
    return {**state, "spent": {**state["spent"], "seconds": 0.0}}


def _distance_from(cheapest: Genotype, space: SearchSpace) -> Costs:
    """A cost of 1 for every choice that differs from a genotype."""
    return Costs({c: {o: float(o != cheapest[c]) for o in options} for c, options in space.items()})
