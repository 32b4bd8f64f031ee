"""Captions of the report: what a kind of figure shows, and what its error bars are; and the order of figures."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.output import Caption

__all__ = ["CAPTIONS", "CHAPTERS", "FOUND", "LOOKED_UP"]


CAPTIONS = {
    "delta_m": Caption(
        "Multi-task performance",
        "Δm: mean relative gain over the single-task networks. Small dots are runs, large ones their mean; bars are "
        "one standard deviation of a run.",
    ),
    "resources": Caption(
        "Performance against resources (Fig. 5)",
        "Δm of every model against its parameters and its multiply-adds for one image. Bars: one standard deviation "
        "of a run.",
    ),
    "sampled": Caption(
        "Sampled or retrained (Fig. 4)",
        "Relative gain over the single-task networks, task by task, of the found network with the weights of the "
        "supernet, and of the network trained from scratch. Bars: one standard deviation of a run.",
    ),
    "ranks": Caption(
        "Does the supernet rank genotypes as retraining does?",
        "A dot per search: Δm with the weights of the supernet against Δm retrained. Intervals: 95 %, bootstrap over "
        "searches.",
    ),
    "recovery": Caption(
        "Which planted blocks were found?",
        "This dataset says which context each pair of tasks needs. Bars: share of these blocks that searches gave "
        "the right context, with its 95 % bootstrap interval over searches. Dashed: the share that random "
        "genotypes reach. Pairs that need nothing do not count.",
    ),
    "recovery_confusion": Caption(
        "Which contexts were confused?",
        "Rows: the context that was planted; columns: the one that was found. Numbers are blocks, over all searches. "
        "A pair that needs nothing has no wrong answer.",
    ),
    "recovery_importance": Caption(
        "Are the planted blocks the important ones?",
        "From the row of every target of a trained network, the most important blocks are taken, as many as were "
        "planted in it. Bars: share of them that were planted, with its 95 % bootstrap interval over networks. "
        "Dashed: chance. Rows in which every block was planted, or none, say nothing and are left out.",
    ),
    "recovery_samples": Caption(
        "Recovery against the budget",
        "Share of planted blocks that were found, by number of images per search. Bands: 95 % bootstrap "
        "interval over searches.",
    ),
    "recovery_strength": Caption(
        "Recovery against strength",
        "Share of planted blocks that were found, by strength of their effect on labels. Bands: 95 % bootstrap "
        "interval over searches.",
    ),
    "recovery_noise": Caption(
        "Recovery against noise",
        "Share of planted blocks that were found, by amount of noise in labels. Bands: 95 % bootstrap "
        "interval over searches.",
    ),
    "regret": Caption(
        "How far behind the best genotype?",
        "A table knows what every genotype of this space reaches. Dots: searches, by how far the mean of what they "
        "found is behind the best mean; diamonds: means with their 95 % bootstrap interval over searches. Dashed: a "
        "random genotype.",
    ),
    "predictions": Caption(
        "Predictions beside the ground truth",
        "Images of the validation split, with the metric of each image alone. A network is shown by its first run.",
    ),
    "trajectory": Caption(
        "How the search decided",
        "Probabilities of the candidates that won in the end, their entropy, the annealing, and how many choices are "
        "frozen.",
    ),
    "freezing": Caption(
        "When choices froze",
        "A dot per search and choice, at the logged step after which it no longer changed; hollow: never.",
    ),
    "curves": Caption(
        "Training losses",
        "Mean over seeds, and their range. Losses sum different terms in different networks: they show whether a "
        "training went well, but cannot rank networks.",
    ),
}
"""Kind of figure -> caption, for kinds that hold for every space; see also `analysis.views.SpaceView.captions`."""

LOOKED_UP = {
    "lookup_trials": Caption(
        "Regret against trials",
        "How far the mean of the genotype that a strategy would name is behind the best one. Bands: 95 % bootstrap "
        "interval over searches.",
    ),
    "lookup_samples": Caption(
        "Regret against images",
        "The same against the images that the trainings took: short trials and repeated genotypes cost less. Bands: "
        "95 % bootstrap interval over searches.",
    ),
    "lookup_ranks": Caption(
        "Critical differences",
        "Mean rank of every strategy among the strategies, over seeds. A bar joins those that Nemenyi's test after "
        "Friedman's does not separate. Only seeds that all strategies have count.",
    ),
}
"""Captions of searches of a table."""

FOUND = "What was found"
"""Chapter of the genotypes."""

CHAPTERS: Mapping[str, tuple[str, ...]] = {
    "Performance": ("delta_m", "resources", "sampled", "ranks"),
    "What was planted, and found": (
        "regret",
        "recovery",
        "recovery_confusion",
        "recovery_importance",
        "recovery_samples",
        "recovery_strength",
        "recovery_noise",
    ),
    FOUND: ("trees", "proportions", "agreement", "distances"),
    "What matters": ("importance", "importance_agreement", "attention"),
    "Predictions": ("predictions",),
    "How it went": ("trajectory", "freezing", "curves"),
}
"""Chapters of an experiment, and the kinds of figures in each, in order."""
