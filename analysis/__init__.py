"""What the runs say: reads run directories, and never trains.

>>> from analysis import analyze, load_runs, summary  # doctest: +SKIP
>>> analyze(["runs/demo"], Path("runs/demo/analysis")).notes  # doctest: +SKIP
"""

from analysis.agreement import Agreement, agreement, fleiss_kappa
from analysis.bootstrap import bootstrap_difference, bootstrap_mean
from analysis.comparison import Comparison, compare
from analysis.genotypes import consensus, matrices, matrix, proportions
from analysis.load import Runs, TaskInfo, load_runs
from analysis.multitask import baselines, gains, summarize, with_delta_m
from analysis.notes import notes
from analysis.report import Analysis, analyze
from analysis.sampled import sampled_against_retrained
from analysis.screen import summary
from analysis.trajectory import block_probabilities, search_trajectory, training_curves

__all__ = [
    "Agreement",
    "Analysis",
    "Comparison",
    "Runs",
    "TaskInfo",
    "agreement",
    "analyze",
    "baselines",
    "block_probabilities",
    "bootstrap_difference",
    "bootstrap_mean",
    "compare",
    "consensus",
    "fleiss_kappa",
    "gains",
    "load_runs",
    "matrices",
    "matrix",
    "notes",
    "proportions",
    "sampled_against_retrained",
    "search_trajectory",
    "summarize",
    "summary",
    "training_curves",
    "with_delta_m",
]
