"""What the runs say: reads run directories, and never trains.

>>> from analysis import analyze, load_runs, summary  # doctest: +SKIP
>>> analyze(["runs/demo"], Path("runs/demo/analysis")).notes  # doctest: +SKIP
"""

from analysis.agreement import Agreement, agreement, fleiss_kappa, krippendorff_alpha
from analysis.attention import AttentionMap, attention_maps, attention_table
from analysis.blocks import Blocks
from analysis.bootstrap import bootstrap, bootstrap_difference, bootstrap_mean
from analysis.comparison import Comparison, compare
from analysis.correlation import correlate
from analysis.genotypes import conditions, consensus, distances, matrices, matrix, proportions
from analysis.importance import block_importance, permuted_metrics
from analysis.load import Runs, TaskInfo, load_runs
from analysis.multitask import baselines, gains, summarize, with_delta_m
from analysis.notes import notes
from analysis.overview import Analysis, Drawing, analyze
from analysis.predictions import Example, examples_table, prediction_examples
from analysis.sampled import ranked_by_stage, sampled_against_retrained
from analysis.screen import summary
from analysis.source_importance import (
    has_blocks,
    importance_against_agreement,
    measure_importance,
    source_importance,
)
from analysis.trajectory import block_probabilities, freeze_times, search_trajectory, training_curves
from analysis.trees import TreeAgreement, same_trees, stage_costs, tree_agreement, trees

__all__ = [
    "Agreement",
    "Analysis",
    "AttentionMap",
    "Blocks",
    "Comparison",
    "Drawing",
    "Example",
    "Runs",
    "TaskInfo",
    "TreeAgreement",
    "agreement",
    "analyze",
    "attention_maps",
    "attention_table",
    "baselines",
    "block_importance",
    "block_probabilities",
    "bootstrap",
    "bootstrap_difference",
    "bootstrap_mean",
    "compare",
    "conditions",
    "consensus",
    "correlate",
    "distances",
    "examples_table",
    "fleiss_kappa",
    "freeze_times",
    "gains",
    "has_blocks",
    "importance_against_agreement",
    "krippendorff_alpha",
    "load_runs",
    "matrices",
    "matrix",
    "measure_importance",
    "notes",
    "permuted_metrics",
    "prediction_examples",
    "proportions",
    "ranked_by_stage",
    "same_trees",
    "sampled_against_retrained",
    "search_trajectory",
    "source_importance",
    "stage_costs",
    "summarize",
    "summary",
    "training_curves",
    "tree_agreement",
    "trees",
    "with_delta_m",
]
