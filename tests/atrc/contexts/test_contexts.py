"""The projections around the attentions, and the registry of contexts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atrc.contexts import CONTEXTS, Context, LabelSpace, LocalContext
from searchspace import InputError


def batch_norm(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Evaluation-mode batch norm, written out."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scaled = (x - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + norm.eps).sqrt()
    return scaled if norm.weight is None else scaled * norm.weight[:, None, None] + norm.bias[:, None, None]


def conv1x1(x: Tensor, conv: nn.Conv2d) -> Tensor:
    return torch.einsum("oi,bihw->bohw", conv.weight[:, :, 0, 0], x)


def query(context: Context, x: Tensor) -> Tensor:
    """Eq. 1 for the query: conv-BN-ReLU, conv-BN."""
    first, norm, _, second, last = context.query
    return batch_norm(conv1x1(F.relu(batch_norm(conv1x1(x, first), norm)), second), last)


def random_statistics(context: Context) -> None:
    generator = torch.Generator().manual_seed(3)
    for module in context.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)


@pytest.mark.parametrize("name", ["global", "local", "t_label", "s_label"])
def test_context_is_its_equation_between_written_out_projections(name: str) -> None:
    torch.manual_seed(0)
    context = CONTEXTS[name](6, 5, 3).double().eval()
    random_statistics(context)
    target, source = torch.randn(2, 6, 4, 5, dtype=torch.float64), torch.randn(2, 5, 4, 5, dtype=torch.float64)
    density = torch.softmax(torch.randn(2, 7, 20, dtype=torch.float64), -1).view(2, 7, 4, 5)
    reads = density if context.label_space else None
    pooled = source
    if context.label_space:
        pooled = torch.einsum("brhw,bchw->bcr", density, source)[..., None]
    first, norm, _ = context.value
    v = F.relu(batch_norm(conv1x1(pooled, first), norm)).flatten(2)
    key_first, key_norm, _, key_second, key_last = context.key
    k = batch_norm(conv1x1(F.relu(batch_norm(conv1x1(pooled, key_first), key_norm)), key_second), key_last)
    q, k = query(context, target).flatten(2), k.flatten(2)
    if name == "global":
        weights = torch.einsum("bdi,bdj->bij", F.softplus(q), F.softplus(k))
        weights = weights / weights.sum(-1, keepdim=True)
    else:
        scores = torch.einsum("bdi,bdj->bij", F.relu(q), F.relu(k)) / 3**0.5
        if name == "local":  # a 9 x 9 neighbourhood in a 4 x 5 map: at most 4 apart
            at = torch.cartesian_prod(torch.arange(4), torch.arange(5))
            far = (at[:, None] - at[None]).abs().amax(-1) > 4
            scores = scores.masked_fill(far, -torch.inf)
        weights = torch.softmax(scores, -1)
    expected = torch.einsum("bij,bej->bei", weights, v).view(2, 3, 4, 5)
    torch.testing.assert_close(context(target, source, reads), expected, rtol=1e-9, atol=1e-11)


def test_parameter_counts_of_a_block() -> None:
    """9,141 with d = 33, and 2 d fewer where the value's norm has no scale."""
    for name in ("global", "local", "t_label", "s_label"):
        derived, searched = CONTEXTS[name](67, 67, 33), CONTEXTS[name](67, 67, 33, affine_value=False)
        assert sum(p.numel() for p in derived.parameters()) == 9141
        assert sum(p.numel() for p in searched.parameters()) == 9141 - 2 * 33


def test_label_spaces() -> None:
    assert CONTEXTS["t_label"].label_space is LabelSpace.TARGET
    assert CONTEXTS["s_label"].label_space is LabelSpace.SOURCE
    assert CONTEXTS["global"].label_space is None


@pytest.mark.parametrize(("options", "message"), [({"window": 4}, "odd"), ({"border": "wrap"}, "border rule")])
def test_local_refuses_bad_options(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LocalContext(4, 4, 2, **options)
