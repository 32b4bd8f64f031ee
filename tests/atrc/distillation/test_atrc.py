"""The ATRC module and the supergraph: against each other, against plain sums, and as drop-ins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor, nn

from atrc.contexts.attention import spatial_softmax
from atrc.distillation import ATRC, Supergraph
from searchspace import SPACES, CPSpace, InputError, Selection, Weighted, block
from searchspace.toy import ToySpace

TASKS = ("semseg", "depth", "edge")
CHANNELS = {"semseg": 8, "depth": 6, "edge": 10}
REGIONS = {"semseg": 5, "depth": 4, "edge": 2}
SPACE = CPSpace(TASKS)
MIXED = SPACE.from_matrix(
    {
        "semseg": {"semseg": "global", "depth": "local", "edge": "none"},
        "depth": {"semseg": "s_label", "depth": "t_label", "edge": "t_label"},
        "edge": {"semseg": "none", "depth": "none", "edge": "none"},
    }
)


@pytest.fixture
def inputs() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    features = {t: torch.randn(2, CHANNELS[t], 5, 7, generator=generator) for t in TASKS}
    regions = {t: torch.randn(2, REGIONS[t], 5, 7, generator=generator) for t in TASKS}
    return features, regions


def without_scale_in_search(supergraph: Supergraph, atrc: ATRC) -> None:
    """Copies the supergraph's weights into a derived module of the same genotype.

    The derived value norms have a scale (1) and a shift (0), which the supergraph's lack; rows join fewer blocks.
    """
    state = supergraph.state_dict()
    for name, parameter in atrc.state_dict().items():
        head, target, rest = name.split(".", 2)
        if head == "blocks":
            source, inner = rest.split(".", 1)
            option = atrc.genotype[block(target, source)]
            full = f"blocks.{target}.{source}.candidates.{option}.{inner}"
            if full in state:
                parameter.copy_(state[full])
        elif rest == "out.0.weight":
            width = CHANNELS[target] // 2
            kept = [i for i, s in enumerate(TASKS) if atrc.genotype[block(target, s)] != "none"]
            columns = [c for i in kept for c in range(i * width, (i + 1) * width)]
            parameter.copy_(state[name][:, columns])
        elif name in state and state[name].shape == parameter.shape:
            parameter.copy_(state[name])


@SPACES.register("diagonal_only")
class DiagonalOnly(CPSpace):
    """A user's space: tasks see themselves alone."""

    def __init__(self, tasks: Sequence[str]) -> None:
        super().__init__(tasks)
        self.name = "diagonal_only"

    def violation(self, choices: Mapping[str, str]) -> str | None:
        joined = [f"{t}<-{s}" for t, s in self.pairs() if t != s and choices[f"{t}<-{s}"] != "none"]
        return f"{joined[0]} joins two tasks" if joined else None


def test_a_users_space_of_contexts(inputs) -> None:
    space = DiagonalOnly(TASKS)
    genotype = space.genotype(dict.fromkeys(space, "none") | {"depth<-depth": "global"})
    module = ATRC(CHANNELS, genotype).eval()
    assert isinstance(module.space, DiagonalOnly)
    same = ATRC(CHANNELS, SPACE.genotype(genotype)).eval()
    same.load_state_dict(module.state_dict())
    assert torch.equal(module(*inputs)["depth"], same(*inputs)["depth"])
    with pytest.raises(InputError, match="joins two tasks"):
        space.genotype(MIXED)
    with pytest.raises(InputError, match="a genotype of the cp space, got one of 'toy'"):
        ATRC(CHANNELS, ToySpace().optimum)


def test_one_hot_supergraph_is_the_derived_module(inputs) -> None:
    torch.manual_seed(1)
    supergraph, derived = Supergraph(CHANNELS, SPACE).eval(), ATRC(CHANNELS, MIXED).eval()
    for row in supergraph.rows.values():  # leave the identity-like start, where the blocks would not matter
        nn.init.uniform_(row.out[1].weight, 0.5, 1.5)
    without_scale_in_search(supergraph, derived)
    features, regions = inputs
    searched = supergraph(features, regions, Selection.of(MIXED))
    for task, out in derived(features, regions).items():
        if task != "edge":  # a row of `none` alone has another shape once derived
            torch.testing.assert_close(out, searched[task])


def test_soft_selection_is_the_weighted_sum_of_the_candidates(inputs) -> None:
    torch.manual_seed(2)
    supergraph = Supergraph(CHANNELS, SPACE).eval()
    features, regions = inputs
    density = {t: spatial_softmax(regions[t]) for t in TASKS}
    cp_block = supergraph.blocks["semseg"]["depth"]
    options = SPACE["semseg<-depth"]
    weights = torch.softmax(torch.randn(len(options)), 0)
    weighted = tuple(Weighted(o, w) for o, w in zip(options, weights, strict=True))
    mixed = cp_block(features, density, Selection({"semseg<-depth": weighted}))
    expected = torch.zeros_like(mixed)
    for option, weight in zip(options, weights, strict=True):
        if option != "none":
            reads = {"t_label": "semseg", "s_label": "depth"}.get(option)
            candidate = cp_block.candidates[option]
            expected += weight * candidate(features["semseg"], features["depth"], density[reads] if reads else None)
    torch.testing.assert_close(mixed, expected)


def test_padding_has_a_say_in_label_regions_where_the_released_rule_is_asked_for(inputs) -> None:
    features, regions = inputs
    valid = torch.ones(len(features["semseg"]), 1, *features["semseg"].shape[2:], dtype=torch.bool)
    valid[..., -2:] = False
    selection = Selection.of(MIXED)
    for masks in (True, False):
        torch.manual_seed(1)
        derived = ATRC(CHANNELS, MIXED, mask_padding=masks).eval()
        supergraph = Supergraph(CHANNELS, SPACE, mask_padding=masks).eval()
        for row in (*derived.rows.values(), *supergraph.rows.values()):
            if row.out is not None:
                nn.init.uniform_(row.out[1].weight, 0.5, 1.5)
        pairs = (
            (derived(features, regions, valid), derived(features, regions)),
            (supergraph(features, regions, selection, valid), supergraph(features, regions, selection)),
        )
        for padded, whole in pairs:
            same = [torch.equal(padded[task], whole[task]) for task in TASKS]
            assert all(same) is not masks


def test_inactive_candidates_do_not_run(inputs) -> None:
    supergraph = Supergraph(CHANNELS, SPACE)
    ran: list[str] = []
    for target, row in supergraph.blocks.items():
        for source, cp_block in row.items():
            for option, candidate in cp_block.candidates.items():
                where = f"{block(target, source)}: {option}"
                candidate.register_forward_hook(lambda *_, where=where: ran.append(where))
    supergraph(*inputs, Selection.of(MIXED))
    assert ran == [f"{choice}: {option}" for choice, option in MIXED.items() if option != "none"]


def test_gradient_reaches_the_selection_weights(inputs) -> None:
    torch.manual_seed(3)
    supergraph = Supergraph(CHANNELS, SPACE)
    for row in supergraph.rows.values():
        nn.init.ones_(row.out[1].weight)
    logits = {c: torch.zeros(len(options), requires_grad=True) for c, options in SPACE.items()}
    selection = Selection(
        {
            c: tuple(Weighted(o, w) for o, w in zip(SPACE[c], torch.softmax(logit, 0), strict=True))
            for c, logit in logits.items()
        }
    )
    out = supergraph(*inputs, selection)
    sum((x * torch.randn_like(x)).sum() for x in out.values()).backward()
    assert all(logit.grad is not None and bool(logit.grad.abs().sum() > 0) for logit in logits.values())


def test_only_label_contexts_ask_for_region_maps() -> None:
    assert ATRC(CHANNELS, MIXED).region_tasks == {"semseg", "depth"}  # s_label of semseg, t_label of depth
    assert ATRC(CHANNELS, SPACE.uniform("global")).region_tasks == frozenset()
    assert ATRC(CHANNELS, SPACE.uniform("s_label")).region_tasks == set(TASKS)


def test_module_starts_near_the_identity_and_keeps_shapes(inputs) -> None:
    """The norm before the concatenation is zero, so no block has a say at the start."""
    torch.manual_seed(4)
    features, regions = inputs
    atrc = ATRC(CHANNELS, SPACE.uniform("global")).eval()
    before = atrc(features, regions)
    changed = {**features, "depth": features["depth"] + 1}
    torch.testing.assert_close(atrc(changed, regions)["semseg"], before["semseg"])
    assert {t: x.shape for t, x in before.items()} == {t: x.shape for t, x in features.items()}


def test_a_row_of_none_keeps_one_convolution() -> None:
    atrc = ATRC(CHANNELS, SPACE.uniform("none"))
    C = CHANNELS["semseg"]
    assert sum(p.numel() for p in atrc.rows["semseg"].parameters()) == C * C + 2 * C
    assert len(atrc.blocks["semseg"]) == 0


def test_renaming_the_order_of_tasks_changes_nothing_else(inputs) -> None:
    torch.manual_seed(5)
    one = ATRC(CHANNELS, MIXED).eval()
    reordered = CPSpace(("edge", "semseg", "depth"))
    other = ATRC(CHANNELS, reordered.genotype(dict(MIXED))).eval()
    for row in one.rows.values():
        if row.out is not None:
            nn.init.ones_(row.out[1].weight)
    state = one.state_dict()
    # The blocks of a row are joined in the order of the tasks: semseg, depth before; edge, semseg, depth after.
    order = {"depth": [2, 0, 1]}
    for target, permutation in order.items():
        w = CHANNELS[target] // 2
        columns = [c for i in permutation for c in range(i * w, (i + 1) * w)]
        state[f"rows.{target}.out.0.weight"] = state[f"rows.{target}.out.0.weight"][:, columns]
    other.load_state_dict(state)
    for task, out in one(*inputs).items():
        torch.testing.assert_close(other(*inputs)[task], out)


def test_bad_genotypes_are_refused() -> None:
    with pytest.raises(InputError, match="'edge'"):
        ATRC({"semseg": 8, "depth": 6}, MIXED)
    with pytest.raises(InputError, match="unknown context type 'glob'"):
        ATRC(CHANNELS, CPSpace(TASKS, contexts=("none", "glob", "t_label")).uniform("glob"))
