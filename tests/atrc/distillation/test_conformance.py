"""What each distillation module computes, against plain forms. See tests/atrc/testing for what all promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atrc.contexts.local_attention import local_attention_unfold
from atrc.distillation import ATRC, DISTILLATIONS, PAP, PSD, CrossStitch, Distillation, PADNetA, PADNetB, PADNetC
from searchspace import CPSpace, InputError

NYUD = ("semseg", "depth", "normals", "edge")
PASCAL = ("semseg", "human_parts", "saliency", "normals", "edge")
REGIONS = {"semseg": 6, "human_parts": 7, "saliency": 2, "depth": 5, "normals": 4, "edge": 2}
BACKBONES = {"tiny": 42, "hrnet18": 67, "hrnet48": 180, "resnet50": 256}


def of_contexts(context: str) -> Callable[[Mapping[str, int]], Distillation]:
    return lambda channels: ATRC(channels, CPSpace(list(channels)).uniform(context))


MODULES: dict[str, Callable[..., Distillation]] = {
    **{name: module for name, module in DISTILLATIONS.items() if module is not ATRC},
    **{f"all-{context}": of_contexts(context) for context in ("global", "local", "t_label", "s_label")},
}

every_module = pytest.mark.parametrize("name", list(MODULES))
every_task_set = pytest.mark.parametrize("tasks", [NYUD, PASCAL], ids=["nyud", "pascal"])


def maps(
    tasks: tuple[str, ...], width: int, size: tuple[int, int] = (7, 9)
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    features = {task: torch.randn(2, width, *size, generator=generator) for task in tasks}
    return features, {task: torch.randn(2, REGIONS[task], *size, generator=generator) for task in tasks}


def stirred(module: Distillation) -> Distillation:
    """Norms and mixtures away from where they start, where some parts have no effect."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)
            nn.init.uniform_(norm.running_var, 0.5, 2)
    return module.eval()


@pytest.mark.slow  # minutes and gigabytes: the size of NYUD-v2
@every_module
@every_task_set
@pytest.mark.parametrize("width", BACKBONES.values(), ids=BACKBONES)
def test_learns_at_full_size(name: str, tasks: tuple[str, ...], width: int) -> None:
    module = MODULES[name](dict.fromkeys(tasks, width)).train()
    features, regions = ({task: x[:1] for task, x in of.items()} for of in maps(tasks, width, (107, 140)))
    leaves = {task: x.requires_grad_() for task, x in features.items()}
    sum(x.square().sum() for x in module(leaves, regions).values()).backward()
    assert all(x.grad.isfinite().all() for x in [*module.parameters(), *leaves.values()])


@every_module
def test_weights_have_their_shapes_in_any_order_of_tasks(name: str) -> None:
    tasks, other = NYUD, tuple(NYUD[i] for i in (2, 0, 3, 1))
    module = MODULES[name](dict.fromkeys(tasks, 8))
    features, regions = maps(tasks, 8)
    renamed = MODULES[name](dict.fromkeys(other, 8))
    assert {k: v.shape for k, v in renamed.state_dict().items()} == {
        k: v.shape for k, v in module.state_dict().items()
    }
    assert set(renamed(features, regions)) == set(other)


@every_module
def test_it_is_exported(name: str) -> None:
    tasks = NYUD[:2]  # tracing takes seconds
    module = stirred(MODULES[name](dict.fromkeys(tasks, 8)))
    inputs = maps(tasks, 8)
    exported = torch.export.export(module, inputs).module()
    for task, refined in module(*inputs).items():
        torch.testing.assert_close(exported(*inputs)[task], refined)


def test_cross_stitch_is_a_weighted_sum() -> None:
    features, regions = maps(NYUD, 8)
    kept = CrossStitch(dict.fromkeys(NYUD, 8), own=1.0)(features, regions)
    assert all(torch.equal(kept[task], features[task]) for task in NYUD)
    mixed = CrossStitch(dict.fromkeys(NYUD, 8), own=0.25)(features, regions)
    torch.testing.assert_close(mixed["depth"], torch.stack(list(features.values())).mean(0))
    with pytest.raises(InputError, match=r"equal channels, but got semseg: 8, depth: 6"):
        CrossStitch({"semseg": 8, "depth": 6})


def test_pad_net_adds_what_the_other_tasks_send() -> None:
    """Modules A, B and C, written out for one target."""
    features, regions = maps(NYUD, 8)
    others = [task for task in NYUD if task != "edge"]
    a = stirred(PADNetA(dict.fromkeys(NYUD, 8)))
    joined = torch.cat([features[task] for task in NYUD], dim=1)
    torch.testing.assert_close(a(features, regions)["edge"], a.reduce["edge"](joined))
    b = stirred(PADNetB(dict.fromkeys(NYUD, 8)))
    sent = sum(b.messages["edge"][task](features[task]) for task in others)
    torch.testing.assert_close(b(features, regions)["edge"], b.refine["edge"](features["edge"] + sent))
    c = stirred(PADNetC(dict.fromkeys(NYUD, 8), refine=False))
    for message in c.messages["edge"].values():
        nn.init.zeros_(message.gate.weight)  # every gate is half open
    sent = sum(F.conv2d(features[task], c.messages["edge"][task].message.weight, padding=1) / 2 for task in others)
    torch.testing.assert_close(c(features, regions)["edge"], features["edge"] + sent)


def test_pap_diffuses_pixel_by_pixel() -> None:
    """The affinities, their mixture and the steps, written out on one image of two tasks."""
    tasks = ("depth", "edge")
    module = stirred(PAP(dict.fromkeys(tasks, 4), steps=3, rate=0.25))
    features, regions = ({task: x[:1] for task, x in of.items()} for of in maps(tasks, 4, (4, 6)))
    small = {task: F.avg_pool2d(features[task], 2) for task in tasks}
    shares = module.mixture.softmax(1)[1]
    mixed = torch.zeros(6, 6)
    for share, task in zip(shares, tasks, strict=True):
        x = module.reduce[task](small[task])[0].reshape(2, 6)
        for i in range(6):
            similar = torch.stack([x[:, i] @ x[:, j] / 2**0.5 for j in range(6)])
            mixed[i] += share * similar.exp() / similar.exp().sum()
    y = small["edge"][0].reshape(4, 6)
    for _ in range(3):
        y = 0.75 * y + 0.25 * torch.stack([(mixed[i] * y).sum(1) for i in range(6)], dim=1)
    enlarged = F.interpolate(y.view(1, 4, 2, 3), (4, 6), mode="bilinear", align_corners=False)
    expected = module.refine["edge"](features["edge"] + enlarged)
    torch.testing.assert_close(module(features, regions)["edge"], expected)


def test_nothing_flows_from_padding_in_pap() -> None:
    module = stirred(PAP(dict.fromkeys(NYUD, 8)))
    features, regions = maps(NYUD, 8, (8, 8))
    valid = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    valid[:, :, 4:] = False
    before = module(features, regions, valid)
    for x in features.values():
        x[:, :, 4:] = 100.0
    after = module(features, regions, valid)
    for task in NYUD:  # pixels whose enlarged outcome mixes no padded one
        torch.testing.assert_close(after[task][:, :, :3], before[task][:, :, :3])


def test_psd_spreads_along_the_structures_of_all_tasks() -> None:
    tasks = ("depth", "edge")
    module = stirred(PSD(dict.fromkeys(tasks, 4), window=3, steps=2))
    features, regions = maps(tasks, 4)
    gates = {task: module.gate[task](torch.cat(list(features.values()), dim=1)).softmax(1) for task in tasks}
    y = {task: module.value[task](features[task]) for task in tasks}

    def along(structure: str, values: Tensor) -> Tensor:
        query, key = module.query[structure](features[structure]), module.key[structure](features[structure])
        return local_attention_unfold(query, key, values, window=3, border="mask")

    for _ in range(2):
        y = {t: sum(gates[t][:, [i]] * along(s, y[t]) for i, s in enumerate(tasks)) for t in tasks}
    expected = module.rows["edge"](features["edge"], [y["edge"]])
    torch.testing.assert_close(module(features, regions)["edge"], expected)
