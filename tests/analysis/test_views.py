"""Spaces of users in the analysis: what one gets that nothing is known of, and what a view of its own changes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from rich.console import Console

from analysis import Analysis, analyze, output, summary, write_report
from analysis.comparison import genotype_agreement
from analysis.views import BMTASView, CPView, SpaceView, shared_view, view_of
from atrc.config import Compare, Config, Named, import_plugins, parse_config
from atrc.runs import Result, RunDirectory, RunSpec
from searchspace import BMTASSpace, CPSpace, ToySpace, build_space

from .conftest import ATRC, TASKS, of

SPACE = """
from searchspace import SPACES, SearchSpace


@SPACES.register("kernels")
class Kernels(SearchSpace):
    def __init__(self):
        stages = {f"stage{number}": ("k1", "k3", "k5") for number in (1, 2, 3)}
        super().__init__("kernels", stages)
"""
VIEW = """
from analysis.figures import Words, draw_proportions
from analysis.genotypes import proportions
from analysis.output import Caption
from analysis.views import VIEWS, SpaceView


@VIEWS.register("kernels")
class KernelsView(SpaceView):
    space_type = Kernels
    words = Words("stage", "Kernel", title=str.upper)
    captions = {"kernel_sizes": Caption("How wide the network looks", "Kernels of each search.")}

    def analyse(self, part, found):
        super().analyse(part, found)
        table = proportions(list(found.values())).assign(condition="kernels")
        part.figure("kernel_sizes", table, lambda: draw_proportions(table, self.words))
        part.note("kernels are odd")

    def agreement(self, genotypes):
        return 0.125

    def notes(self, runs, experiment):
        return [f"{experiment}: padding was not looked at"]
"""
INDICES = [(0, 1, 2), (0, 1, 1), (0, 2, 2)]

pytestmark = pytest.mark.usefixtures("no_plugin_left")


def experiment(folder: Path, plugin: str) -> Config:
    """Finished searches of the plugin's space, which froze; returns their config."""
    file = folder / "plugin_kernels.py"
    file.write_text(plugin)
    text = f"name: own\ndataset: {{name: rooms}}\ntasks: [{', '.join(TASKS)}]\nspace: {{name: kernels}}\n"
    config = parse_config(text, "test", [f"plugins=[{file}]"])
    import_plugins(config)
    space = build_space("kernels")
    for seed, indices in enumerate(INDICES):
        genotype = space.decode(indices)
        run = RunDirectory.create(folder / f"own/search/seed{seed}", RunSpec("search", "search", seed), config)
        run.write_genotype(genotype)
        probabilities = {choice: dict.fromkeys(options, 0.2) for choice, options in space.items()}
        for choice, option in genotype.items():
            probabilities[choice][option] = 0.6
        run.append("architecture.jsonl", {"step": 9, "frozen": ["stage1"], "probabilities": probabilities})
        run.write_result(Result(of(ATRC), 100, 800, 10.0, 1_000_000, 2_000_000_000))
    return config


def screen(made: Analysis) -> str:
    out = io.StringIO()
    console = Console(width=110, file=out)
    for part in summary(made.runs):
        console.print(part)
    return out.getvalue()


def test_a_space_without_a_view_has_the_general_analysis(tmp_path: Path) -> None:
    experiment(tmp_path, SPACE)
    made = analyze([tmp_path], tmp_path / "out")
    assert {"genotypes", "agreement", "distances", "proportions", "trajectory", "freezing"} <= set(made.figures)
    assert pd.read_csv(made.tables["agreement"])["agreement"].tolist() == pytest.approx([1, 1 / 3, 1 / 3])
    assert pd.read_csv(made.tables["distances"], index_col="run").loc["seed 1", "seed 2"] == 2
    shares = pd.read_csv(made.tables["proportions"]).set_index("context")["share"]
    assert shares.to_dict() == pytest.approx({"k1": 3 / 9, "k3": 3 / 9, "k5": 3 / 9})
    (said,) = [note for note in made.notes if "cp" in note]
    assert "importance and attention" in said
    assert said.endswith("its searches found genotypes of 'kernels'")
    text = screen(made)
    for expected in ("stage3", "consensus", "pick the same option (mean over choices)"):
        assert expected in text
    html = write_report(made).read_text()
    for expected in ("Rows: choices; columns: seed 0, seed 1, seed 2, consensus", "seed 1: k3", "choice by choice"):
        assert expected in html


def test_a_view_is_used_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, Figure] = {}
    save = output.save_figure

    def keep(figure: Figure, folder: Path, name: str, formats: Sequence[str]) -> tuple[Path, ...]:
        drawn[name] = figure
        return save(figure, folder, name, formats)

    monkeypatch.setattr(output, "save_figure", keep)
    experiment(tmp_path, SPACE + VIEW)
    made = analyze([tmp_path], tmp_path / "out")
    assert "kernel_sizes" in made.figures
    assert "own: kernels are odd" in made.notes
    assert "own: padding was not looked at" in made.notes
    assert not [note for note in made.notes if "'cp'" in note]

    def words(name: str) -> str:
        return "\n".join(text.get_text() for text in drawn[name].findobj(Text))

    assert "Kernel that the stage of panel (c) ends with" in words("trajectory")
    assert "Stages of 3 that differ" in words("distances")
    assert "Share of stages [%]" in words("proportions")
    assert "STAGE2" in words("freezing")
    assert "STAGE2" in words("genotypes")
    assert "pick the same kernel (mean over stages)" in screen(made)
    html = write_report(made).read_text()
    assert "How wide the network looks" in html
    assert 'download="kernel_sizes.csv"' in html
    assert "How reliably it was chosen" in html, "captions that hold for any space need not be repeated"


@pytest.mark.parametrize(("plugin", "expected"), [(SPACE, 5 / 9), (SPACE + VIEW, 0.125)], ids=["general", "own"])
def test_strategies_are_compared_in_any_space(plugin: str, expected: float, tmp_path: Path) -> None:
    config = experiment(tmp_path, plugin)
    compare = Compare(strategies={"random": Named(name="random")}, samples=40, points=2)
    config = config.model_copy(update={"compare": compare, "seeds": [0, 1, 2]})
    for seed, indices in enumerate(INDICES):
        path = tmp_path / "search-random" / f"seed{seed}"
        run = RunDirectory.create(path, RunSpec("search", "search-random", seed), config)
        run.write_genotype(build_space("kernels").decode(indices))
    assert genotype_agreement(config, tmp_path) == pytest.approx({"random": expected})


def test_a_derived_space_has_the_view_of_its_base() -> None:
    class Fewer(CPSpace):
        """Fewer contexts."""

    assert type(view_of(Fewer(["a", "b"], ["none", "global"]))) is CPView
    assert type(view_of(BMTASSpace(["a"]))) is BMTASView
    assert type(view_of(ToySpace())) is type(view_of(None)) is SpaceView


def test_figures_of_several_spaces_speak_of_choices() -> None:
    cp, tree = CPSpace(["a", "b"]), BMTASSpace(["a", "b"])
    assert type(shared_view([cp, cp, None, tree])) is CPView, "trees are in no figure of shares"
    assert type(shared_view([cp, ToySpace()])) is SpaceView
    assert type(shared_view([])) is SpaceView
