"""Text files as editors save them: every command reads them alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atrc.config import load_config
from atrc.data.answer import Answer
from atrc.data.reader import read_ids
from atrc.data.spec import load_spec
from searchspace import CPSpace, InputError, dump_space, load_genotype, load_space
from searchspace.text import read_text

SPACE = CPSpace(["semseg", "depth"])
CONFIG = "name: mine\ndataset: {name: rooms}\ntasks: [semseg, depth]\n"
SPEC = """name: own
images: "{id}.png"
splits: {train: all.txt}
size: [8, 8]
tasks: {depth: {file: "{id}.npy"}}
"""
READERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "ids.txt": (lambda path: read_ids(path, "train"), "0\n1\n"),
    "config.yaml": (lambda path: load_config(str(path)), CONFIG),
    "spec.yaml": (load_spec, SPEC),
    "space.yaml": (load_space, dump_space(SPACE)),
    "genotype.json": (load_genotype, json.dumps(SPACE.uniform("global").to_json())),
    "answer.yaml": (Answer.read, "a: {b: global}\nb: {}\n"),
}


@pytest.mark.parametrize("name", READERS)
def test_a_byte_order_mark_and_line_ends_of_other_systems_make_no_difference(name: str, tmp_path: Path) -> None:
    read, text = READERS[name]
    path = tmp_path / name
    path.write_bytes(text.encode())
    expected = read(path)
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read(path) == expected


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(("coding", "words"), [("utf-16", "UTF-16"), ("latin-1", "not UTF-8 text: byte")])
def test_another_coding_is_one_line(name: str, coding: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(("\xe9" + READERS[name][1]).encode(coding))
    with pytest.raises(InputError, match=words) as caught:
        READERS[name][0](path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("ä\r\nb\rc\n\ufeffd".encode())
    assert read_text(path) == "ä\nb\nc\n\ufeffd", "only a mark at the beginning is none of the text"
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none")
