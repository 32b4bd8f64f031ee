"""Colours and labels of context types hold over figures, for a user's own types as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.figures import context_colours, save, save_figure, short_labels
from analysis.figures.style import legend_columns, model_colours, new_figure
from searchspace import CANDIDATES


def test_known_contexts_keep_their_colour_beside_others() -> None:
    alone, beside = context_colours(CANDIDATES), context_colours(["strip", *CANDIDATES])
    assert {name: beside[name] for name in CANDIDATES} == alone
    assert len(set(beside.values())) == len(CANDIDATES) + 1


def test_many_contexts_have_many_colours() -> None:
    names = [*CANDIDATES, *(f"own{i}" for i in range(12))]
    assert len(set(context_colours(names).values())) == len(names)


def test_short_labels_differ() -> None:
    labels = short_labels([*CANDIDATES, "global_pool", "strip", "stripes", "l"])
    assert labels["global"] == "G"
    assert len(set(labels.values())) == len(labels)


def test_models_of_one_figure_differ() -> None:
    models = ["multi", "all-global", "all-local", "pad_net", "cross_stitch", "search", "retrain"]
    assert len(set(model_colours(models).values())) == len(models)


def test_legend_rows_are_equally_full() -> None:
    assert [legend_columns(n) for n in (1, 6, 7, 12, 13)] == [1, 6, 4, 6, 5]


def test_a_pdf_embeds_truetype_fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(save, "FONT_TYPE", 42)  # what figures have outside of tests
    figure = new_figure(1, 1)
    figure.text(0.5, 0.5, "words")
    pdf, _, _ = save_figure(figure, tmp_path, "words")
    assert b"/CIDFontType2" in pdf.read_bytes()
