"""The plan of the planted matrix: which networks there are, and what is planted for each. Nothing is trained."""

from __future__ import annotations

from pathlib import Path

from atrc.data import Planted
from atrc.experiments.recovery import SEARCHED, code_hash, matrix_runs, searched_runs
from searchspace import CANDIDATES


def test_every_context_is_used_where_every_other_was_planted(tmp_path: Path) -> None:
    runs = matrix_runs(tmp_path, [0, 3])
    assert len(runs) == 4 * 5 * 2
    seen = set()
    for run in runs:
        answer, genotype = Planted.answer(**run.config.dataset.options), run.genotype()
        assert genotype is not None
        planted = {need.context for need in answer.values()}
        assert len(planted) == 1
        assert set(answer) == ({("b", "a")} if planted == {"s_label"} else {("a", "a"), ("b", "a")})
        assert genotype["a<-b"] == genotype["b<-b"] == "none"
        used = genotype["b<-a"]
        assert genotype["a<-a"] == ("t_label" if used == "s_label" else used)
        seen.add((*planted, used, run.spec.seed))
    assert seen == {(p, u, s) for p in CANDIDATES[1:] for u in CANDIDATES for s in (0, 3)}


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    first = {run.path: run.path.stat().st_ino for run in matrix_runs(tmp_path, [0])}
    second = {run.path: run.path.stat().st_ino for run in matrix_runs(tmp_path, [0, 1])}
    assert first.items() <= second.items()
    assert len(second) == 2 * len(first)


def test_the_presets_are_searched(tmp_path: Path) -> None:
    runs = searched_runs(tmp_path, [0, 1])
    assert [run.path.relative_to(tmp_path).parts[0] for run in runs] == [name for name in SEARCHED for _ in (0, 1)]


def test_changed_code_makes_everything_anew(tmp_path: Path) -> None:
    """What the code of before made would prove nothing of this."""
    package = tmp_path / "package"
    package.mkdir()
    for name in ("part.py", "kernel.c", "preset.yaml", "notes.md"):
        (package / name).write_text("1")
    hashes = [code_hash([package])]
    for name in ("part.py", "kernel.c", "preset.yaml"):
        (package / name).write_text("2")
        hashes.append(code_hash([package]))
    (package / "part.py").rename(package / "other.py")
    hashes.append(code_hash([package]))
    assert len(set(hashes)) == 5
    (package / "notes.md").write_text("2")
    assert code_hash([package]) == hashes[-1]
    assert code_hash() == code_hash()
