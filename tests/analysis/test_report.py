"""All tables and figures at once, and the report: complete, self-contained, readable in a browser and on paper."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rcParams
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from analysis import Analysis, analyze
from analysis.report import write_report
from analysis.report.captions import CAPTIONS, CHAPTERS
from analysis.views import VIEWS, SpaceView
from atrc.machine.files import write_json
from searchspace import CPSpace

from .conftest import ATRC, MULTI, TASKS, keep, of, write_baselines, write_search, writer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NASTY = '<script>alert("x")</script> & Co.'


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two experiments; one has three searches, retrained networks and baselines, the other a single run."""
    folder = tmp_path_factory.mktemp("runs")
    write, space = writer(folder), CPSpace(TASKS)
    write_baselines(write, seeds=(0, 1, 2))
    for seed, context in enumerate(("global", "t_label", "none")):
        shift = 1 + 0.002 * seed
        write("multi", seed, of([value * shift for value in MULTI]))
        run = write("retrain", seed, of([value * shift for value in ATRC]), genotype=space.uniform(context))
        keep(run.path, {"semseg<-edge": 1.0 + seed}, space.uniform(context))
        write_search(write, seed, space.uniform(context))
    other = write("multi", 0, of(MULTI), experiment="other")
    write_json(other.path / "environment.json", other.environment() | {"command": ["atrc", "train", NASTY]})
    return folder


@pytest.fixture(scope="module")
def report(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    made = analyze([runs], tmp_path_factory.mktemp("report"))
    write_report(made)
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, report: Analysis) -> Iterator[Page]:
    """The report, opened; at the end nothing may have been complained of, and nothing asked of a network."""
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url[:30]))
    opened.goto((report.out / "report.html").resolve().as_uri())
    yield opened
    opened.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]


def test_everything_is_made(report: Analysis) -> None:
    assert {"runs", "summary", "comparison"} < set(report.tables)
    assert {one.kind for one in report.figures.values() if one.experiment == "demo"} == {
        "agreement",
        "curves",
        "delta_m",
        "distances",
        "freezing",
        "genotypes",
        "importance",
        "importance_agreement",
        "ranks",
        "resources",
        "sampled",
        "trajectory",
    }
    assert set(report.figures) < set(report.tables), "every figure's numbers are a CSV, too"
    for drawing in report.figures.values():
        assert b"<svg" in drawing.svg.read_bytes()
        assert drawing.pdf.read_bytes().startswith(b"%PDF")
        picture = np.asarray(Image.open(drawing.png).convert("RGB"))
        assert min(picture.shape[:2]) > 60
        assert 0.01 < (picture != 255).any(-1).mean() < 0.9, f"{drawing.png} is blank or full"
    assert not [path for path in report.out.iterdir() if path.name.startswith(".")]


def test_every_figure_and_its_numbers_are_inside(report: Analysis) -> None:
    references = _References()
    references.feed((report.out / "report.html").read_text())
    assert all(value.startswith(("data:", "#")) for value in references.found), "nothing lies elsewhere"
    for drawing in report.figures.values():
        if drawing.kind != "genotypes":  # which are tables here
            assert _as_uri("image/svg+xml", drawing.svg) in references.found
            assert _as_uri("text/csv", drawing.table) in references.found
    assert {value[1:] for value in references.found if value.startswith("#")} <= set(references.ids)
    assert len(set(references.ids)) == len(references.ids)


def _as_uri(kind: str, path: Path) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def test_it_says_what_is_missing_and_how_numbers_were_made(report: Analysis) -> None:
    html = (report.out / "report.html").read_text()
    assert "other: models with only one run" in html
    mean = sum(ATRC[0] * (1 + 0.002 * seed) for seed in range(3)) / 3
    assert f"{mean:.2f} ±" in html
    assert "&lt;script&gt;alert" in html
    assert NASTY not in html
    assert f"torch {metadata.version('torch')}" in html
    assert "gumbel_entropy" in html, "configs"


def test_the_same_runs_give_the_same_page(runs: Path, report: Analysis, tmp_path: Path) -> None:
    settings = dict(rcParams)
    again = analyze([runs], tmp_path)
    assert dict(rcParams) == settings
    assert write_report(again).read_bytes() == (report.out / "report.html").read_bytes()
    for name, path in again.tables.items():
        assert path.read_bytes() == report.tables[name].read_bytes()


def test_every_kind_of_figure_has_a_place() -> None:
    captions = {*CAPTIONS, *(kind for view in (SpaceView, *VIEWS.values()) for kind in view.captions)}
    assert sorted(kind for kinds in CHAPTERS.values() for kind in kinds) == sorted(captions)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    beyond = """[...document.querySelectorAll("body *")]
        .filter((e) => !e.closest(".scroll") && e.getBoundingClientRect().right > innerWidth + 0.5).length"""
    assert page.evaluate(beyond) == 0
    broken = "[...document.images].filter((image) => !image.complete || image.naturalWidth === 0).length"
    assert page.evaluate(broken) == 0
    sizes = (
        "[...document.querySelectorAll('p, td, li, figcaption')].map((e) => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(page.evaluate(sizes)) >= 12


def test_nothing_overflows_on_paper(page: Page) -> None:
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 680, "height": 1000})  # A4 within its margins
    assert page.evaluate("document.documentElement.scrollWidth") == 680
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_click_on_a_head_sorts(page: Page) -> None:
    head = page.locator("table.sortable").first.locator("th", has_text="Δm")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    column = "[...document.querySelector('table.sortable').tBodies[0].rows].map((row) => row.cells[6].dataset.value)"
    rising = [float(value) for value in page.evaluate(column)]
    assert rising == sorted(rising)
    assert len(rising) == 4
    head.locator("button").click()
    assert [float(value) for value in page.evaluate(column)] == rising[::-1]
    runs = page.locator("#runs table.sortable")
    runs.locator("th", has_text="Δm").locator("button").click()
    last = runs.locator("tbody tr").last.locator("td").nth(7)
    assert last.get_attribute("data-value") == "", "single-task runs have none, and stay last"


def test_a_link_unfolds_the_config_that_it_leads_to(page: Page) -> None:
    config = page.locator("details").first
    assert not config.evaluate("(e) => e.open")
    page.locator("#runs a", has_text="config 1").first.click()
    expect(config).to_have_attribute("open", "")
    assert re.search(r"name: \w+", config.inner_text())
