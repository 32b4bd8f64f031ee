"""Trees built by hand: tables, agreement counted by hand, and what an experiment of them gives."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text
from rich.console import Console

from analysis import Analysis, analyze, output, summary
from analysis.comparison import genotype_agreement
from analysis.figures import draw_freezing, draw_trajectory, draw_trees, task_colours, task_labels
from analysis.report import write_report
from analysis.trajectory import block_probabilities, freeze_times, search_trajectory
from analysis.trees import same_trees, stage_costs, tree_agreement, trees
from analysis.views import view_of
from atrc.config import Config, parse_config
from atrc.runs import Result, RunDirectory, RunSpec
from atrc.supernets import TreeCosts
from searchspace import BMTASSpace, CPSpace, Genotype, InputError, ToySpace
from searchspace.bmtas import edge

from .conftest import ATRC, MULTI, TASKS, keep, of, write_baselines, write_search, writer

SPACE = BMTASSpace(["a", "b", "c"], stages=2)
SHARED, SPLIT = SPACE.shared(), SPACE.split()
PART = SPACE.from_tree([[["a", "b", "c"]], [["a", "c"], ["b"]]])
# the same tree: heads a and c read node b, head b reads node c, and both nodes read the stage's node a
RENAMED = SPACE.genotype(
    {edge(2, "a"): "c", edge(2, "b"): "a", edge(2, "c"): "a"}
    | {edge("head", "a"): "b", edge("head", "b"): "c", edge("head", "c"): "b"}
)


# -- tables ---------------------------------------------------------------------------------------------------------


def test_every_node_has_a_row() -> None:
    table = trees({"seed 0": PART, "seed 1": SHARED})
    assert table[["run", "stage", "tasks"]].values.tolist() == [
        ["seed 0", 1, "a, b, c"],
        ["seed 0", 2, "a, c"],
        ["seed 0", 2, "b"],
        ["seed 1", 1, "a, b, c"],
        ["seed 1", 2, "a, b, c"],
    ]
    assert table["cost"].isna().all()


def test_the_same_tree_has_one_number() -> None:
    assert RENAMED != PART
    found = {"seed 0": PART, "seed 1": SPLIT, "seed 2": RENAMED}
    assert same_trees(found) == [["seed 0", "seed 2"], ["seed 1"]]
    assert trees(found).groupby("run")["tree"].unique().map(list).to_dict() == {
        "seed 0": [1],
        "seed 1": [2],
        "seed 2": [1],
    }


def test_costs_are_shares_of_a_backbone_for_every_task() -> None:
    costs = TreeCosts(SPACE, [1.0, 3.0])
    found = {"shared": SHARED, "part": PART, "split": SPLIT}
    share = trees(found, costs).groupby("run")["cost"].sum()
    assert share.to_dict() == pytest.approx({"shared": 4 / 12, "part": 7 / 12, "split": 1.0})
    assert share["part"] == pytest.approx(costs.of(PART) / costs.of(SPLIT))


def test_costs_of_the_stages_of_a_backbone() -> None:
    config = experiment_config()
    space = BMTASSpace(TASKS)
    costs = stage_costs(config, space)
    assert costs is not None
    assert len(costs.stages) == 4
    assert min(costs.stages) > 0
    assert stage_costs(config, BMTASSpace(TASKS, stages=3)) is None
    assert stage_costs(config.model_copy(update={"space": parse_config(CP, "test").space}), space) is None
    elsewhere = parse_config(CONFIG.replace("{name: rooms", "{name: folder, root: nowhere"), "test")
    assert stage_costs(elsewhere, space) is None, "the data may be on another machine"


def test_other_spaces() -> None:
    with pytest.raises(InputError, match="bmtas space, got one of 'cp'"):
        trees({"seed 0": CPSpace(["a"]).uniform("global")})
    with pytest.raises(InputError, match="different spaces"):
        tree_agreement([SHARED, BMTASSpace(["a", "b", "c"], stages=3).shared()])


# -- agreement ------------------------------------------------------------------------------------------------------


def test_agreement_by_hand() -> None:
    """Pairs ab, ac, bc at two stages: shared by SHARED 111 111, by PART 111 010, by SPLIT 000 000."""
    result = tree_agreement([SHARED, PART, SPLIT])
    by_pair_of_runs = [4 / 6, 0 / 6, 2 / 6]
    assert result.mean == pytest.approx(sum(by_pair_of_runs) / 3)
    assert (result.distinct, result.runs) == (3, 3)
    table = result.table.set_index(["stage", "task", "other"])
    assert table["shared"].tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 1 / 3, 2 / 3, 1 / 3])
    assert table["agreement"].tolist() == pytest.approx([1 / 3] * 6)
    assert table.loc[(1, "a", "b"), ["low", "high"]].tolist() == [0, 1]  # a resample may hold two runs only
    low, high = result.overall.set_index("measure").loc["agreement", ["low", "high"]]
    assert 0 == low <= result.mean <= high == pytest.approx(4 / 6)


def test_agreement_of_two_trees() -> None:
    result = tree_agreement([PART, SPLIT])
    assert result.mean == pytest.approx(2 / 6)
    assert result.table[["low", "high"]].isna().all(axis=None), "one pair of runs has no spread"


def test_the_same_tree_agrees_fully() -> None:
    result = tree_agreement([PART, RENAMED, PART])
    assert (result.mean, result.distinct) == (1.0, 1)
    assert (result.table[["low", "high"]] == 1).all(axis=None)


def test_agreement_needs_two_runs_and_two_tasks() -> None:
    with pytest.raises(InputError, match="at least two"):
        tree_agreement([PART])
    alone = tree_agreement([BMTASSpace(["a"]).shared()] * 2)
    assert math.isnan(alone.mean)
    assert alone.distinct == 1
    assert alone.table.empty


# -- figures --------------------------------------------------------------------------------------------------------

FIVE = BMTASSpace(["semseg", "human_parts", "saliency", "normals", "edge"])


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Texts that lie on each other, or leave the figure."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [
        (text.get_text(), text.get_window_extent(renderer))  # type: ignore[arg-type]
        for text in figure.findobj(Text)
        if text.get_text()  # type: ignore[attr-defined]
    ]
    found = [(one, other) for (one, a), (other, b) in combinations(boxes, 2) if a.overlaps(b)]
    width, height = figure.bbox.size
    return found + [
        (one, "the edge") for one, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height
    ]


def test_a_box_per_node_and_a_panel_per_run() -> None:
    table = trees({"seed 0": PART, "seed 1": SPLIT, "seed 2": RENAMED}, TreeCosts(SPACE, [1.0, 3.0]))
    figure = draw_trees(table, 0.5)
    shown = words(figure)
    assert {"seed 0", "seed 1", "seed 2, as seed 0"} < set(shown)
    assert shown.count("3 of 6 nodes, 58 % of the multiply-adds") == 2
    assert "6 of 6 nodes, 100 % of the multiply-adds" in shown
    assert "3 searches found 2 different trees; of task pairs and stages, 50 % are alike in two searches" in shown
    images = 3
    assert len(figure.findobj(FancyBboxPatch)) == len(table) + images


def test_without_costs_the_title_counts_nodes() -> None:
    shown = words(draw_trees(trees({"seed 0": PART})))
    assert "3 of 6 nodes" in shown
    assert not [text for text in shown if "searches" in text]


@pytest.mark.parametrize(
    "space", [FIVE, BMTASSpace(["a"], 1), BMTASSpace(["long_name_of_one", "long_name_of_other"], 5)], ids=str
)
def test_labels_do_not_overlap(space: BMTASSpace) -> None:
    found = {
        f"seed {seed}": genotype for seed, genotype in enumerate([space.shared(), space.split(), space.shared()])
    }
    figure = draw_trees(trees(found, TreeCosts(space, [1.0] * space.stages)), 0.5)
    assert overlapping(figure) == []
    assert figure.get_figwidth() <= 7.1


def test_tasks_have_colours_and_labels_of_their_own() -> None:
    alone, beside = task_colours(FIVE.tasks), task_colours([*FIVE.tasks, "depth", "albedo", "flow"])
    assert {name: beside[name] for name in alone} == alone
    assert len(set(beside.values())) == len(beside)
    assert task_labels(FIVE.tasks) == {
        "semseg": "Se",
        "human_parts": "H",
        "saliency": "Sa",
        "normals": "N",
        "edge": "E",
    }
    assert task_labels(["part", "part_b"]) == {"part": "Part", "part_b": "Part b"}


# -- an experiment --------------------------------------------------------------------------------------------------

CP = f"""
name: trees
dataset: {{name: rooms, size: [32, 48]}}
tasks: [{", ".join(TASKS)}]
backbone: {{name: tiny, width: 0.25}}
"""
CONFIG = CP + "space: {name: bmtas}\n"
GROWN = BMTASSpace(TASKS)
FOUND = [
    GROWN.shared(),
    GROWN.from_tree([[TASKS], [TASKS], [TASKS[:2], TASKS[2:]], [TASKS[:2], TASKS[2:3], TASKS[3:]]]),
    GROWN.shared(),
]


def experiment_config() -> Config:
    return parse_config(CONFIG, "test")


def write_trees(folder: Path, found: list[Genotype] = FOUND) -> Path:
    """Finished searches, retrained networks and baselines of a bmtas space."""
    config = experiment_config()
    for seed, genotype in enumerate(found):
        shift = 1 + 0.01 * seed
        for model, values in (("search", ATRC), ("retrain", ATRC), ("multi", MULTI)):
            run = RunDirectory.create(
                folder / "trees" / model / f"seed{seed}",
                RunSpec("search" if model == "search" else "train", model, seed),
                config,
                genotype if model == "retrain" else None,
            )
            if model == "search":
                write_lines(run, genotype)
                run.write_genotype(genotype)
            run.write_result(
                Result(of([value * shift for value in values]), 100, 800, 10.0, 1_000_000, 2_000_000_000)
            )
        for task, value in of(ATRC).items():
            path = folder / "trees" / f"single-{task}" / f"seed{seed}"
            run = RunDirectory.create(path, RunSpec("train", f"single-{task}", seed), config)
            run.write_result(Result({task: value}, 100, 800, 10.0, 1_000_000, 2_000_000_000))
    return folder / "trees"


def nothing(figure: Figure, folder: Path, name: str, formats: Sequence[str]) -> tuple[Path, ...]:
    """`save_figure` without what takes most of the time."""
    return (folder,) * len(formats)


def write_lines(run: RunDirectory, genotype: Genotype) -> None:
    for step, leading in ((50, 0.4), (100, 0.97)):
        probabilities = {
            choice: {o: leading if o == genotype[choice] else (1 - leading) / (len(options) - 1) for o in options}
            for choice, options in GROWN.items()
        }
        frozen = list(GROWN)[:8] if step == 100 else []
        run.append("architecture.jsonl", {"step": step, "frozen": frozen, "probabilities": probabilities})
        run.append("metrics.jsonl", {"step": step, "seconds": step / 10, "lr": 0.01, "loss": 100.0 / step})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    folder = tmp_path_factory.mktemp("trees")
    return analyze([write_trees(folder)], folder / "out")


def test_analyze_draws_trees_and_nothing_of_contexts(made: Analysis) -> None:
    assert set(made.figures) == {
        "curves",
        "delta_m",
        "freezing",
        "ranks",
        "resources",
        "sampled",
        "trajectory",
        "trees",
    }
    table = pd.read_csv(made.tables["trees"])
    assert table.groupby("run")["tree"].first().tolist() == [1, 2, 1]
    assert table.groupby("run").size().tolist() == [4, 7, 4]
    assert table[table["run"] == "seed 0"]["cost"].sum() == pytest.approx(1 / len(TASKS))
    overall = pd.read_csv(made.tables["trees_overall"]).set_index("measure")
    assert overall.loc["distinct_trees", "value"] == 2
    assert overall.loc["agreement", "value"] == pytest.approx((24 - 2 / 3 * (4 + 5)) / 24)
    assert len(pd.read_csv(made.tables["trees_agreement"])) == 4 * 6


def test_a_note_says_what_is_left_out(made: Analysis) -> None:
    notes = [note for note in made.notes if "context types" in note]
    assert len(notes) == 1
    assert notes[0].startswith("trees: its searches found trees")


def test_the_report_shows_the_trees(made: Analysis) -> None:
    html = write_report(made).read_text()
    assert "Which tasks share which stages" in html
    assert 'download="trees.csv"' in html
    assert 'class="genotype"' not in html


def test_the_screen_shows_every_different_tree_once(made: Analysis) -> None:
    out = io.StringIO()
    console = Console(width=100, file=out)
    for part in summary(made.runs):
        console.print(part)
    text = out.getvalue()
    for expected in (
        "seed 0, seed 2: 4 of 16 nodes",
        "stages 1-4: semseg, depth, normals, edge",
        "seed 1: 7 of 16 nodes",
        "stages 3-4: semseg, depth",
        "stage 4: edge",
        "Agreement of 3 searches, 2 different trees: 75 %",
    ):
        assert expected in text
    assert "Fleiss" not in text


def test_figures_speak_of_nodes(made: Analysis) -> None:
    space = view_of(GROWN).words
    assert "block" not in " ".join(words(draw_freezing(freeze_times(made.runs, "trees"), space)))
    assert "stage 2, semseg" in words(draw_freezing(freeze_times(made.runs, "trees"), space))
    tables = search_trajectory(made.runs, "trees"), block_probabilities(made.runs, "trees")
    assert "Node that the choice of panel (c) ends with" in words(draw_trajectory(*tables, space))
    assert "Frozen blocks [%]" in words(draw_trajectory(*tables))
    assert view_of(ToySpace()).words.option == view_of(None).words.option == "Option"


def test_one_search_has_a_tree_but_no_agreement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "save_figure", nothing)
    made = analyze([write_trees(tmp_path, FOUND[:1])], tmp_path / "out")
    assert "trees" in made.figures
    assert "trees_overall" not in made.tables
    assert any("agreement between searches is missing" in note for note in made.notes)


def test_trees_beside_contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One folder, two spaces: each has its own figures, and conditions of contexts are made of contexts."""
    monkeypatch.setattr(output, "save_figure", nothing)
    write, space = writer(tmp_path), CPSpace(TASKS)
    write_baselines(write)
    for seed in (0, 1):
        write_search(write, seed, space.uniform("global"))
        keep(write("retrain", seed, of(ATRC), genotype=space.uniform("global")).path, {}, space.uniform("global"))
    write_trees(tmp_path)
    made = analyze([tmp_path], tmp_path / "out", by="dataset.name", networks=False)
    assert {"genotypes-demo", "agreement-demo", "importance-demo", "trees-trees", "proportions"} < set(made.figures)
    assert not {"trees-demo", "genotypes-trees", "agreement-trees", "importance-trees"} & set(made.figures)
    assert set(pd.read_csv(made.tables["proportions"])["runs"]) == {2}


def test_searches_of_different_spaces_in_one_experiment_are_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "save_figure", nothing)
    write = writer(tmp_path)
    write("search", 0, of(ATRC), genotype=CPSpace(TASKS).uniform("global"))
    write("search", 1, of(ATRC), genotype=GROWN.shared())
    made = analyze([tmp_path], tmp_path / "out", networks=False)
    assert not {"trees", "genotypes", "agreement"} & set(made.figures)
    assert any(
        "the genotypes of its searches are not analysed: genotypes of different spaces" in note for note in made.notes
    )


def test_strategies_are_compared_by_their_trees(tmp_path: Path) -> None:
    text = CONFIG + "compare: {samples: 100, points: 2, strategies: {random: {}, darts: {}}}\nseeds: [0, 1, 2]\n"
    config = parse_config(text, "test")
    for label, found in (("random", FOUND), ("darts", FOUND[:1] * 3)):
        for seed, genotype in enumerate(found):
            path = tmp_path / f"search-{label}" / f"seed{seed}"
            RunDirectory.create(path, RunSpec("search", f"search-{label}", seed), config, genotype)
    assert genotype_agreement(config, tmp_path) == pytest.approx({"random": 0.75, "darts": 1.0})
