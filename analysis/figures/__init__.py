"""Drawings of the paper's analyses. Each takes the table that a function of `analysis` computed."""

from analysis.figures._agreement import draw_agreement
from analysis.figures._anytime import draw_anytime
from analysis.figures._curves import draw_curves
from analysis.figures._delta_m import draw_delta_m
from analysis.figures._genotypes import draw_genotypes
from analysis.figures._pareto import draw_pareto
from analysis.figures._proportions import draw_proportions
from analysis.figures._ranks import draw_ranks
from analysis.figures._sampled import draw_sampled
from analysis.figures._scaling import draw_scaling
from analysis.figures._trajectory import draw_trajectory
from analysis.figures.save import save_figure
from analysis.figures.style import context_colours, context_titles, paper_style, short_labels

__all__ = [
    "context_colours",
    "context_titles",
    "draw_agreement",
    "draw_anytime",
    "draw_curves",
    "draw_delta_m",
    "draw_genotypes",
    "draw_pareto",
    "draw_proportions",
    "draw_ranks",
    "draw_sampled",
    "draw_scaling",
    "draw_trajectory",
    "paper_style",
    "save_figure",
    "short_labels",
]
