"""Figures that other processes write: the same bytes, and all there in the end, whatever happens to the processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

from analysis import analyze, write_report
from analysis.figures import FORMATS, Press, save_figure
from analysis.figures.press import MOST_JOBS, default_jobs
from analysis.figures.style import new_figure
from searchspace import CPSpace, InputError

from .conftest import MULTI, TASKS, Write, of, write_baselines, write_search


def drawing(number: int = 1) -> Figure:
    figure = new_figure(2, 1.5)
    axes = figure.subplots()
    axes.plot([0, 1, 2], [number, 3, 0], label="line")
    axes.set_xlabel("a long label of the axis")
    axes.legend()
    return figure


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_files_are_those_of_one_process(jobs: int, tmp_path: Path) -> None:
    with Press(jobs) as press:
        for number in range(5):
            paths = press.save(drawing(number), tmp_path / "beside", f"figure{number}")
            assert paths == tuple(tmp_path / "beside" / f"figure{number}.{form}" for form in FORMATS)
    for number in range(5):
        save_figure(drawing(number), tmp_path / "here", f"figure{number}")
    assert contents(tmp_path / "beside") == contents(tmp_path / "here")
    assert len(contents(tmp_path / "here")) == 5 * len(FORMATS)


def test_each_format_is_the_same_without_the_others(tmp_path: Path) -> None:
    save_figure(drawing(), tmp_path / "all", "figure")
    for form in FORMATS:
        (path,) = save_figure(drawing(), tmp_path / form, "figure", [form])
        assert path.read_bytes() == (tmp_path / "all" / path.name).read_bytes()
    assert save_figure(drawing(), tmp_path / "two", "figure", ["svg", "png"]) == (
        tmp_path / "two/figure.png",
        tmp_path / "two/figure.svg",
    )


def test_a_layout_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure, calls = drawing(), []
    engine = figure.get_layout_engine()
    assert engine is not None
    execute = engine.execute
    monkeypatch.setattr(engine, "execute", lambda of: (calls.append(of), execute(of)))
    save_figure(figure, tmp_path, "figure")
    assert len(calls) == 1


def test_a_figure_that_cannot_be_passed_on_is_written_here(tmp_path: Path) -> None:
    figure = drawing()
    figure.axes[0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"<{value}>"))
    with Press(2) as press:
        press.save(figure, tmp_path, "own")
        assert len(contents(tmp_path)) == 3, "at once"


class Deadly(Text):
    """A text that ends the process which unpacks it."""

    def __reduce__(self) -> tuple:
        return os._exit, (3,)


class Broken(Text):
    """A text that no process can unpack."""

    def __reduce__(self) -> tuple:
        return int, ("no number",)


@pytest.mark.parametrize("kind", [Deadly, Broken])
def test_what_a_process_fails_at_is_written_here(
    kind: type[Text], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Press(2) as press:
        for number in range(3):
            figure = drawing(number)
            figure.add_artist(kind(0.5, 0.5, "text"))
            press.save(figure, tmp_path, f"figure{number}")
            press.save(drawing(number), tmp_path, f"plain{number}")
    assert len(contents(tmp_path)) == 6 * len(FORMATS)
    assert "Traceback" not in capfd.readouterr().err


def test_an_error_ends_it(tmp_path: Path) -> None:
    def stopped() -> None:
        with Press(2) as press:
            press.save(drawing(), tmp_path, "figure")
            raise InputError("stop")

    with pytest.raises(InputError, match="stop"):
        stopped()


def test_what_is_wrong_with_a_folder_is_said_here(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), Press(2) as press:
        press.save(drawing(), tmp_path / "file", "figure")


def test_after_its_end_it_writes_at_once(tmp_path: Path) -> None:
    with Press(2) as press:
        press.save(drawing(), tmp_path, "one")
    press.save(drawing(), tmp_path, "two")
    assert len(contents(tmp_path)) == 2 * len(FORMATS)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="number of processes"):
        Press(0)
    with Press(1) as press, pytest.raises(InputError, match=r"unknown format 'pgn'.*did you mean 'png'"):
        press.save(drawing(), tmp_path, "figure", ["pgn"])
    with pytest.raises(InputError, match="none was given"):
        save_figure(drawing(), tmp_path, "figure", [])
    assert contents(tmp_path) == {}
    assert 1 <= default_jobs() <= MOST_JOBS


def test_an_analysis_is_the_same_with_it(write: Write, tmp_path: Path) -> None:
    write_baselines(write)
    for seed, context in enumerate(("global", "t_label")):
        write("multi", seed, of(MULTI))
        write_search(write, seed, CPSpace(TASKS).uniform(context))
    runs = tmp_path / "demo"
    alone = analyze([runs], tmp_path / "alone", networks=False)
    with Press(2) as press:
        beside = analyze([runs], tmp_path / "beside", networks=False, press=press)
        write_report(beside)  # it waits for the figures that it shows
    write_report(alone)
    assert contents(tmp_path / "beside") == contents(tmp_path / "alone")
    assert all(drawn.svg is not None and drawn.svg.exists() for drawn in beside.figures.values())


def test_an_analysis_in_one_format(write: Write, tmp_path: Path) -> None:
    write_baselines(write)
    write_search(write, 0, CPSpace(TASKS).uniform("global"))
    made = analyze([tmp_path], tmp_path / "out", networks=False, formats=["png"])
    assert made.figures
    assert all(drawn.png is not None and drawn.svg is drawn.pdf is None for drawn in made.figures.values())
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".csv", ".png"}
    with pytest.raises(InputError, match="shows figures as svg"):
        write_report(made)
