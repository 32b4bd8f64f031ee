"""Batch-norm statistics against moments that are computed at once, and buffers that must not change."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from strategies._statistics import keeping_buffers, pooled_statistics


class Stop(Exception):
    pass


def images(count: int = 12) -> Tensor:
    """``(count, 3, 4, 5)``: images that differ in brightness far more than pixels do, as photographs may."""
    generator = torch.Generator().manual_seed(0)
    brightness = 3 * torch.randn(count, 1, 1, 1, generator=generator)
    return torch.randn(count, 3, 4, 5, generator=generator) + brightness + torch.tensor([0.0, 10, -50])[:, None, None]


def raise_after(output: Tensor) -> None:
    raise Stop


def state(module: nn.Module) -> list[bytes]:
    return [buffer.numpy().tobytes() for buffer in module.buffers()]


# -- pooled statistics ----------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=11, max_size=11))
def test_pooled_moments_are_those_of_all_inputs_for_any_cut(cuts: list[bool]) -> None:
    """Also with batches of one image, which lose the variance between images if variances are averaged."""
    everything, norm = images(), nn.BatchNorm2d(3)
    with pooled_statistics(norm):
        for part in everything.tensor_split([place for place, cut in enumerate(cuts, 1) if cut]):
            norm(part)
    torch.testing.assert_close(norm.running_mean, everything.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, everything.var((0, 2, 3)), rtol=1e-5, atol=0)
    assert norm.num_batches_tracked == sum(cuts) + 1


def test_vectors_are_pooled_too() -> None:
    vectors, norm = images().flatten(1)[:, :7], nn.BatchNorm1d(7)
    with pooled_statistics(norm):
        norm(vectors[:10])
        norm(vectors[10:])
    torch.testing.assert_close(norm.running_mean, vectors.mean(0))
    torch.testing.assert_close(norm.running_var, vectors.var(0))


def test_a_norm_that_several_inputs_pass_through_pools_them_all() -> None:
    a, b, norm = images()[:5], 2 * images()[5:] + 1, nn.BatchNorm2d(3)
    with pooled_statistics(norm):
        norm(a)
        norm(b)
    both = torch.cat([a, b])
    torch.testing.assert_close(norm.running_mean, both.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, both.var((0, 2, 3)))


def test_what_was_before_has_no_part() -> None:
    norm = nn.BatchNorm2d(3)
    norm(100 + 50 * images())
    with pooled_statistics(norm):
        norm(images())
    torch.testing.assert_close(norm.running_mean, images().mean((0, 2, 3)))


def test_a_norm_that_saw_nothing_has_its_initial_statistics() -> None:
    used, idle = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    idle(images())
    with pooled_statistics(nn.ModuleList([used, idle])):
        used(images())
    assert torch.equal(idle.running_mean, torch.zeros(3))  # type: ignore[arg-type]
    assert torch.equal(idle.running_var, torch.ones(3))  # type: ignore[arg-type]
    assert idle.num_batches_tracked == 0


@pytest.mark.parametrize("mode", [False, True])
def test_norms_alone_are_in_training_mode_and_only_in_the_block(mode: bool) -> None:
    module = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, momentum=None), nn.Dropout(0.5)).train(mode)
    module[1].train(not mode)
    with pooled_statistics(module):
        assert [module.training, module[1].training, module[2].training] == [mode, True, mode]
        out = module[:2](images())
        torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-4)
    assert [module.training, module[1].training, module[2].training] == [mode, not mode, mode]
    assert module[1].momentum is None


def test_norms_without_running_statistics_stay_as_they_are() -> None:
    norm = nn.BatchNorm2d(3, track_running_stats=False).eval()
    with pooled_statistics(norm):
        norm(images())
        assert not norm.training
    assert norm.running_mean is None


def test_after_an_exception_nothing_is_left() -> None:
    module = nn.Sequential(nn.BatchNorm2d(3, momentum=0.3)).eval()
    module.train()(images())
    module.eval()
    before = state(module)
    with pytest.raises(Stop), pooled_statistics(module):
        raise_after(module(images()))
    assert state(module) == before
    assert not module[0].training
    assert module[0].momentum == 0.3
    assert not module[0]._forward_hooks


def test_hooks_are_gone_after_the_block() -> None:
    norm = nn.BatchNorm2d(3)
    with pooled_statistics(norm):
        norm(images())
    assert not norm._forward_hooks
    assert not norm._forward_pre_hooks


# -- kept buffers ---------------------------------------------------------------------------------------------------


def buffered() -> nn.Module:
    module = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    module.register_buffer("nan", torch.tensor([float("nan"), -0.0]))
    module.register_buffer("flags", torch.tensor([True, False]))
    return module


@pytest.mark.parametrize("fails", [False, True])
def test_buffers_are_put_back_bit_for_bit(fails: bool) -> None:
    module = buffered()
    module(images())
    before, weight = state(module), module[1].weight.clone()  # type: ignore[index]
    try:
        with keeping_buffers(module):
            module(50 * images())
            module.nan.zero_()  # type: ignore[operator]
            module.flags.logical_not_()  # type: ignore[operator]
            with torch.no_grad():
                module[1].weight += 1  # type: ignore[index]
            assert state(module) != before
            if fails:
                raise Stop
    except Stop:
        assert fails
    assert state(module) == before
    assert torch.equal(module[1].weight, weight + 1)  # type: ignore[index]


def test_what_is_no_module_has_no_buffers() -> None:
    with keeping_buffers(object()):
        pass
    with keeping_buffers(nn.Identity()):
        pass
