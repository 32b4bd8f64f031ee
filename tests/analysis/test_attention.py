"""Attention maps against the weights written out, for every context type, and the command that draws them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from analysis.attention import attention_maps, attention_table
from analysis.blocks import Blocks
from analysis.figures import draw_attention
from atrc.contexts import Context, LabelSpace
from atrc.contexts.attention import spatial_softmax
from atrc.data import Batch
from atrc.networks import on_grid
from searchspace import InputError

from .test_importance import derived, drawn, sampled

PIXELS = [(0, 11), (3, 2), (7, 5)]


def by_hand(blocks: Blocks, batch: Batch, target: str, source: str, name: str) -> torch.Tensor:
    """``(B, h, w)``: similarities of the query at each pixel, normalised as the context's definition says."""
    context = blocks._context(target, source, name)
    features, regions, _ = blocks.network.encode(batch.image)
    reads = {LabelSpace.TARGET: target, LabelSpace.SOURCE: source, None: None}[context.label_space]
    density = spatial_softmax(regions[reads], on_grid(batch.valid, features)) if reads else None
    rows = []
    for b, (y, x) in enumerate(PIXELS):
        query = context.activation(context.query(features[target]))[b, :, y, x]
        if density is not None:
            prototypes = torch.einsum("chw,rhw->cr", features[source][b], density[b])
            key = context.activation(context.key(prototypes[None, :, :, None]))[0, :, :, 0]
            weights = torch.softmax(query @ key / math.sqrt(len(query)), 0)
            rows.append(torch.einsum("r,rhw->hw", weights, density[b]))
            continue
        key = context.activation(context.key(features[source]))[b]
        similarity = torch.einsum("d,dhw->hw", query, key)
        if name == "global":
            rows.append(similarity / similarity.sum())
            continue
        h, w = torch.meshgrid(torch.arange(8), torch.arange(12), indexing="ij")
        near = ((h - y).abs() <= 4) & ((w - x).abs() <= 4)
        scaled = (similarity / math.sqrt(len(query))).masked_fill(~near, -math.inf)
        rows.append(torch.softmax(scaled.flatten(), 0).view(8, 12))
    return torch.stack(rows)


@pytest.mark.parametrize("pair", [("semseg", "depth"), ("depth", "depth")])
@pytest.mark.parametrize("name", ["global", "local", "t_label", "s_label"])
def test_a_row_of_the_attention_matrix(pair: tuple[str, str], name: str) -> None:
    blocks = sampled()
    if name not in blocks.candidates(*pair):
        pytest.skip("the diagonal has no s_label")
    batch = drawn([3])[0]
    with torch.no_grad():
        expected = by_hand(blocks, batch, *pair, name)
    got = blocks.attention(batch, PIXELS, *pair, name)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(got.sum((1, 2)), torch.ones(3))
    assert not got.requires_grad


def test_padding_is_no_region() -> None:
    blocks, batch = sampled(), drawn([3], padded=True)[0]
    got = blocks.attention(batch, PIXELS, "semseg", "depth", "t_label")
    assert (got[..., -2:] == 0).all()
    torch.testing.assert_close(got.sum((1, 2)), torch.ones(3))


IMAGE = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)


def test_maps_of_a_derived_network() -> None:
    maps = attention_maps(derived(), IMAGE, (32, 48), (63, 0))
    assert [(m.target, m.source, m.context) for m in maps] == [
        ("semseg", "semseg", "global"),
        ("depth", "depth", "local"),
    ]
    near = maps[1].weights > 0
    assert near[-5:, :5].any()
    assert not near[:-5].any(), "outside the corner's window"
    assert not near[:, 5:].any()
    table = attention_table(maps)
    assert len(table) == 2 * 8 * 12
    assert table.groupby("target")["weight"].sum().tolist() == pytest.approx([1, 1], rel=1e-5)
    (cut,) = attention_maps(derived(), IMAGE, (32, 48), (0, 0), [("depth", "semseg")])
    assert cut.context == "none"
    assert not cut.weights.any()
    assert draw_attention(IMAGE, (63, 0), [*maps, cut]).axes


def test_every_candidate_of_a_supergraph() -> None:
    maps = attention_maps(sampled(), IMAGE, (32, 48), (10, 10), [("semseg", "depth")], every=True)
    assert [m.context for m in maps] == ["global", "local", "t_label", "s_label"]
    assert len({m.weights.tobytes() for m in maps}) == 4


@pytest.mark.parametrize(
    ("pixel", "pair", "context", "message"),
    [
        ((64, 0), ("semseg", "depth"), None, "not in the image"),
        ((0, 0), ("semseg", "dept"), None, "did you mean 'depth'"),
        ((0, 0), ("semseg", "depth"), "local", "has s_label"),
        ((0, 0), ("depth", "semseg"), "local", "it is cut"),
    ],
)
def test_refusals(pixel: tuple[int, int], pair: tuple[str, str], context: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        attention_maps(derived(), IMAGE, (32, 48), pixel, [pair], [context] if context else None)


def test_a_context_that_attends_in_its_own_way() -> None:
    class Own(Context):
        def forward(self, target, source, density):  # type: ignore[no-untyped-def]
            return self.value(source)

    blocks = derived()
    blocks.network.distillation.blocks["depth"]["depth"] = Own(3, 3, 2)
    with pytest.raises(InputError, match="overrides forward"):
        blocks.attention(drawn([1])[0], [(0, 0)], "depth", "depth")
