"""Checks of the outcome of a search, one promise each: optima, costs, constraints and failed trials."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from searchspace import Costs, Genotype, InputError, SearchSpace
from strategies._base import Strategy
from strategies._budget import Score
from strategies.multi_trial import MultiTrialStrategy, Trial
from strategies.one_shot import OneShotStrategy
from strategies.testing._checks import check_resume
from strategies.testing._problems import Problem, SparseSpace, supernet_problem, table_problem
from strategies.testing._promises import promised

__all__ = [
    "check_charge",
    "check_constraints",
    "check_cost",
    "check_expected_rank",
    "check_failures",
    "check_in_flight",
    "check_optimum",
]


def check_optimum(start: Callable[[int], Problem], seeds: int = 10, enough: int | None = None) -> None:
    """Checks that the known optimum is named in at least nine of ten toy problems, each searched to its end.

    Args:
        start: Starts the search with a given seed.
        seeds: Number of problems.
        enough: Number of problems in which the optimum has to be found; by default nine tenths of them.
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
    """Checks that a strategy names the cheapest genotype if cost weighs far more than loss.

    A strategy that supports no costs must be refused when the search is built.

    Args:
        make: Builds the strategy for a seed, in a space without constraints between choices.
        steps: Number of steps of one search.
        seeds: Number of searches.
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
    """Checks that told scores include the penalty of cost, and that the strategy names the best of them."""
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
    """Checks that all proposals obey constraints between choices, or that the search is refused when it is built.

    Args:
        start: Starts a search of a space.
        make: Builds the strategy for a space.
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
    """Checks that failed trials, the first and every third, are never named and do not end the search."""
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
    """Checks that with several trials in flight a search resumes to the same bits, however fast the scores come."""

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
    """Checks that a random baseline names the best of its draws: its mean rank over seeds is the expected one.

    The best of n uniform draws, with replacement, among M genotypes has rank k or a worse one with the probability
    ``(1 - (k - 1) / M)^n``. The mean may be four standard errors off.

    Args:
        start: Starts the search with a given seed, in a space without constraints between choices.
        draws: Number of genotypes that are drawn and scored in one search.
        seeds: Number of searches.
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


def _distance_from(cheapest: Genotype, space: SearchSpace) -> Costs:
    """Returns costs of 1 for every choice that differs from a genotype."""
    return Costs({c: {o: float(o != cheapest[c]) for o in options} for c, options in space.items()})
