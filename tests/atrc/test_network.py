"""The networks around the contexts: what is shared, what is detached, what is summed."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from atrc.config import Config, Model, Training
from atrc.data import Batch
from atrc.distillation import DISTILLATIONS
from atrc.networks import MultiTaskNetwork, multi_task_loss
from atrc.setup import Setup
from atrc.supernets import MultiTaskSupernet
from atrc.tasks import Task
from atrc.training import learning_rate
from searchspace import Selection, Supernet

PASCAL = ["semseg", "human_parts", "saliency", "normals", "edge"]


@pytest.fixture
def tasks(config: Config) -> dict[str, Task]:
    return Setup.of(config).tasks


@pytest.fixture
def batch(tasks: dict[str, Task]) -> Batch:
    generator = torch.Generator().manual_seed(0)
    normals = F.normalize(torch.randn(2, 3, 32, 48, generator=generator), dim=1)
    labels = {
        "semseg": torch.randint(0, 5, (2, 32, 48), generator=generator),
        "depth": torch.rand(2, 32, 48, generator=generator) * 4 + 1,
        "normals": normals,
        "edge": torch.randint(0, 2, (2, 32, 48), generator=generator),
    }
    image = torch.randn(2, 3, 32, 48, generator=generator)
    return Batch(image, labels, torch.ones(2, 1, 32, 48, dtype=torch.bool), ["a", "b"])


@pytest.fixture
def supernet(config: Config, tasks: dict[str, Task]) -> MultiTaskSupernet:
    torch.manual_seed(0)
    return Setup.of(config).supernet()


def test_total_is_the_weighted_sum_of_final_and_auxiliary_losses(config, tasks, batch) -> None:
    torch.manual_seed(0)
    network = Setup.of(config).network("all-t_label", Setup.of(config).space.uniform("t_label"))
    total, parts = multi_task_loss(network(batch.image, batch.valid), batch, tasks)
    assert set(parts) == {name + suffix for name in tasks for suffix in ("", ".aux")}
    weights = {"semseg": 1, "depth": 1, "normals": 10, "edge": 50}
    expected = sum(weights[name.removesuffix(".aux")] * value for name, value in parts.items())
    torch.testing.assert_close(total.detach(), expected)


def test_auxiliary_losses_do_not_reach_the_backbone_but_do_reach_their_head(config, tasks, batch) -> None:
    network = Setup.of(config).network("x", Setup.of(config).space.uniform("t_label"))
    predictions = network(batch.image)
    sum(x.square().mean() for x in predictions.regions.values()).backward()
    assert all(p.grad is None for p in network.backbone.parameters())
    assert all(p.grad is not None for p in network.auxiliary.parameters())


def test_final_losses_reach_the_auxiliary_head_through_the_prototypes(config, tasks, batch) -> None:
    network = Setup.of(config).network("x", Setup.of(config).space.uniform("s_label"))
    for row in network.distillation.rows.values():
        torch.nn.init.ones_(row.out[1].weight)
    torch.manual_seed(1)
    sum((x * torch.randn_like(x)).sum() for x in network(batch.image).final.values()).backward()
    for head in network.auxiliary.values():
        assert bool(head.regions.weight.grad.abs().sum() > 0)


def test_auxiliary_heads_exist_only_where_regions_are_read(config, tasks) -> None:
    space = Setup.of(config).space
    assert not Setup.of(config).network("multi", None).auxiliary
    assert not Setup.of(config).network("x", space.uniform("local")).auxiliary
    one = space.genotype({**space.uniform("none"), "depth<-edge": "s_label"})
    assert set(Setup.of(config).network("x", one).auxiliary) == {"edge"}


def test_single_task_network_predicts_its_task_alone(config, tasks, batch) -> None:
    network = Setup.of(config).network("single-depth", None)
    assert set(network(batch.image).final) == {"depth"}


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (61, 90)])
def test_odd_sizes_and_the_grid(config, tasks, size) -> None:
    network = Setup.of(config).network("x", Setup.of(config).space.uniform("local")).eval()
    out = network(torch.randn(1, 3, *size)).final
    grid = tuple(math.ceil(side / 4) for side in size)
    assert {name: tuple(x.shape[2:]) for name, x in out.items()} == dict.fromkeys(tasks, grid)


def test_padding_changes_no_label_context(config, tasks) -> None:
    """The prototypes of a padded image weigh its real pixels only."""
    torch.manual_seed(0)
    network = Setup.of(config).network("x", Setup.of(config).space.uniform("t_label")).eval()
    image = torch.randn(1, 3, 32, 64)
    valid = torch.ones(1, 1, 32, 64, dtype=torch.bool)
    valid[..., 32:] = False
    features, regions, _ = network.encode(image)
    changed = {name: x.clone() for name, x in regions.items()}
    for x in changed.values():
        x[..., 8:] += 5  # whatever the auxiliary heads say of padding
    on_grid = F.interpolate(valid.float(), (8, 16)).bool()
    for name, out in network.distillation(features, regions, on_grid).items():
        torch.testing.assert_close(out, network.distillation(features, changed, on_grid)[name])


@pytest.mark.parametrize("tasks", [["semseg", "depth", "normals", "edge"], PASCAL], ids=["four", "five"])
@pytest.mark.parametrize("neck", [None, "fpm", "mti_net"])
@pytest.mark.parametrize(
    ("backbone", "head"),
    [
        ("tiny", {"name": "shallow"}),
        ("tiny", {"name": "fcn", "channels": 12, "skip": 4, "aspp": True, "rates": [1, 2]}),
        pytest.param("hrnet18", {"name": "shallow", "aspp": True}, marks=pytest.mark.slow),
        pytest.param("hrnet48", {"name": "shallow"}, marks=pytest.mark.slow),
        pytest.param("resnet50", {"name": "fcn"}, marks=pytest.mark.slow),
        pytest.param("resnet50", {"name": "fcn", "aspp": True}, marks=pytest.mark.slow),
    ],
)
def test_every_backbone_neck_and_head_learns_at_an_odd_size(config, backbone, head, neck, tasks) -> None:
    """Whole networks with contexts that read every part: predictions on the stride-4 grid, gradients everywhere."""
    if backbone == "resnet50" and neck:
        pytest.skip("a neck that keeps 2048 channels for every task has billions of weights; no table has one")
    changes = {
        "dataset": {"name": "rooms", "profile": "people" if len(tasks) == 5 else "indoor", "size": [32, 48]},
        "tasks": tasks,
        "backbone": {"name": backbone, **({"width": 0.25} if backbone == "tiny" else {})},
        "model": {"head": head, "neck": neck and {"name": neck}},
    }
    chosen = Config.model_validate({**config.model_dump(), **changes})
    built = Setup.of(chosen).tasks
    torch.manual_seed(0)
    network = Setup.of(chosen).network("x", Setup.of(chosen).space.uniform("t_label"))
    for row in network.distillation.rows.values():
        torch.nn.init.ones_(row.out[1].weight)  # which is zero at first, and lets nothing through
    predictions = network(torch.randn(2, 3, 47, 65))
    for name, task in built.items():
        assert predictions.final[name].shape == (2, task.channels, 12, 17)
        assert predictions.regions[name].shape == (2, task.regions, 12, 17)
        assert len(predictions.initial.get(name, ())) == (4 if neck else 0)
    sum(x.square().mean() for of in (predictions.final, predictions.regions) for x in of.values()).backward()
    # Predictions on the way are not in this sum; and these heads read the finest and the deepest map alone.
    unread = ("neck.predict", *(("neck.distill.1", "neck.distill.2") if head["name"] == "fcn" else ()))
    assert [n for n, p in network.named_parameters() if p.grad is None and not n.startswith(unread)] == []


@pytest.mark.parametrize(
    ("neck", "head"),
    [
        pytest.param(None, {"name": "shallow", "aspp": True, "rates": [1, 2]}, marks=pytest.mark.slow),
        pytest.param("fpm", {"name": "shallow"}, marks=pytest.mark.slow),
        ("mti_net", {"name": "fcn", "channels": 12, "skip": 4, "aspp": True, "rates": [1, 2]}),
    ],
)
def test_a_network_is_saved_loaded_and_exported(config, neck, head, tmp_path) -> None:
    changes = {"tasks": ["semseg", "depth"], "model": {"head": head, "neck": neck and {"name": neck}}}
    chosen = Config.model_validate({**config.model_dump(), **changes})
    built = Setup.of(chosen).tasks
    network, other = (Setup.of(chosen).network("x", Setup.of(chosen).space.uniform("t_label")) for _ in range(2))
    for row in network.distillation.rows.values():
        torch.nn.init.ones_(row.out[1].weight)
    torch.save(network.state_dict(), tmp_path / "network.pt")
    other.load_state_dict(torch.load(tmp_path / "network.pt", weights_only=True))
    network.eval(), other.eval()
    image = torch.randn(1, 3, 33, 47)
    torch.export.save(torch.export.export(network, (image,)), tmp_path / "network.pt2")
    exported = torch.export.load(tmp_path / "network.pt2").module()
    with torch.no_grad():
        expected, loaded, traced = network(image), other(image), exported(image)
    for of in (loaded, traced):
        assert set(of.initial) == (set(built) if neck else set())
        for name in built:
            torch.testing.assert_close(of.final[name], expected.final[name])
            torch.testing.assert_close(of.regions[name], expected.regions[name])


def test_derived_network_is_fresh_and_holds_only_the_genotype(supernet: MultiTaskSupernet) -> None:
    genotype = supernet.space.uniform("global")
    derived = supernet.derive(genotype)
    assert isinstance(derived, MultiTaskNetwork)
    assert derived.distillation.genotype == genotype
    assert not any(p is q for p in derived.parameters() for q in supernet.parameters())
    assert sum(p.numel() for p in derived.parameters()) < sum(p.numel() for p in supernet.parameters())


def dropping(network: torch.nn.Module) -> list[float]:
    """Probabilities of everything that drops values."""
    layers = [module for module in network.modules() if "Dropout" in type(module).__name__]
    return [layer.p for layer in layers if layer.p > 0]


def test_search_has_no_dropout_and_no_scale_on_values(supernet: MultiTaskSupernet) -> None:
    assert dropping(supernet) == []
    assert dropping(supernet.derive(supernet.space.uniform("local"))) == [0.05] * 4
    candidate = supernet.supergraph.blocks["depth"]["edge"].candidates["local"]
    assert candidate.value[1].weight is None
    assert supernet.derive(supernet.space.uniform("local")).distillation.rows["depth"].dropout.p == 0.05


def test_supernet_loss_is_differentiable_under_a_one_hot_selection(supernet: MultiTaskSupernet, batch) -> None:
    supernet.loss(batch, Selection.of(supernet.space.uniform("none"))).backward()
    assert isinstance(supernet, Supernet)
    assert all(p.grad is not None for p in supernet.backbone.parameters())
    assert all(p.grad is None for p in supernet.supergraph.blocks.parameters())


def test_learning_rate_is_polynomial_per_step() -> None:
    training = Training(steps=100, lr=0.1, power=0.9)
    assert learning_rate(training, 0) == 0.1
    assert learning_rate(training, 50) == pytest.approx(0.1 * 0.5**0.9)
    assert learning_rate(training, 99) == pytest.approx(0.1 * 0.01**0.9)
    warm = Training(steps=100, lr=0.1, power=0, warmup=4)
    assert [learning_rate(warm, step) for step in range(5)] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])


@pytest.mark.parametrize("model", ["cross_stitch", "pad_a", "pad_b", "pad_c", "pap", "psd"])
def test_a_distillation_module_makes_a_network(config: Config, tasks, batch, model: str) -> None:
    assert Setup.of(config).genotype(model) is None
    network = Setup.of(config).network(model, None)
    assert type(network.distillation) is DISTILLATIONS[model]
    total, parts = multi_task_loss(network(batch.image, batch.valid), batch, tasks)
    total.backward()
    assert set(parts) == set(tasks), "no auxiliary heads"
    assert all(p.grad is not None for p in network.distillation.parameters())


def test_a_distillation_module_takes_its_options_from_the_config(config: Config, tasks) -> None:
    given = config.model_copy(update={"model": Model(distillations={"pap": {"steps": 2}})})
    assert Setup.of(given).network("pap", None).distillation.steps == 2
