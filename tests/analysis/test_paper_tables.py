"""The paper's tables: the published numbers, cells from runs with known numbers, and the commands for the rest."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.paper.formats import to_csv, to_latex, to_markdown
from analysis.paper.published import PublishedRow, PublishedTable, published_table, table_numbers
from analysis.paper.tables import PaperTable, paper_table
from atrc.config import load_config
from atrc.metrics.delta_m import delta_m
from atrc.runs import Result, RunDirectory, RunSpec
from atrc.runs.names import expand_models, run_path
from atrc.setup import Setup
from atrc.tasks import TASKS as KINDS
from searchspace import InputError, UnknownNameError

from .conftest import MULTI, SINGLE, TASKS, of

TABLES = [published_table(number) for number in table_numbers()]
ROOMS = "rooms4+short"
MODULES = ["cross_stitch", "pap", "psd", "pad_a", "pad_b", "pad_c"]
NETWORKS = ["single", "multi", *MODULES, "all-global", "all-local", "all-t_label", "all-s_label"]

Put = Callable[..., RunDirectory]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """``put(model, seed, metrics)`` makes a run where table 1 looks for it on rooms; no metrics: unfinished."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("atrc.runs.environment", lambda _: {})  # asks git, for every run

    def run(
        model: str,
        seed: int,
        metrics: dict[str, float] | None,
        *,
        source: str = ROOMS,
        overrides: Sequence[str] = (),
        parameters: int = 1_000_000,
    ) -> RunDirectory:
        config = load_config(source, overrides)
        spec = RunSpec("search" if model == "search" else "train", model, seed)
        made = RunDirectory.create(run_path(Path("runs") / config.name, model, seed), spec, config)
        if metrics is not None:
            made.write_result(Result(metrics, 300, 2400, 10.0, parameters, 2_000_000_000))
        return made

    return run


def put_baselines(put: Put, seeds: Sequence[int], values: Sequence[float] = SINGLE) -> None:
    for task, value in of(values).items():
        for seed in seeds:
            put(f"single-{task}", seed, {task: value})


def by_model(table: PaperTable) -> pd.DataFrame:
    return table.frame.set_index("model")


def options(*models: str) -> str:
    return " ".join(f"-m {model}" for model in models)


ROWS = [
    pytest.param(table, row, id=f"{table.number}-{row.label}-{row.variant or row.model}")
    for table in TABLES
    for row in table.rows
]


class TestPublished:
    @pytest.mark.parametrize(("table", "row"), ROWS)
    def test_delta_m_follows_from_the_means(self, table: PublishedTable, row: PublishedRow) -> None:
        """Within what rounding can do: half a unit of the last digit in every mean, the baseline's, and Delta_m."""
        (base,) = (table.mean(one) for one in table.rows if one.model == "single")
        mean = table.mean(row)
        directions = {task: KINDS[task].higher_is_better for task in table.tasks}
        half = {task: 5e-5 if task == "depth" else 5e-3 for task in table.tasks}
        moved = np.mean([half[task] / base[task] * (1 + mean[task] / base[task]) for task in table.tasks])
        assert delta_m(mean, base, directions) == pytest.approx(row.delta_m, abs=100 * moved + 0.005)

    @pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.number))
    def test_rows_are_whole(self, table: PublishedTable) -> None:
        assert all(len(row.mean) == len(table.tasks) for row in table.rows)
        assert {len(row.std) for row in table.rows} == {len(table.tasks) if table.number == 1 else 0}
        assert table.resources == (table.number == 1)
        assert {mark for row in table.rows for mark in row.marks} == set(table.marks)
        assert len({(row.variant, row.model) for row in table.rows}) == len(table.rows)
        assert [row.variant for row in table.rows if row.model == "single"] == [None]

    def test_numbers_of_every_table(self) -> None:
        def numbers(table: int, place: int) -> tuple[object, ...]:
            row = published_table(table).rows[place]
            return row.label, *row.mean, row.delta_m

        assert [len(table.rows) for table in TABLES] == [13, 5, 5, 5, 7]
        assert numbers(1, 3) == ("PAP [56]", 36.72, 0.6178, 20.82, 76.42, -0.95)
        assert numbers(2, 4) == ("ATRC (ours)", 40.80, 0.5826, 20.51, 76.50, 3.57)
        assert numbers(3, 2) == ("MTI-Net [44]", 45.97, 0.5365, 20.27, 77.86, 0.15)
        assert numbers(4, 1) == ("Multi-task", 51.48, 57.23, 83.43, 14.10, 69.76, -6.77)
        assert numbers(5, 6) == ("BMTAS [5]", 67.67, 62.93, 82.29, 14.24, 72.42, 4.53)
        last = published_table(1).rows[-1]
        assert (last.parameters, last.multiply_adds, last.std) == (5.06, 25.76, (0.43, 0.0046, 0.02, 0.12))

    def test_table_2_repeats_rows_of_table_1(self) -> None:
        first = {row.model: row.mean for row in published_table(1).rows}
        for row in published_table(2).rows:
            assert row.variant is not None or row.mean == first[row.model]

    @pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.number))
    def test_every_row_can_be_filled_at_every_place(self, table: PublishedTable) -> None:
        for preset in table.places.values():
            for row in table.rows:
                config = load_config(preset if row.variant is None else f"{preset}+{row.variant}")
                for model in expand_models(config, [row.model]):
                    if model != "retrain":
                        Setup.of(config).genotype(model)
        assert set(load_config(table.places[table.own_place]).tasks) == set(table.tasks)


class TestCells:
    def test_by_hand(self, put: Put) -> None:
        for seed, semseg in enumerate((38.0, 40.0, 42.0)):
            put_baselines(put, [seed], (semseg, 0.5, 20.0, 50.0))
        for seed, (semseg, depth) in enumerate(((44.0, 0.45), (40.0, 0.5), (36.0, 0.5))):
            put("multi", seed, of((semseg, depth, 20.0, 50.0)), parameters=1_500_000 + 10_000 * seed)
        rows = by_model(paper_table(1, "rooms"))
        single, multi = rows.loc["single"], rows.loc["multi"]
        assert (single["semseg_mean"], single["semseg_std"]) == (40, 2)
        assert (single["params_M"], single["madds_G"]) == (4, 8), "summed over the tasks"
        assert (single["delta_m_mean"], single["runs"], single["missing"]) == (0, 3, 0)
        assert (multi["semseg_mean"], multi["semseg_std"]) == (40, 4)
        assert multi["depth_mean"] == pytest.approx(1.45 / 3)
        gains = [(10 + 10) / 4, 0, -10 / 4]
        assert multi["delta_m_mean"] == pytest.approx(np.mean(gains))
        assert multi["delta_m_std"] == pytest.approx(np.std(gains, ddof=1))
        assert (multi["params_M"], multi["madds_G"]) == (pytest.approx(1.51), 2)
        assert (multi["paper_semseg_mean"], multi["paper_semseg_std"], multi["paper_delta_m"]) == (36.35, 0.26, -1.89)

    def test_published_means_give_the_published_delta_m(self, put: Put) -> None:
        put_baselines(put, [0])
        put("multi", 0, of(MULTI))
        multi = by_model(paper_table(1, "rooms")).loc["multi"]
        assert multi["delta_m_mean"] == pytest.approx(multi["paper_delta_m"], abs=0.01)
        assert math.isnan(multi["delta_m_std"]), "one run has no spread"
        assert (multi["runs"], multi["missing"]) == (1, 2)

    def test_a_baseline_that_is_not_whole_gives_no_delta_m(self, put: Put) -> None:
        for task in TASKS[:3]:
            put(f"single-{task}", 0, {task: 1.0})
        put("multi", 0, of(MULTI))
        rows = by_model(paper_table(1, "rooms"))
        assert rows["delta_m_mean"].isna().all()
        assert rows.loc["single", "runs"] == 0
        assert math.isnan(rows.loc["single", "params_M"])
        assert rows.loc["multi", "edge_mean"] == 76.36

    def test_rows_with_a_variant_compare_with_the_preset(self, put: Put) -> None:
        put_baselines(put, [0], (40.0, 0.5, 20.0, 50.0))
        put("retrain", 0, of((48.0, 0.5, 20.0, 50.0)), source=f"{ROOMS}+fpm")
        put("single-semseg", 0, {"semseg": 80.0}, source=f"{ROOMS}+fpm")
        row = paper_table(2, "rooms").frame.set_index("config").loc[f"{ROOMS}+fpm"]
        assert row["delta_m_mean"] == pytest.approx(5)
        assert row["FPM"]

    def test_runs_of_more_seeds_count(self, put: Put) -> None:
        for seed in (0, 1, 2, 10):
            put("multi", seed, of(MULTI))
        multi = by_model(paper_table(1, "rooms")).loc["multi"]
        assert (multi["runs"], multi["missing"]) == (4, 0)

    def test_other_tasks_than_the_papers(self, put: Put) -> None:
        tasks = ("semseg", "human_parts", "saliency", "edge")
        for task in tasks:
            put(f"single-{task}", 0, {task: 50.0}, source="ccp+short")
        put("multi", 0, of((55.0, 50.0, 50.0, 55.0), tasks), source="ccp+short")
        table = paper_table(1, "ccp")
        multi = by_model(table).loc["multi"]
        assert multi["delta_m_mean"] == pytest.approx(5)
        assert (multi["human_parts_mean"], multi["paper_depth_mean"]) == (50, 0.6284)
        head = next(line for line in to_markdown(table).splitlines() if line.startswith("| model"))
        assert [cell.strip() for cell in head.strip("|").split("|")][6:12] == [
            "semseg [%] ↑",
            "paper",
            "human parts [%] ↑",
            "saliency [%] ↑",
            "edge [%] ↑",
            "paper",
        ]


class TestMissing:
    def test_nothing_is_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        table = paper_table(1, "rooms")
        assert table.commands == (
            f"atrc train {ROOMS} {options(*NETWORKS)}",
            f"atrc search {ROOMS}",
            f"atrc retrain runs/{ROOMS}/search",
        )
        assert table.fill == "atrc table 1 --on rooms --fill"
        assert sum(gap.size for gap in table.gaps) == 3 * (4 + 12)
        assert not list(tmp_path.iterdir())

    def test_variants(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert paper_table(2, "rooms").commands == (
            f"atrc train {ROOMS} -m single -m multi",
            f"atrc search {ROOMS}",
            f"atrc retrain runs/{ROOMS}/search",
            f"atrc train {ROOMS}+mti_net -m multi",
            f"atrc search {ROOMS}+fpm",
            f"atrc retrain runs/{ROOMS}+fpm/search",
        )

    def test_a_branched_backbone_takes_the_tree_that_was_found(self, tmp_path: Path) -> None:
        table = paper_table(5, "rooms", tmp_path)
        found = tmp_path / "rooms5+short+fcn+bmtas/search/seed0/genotype.json"
        out = tmp_path / "rooms5+short+fcn+branched"
        assert f"atrc search rooms5+short+fcn+branched -s backbone.branches={found} -o {out}" in table.commands
        (gap,) = (gap for gap in table.gaps if gap.origin.source.endswith("branched"))
        assert not gap.origin.ready
        assert gap.origin.config.backbone.options["branches"] == str(found)

    def test_networks_that_lack_the_same_seeds_are_one_command(self, put: Put) -> None:
        for seed in (0, 1):
            for model in ("pad_a", "pad_b"):
                put(model, seed, of(MULTI))
        for seed in (0, 1, 2):
            put("multi", seed, of(MULTI))
        for seed in (0, 2):
            put("retrain", seed, of(MULTI))
        rest = [model for model in NETWORKS if model not in ("multi", "pad_a", "pad_b")]
        assert paper_table(1, "rooms").commands == (
            f"atrc train {ROOMS} {options(*rest)}",
            f"atrc train {ROOMS} -m pad_a -m pad_b --seeds 2",
            f"atrc search {ROOMS} --seeds 1",
            f"atrc retrain runs/{ROOMS}/search/seed1",
        )

    def test_one_task_of_the_baseline(self, put: Put) -> None:
        put_baselines(put, [0, 1])
        for task in ("semseg", "normals", "edge"):
            put(f"single-{task}", 2, {task: 1.0})
        assert f"atrc train {ROOMS} -m single-depth --seeds 2" in paper_table(1, "rooms").commands
        assert by_model(paper_table(1, "rooms")).loc["single", "missing"] == 1

    def test_what_began_is_resumed_and_searches_are_not_repeated(self, put: Put) -> None:
        put("multi", 1, None)
        for seed in (0, 1):
            put("search", seed, of(MULTI))
        put("search", 2, None)
        first, *_ = commands = paper_table(1, "rooms").commands
        assert first == f"atrc resume runs/{ROOMS}", "all that is unfinished there"
        assert f"atrc train {ROOMS} -m multi --seeds 0,2" in commands
        assert not any(command.startswith("atrc search") for command in commands)
        assert commands[-1] == f"atrc retrain runs/{ROOMS}/search"
        put("all-none", 0, None)
        first, *_ = paper_table(1, "rooms").commands
        assert first == f"atrc resume runs/{ROOMS}/multi/seed1 runs/{ROOMS}/search/seed2"

    def test_commands_carry_overrides_and_the_folder(self, tmp_path: Path) -> None:
        table = paper_table(1, "rooms", tmp_path / "a b", ["seeds=[4]"])
        folder = f"'{tmp_path}/a b/{ROOMS}'"
        assert table.commands[1] == f"atrc search {ROOMS} -s 'seeds=[4]' -o {folder}"
        assert table.fill == f"atrc table 1 --on rooms -s 'seeds=[4]' --runs '{tmp_path}/a b' --fill"

    def test_a_full_table_has_no_notes(self, put: Put) -> None:
        put_baselines(put, [0], (40.0, 0.5, 20.0, 50.0))
        for model in [*NETWORKS[1:], "retrain"]:
            put(model, 0, of(MULTI), overrides=["seeds=[0]"])
        table = paper_table(1, "rooms", overrides=["seeds=[0]"])
        assert (table.gaps, table.commands) == ((), ())
        assert "missing" not in to_markdown(table)


class TestRefused:
    def test_names(self) -> None:
        with pytest.raises(UnknownNameError, match="unknown table '6'; known: 1, 2, 3, 4, 5"):
            paper_table(6)
        with pytest.raises(UnknownNameError, match=r"place 'pascal' .of table 1.*nyud, rooms, ccp"):
            paper_table(1, "pascal")

    def test_a_run_of_another_config(self, put: Put) -> None:
        put("multi", 0, of(MULTI), overrides=["train.steps=10"])
        with pytest.raises(InputError, match=rf"runs/rooms4\+short/multi/seed0 .*{re.escape(ROOMS)} \(train changed"):
            paper_table(1, "rooms")
        assert by_model(paper_table(1, "rooms", overrides=["train.steps=10"])).loc["multi", "runs"] == 1

    def test_a_search_of_another_config(self, put: Put) -> None:
        put("search", 0, of(MULTI), overrides=["strategy.lr=1"])
        with pytest.raises(InputError, match=r"search/seed0 was made with another config.*strategy changed"):
            paper_table(1, "rooms")

    def test_a_run_in_the_wrong_folder(self, put: Put) -> None:
        made = put("multi", 0, of(MULTI))
        made.path.rename(made.path.with_name("seed1"))
        with pytest.raises(InputError, match="multi/seed1 has the model 'multi' and the seed 0"):
            paper_table(1, "rooms")

    def test_what_is_no_run_or_lacks_a_metric(self, put: Put) -> None:
        made = put("multi", 0, {"semseg": 40.0})
        with pytest.raises(InputError, match="multi/seed0 has no metric of depth, normals, edge"):
            paper_table(1, "rooms")
        (made.path / "run.json").unlink()
        with pytest.raises(InputError, match="multi/seed0 is not a run directory"):
            paper_table(1, "rooms")


class TestFormats:
    @pytest.fixture
    def table(self, put: Put) -> PaperTable:
        put_baselines(put, [0, 1], (40.0, 0.5, 20.0, 50.0))
        for seed, semseg in enumerate((44.0, 36.0)):
            put("multi", seed, of((semseg, 0.5, 20.0, 50.0)))
        return paper_table(1, "rooms")

    def test_csv_reads_back(self, table: PaperTable) -> None:
        read = pd.read_csv(io.StringIO(to_csv(table)))
        pd.testing.assert_frame_equal(read, table.frame, check_dtype=False, rtol=1e-9)

    def test_markdown_is_aligned_and_keeps_brackets(self, table: PaperTable) -> None:
        text = to_markdown(table)
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len({len(line) for line in lines}) == 1
        assert len(lines) == 2 + 13
        cells = {row[0]: row[1:] for row in ([c.strip() for c in line.strip("|").split("|")] for line in lines)}
        ours = ["2/3", "1.000", "4.52", "2.000", "17.59", "40.00 ±5.66", "36.35", "0.5000 ±0.0000", "0.6284"]
        assert cells["None (multi-task baseline)"][:9] == ours
        assert cells["None (multi-task baseline)"][-2:] == ["0.00 ±3.54", "-1.89"]
        assert cells["Cross-Stitch [35]"][:3] == ["0/3", "–", "4.52"]
        shell = text.partition("```sh\n")[2].removesuffix("```\n").splitlines()
        assert shell[0].partition("  #")[0] == table.fill
        assert tuple(shell[1:]) == table.commands

    def test_marks(self, put: Put) -> None:
        lines = to_markdown(paper_table(2, "rooms")).splitlines()
        ticked = [line for line in lines if "✓" in line]
        assert [line.split("|")[1].strip() for line in ticked] == ["MTI-Net [44]", "ATRC (ours)"]

    def test_latex_escapes(self, table: PaperTable) -> None:
        table.frame.loc[0, "label"] = r"[1] R&D_50% #{x} \a~b^c $"
        text = to_latex(replace(table, frame=table.frame))
        row = next(line for line in text.splitlines() if "R\\&D" in line)
        escaped = r"{}[1] R\&D\_50\% \#\{x\} \textbackslash{}a\textasciitilde{}b\textasciicircum{}c \$ & 2/3 & "
        assert row.startswith(escaped)
        assert r"$40.00 \pm 5.66$ & $36.35 \pm 0.26$" in text
        assert "$-1.89$" in text
        assert not set("↑↓±Δ✓–") & set(re.sub("^%.*$", "", text, flags=re.MULTILINE))

    def test_latex_rows_have_as_many_cells_as_columns(self, table: PaperTable) -> None:
        text = to_latex(table)
        (columns,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
        body = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0].splitlines()
        assert {len(re.split(r"(?<!\\)&", line)) for line in body} == {len(columns)}
        assert [line.endswith(r" \\") for line in body] == [True] * 13
        assert text.startswith("% ")
