"""Draws docs/figures/architecture.svg: the rooms of the code, what flows between them, and which way imports go.

Run it from the root of the repository: ``python docs/figures/architecture.py``.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

WIDTH, LEFT, ROW, GAP = 1000, 196, 34, 10
INK, LINE, FAINT = "#222222", "#8A9099", "#5F6368"
FLOORS = {
    "": ("analysis", ["report", "paper", "screen", "overview", "comparison", "views", "figures", "load"]),
    "many runs": ("atrc", ["cli", "bench", "experiments"]),
    "one run": ("atrc", ["training", "inference"]),
    "one config": ("atrc", ["setup", "supernets", "networks"]),
    "parts": (
        "atrc",
        ["data", "tasks", "necks", "heads", "distillation", "contexts", "backbones", "metrics", "trackers"],
    ),
    "ground": ("atrc", ["costs", "runs", "engines", "config", "machine", "layers"]),
    " ": ("strategies", ["search", "adapters", "one_shot", "multi_trial", "step", "base"]),
    "  ": ("searchspace", ["cp", "bmtas", "space", "genotype", "selection", "costs", "registry"]),
}
"""The floors of the house, from the top: package and rooms."""
COLOURS = {"analysis": "#F2EAF6", "atrc": "#E8F1F8", "strategies": "#E9F5EC", "searchspace": "#FBF3E0"}


def box(x: float, y: float, width: float, height: float, colour: str, text: str, size: int = 13) -> str:
    middle = f'x="{x + width / 2:g}" y="{y + height / 2 + size * 0.35:g}"'
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" fill="{colour}" stroke="{LINE}"/>\n'
        f'<text {middle} font-size="{size}" text-anchor="middle">{escape(text)}</text>\n'
    )


def floors() -> tuple[str, float]:
    """The floors with their rooms, and the height that they take."""
    drawn, y, seen = "", 56.0, ""
    inside = WIDTH - LEFT - 110
    for floor, (package, rooms) in FLOORS.items():
        if package != seen:
            y += 12 if seen else 0
            drawn += f'<text x="16" y="{y + ROW / 2 + 5:g}" font-weight="bold">{package}/</text>\n'
        seen = package
        drawn += f'<text x="{LEFT - 14}" y="{y + ROW / 2 + 5:g}" text-anchor="end" fill="{FAINT}">{floor}</text>\n'
        width = (inside - 6 * (len(rooms) - 1)) / len(rooms)
        for place, room in enumerate(rooms):
            size = 12 if len(rooms) > 7 else 13
            drawn += box(LEFT + place * (width + 6), y, width, ROW, COLOURS[package], room, size)
        y += ROW + GAP
    return drawn, y


def main() -> None:
    drawn, bottom = floors()
    right, height = WIDTH - 88, bottom + 12
    flow = "config  →  setup  →  networks, data, space  →  training  →  run directory  →  analysis"
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
        f'height="{height:g}" role="img" font-family="Helvetica, Arial, \'Liberation Sans\', sans-serif" '
        f'font-size="14" fill="{INK}">\n'
        "<title>The rooms of the code: a room imports only rooms below it</title>\n"
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0.6 L7.4 4 L0 7.4 Z" fill="{LINE}"/></marker></defs>\n'
        f'<rect width="{WIDTH}" height="{height:g}" fill="#FFFFFF"/>\n'
        f'<text x="{WIDTH / 2:g}" y="30" text-anchor="middle">{flow}</text>\n'
        f"{drawn}"
        f'<path d="M{right} 60 V{bottom - 16:g}" fill="none" stroke="{LINE}" stroke-width="1.6" '
        'marker-end="url(#a)"/>\n'
        f'<text x="{right + 10}" y="{bottom / 2 - 8:g}" fill="{FAINT}">imports</text>\n'
        f'<text x="{right + 10}" y="{bottom / 2 + 10:g}" fill="{FAINT}">go down</text>\n'
        "</svg>\n"
    )
    Path(__file__).with_suffix(".svg").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
