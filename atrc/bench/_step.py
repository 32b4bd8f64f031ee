"""``step``: a step of the search, of a found network and of the multi-task baseline of a preset, in parts.

- ``search``: a step of the preset's one-shot strategy on its supernet;
- ``found``: a training step of the network of a genotype, which is drawn from the space with seed 0;
- ``multi``: a training step of the multi-task baseline, which has no contexts.

Each runs in our form and in the reference form, where every context computes by itself, with tiled local attention.
Steps of the two take turns, and so does a large matrix product, whose rate is the peak. Batches are loaded as a run
loads them. Weights are random, whose steps take as long as those of others.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from atrc.bench._base import PRESET_BENCHMARKS, Outcome, Setting
from atrc.bench._counts import counting
from atrc.bench._measure import Product
from atrc.bench._parts import LOADING, PARTS, Clock, Feed, time_parts, time_strategy
from atrc.bench._search_step import endless_search
from atrc.config import Config, load_config
from atrc.setup import Setup
from atrc.training.learner import SearchLearner, WeightLearner
from searchspace import Genotype, InputError
from strategies import OneShotStrategy
from strategies._base import spawn_seed

__all__ = ["FoundStep", "TimedStep", "found_step", "multi_step", "search_step_of", "step"]

_REFERENCE = ("model.fused=false", "model.contexts.local.form=tiled")


@dataclass(frozen=True)
class TimedStep:
    """A training step that tells a clock its parts.

    Attributes:
        clock: The clock.
        take: Function that loads a batch and makes a step.
    """

    clock: Clock
    take: Callable[[], object]

    def run(self) -> Mapping[str, float]:
        """Makes a step. Returns part -> seconds."""
        self.clock.start()
        self.take()
        return self.clock.stop()


@dataclass(frozen=True)
class FoundStep:
    """What was measured of a step.

    Attributes:
        ours: Part -> seconds, for every round.
        reference: The same of the reference form.
        operators: Number of operators in our form, without those of loading; see `atrc.bench._counts.Counts`.
        views: Number of views and allocations.
        flops: Number of floating-point operations of our form; see the same.
    """

    ours: Sequence[Mapping[str, float]]
    reference: Sequence[Mapping[str, float]]
    operators: int
    views: int
    flops: int

    def numbers(self, peak: float) -> dict[str, Any]:
        """Returns all numbers, times in milliseconds, with loading.

        ``share_of_peak`` is the arithmetic of our form per time and peak. It may exceed 1: torch's convolutions can
        be faster than its matrix product.

        Args:
            peak: Floating-point operations per second of a large matrix product.
        """
        ms, reference_ms = _median_ms(self.ours), _median_ms(self.reference)
        return {
            "ms": ms,
            "quartiles_ms": _quartiles_ms(self.ours),
            "parts": _parts_ms(self.ours),
            "operators": self.operators,
            "views": self.views,
            "gflop": self.flops / 1e9,
            "share_of_peak": self.flops / (ms / 1e3) / peak,
            "reference_ms": reference_ms,
            "reference_quartiles_ms": _quartiles_ms(self.reference),
            "reference_parts": _parts_ms(self.reference),
            "times_faster": reference_ms / ms,
        }


@PRESET_BENCHMARKS.register("step")
def step(preset: str, overrides: Sequence[str], setting: Setting) -> Outcome:
    """Times the parts of a training step: of the search, of a found network, of the multi-task baseline."""
    configs = load_config(preset, overrides), load_config(preset, [*overrides, *_REFERENCE])
    product = Product(setting)
    with tqdm(total=len(_CASES) * setting.repeats, desc=f"step of {preset}", unit="round", disable=None) as bar:
        found = {name: _measured(case, configs, setting, product, bar) for name, case in _CASES.items()}
    peak = statistics.median(product.rates)  # as the times that are compared with it
    numbers = {name: one.numbers(peak) for name, one in found.items()}
    return Outcome(
        f"step: {preset}, peak {peak / 1e9:.1f} GFLOP/s",
        _columns(numbers),
        {"preset": preset, "peak_gflops": peak / 1e9, **numbers},
    )


def search_step_of(config: Config, setting: Setting) -> TimedStep:
    """Builds the supernet of a config, and returns a step of its one-shot search.

    Raises:
        InputError: The strategy of the config is not one-shot.
    """
    device, training, seed = setting.device, config.search, 0
    setup = Setup.of(config)
    strategy = setup.strategy(seed)
    if not isinstance(strategy, OneShotStrategy):
        raise InputError(
            f"strategy {strategy.name!r} of {config.name} trains no supernet, so its search has no steps to time; "
            "set a one-shot strategy, e.g. -s 'strategy={name: gumbel_entropy}'"
        )
    train = held_out = setup.train()
    setup.fit(train)
    torch.manual_seed(seed)
    supernet = setup.supernet(pretrained=False).to(device)
    learner = SearchLearner(supernet, training, bfloat16=config.precision == "bfloat16")
    clock = Clock.of(device)
    time_parts(supernet, clock)
    time_strategy(supernet, clock)
    batches = setup.batches(train, training, seed=seed, device=device)
    of_held_out = setup.batches(held_out, training, seed=spawn_seed(seed, 4), device=device)
    search = endless_search(setup, strategy, learner, Feed(batches, device, clock), Feed(of_held_out, device, clock))
    steps = (event for event in search if event.kind == "step")
    return TimedStep(clock, lambda: next(steps))


def found_step(config: Config, setting: Setting) -> TimedStep:
    """Builds the network of a genotype that is drawn from a config's space, and returns a step of its training."""
    return _training_step(config, setting, lambda setup: setup.space.sample(random.Random(0)))


def multi_step(config: Config, setting: Setting) -> TimedStep:
    """Builds the multi-task baseline of a config, and returns a step of its training."""
    return _training_step(config, setting, lambda _: None)


def _training_step(config: Config, setting: Setting, genotype_of: Callable[[Setup], Genotype | None]) -> TimedStep:
    device, setup = setting.device, Setup.of(config)
    train = setup.train()
    setup.fit(train)
    torch.manual_seed(0)
    network: Any = setup.network("multi", genotype_of(setup), pretrained=False).to(device)
    learner = WeightLearner(network, config.train, bfloat16=config.precision == "bfloat16")
    clock = Clock.of(device)
    time_parts(network, clock)
    batches = Feed(setup.batches(train, config.train, seed=0, device=device), device, clock).iterate()
    numbers = iter(range(10**9))
    return TimedStep(clock, lambda: learner.step(next(batches), next(numbers) % config.train.steps))


_CASES: Mapping[str, Callable[[Config, Setting], TimedStep]] = {
    "search": search_step_of,
    "found": found_step,
    "multi": multi_step,
}


def _measured(
    case: Callable[[Config, Setting], TimedStep],
    configs: Sequence[Config],
    setting: Setting,
    product: Product,
    bar: tqdm[Any],
) -> FoundStep:
    """Measures a step in our form and in the reference form, in turns. ``configs`` are those of the two forms."""
    ours, reference = (case(config, setting) for config in configs)
    for _ in range(1 if setting.quick else 2):  # they load code, and fill what is kept between steps
        ours.run()
        reference.run()
    times: list[Mapping[str, float]] = []
    of_reference: list[Mapping[str, float]] = []
    for _ in range(setting.repeats):
        # A step after a large product begins with a cold cache, which no step of a training does.
        product.measure()
        reference.run()
        times.append(ours.run())
        of_reference.append(reference.run())
        bar.update()
    with counting(lambda: ours.clock.part != LOADING) as counts:
        ours.run()
    return FoundStep(times, of_reference, counts.operators, counts.views, counts.flops)


def _median_ms(times: Sequence[Mapping[str, float]]) -> float:
    return 1e3 * statistics.median(sum(one.values()) for one in times)


def _quartiles_ms(times: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    totals = [1e3 * sum(one.values()) for one in times]
    low, _, high = statistics.quantiles(totals, n=4) if len(totals) > 1 else totals * 3
    return low, high


def _parts_ms(times: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns part -> milliseconds of the median step. Shares are medians, and together the whole step.

    Other load of the machine stretches a whole step, so that shares vary less than times.
    """
    shares = {part: statistics.median(one[part] / sum(one.values()) for one in times) for part in PARTS}
    of_share = _median_ms(times) / sum(shares.values())
    return {part: of_share * share for part, share in shares.items()}


def _columns(numbers: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Returns the columns of the table: a row for the step, for each of its parts, and for its rates."""
    heads = "step, ms", *(f"  {part}" for part in PARTS), "operators", "views", "GFLOP", "share of peak"
    columns = {"": [*heads, "reference form, ms", "times faster"]}
    for name, of in numbers.items():
        columns[name] = [f"{ms:.1f} {ms / of['ms']:5.0%}" for ms in (of["ms"], *of["parts"].values())]
        columns[name] += [f"{of['operators']}", f"{of['views']}", f"{of['gflop']:.2f}", f"{of['share_of_peak']:.0%}"]
        columns[name] += [f"{of['reference_ms']:.1f}", f"{of['times_faster']:.2f}"]
    return columns
