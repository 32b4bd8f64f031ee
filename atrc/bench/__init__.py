"""Benchmarks that compare our implementations with plain ones, interleaved in one process."""

from atrc.bench import (  # noqa: F401  (they register)
    _boundaries,
    _loader,
    _local,
    _metrics,
    _scaling,
    _search_step,
    _step,
    _strategies,
    _supergraph,
    _validation,
)
from atrc.bench._base import BENCHMARKS, PRESET_BENCHMARKS, Case, Outcome, Setting
from atrc.bench._measure import Measurement, measure
from atrc.bench._profile import Operator, profiled

__all__ = [
    "BENCHMARKS",
    "PRESET_BENCHMARKS",
    "Case",
    "Measurement",
    "Operator",
    "Outcome",
    "Setting",
    "measure",
    "profiled",
]
