"""Drawings of the paper's analyses. Each takes the table that a function of `analysis` computed.

Modules are loaded when they are first asked for, so that a process which only writes figures starts quickly.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from analysis.figures._agreement import draw_agreement
    from analysis.figures._anytime import draw_anytime
    from analysis.figures._attention import draw_attention
    from analysis.figures._choices import draw_choices
    from analysis.figures._correlation import draw_correlation
    from analysis.figures._curves import draw_curves
    from analysis.figures._delta_m import draw_delta_m
    from analysis.figures._distances import draw_distances
    from analysis.figures._freezing import draw_freezing
    from analysis.figures._genotypes import draw_genotypes
    from analysis.figures._importance import draw_importance
    from analysis.figures._lookup import draw_lookup
    from analysis.figures._pareto import draw_pareto
    from analysis.figures._precision_recall import draw_precision_recall
    from analysis.figures._predictions import draw_predictions
    from analysis.figures._proportions import draw_proportions
    from analysis.figures._ranks import draw_ranks
    from analysis.figures._recovery import draw_confusion, draw_recovery, draw_recovery_against
    from analysis.figures._resources import draw_resources
    from analysis.figures._sampled import draw_sampled
    from analysis.figures._scaling import draw_scaling
    from analysis.figures._trajectory import draw_trajectory
    from analysis.figures._trees import draw_trees
    from analysis.figures.formats import FORMATS, check_formats
    from analysis.figures.press import Press
    from analysis.figures.save import save_figure, write_figure
    from analysis.figures.style import (
        context_colours,
        context_titles,
        paper_style,
        short_labels,
        task_colours,
        task_labels,
    )
    from analysis.figures.words import BLOCKS, CHOICES, Words
else:
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "_agreement": ["draw_agreement"],
            "_anytime": ["draw_anytime"],
            "_attention": ["draw_attention"],
            "_choices": ["draw_choices"],
            "_correlation": ["draw_correlation"],
            "_curves": ["draw_curves"],
            "_delta_m": ["draw_delta_m"],
            "_distances": ["draw_distances"],
            "_freezing": ["draw_freezing"],
            "_genotypes": ["draw_genotypes"],
            "_importance": ["draw_importance"],
            "_lookup": ["draw_lookup"],
            "_pareto": ["draw_pareto"],
            "_precision_recall": ["draw_precision_recall"],
            "_predictions": ["draw_predictions"],
            "_proportions": ["draw_proportions"],
            "_ranks": ["draw_ranks"],
            "_recovery": ["draw_confusion", "draw_recovery", "draw_recovery_against"],
            "_resources": ["draw_resources"],
            "_sampled": ["draw_sampled"],
            "_scaling": ["draw_scaling"],
            "_trajectory": ["draw_trajectory"],
            "_trees": ["draw_trees"],
            "formats": ["FORMATS", "check_formats"],
            "press": ["Press"],
            "save": ["save_figure", "write_figure"],
            "style": [
                "context_colours",
                "context_titles",
                "paper_style",
                "short_labels",
                "task_colours",
                "task_labels",
            ],
            "words": ["BLOCKS", "CHOICES", "Words"],
        },
    )

__all__ = [
    "BLOCKS",
    "CHOICES",
    "FORMATS",
    "Press",
    "Words",
    "check_formats",
    "context_colours",
    "context_titles",
    "draw_agreement",
    "draw_anytime",
    "draw_attention",
    "draw_choices",
    "draw_confusion",
    "draw_correlation",
    "draw_curves",
    "draw_delta_m",
    "draw_distances",
    "draw_freezing",
    "draw_genotypes",
    "draw_importance",
    "draw_lookup",
    "draw_pareto",
    "draw_precision_recall",
    "draw_predictions",
    "draw_proportions",
    "draw_ranks",
    "draw_recovery",
    "draw_recovery_against",
    "draw_resources",
    "draw_sampled",
    "draw_scaling",
    "draw_trajectory",
    "draw_trees",
    "paper_style",
    "save_figure",
    "short_labels",
    "task_colours",
    "task_labels",
    "write_figure",
]
