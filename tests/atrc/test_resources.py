"""Parameters and multiply-adds against the published and counted columns of Table 1 (resources)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from analysis.resources import MODULES, resource_rows, run_resources
from analysis.views import VIEWS, SpaceView
from atrc.backbones import BACKBONES
from atrc.config import Config, import_plugins, load_config, parse_config
from atrc.costs import Counter, Resources, count_module, count_parameters
from atrc.distillation import NoDistillation
from atrc.networks import Encoded, MultiTaskNetwork
from atrc.runs import RunDirectory, RunSpec
from atrc.setup import Setup
from atrc.tasks import TASKS
from searchspace import RELEASED, SPACES, Genotype, InputError, SearchSpace, from_codes

NYUD = {
    "single-task, sum": (16_097_716, 40.937),
    "multi-task": (4_515_556, 17.594),
    "cross_stitch": (4_516_628, 17.594),
    "all-global": (4_734_172, 21.427),
    "all-local": (4_734_172, 22.194),
    "all-t_label": (5_060_994, 25.408),
    "all-s_label": (5_060_994, 25.408),
    "ATRC, released nyud_hrnet18": (5_060_994, 25.295),
}

PUBLISHED = {
    "cross_stitch": (4.52, None),  # how its sums were counted is not known
    "pad_a": (4.59, 18.68),
    "pad_b": (5.02, 25.18),
    "pad_c": (5.50, 32.42),
}
"""M and G, as printed."""


def test_nyud_hrnet18() -> None:
    config = load_config("nyud_hrnet18")
    rows = resource_rows(config, Setup.of(config).info.size)
    counted = {row.network: (row.total.parameters, row.total.multiply_adds) for row in rows}
    assert counted["search supergraph"][0] == 5_459_314
    for network, (parameters, giga) in NYUD.items():
        assert counted[network][0] == parameters
        assert counted[network][1] / 1e9 == pytest.approx(giga, abs=0.0006)
    for network, (mega, published) in PUBLISHED.items():
        assert counted[network][0] / 1e6 == pytest.approx(mega, abs=0.005)
        if published is not None:
            assert counted[network][1] / 1e9 == pytest.approx(published, rel=0.001)
    parts = {row.network: row.parts for row in rows}
    atrc = parts["ATRC, released nyud_hrnet18"]
    sources = 4
    assert atrc["backbone"].parameters == 3_860_720
    assert atrc["heads"].parameters == 4 * 162_944 + sum((67 + 1) * outputs for outputs in (40, 1, 3, 1))
    assert atrc["aux"].parameters == sum(73_440 + 271 * regions for regions in (40, 40, 40, 2))
    assert atrc["blocks"].parameters == 16 * 9_141
    assert atrc["fuse"].parameters == 4 * 9_112 + sources * 8_978
    assert "neck" not in atrc


@pytest.mark.parametrize(
    ("source", "model"),
    [("rooms4", "multi"), ("rooms4", "all-t_label"), ("rooms4+mti_net", "psd"), ("rooms5+fcn+aspp", "all-local")],
)
def test_parts_add_up_to_the_network(source: str, model: str) -> None:
    config = load_config(source)
    with torch.device("meta"):
        network: MultiTaskNetwork = Setup.of(config).network(model, Setup.of(config).genotype(model))
    counter = Counter((64, 96))
    parts = counter.parts(network)
    assert sum(part.parameters for part in parts.values()) == count_parameters(network)
    assert sum(part.multiply_adds for part in parts.values()) == counter.multiply_adds(network)
    assert ("neck" in parts) == ("mti_net" in source)


OWN_SPACE = '''
"""Which kernel refines every task's features, beside what a matrix mixes of all of them."""

import torch
from torch import nn

from atrc.supernets import SUPERNETS, MultiTaskSupernet
from searchspace import SPACES, SearchSpace

KERNELS = {"k1": 1, "k3": 3, "k5": 5}


@SPACES.register("kernels")
class Kernels(SearchSpace):
    def __init__(self, tasks):
        super().__init__("kernels", {task: list(KERNELS) for task in tasks}, {"tasks": list(tasks)})


def refiner(width, option):
    kernel = KERNELS[option]
    layer = nn.Conv2d(width, width, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(width), nn.ReLU())


@SUPERNETS.register("kernels")
class KernelSupernet(MultiTaskSupernet):
    space_type = Kernels

    def __init__(self, parts, space):
        super().__init__(parts, space)
        width = next(iter(self.channels.values()))
        self.candidates = nn.ModuleDict(
            {task: nn.ModuleDict({option: refiner(width, option) for option in space[task]}) for task in space}
        )
        self.mixing = nn.Parameter(torch.zeros(width, width))

    def forward(self, image, selection, valid=None):
        encoded = self.encode(image)
        refined = {}
        for task, x in encoded.features.items():
            found = torch.matmul(self.mixing, x.flatten(2)).view_as(x)
            outputs = {option: self.candidates[task][option](x) for option in selection.active(task)}
            refined[task] = found + selection.mix(task, outputs)
        return self.finish(refined, encoded)
'''
OWN_CONFIG = """
name: own
dataset: {name: rooms, size: [32, 48], train: 4, val: 2}
tasks: {semseg: {}, depth: {}}
backbone: {name: tiny, width: 0.25}
space: {name: kernels}
"""


@pytest.mark.usefixtures("no_plugin_left")
def test_a_supernet_of_ones_own_is_counted_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: C x C weights for every pixel of a kernel, two of the batch norm a channel, and one ReLU."""
    (tmp_path / "plugin_kernels.py").write_text(OWN_SPACE)
    config = parse_config(OWN_CONFIG, "test", [f"plugins=[{tmp_path / 'plugin_kernels.py'}]"])
    import_plugins(config)
    network = Setup.of(config).supernet()
    C, pixels = network.channels["depth"], 8 * 12
    weights = 2 * sum(C * C * kernel * kernel for kernel in (1, 3, 5)) + C * C
    other = Resources(weights + 2 * 3 * 2 * C, pixels * (weights + C * C + 2 * 3 * 3 * C))  # both tasks are mixed

    class Kernels(SpaceView):
        """What somebody published of this space."""

        space_type = SPACES["kernels"]

        def released(self, space: SearchSpace) -> Mapping[str, Genotype]:
            return {"published": space.decode((0, 2))}

    monkeypatch.setitem(VIEWS._entries, "kernels", Kernels)
    rows = resource_rows(config, (32, 48))
    shown = [row.network for row in rows if row.model not in MODULES]
    assert shown[1:] == ["multi-task", "all-k1", "all-k3", "all-k5", "published", "search supergraph"]
    row = rows[-1]
    assert row.model == "search"
    assert row.parts["other"] == other
    assert row.parts["architecture"] == Resources(2 * 3, 0)
    assert row.total.parameters == count_parameters(network) + 2 * 3
    plain = rows[1]
    assert plain.model == "multi"
    assert "other" not in plain.parts
    assert row.total == plain.total + other + Resources(2 * 3, 0)

    genotype = Setup.of(config).space.genotype({"semseg": "k1", "depth": "k5"})
    parts = Counter((32, 48)).parts(Setup.of(config).network("retrain", genotype))
    weights = C * C * (1 + 25) + C * C
    assert parts["other"] == Resources(weights + 2 * 2 * C, pixels * (weights + C * C + 2 * 3 * C))


class Lent(NoDistillation):
    """Calls a layer that belongs to another part."""

    def forward(self, features: Mapping[str, Tensor], regions: Any, valid: Any = None) -> dict[str, Tensor]:
        self.lent(features["depth"])
        return dict(features)


class Twice(MultiTaskNetwork):
    """Looks at the image twice, at a smaller one, and at the first layers alone; has a layer that is no part."""

    def __init__(self) -> None:
        tasks = {"semseg": TASKS.create("semseg", {"classes": 5}), "depth": TASKS.create("depth", {})}
        super().__init__(BACKBONES.create("tiny", {"width": 0.25}), tasks, Lent({}))
        self.distillation.lent = self.predict["depth"]
        self.scaling = nn.Conv2d(3, 3, 1, bias=False)

    def encode(self, image: Tensor, selection: object = None) -> Encoded:
        assert len(self.backbone.channels) == 4
        for picture in (image, image[..., ::2, ::2]):
            self.backbone(picture)
        self.backbone.stem(image)
        return super().encode(self.scaling(image))


MODULE = """
from torch import nn

from atrc.distillation import DISTILLATIONS, Distillation
from searchspace import InputError


@DISTILLATIONS.register("own_scale")
class OwnScale(Distillation):
    def __init__(self, channels, *, width=None):
        super().__init__()
        if width is None:
            raise InputError("own_scale needs a width")
        self.layers = nn.ModuleDict({task: nn.Conv2d(c, c, width, padding="same") for task, c in channels.items()})

    def forward(self, features, regions, valid=None):
        return {task: layer(features[task]) for task, layer in self.layers.items()}
"""


@pytest.mark.usefixtures("no_plugin_left")
def test_a_module_of_ones_own_has_a_row_where_it_can_be_built(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "plugin_scale.py"
    file.write_text(MODULE)

    def rows(options: dict[str, Any]) -> dict[str, int]:
        model = config.model.model_copy(update={"distillations": options})
        own = config.model_copy(update={"plugins": [str(file)], "model": model})
        return {row.network: row.total.parameters for row in resource_rows(own, (32, 48))}

    import_plugins(config.model_copy(update={"plugins": [str(file)]}))
    without = rows({})
    assert "own_scale" not in without
    counted = rows({"own_scale": {"width": 1}})
    channels = Setup.of(config).parts().network(NoDistillation).channels
    assert counted["own_scale"] == without["multi-task"] + sum(c * c + c for c in channels.values())
    with pytest.raises(InputError, match="unknown option 'wide'"):
        rows({"own_scale": {"wide": 1}})


def test_parts_that_share_and_call_what_they_like_add_up_too() -> None:
    network, counter = Twice(), Counter((64, 96))
    plain = counter.parts(MultiTaskNetwork(network.backbone, network.tasks, NoDistillation({})))
    image, half = (torch.empty(1, 3, *size, device="meta") for size in ((64, 96), (32, 48)))
    smaller, stem = count_module(network.backbone, [half]), count_module(network.backbone.stem, [image])
    assert min(smaller.multiply_adds, stem.multiply_adds) > 0
    assert plain["backbone"] == count_module(network.backbone, [image])
    of_backbone = 2 * plain["backbone"].multiply_adds + smaller.multiply_adds + stem.multiply_adds
    lent = Resources(0, 16 * 24 * (network.channels["depth"] + 1))
    for _ in range(2):
        parts = counter.parts(network)
        assert parts["backbone"] == Resources(count_parameters(network.backbone), of_backbone)
        assert parts["heads"] == plain["heads"] + lent
        assert parts["blocks"] == parts["fuse"] == Resources(0, 0)
        assert parts["other"] == Resources(9, 64 * 96 * 9)
        assert sum(part.parameters for part in parts.values()) == count_parameters(network)
        assert sum(part.multiply_adds for part in parts.values()) == counter.multiply_adds(network)


def test_a_run_is_counted_as_what_it_trained(config: Config, tmp_path: Path) -> None:
    genotype = Setup.of(config).space.uniform("global")
    found = RunDirectory.create(tmp_path / "found", RunSpec("train", "retrain", 0), config, genotype)
    plain = RunDirectory.create(tmp_path / "multi", RunSpec("train", "multi", 0), config)
    rows = {row.model: row.total for row in resource_rows(config, (32, 48))}
    assert run_resources(found).total == rows["all-global"]
    assert run_resources(plain).total == rows["multi"]
    searching = RunDirectory.create(tmp_path / "search", RunSpec("search", "search", 0), config)
    with pytest.raises(InputError, match="has found no genotype yet"):
        run_resources(searching)


@pytest.mark.parametrize(
    ("preset", "overrides", "expected"),
    [
        (
            "nyud_hrnet18",
            ["backbone.name=hrnet48"],
            {
                "multi": 70_000_305,
                "all-global": 71_572_785,
                "all-t_label": 73_740_107,
                "nyud_hrnet48": 72_478_947,
            },
        ),
        (
            "pascal_hrnet18",
            [],
            {
                "multi": 4_677_752,
                "all-local": 5_007_782,
                "all-s_label": 5_394_494,
                "pascal_hrnet18": 5_383_142,
            },
        ),
    ],
)
def test_parameters_of_other_networks(preset: str, overrides: list[str], expected: dict[str, int]) -> None:
    config = load_config(preset, overrides)
    for model, parameters in expected.items():
        genotype = from_codes(*RELEASED[model]) if model in RELEASED else Setup.of(config).genotype(model)
        with torch.device("meta"):
            assert count_parameters(Setup.of(config).network(model, genotype, pretrained=False)) == parameters
