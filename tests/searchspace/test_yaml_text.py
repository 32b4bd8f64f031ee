"""The one reader of YAML: numbers as people write them, and text in quotes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from searchspace import load_space
from searchspace.yaml_text import YAMLError, read_yaml, write_yaml

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("-2E+5", -2e5),
        ("+1.e2", 100.0),
        (".5e1", 5.0),
        ("3.5e-4", 3.5e-4),
        ("[1e3, {a: 2e-2}]", [1000.0, {"a": 0.02}]),
        ("'1e-3'", "1e-3"),
        ('"1e-3"', "1e-3"),
        ("1e", "1e"),
        ("e5", "e5"),
        ("1e-3x", "1e-3x"),
        ("0.5", 0.5),
        ("12", 12),
        ("yes", True),
        ("null", None),
    ],
)
def test_numbers_with_an_exponent_are_numbers_and_quotes_make_text(text: str, value: Any) -> None:
    found = read_yaml(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("value", ["1e-3", "2E5", 1e-3, 1e-12, 1e300, 0.5, "0.5", "text", 1, True, None])
def test_what_is_written_reads_back_to_the_same(value: Any) -> None:
    (found,) = read_yaml(write_yaml([value]))
    assert found == value
    assert type(found) is type(value)


def test_the_reader_makes_no_objects() -> None:
    with pytest.raises(YAMLError):
        read_yaml("!!python/object/apply:os.getcwd []")


def test_a_space_file_has_the_same_numbers(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("name: mine\nchoices: {lr: ['1e-3', '1e-2']}\n")
    assert load_space(tmp_path / "space.yaml")["lr"] == ("1e-3", "1e-2")


def test_nothing_of_a_user_is_read_by_another_reader() -> None:
    """Published tables, which the package brings, may be."""
    readers = {ROOT / "searchspace" / "yaml_text.py", ROOT / "analysis" / "paper" / "published.py"}
    packages = ("searchspace", "strategies", "atrc", "analysis")
    modules = [path for package in packages for path in (ROOT / package).rglob("*.py") if path not in readers]
    assert [str(path) for path in modules if "import yaml" in path.read_text()] == []
