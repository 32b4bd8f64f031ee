"""Fused and plain execution of the same modules."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from atrc.contexts import CONTEXTS, Context
from atrc.distillation import ATRC, Supergraph
from searchspace import CPSpace, Selection, block
from strategies import build_strategy

TASKS = ("semseg", "depth", "edge")
CHANNELS = {"semseg": 8, "depth": 6, "edge": 10}
REGIONS = {"semseg": 5, "depth": 4, "edge": 2}
SPACE = CPSpace(TASKS)


def maps(channels: dict[str, int], seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        task: torch.randn(2, width, 6, 7, dtype=torch.float64, generator=generator).requires_grad_()
        for task, width in channels.items()
    }


def both(module: ATRC | Supergraph) -> tuple[nn.Module, nn.Module]:
    """The module in double precision away from its identity-like start, fused and plain."""
    module = module.double()
    for row in module.rows.values():
        if row.out is not None:
            nn.init.normal_(row.out[1].weight)
    plain = copy.deepcopy(module)
    module.fused, plain.fused = True, False
    return module, plain


def assert_same(fused: nn.Module, plain: nn.Module, run, channels: dict[str, int] = CHANNELS) -> None:
    """Outputs, all gradients, and the running statistics agree."""
    results = []
    for module in (fused, plain):
        features, regions = maps(channels, 0), maps(REGIONS, 1)
        outputs, extra = run(module, features, regions)
        torch.manual_seed(5)
        torch.autograd.backward(list(outputs.values()), [torch.randn_like(out) for out in outputs.values()])
        grads = [*features.values(), *regions.values(), *extra, *module.parameters()]
        results.append(([*outputs.values()], [x.grad for x in grads], module.state_dict()))
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("checkpoint", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_supergraph(training: bool, checkpoint: bool) -> None:
    fused, plain = both(Supergraph(CHANNELS, SPACE).train(training))
    fused.checkpoint = checkpoint

    def run(module, features, regions):
        strategy = build_strategy("gumbel_entropy", SPACE, seed=3, knobs={})
        outputs = module(features, regions, strategy.select())
        return outputs, [strategy.distribution.logits]

    assert_same(fused, plain, run)


@pytest.mark.parametrize("checkpoint", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_derived_module(training: bool, checkpoint: bool) -> None:
    genotype = SPACE.from_matrix(
        {
            "semseg": {"semseg": "global", "depth": "local", "edge": "none"},
            "depth": {"semseg": "s_label", "depth": "t_label", "edge": "t_label"},
            "edge": {"semseg": "none", "depth": "none", "edge": "none"},
        }
    )
    fused, plain = both(ATRC(CHANNELS, genotype, dropout=0.0, checkpoint=checkpoint).train(training))
    plain.checkpoint = False
    assert_same(fused, plain, lambda module, features, regions: (module(features, regions), []))


def test_checkpointing_keeps_little_until_the_backward_pass() -> None:
    """What autograd keeps between the passes, in numbers."""
    kept = {}
    for checkpoint in (True, False):
        supergraph = Supergraph(CHANNELS, SPACE, checkpoint=checkpoint).double()
        features, regions = maps(CHANNELS, 0), maps(REGIONS, 1)
        select = build_strategy("gumbel_entropy", SPACE, seed=3, knobs={}).select
        sizes: dict[int, int] = {}

        def keep(x: Tensor, sizes: dict[int, int] = sizes) -> Tensor:
            sizes[x.data_ptr()] = x.numel()
            return x

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            supergraph(features, regions, select())
        kept[checkpoint] = sum(sizes.values())
    assert kept[True] < kept[False] / 4


@pytest.mark.parametrize("option", ["global", "local", "t_label", "s_label"])
def test_nothing_is_read_before_it_is_written(option: str) -> None:
    """A single block runs: maps, rows and blocks are left out. New memory holds NaN."""
    selection = Selection.of(SPACE.genotype(dict.fromkeys(SPACE, "none") | {block("depth", "edge"): option}))
    equal = dict.fromkeys(TASKS, 8)
    fused, plain = both(Supergraph(equal, SPACE))
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.utils.deterministic.fill_uninitialized_memory
        assert_same(fused, plain, lambda module, features, regions: (module(features, regions, selection), []), equal)
    finally:
        torch.use_deterministic_algorithms(False)


def test_only_active_candidates_run() -> None:
    """Norms of candidates that a selection leaves out keep their statistics."""
    supergraph, _ = both(Supergraph(CHANNELS, SPACE))
    supergraph(maps(CHANNELS, 0), maps(REGIONS, 1), Selection.of(SPACE.uniform("global")))
    candidates = supergraph.blocks["semseg"]["depth"].candidates
    assert int(candidates["global"].query[1].num_batches_tracked) == 1
    assert int(candidates["local"].query[1].num_batches_tracked) == 0


@pytest.mark.parametrize("change", ["frozen norm", "other momentum", "replaced layer"])
def test_a_changed_context_runs_as_it_is(change: str) -> None:
    """What a user did to a projection holds in the fused form as well."""
    fused, plain = both(Supergraph(CHANNELS, SPACE))
    for module in (fused, plain):
        context = module.blocks["depth"]["edge"].candidates["global"]
        if change == "frozen norm":
            context.key[1].eval()
        elif change == "other momentum":
            context.key[1].momentum = 0.5
        else:
            context.key[2] = nn.Tanh()
    selection = Selection.of(SPACE.uniform("global"))
    assert_same(fused, plain, lambda module, features, regions: (module(features, regions, selection), []))


def test_a_context_with_its_own_forward_runs_as_it_is() -> None:
    @CONTEXTS.register("mean_for_pooling")
    class Mean(Context):
        def forward(self, target: Tensor, source: Tensor, density: Tensor | None) -> Tensor:
            return self.value(source).mean((2, 3), keepdim=True).expand(-1, -1, *target.shape[2:])

    space = CPSpace(TASKS, contexts=("none", "global", "mean_for_pooling"))
    fused, plain = both(Supergraph(CHANNELS, space))
    mixed = dict.fromkeys(space, "global") | {block("depth", "edge"): "mean_for_pooling"}
    selection = Selection.of(space.genotype(mixed))
    assert_same(fused, plain, lambda module, features, regions: (module(features, regions, selection), []))
