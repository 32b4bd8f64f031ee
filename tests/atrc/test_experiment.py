"""Planning the runs of an experiment."""

from __future__ import annotations

from pathlib import Path

import pytest

from atrc.config import Config
from atrc.experiment import create_train, run_path
from atrc.runs import find_runs
from searchspace import InputError


def test_a_model_has_one_folder_however_it_is_written(config: Config, tmp_path: Path) -> None:
    (run,) = create_train(config, ["all-t-label"], tmp_path)
    assert run.path == run_path(tmp_path, "all-t-label", 0) == run_path(tmp_path, "all-t_label", 0)


def test_runs_are_created_all_or_none(config: Config, tmp_path: Path) -> None:
    create_train(config, ["multi"], tmp_path)
    with pytest.raises(InputError, match="already exists; continue it with: atrc resume"):
        create_train(config, ["baselines"], tmp_path)
    assert [found.spec.model for found in find_runs([tmp_path])] == ["multi"]
