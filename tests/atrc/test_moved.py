"""Former names of modules: they lead to the new places, say so, and name what is gone."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from atrc import _former
from atrc._moved import MOVED, NAMES
from atrc.config import Config, Cost
from atrc.data import hold_out
from atrc.experiments import create_retrain, create_search
from atrc.inference import Predictor
from atrc.machine.stopping import Stop
from atrc.training import execute


@pytest.mark.parametrize("former", MOVED)
def test_a_former_name_leads_to_names_that_are_there(former: str) -> None:
    sys.modules.pop(former, None)
    with pytest.warns(DeprecationWarning, match=f"{former} has moved to {MOVED[former][0]}"):
        module = importlib.import_module(former)
    assert module.__all__
    for name in module.__all__:
        places = map(importlib.import_module, MOVED[former])
        assert any(getattr(place, name, None) is getattr(module, name) for place in places)


def test_a_name_that_is_gone_is_named() -> None:
    sys.modules.pop("atrc.build", None)
    with pytest.warns(DeprecationWarning, match="has moved"):
        former = importlib.import_module("atrc.build")
    with pytest.raises(AttributeError, match=r"atrc\.build has moved to atrc\.setup and .*'lost' is gone"):
        _ = former.lost


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, of in NAMES.items() for name in of])
def test_a_former_name_in_a_module(module: str, name: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"{module}\.{name} has moved"):
        assert callable(getattr(importlib.import_module(module), name))
    with pytest.raises(AttributeError, match="no attribute 'lost'"):
        _ = importlib.import_module(module).lost


def test_a_module_that_moved_as_a_whole_is_the_same_module() -> None:
    sys.modules.pop("atrc.comparison", None)
    with pytest.warns(DeprecationWarning, match="has moved"):
        former = importlib.import_module("atrc.comparison")
    assert former is importlib.import_module("atrc.experiments.comparison")
    assert former.__spec__.name == "atrc.experiments.comparison"


def test_functions_of_before(config: Config) -> None:
    tasks = _former.build_tasks(config, _former.describe_dataset(config))
    train = _former.build_dataset(config, "train", tasks)
    _former.fit_tasks(tasks, train)
    genotype = _former.model_genotype(config, "all-local")
    network = _former.build_network(config, tasks, "x", genotype)
    assert network.tasks == tasks
    assert _former.build_search_network(config, tasks).space == _former.cp_space(config)
    assert len(_former.training_transform(config.augmentation, train.info).steps) > 1
    rest, held_out = hold_out(train, 0.5)
    setting = _former.Setting(config, 0, torch.device("cpu"), tasks, rest, held_out, Stop())
    assert setting.held_out_loss(Predictor(network.eval())) > 0


PLUGIN = """
from torch import nn

from atrc.network import SUPERNETS, Decoder, MultiTaskNetwork, SearchNetwork
from atrc.distillation import NoDistillation
from searchspace import SPACES, Costs, SearchSpace


@SPACES.register("former")
class Former(SearchSpace):
    def __init__(self, tasks):
        super().__init__("former", {task: ["in", "out"] for task in tasks}, {"tasks": list(tasks)})


@SUPERNETS.register("former")
class FormerNetwork(SearchNetwork):
    space_type = Former

    def __init__(self, make_backbone, tasks, space, decoder, model):
        super().__init__(make_backbone(), tasks, frozenset(), decoder)
        self.space = space
        self.extra = nn.ModuleDict({task: nn.Conv2d(self.channels[task], self.channels[task], 1) for task in tasks})

    def forward(self, image, selection, valid=None):
        encoded = self.encode(image)
        refined = {}
        for task, x in encoded.features.items():
            refined[task] = selection.mix(task, {"in": x + self.extra[task](x), "out": x})
        return self.finish(refined, encoded)

    def costs(self, measure, size, device):
        return Costs({choice: {"in": 1.0, "out": 0.0} for choice in self.space}, 0.0, measure.unit)

    @staticmethod
    def stand_alone(make_backbone, tasks, genotype, decoder, model):
        backbone = make_backbone()
        return MultiTaskNetwork(backbone, tasks, NoDistillation(decoder.channels(backbone, tasks)), decoder)
"""


@pytest.mark.usefixtures("no_plugin_left")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_supernet_of_before_is_searched_and_retrained(config: Config, tmp_path: Path) -> None:
    (tmp_path / "former.py").write_text(PLUGIN)
    changed = {
        "plugins": [str(tmp_path / "former.py")],
        "space": config.space.model_validate({"name": "former"}),
        "cost": Cost(measure="parameters", weight=0.1),
    }
    (search,) = create_search(config.model_copy(update=changed), tmp_path / "runs")
    execute(search, quiet=True)
    (found,) = create_retrain([search])
    assert execute(found, quiet=True).parameters > 0


def test_a_plugin_of_before_is_imported() -> None:
    code = "from atrc.network import MultiTaskNetwork\nfrom atrc.experiment import *\nprint(create_search.__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "atrc.experiments._create", done.stderr
