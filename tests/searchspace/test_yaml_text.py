"""The one reader of YAML: numbers as people write them, and text in quotes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from searchspace import load_space, yaml_text
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


def outcome(text: str) -> str:
    """What a text reads as, types included, or what is said against it."""
    yaml_text._parsed.cache_clear()
    try:
        return repr(read_yaml(text))
    except YAMLError as error:
        return f"refused: {error}"
    except ValueError as error:  # such as a date of the thirteenth month
        return f"no value: {error}"


LINES = st.sampled_from(
    ["name: a+b", "lr: 1e-3", "- [1, 2.5e3, x]", "  deep: {a: [true, ~], b: 'c d'}", "key: !tag x", "a\tb: c", "? q"]
)
TEXTS = st.text(alphabet="ab:-, []{}\n\t'\"#&*!|>%@`?1e.~é", max_size=24) | st.lists(LINES).map("\n".join)


@settings(max_examples=1500, deadline=None, derandomize=True)  # two parsers: some text will differ
@given(text=TEXTS)
def test_libyaml_reads_what_pyyaml_reads(text: str) -> None:
    """Values, their types, and messages."""
    found = outcome(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_text, "_FastLoader", yaml_text._Loader)
        assert found == outcome(text)


def test_every_config_that_is_here_reads_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [path.read_text() for path in ROOT.glob("atrc/presets/**/*.yaml")]
    texts += {path.read_text() for path in ROOT.glob("runs/published/**/config.yaml")}
    found = [outcome(text) for text in texts]
    monkeypatch.setattr(yaml_text, "_FastLoader", yaml_text._Loader)
    assert len(texts) > 20
    assert found == [outcome(text) for text in texts]


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML was built without libyaml")
def test_libyaml_is_used_where_it_is_there() -> None:
    assert issubclass(yaml_text._FastLoader, yaml.CSafeLoader)


def test_what_was_read_is_the_readers_own() -> None:
    text = "a: [1, {b: 2}]"
    first = read_yaml(text)
    first["a"][1]["b"] = 3
    first["c"] = 4
    assert read_yaml(text) == {"a": [1, {"b": 2}]}


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
