"""What the runs say: tables, figures and reports from run directories. Nothing here trains.

A notebook needs these names first. Everything else is imported from the module that defines it, e.g.
``from analysis.agreement import agreement``. Modules are loaded when they are first asked for.

>>> from analysis import analyze, load_runs, summary  # doctest: +SKIP
>>> analyze(["runs/demo"], "runs/demo/analysis").notes  # doctest: +SKIP
"""

from pkgutil import iter_modules
from typing import TYPE_CHECKING

import lazy_loader

import atrc._moved  # noqa: F401 - former names of modules

if TYPE_CHECKING:
    from analysis.comparison import compare_strategies
    from analysis.correlation import correlate
    from analysis.differences import compare
    from analysis.genotypes import matrices, proportions
    from analysis.load import Runs, load_runs
    from analysis.multitask import summarize, with_delta_m
    from analysis.output import Analysis
    from analysis.overview import analyze
    from analysis.paper.tables import paper_table
    from analysis.predictions import prediction_examples
    from analysis.report import write_report
    from analysis.sampled import sampled_against_retrained
    from analysis.screen import summary
else:
    # No name here may be that of a module: it would hide the module.
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submodules=[module.name for module in iter_modules(__path__)],
        submod_attrs={
            "comparison": ["compare_strategies"],
            "correlation": ["correlate"],
            "differences": ["compare"],
            "genotypes": ["matrices", "proportions"],
            "load": ["Runs", "load_runs"],
            "multitask": ["summarize", "with_delta_m"],
            "output": ["Analysis"],
            "overview": ["analyze"],
            "paper.tables": ["paper_table"],
            "predictions": ["prediction_examples"],
            "report": ["write_report"],
            "sampled": ["sampled_against_retrained"],
            "screen": ["summary"],
        },
    )

__all__ = [
    "Analysis",
    "Runs",
    "analyze",
    "compare",
    "compare_strategies",
    "correlate",
    "load_runs",
    "matrices",
    "paper_table",
    "prediction_examples",
    "proportions",
    "sampled_against_retrained",
    "summarize",
    "summary",
    "with_delta_m",
    "write_report",
]
