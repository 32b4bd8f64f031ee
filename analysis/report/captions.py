"""What the report says below each kind of figure: what is shown, and what an error bar is."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CAPTIONS", "CHAPTERS", "Caption"]


class Caption(NamedTuple):
    """Title and explanation of a figure.

    Attributes:
        title: What is shown.
        text: How to read it.
    """

    title: str
    text: str


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
        "Relative gain over the single-task networks, task by task: of what the search found, run with the weights "
        "of the supernet, and trained from scratch. Bars: one standard deviation of a run.",
    ),
    "ranks": Caption(
        "Does the supernet rank genotypes as retraining does?",
        "A dot per search: Δm with the weights of the supernet against Δm retrained. Intervals: 95 %, bootstrap over "
        "searches.",
    ),
    "proportions": Caption(
        "What was chosen (Fig. 7)",
        "Share of every context type, over all blocks and all searches. Bars: 95 % bootstrap interval over searches.",
    ),
    "recovery": Caption(
        "What was found of what was planted",
        "This dataset says which context each pair of tasks needs. Bars: share of these blocks that searches gave "
        "the right context, with its 95 % bootstrap interval over searches. Dashed: what genotypes drawn by chance "
        "reach. Pairs that need nothing do not count.",
    ),
    "recovery_confusion": Caption(
        "What was taken for what",
        "Rows: the context that was planted; columns: the one that was found. Numbers are blocks, over all searches. "
        "A pair that needs nothing has no wrong answer.",
    ),
    "recovery_importance": Caption(
        "Are the planted blocks the important ones?",
        "Of every target of a trained network, as many blocks as were planted in its row: those of largest "
        "importance. Bars: share of them that were planted, with its 95 % bootstrap interval over networks. Dashed: "
        "chance. Rows in which every block was planted, or none, say nothing and are left out.",
    ),
    "recovery_samples": Caption(
        "Recovery against the budget",
        "Share of planted blocks that were found, by searches that take more images or fewer. Bands: 95 % bootstrap "
        "interval over searches.",
    ),
    "recovery_strength": Caption(
        "Recovery against strength",
        "Share of planted blocks that were found, where labels depend on them more or less. Bands: 95 % bootstrap "
        "interval over searches.",
    ),
    "recovery_noise": Caption(
        "Recovery against noise",
        "Share of planted blocks that were found, where labels hold more noise or less. Bands: 95 % bootstrap "
        "interval over searches.",
    ),
    "trees": Caption(
        "Which tasks share which stages of the backbone",
        "What every search found, from the image to the heads. A box is one copy of a stage, with a tile for every "
        "task that runs through it. Separate backbones would have a box for every task at every stage: the title "
        "says how many there are instead, and with which share of the multiply-adds. Two searches are alike in a "
        "pair of tasks and a stage where the pair shares the stage in both trees, or in neither.",
    ),
    "agreement": Caption(
        "How reliably it was chosen",
        "Share of pairs of searches that picked the same context, block by block. Rows are targets, columns sources.",
    ),
    "distances": Caption(
        "How far searches lie apart",
        "In how many blocks two found genotypes differ; the tree joins the nearest ones first.",
    ),
    "importance": Caption(
        "What every source is worth to every target (Fig. 6)",
        "How far Δm falls when the output of a block is permuted over the held-out images, so that images get what "
        "was computed for others. A block that is cut is worth exactly 0.",
    ),
    "importance_agreement": Caption(
        "Is the choice more reliable where it matters?",
        "A dot per block. The paper reports a correlation of 0.43. Intervals: 95 %, bootstrap over blocks.",
    ),
    "attention": Caption(
        "Where a pixel looks (Fig. 3)",
        "What the pixel under the cross takes from its own task's map, in the context that was chosen; each map is "
        "scaled to its largest weight.",
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
        "Mean over seeds, and their range. Losses sum different terms in different networks: they show that a "
        "training went well, and rank nothing.",
    ),
}
"""Kind of figure -> caption."""

CHAPTERS = {
    "Performance": ("delta_m", "resources", "sampled", "ranks"),
    "What was planted, and found": (
        "recovery",
        "recovery_confusion",
        "recovery_importance",
        "recovery_samples",
        "recovery_strength",
        "recovery_noise",
    ),
    "What was found": ("trees", "proportions", "agreement", "distances"),
    "What matters": ("importance", "importance_agreement", "attention"),
    "Predictions": ("predictions",),
    "How it went": ("trajectory", "freezing", "curves"),
}
"""Chapters of an experiment, and the kinds of figures in each, in order."""
