"""Plugins: files and modules that register parts."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from atrc.config import Config, import_plugins
from atrc.distillation import DISTILLATIONS, Distillation
from searchspace import InputError

PLUGIN = """
from atrc.distillation import DISTILLATIONS, Distillation


@DISTILLATIONS.register("{name}")
class {of}(Distillation):
    where = "{where}"

    def __init__(self, channels):
        super().__init__()

    def forward(self, features, regions, valid=None):
        return dict(features)

"""


pytestmark = pytest.mark.usefixtures("no_plugin_left")


def plugin(path: Path, name: str, *, of: str = "Mine", last: str = "") -> str:
    """A file that registers a distillation module, and then does something else."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(PLUGIN.format(name=name, of=of, where=path.parent.name) + last)
    return str(path)


def use(config: Config, *plugins: str) -> None:
    import_plugins(config.model_copy(update={"plugins": list(plugins)}))


def test_a_plugin_that_failed_fails_again_and_may_be_mended(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    broken = plugin(path, "half_made", last="raise RuntimeError('no more')\n")
    for _ in range(2):
        with pytest.raises(InputError, match=r"broken\.py' cannot be imported: RuntimeError: no more"):
            use(config, broken)
        assert "half_made" not in DISTILLATIONS, "what it registered before it failed is taken back"
    plugin(path, "half_made", of="Renamed")
    use(config, broken)
    assert DISTILLATIONS["half_made"].__name__ == "Renamed"


def test_a_module_that_failed_leaves_nothing_either(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    plugin(tmp_path / "plugin_of_mine.py", "half_made", last="import not_there_at_all\n")
    for _ in range(2):
        with pytest.raises(InputError, match="plugin 'plugin_of_mine' cannot be imported: ModuleNotFoundError"):
            use(config, "plugin_of_mine")
        assert "half_made" not in DISTILLATIONS


def test_two_files_of_one_name_are_two_plugins(config: Config, tmp_path: Path) -> None:
    use(config, plugin(tmp_path / "p1" / "my.py", "first"), plugin(tmp_path / "p2" / "my.py", "second"))
    made = [DISTILLATIONS[name] for name in ("first", "second")]
    assert [one.where for one in made] == ["p1", "p2"]  # type: ignore[attr-defined]
    assert [pickle.loads(pickle.dumps(one)) for one in made] == made, "each has a module of its own"


def test_a_name_that_two_files_register_is_refused(config: Config, tmp_path: Path) -> None:
    one, other = plugin(tmp_path / "p1" / "my.py", "same"), plugin(tmp_path / "p2" / "my.py", "same")
    for _ in range(2):
        with pytest.raises(InputError, match=r"'same' is registered twice.*p1/my\.py and .*p2/my\.py\)$"):
            use(config, one, other)
    assert DISTILLATIONS["same"].where == "p1"  # type: ignore[attr-defined]


def test_a_file_is_imported_once_however_it_is_written(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plugin(
        tmp_path / "once.py", "once", last="import sys\nsys.plugin_count = getattr(sys, 'plugin_count', 0) + 1\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "plugin_count", 0, raising=False)
    use(config, path, "once.py", "./once.py")
    made = DISTILLATIONS["once"]
    use(config, path)
    assert DISTILLATIONS["once"] is made
    assert sys.plugin_count == 1  # type: ignore[attr-defined]


def unpickled_elsewhere(config: Config, pickled: bytes, answer: Any) -> None:
    import_plugins(config)
    answer.put(pickle.loads(pickled).where)


def test_another_process_finds_the_classes_of_a_plugin(config: Config, tmp_path: Path) -> None:
    mine = config.model_copy(update={"plugins": [plugin(tmp_path / "p1" / "my.py", "sent")]})
    import_plugins(mine)
    made: type[Distillation] = DISTILLATIONS["sent"]
    spawn = multiprocessing.get_context("spawn")
    answer: Any = spawn.Queue()
    process = spawn.Process(target=unpickled_elsewhere, args=(mine, pickle.dumps(made), answer))
    process.start()
    assert answer.get(timeout=60) == "p1"
    process.join()
