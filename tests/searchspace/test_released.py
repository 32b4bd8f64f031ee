"""The genotypes that the paper's authors released: known tables, and their file form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from searchspace import RELEASED, CPSpace, Genotype, InputError, from_codes, load_genotype, parse_released

NYUD = ["semseg", "depth", "normals", "edge"]
PASCAL = ["semseg", "human_parts", "saliency", "normals", "edge"]

# Written out by hand from the released codes; rows are targets. T and S: T-label and S-label, G: global, L: local,
# and a dash for none. On the diagonal S-label is the same operation as T-label and is called that.
TABLES = {
    "nyud_hrnet18": (NYUD, ["TTSS", "STSS", "STTS", "TTGT"]),
    "nyud_hrnet48": (NYUD, ["T--S", "SGGS", "SGGS", "TTTT"]),
    "pascal_hrnet18": (PASCAL, ["TTS-S", "TTSTS", "TTTST", "TTTTS", "TTTGT"]),
}
LETTERS = {"T": "t_label", "S": "s_label", "G": "global", "L": "local", "-": "none"}


@pytest.mark.parametrize("name", TABLES)
def test_released_genotypes_are_the_known_tables(name: str) -> None:
    tasks, rows = TABLES[name]
    genotype = from_codes(*RELEASED[name])
    space = CPSpace(tasks)
    expected = {
        target: {source: LETTERS[letter] for source, letter in zip(tasks, row, strict=True)}
        for target, row in zip(tasks, rows, strict=True)
    }
    assert space.matrix(space.validate(genotype)) == expected


def test_the_released_set_is_complete() -> None:
    assert set(RELEASED) == set(TABLES)


def released_file(tasks: list[str], rows: str) -> dict[str, Any]:
    data = {
        t: {s: int(c) for s, c in zip(tasks, row, strict=True)} for t, row in zip(tasks, rows.split(), strict=True)
    }
    return {"data": data, "step": 40000}


def test_released_json_with_integers_and_their_task_names(tmp_path: Path) -> None:
    path = tmp_path / "genotype.json"
    theirs = released_file(["semseg", "parts", "sal", "normals", "edge"], RELEASED["pascal_hrnet18"][1])
    path.write_text(json.dumps(theirs))
    genotype = load_genotype(path)
    assert genotype == from_codes(*RELEASED["pascal_hrnet18"])
    assert list(genotype.parameters["tasks"]) == PASCAL
    assert genotype["human_parts<-saliency"] == "s_label"


def test_another_order_of_tasks_is_the_same_genotype() -> None:
    theirs = released_file(NYUD, RELEASED["nyud_hrnet18"][1])
    turned = {t: dict(reversed(row.items())) for t, row in reversed(theirs["data"].items())}
    genotype = parse_released({"data": turned})
    assert CPSpace(NYUD).validate(genotype) == from_codes(*RELEASED["nyud_hrnet18"])


@pytest.mark.parametrize("code", [5, -1, 3.0, True, None, "x", "03"])
def test_code_out_of_range(code: Any) -> None:
    theirs = released_file(["semseg", "depth"], "00 00")
    theirs["data"]["depth"]["semseg"] = code
    with pytest.raises(InputError, match=r"^theirs\.json: code of depth<-semseg must be in 0\.\.4, got"):
        parse_released(theirs, where="theirs.json")


@pytest.mark.parametrize(
    "data",
    [None, [], {}, {"data": []}, {"data": {"semseg": "3344"}}, {"data": {}}, {"data": {"a": {"a": 1, "b": 1}}}],
)
def test_another_structure(data: Any) -> None:
    with pytest.raises(InputError):
        parse_released(data)


def test_a_missing_source_is_named() -> None:
    theirs = released_file(["semseg", "depth"], "00 00")
    del theirs["data"]["depth"]["semseg"]
    with pytest.raises(InputError, match="depth<-semseg"):
        parse_released(theirs)


@pytest.mark.parametrize("rows", ["33 4", "33", "333 333", "39 33", "3x 33", ""])
def test_rows_that_do_not_fit(rows: str) -> None:
    with pytest.raises(InputError):
        from_codes(["semseg", "depth"], rows)


def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    genotype = from_codes(["semseg", "depth"], "01 23")
    (tmp_path / "ours.json").write_text(json.dumps(genotype.to_json()))
    (tmp_path / "released.json").write_text(json.dumps({"data": {"semseg": {"semseg": 0}}, "step": 1}))
    assert load_genotype(str(tmp_path / "ours.json")) == genotype
    assert Genotype.load(str(tmp_path / "ours.json")) == genotype
    assert dict(load_genotype(str(tmp_path / "released.json"))) == {"semseg<-semseg": "none"}
    with pytest.raises(InputError, match=r"genotype file missing\.json does not exist"):
        load_genotype("missing.json")
