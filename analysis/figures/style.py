"""One look for all figures: sizes, fonts, and colours that colour-blind readers can tell apart.

Drawing functions wrap themselves in ``paper_style()`` and make their own `Figure`; nothing touches pyplot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from searchspace import NONE

__all__ = [
    "COLUMN",
    "INK",
    "MANY",
    "MOST_PATHS",
    "PAGE",
    "TASKS",
    "context_colours",
    "context_titles",
    "legend_columns",
    "letter_axes",
    "model_colours",
    "new_figure",
    "paper_style",
    "short_labels",
    "shown",
    "task_colours",
    "task_labels",
    "text_colour",
]

COLUMN = 3.45
"""Width in inches of a figure in one column of a two-column paper."""
PAGE = 7.1
"""Width in inches of a figure over both columns."""
INK = "#262626"
MUTED = "#8A8A8A"

# Okabe and Ito's palette, with a light grey for the block that passes nothing on.
_CONTEXTS = {NONE: "#D9D9D9", "global": "#0072B2", "local": "#E69F00", "t_label": "#009E73", "s_label": "#CC79A7"}
_FURTHER = ("#D55E00", "#56B4E9", "#F0E442", "#000000")
_TITLES = {NONE: "none", "t_label": "T-label", "s_label": "S-label"}
_SHORT = {NONE: "–", "global": "G", "local": "L", "t_label": "T", "s_label": "S"}

# From the same palette, since a figure of tasks shows no contexts.
_TASKS = {
    "semseg": "#0072B2",
    "depth": "#E69F00",
    "human_parts": "#56B4E9",
    "saliency": "#D55E00",
    "normals": "#009E73",
    "edge": "#CC79A7",
}
TASKS = tuple(_TASKS)
"""Known tasks, in the order of legends."""

# A tint for what is sampled from a supergraph, the full colour for the same architecture retrained, a shade for the
# one network of all searches.
_MODELS = {"single": MUTED, "multi": "#56B4E9", "search": "#F3B48B", "retrain": "#D55E00", "consensus": "#7A3600"}


def paper_style() -> AbstractContextManager[None]:
    """Sets the look of figures for a ``with`` block."""
    return matplotlib.rc_context(
        {
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            "font.size": 8,
            "axes.titlesize": 8.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 8,
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "axes.linewidth": 0.7,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.grid": False,
            "grid.color": "#E4E4E4",
            "grid.linewidth": 0.6,
            "xtick.labelsize": 7.5,
            "ytick.labelsize": 7.5,
            "xtick.major.width": 0.7,
            "ytick.major.width": 0.7,
            "xtick.major.size": 3,
            "ytick.major.size": 3,
            "legend.fontsize": 7.5,
            "legend.frameon": False,
            "legend.title_fontsize": 7.5,
            "lines.linewidth": 1.3,
            "svg.hashsalt": "atrc",
        }
    )


def new_figure(width: float, height: float) -> Figure:
    """Creates a white figure, sizes in inches, that keeps its labels apart."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def context_colours(contexts: Iterable[str]) -> dict[str, str]:
    """Context type -> colour. The paper's five always have the same; others take further ones by name."""
    return _with_further(contexts, _CONTEXTS, _FURTHER)


def task_colours(tasks: Iterable[str]) -> dict[str, str]:
    """Task -> colour. Known ones always have the same; others take further ones by name."""
    return _with_further(tasks, _TASKS, [colour for colour in _FURTHER if colour not in _TASKS.values()])


def _with_further(names: Iterable[str], known: Mapping[str, str], further: Sequence[str]) -> dict[str, str]:
    """Name -> colour: the known one, or one of the further ones, in alphabetical order; as many as are needed."""
    named = list(dict.fromkeys(names))
    others = sorted(set(named) - set(known))
    spare = [*further, *_hues(len(others) - len(further))]
    return {name: known[name] if name in known else spare[others.index(name)] for name in named}


def _hues(number: int) -> list[str]:
    """As many colours of equal lightness; none for a negative number."""
    if number <= 0:
        return []
    import seaborn as sns  # imported here, since a figure seldom has that many colours

    colours: list[str] = sns.husl_palette(number, l=0.45).as_hex()
    return colours


def context_titles(contexts: Iterable[str]) -> dict[str, str]:
    """Context type -> its name in legends."""
    return {name: _TITLES.get(name, name.replace("_", " ")) for name in contexts}


def short_labels(contexts: Iterable[str]) -> dict[str, str]:
    """Context type -> a letter or a few that fit on a tile; as many as tell further types apart.

    Names of two letters are left as they are.
    """
    names = list(dict.fromkeys(contexts))
    labels = {name: _SHORT[name] for name in names if name in _SHORT}
    taken = set(_SHORT.values())
    for name in sorted(set(names) - set(_SHORT)):
        begins = [name[:n].capitalize() for n in range(1, len(name))] if len(name) > 2 else []
        label = next((begin for begin in begins if begin not in taken), name)
        labels[name] = label
        taken.add(label)
    return {name: labels[name] for name in names}


def task_labels(tasks: Iterable[str]) -> dict[str, str]:
    """Task -> as many of its first letters as no other one begins with, for a tile."""
    titles = {name: name.replace("_", " ").capitalize() for name in tasks}
    begin = Counter(title[:n] for title in titles.values() for n in range(1, len(title) + 1))
    return {
        name: next((title[:n] for n in range(1, len(title)) if title[n - 1] != " " and begin[title[:n]] == 1), title)
        for name, title in titles.items()
    }


def model_colours(models: Sequence[str]) -> dict[str, str]:
    """Model -> colour: the same for the named ones in every figure, distinct ones for the others."""
    colours = _MODELS | {f"all-{context}": colour for context, colour in _CONTEXTS.items()}
    others = [model for model in models if model not in colours]
    taken = {colours[model] for model in models if model in colours}
    spare = [colour for colour in (*_CONTEXTS.values(), *_FURTHER) if colour not in taken | {_CONTEXTS[NONE]}]
    spare += _hues(len(others) - len(spare))
    return {model: colours.get(model) or spare[others.index(model)] for model in models}


def kind_colours() -> dict[str, str]:
    """Kind of strategy -> colour."""
    return {"one-shot": _CONTEXTS["global"], "multi-trial": _FURTHER[0]}


MANY = 24
"""Most things of one kind that a figure shows one by one, or names; of more it shows some, or all without names."""


MOST_PATHS = 1000
"""Most lines or dots that are drawn as such; more become an image, since a vector graphic would grow with them."""


def shown(names: Sequence[str], most: int = MANY) -> list[str]:
    """The names, if they are not too many; else the first ones, and the last one, which may sum up the others."""
    return list(names) if len(names) <= most else [*names[: most - 1], names[-1]]


def legend_columns(entries: int, most: int = 6) -> int:
    """Number of columns of a legend, such that its rows are equally full."""
    return -(-entries // -(-entries // most))


def text_colour(background: str) -> str:
    """Black or white, whichever reads better on the colour."""
    red, green, blue = to_rgb(background)
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.52 else "white"


def letter_axes(axes: Iterable[Axes], titles: Iterable[str]) -> None:
    """Gives axes the titles ``(a) ...``, ``(b) ...``."""
    for letter, ax, title in zip("abcdefghijkl", axes, titles, strict=False):
        ax.set_title(f"({letter}) {title}")
