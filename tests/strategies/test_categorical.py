"""Categorical distributions against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from searchspace import CPSpace, SearchSpace
from strategies import Categorical, entropy, gumbel_noise, gumbel_softmax

RAGGED = SearchSpace("ragged", {"a": ["x", "y"], "b": ["only"], "c": ["1", "2", "3", "4"]})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("temperature", [1.0, 0.3, 0.05])
def test_gumbel_softmax_is_equation_7(temperature: float) -> None:
    logits = [0.5, -1.0, 2.0, 0.0]
    noise = [0.1, 1.5, -0.7, 3.0]
    raised = [math.exp((a + g) / temperature) for a, g in zip(logits, noise, strict=True)]
    expected = torch.tensor([r / sum(raised) for r in raised], dtype=torch.float64)
    got = gumbel_softmax(
        torch.tensor(logits, dtype=torch.float64), torch.tensor(noise, dtype=torch.float64), temperature
    )
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=0)


def test_gumbel_softmax_gradient() -> None:
    logits = torch.randn(3, 4, dtype=torch.float64, generator=generator(), requires_grad=True)
    noise = torch.randn(3, 4, dtype=torch.float64, generator=generator(1))
    assert torch.autograd.gradcheck(lambda x: gumbel_softmax(x, noise, 0.7), logits)


def test_gumbel_noise_is_minus_log_minus_log() -> None:
    uniform = torch.tensor([0.1, 0.5, math.exp(-1), 0.9], dtype=torch.float64)
    expected = torch.tensor([-math.log(-math.log(u)) for u in uniform.tolist()], dtype=torch.float64)
    torch.testing.assert_close(gumbel_noise(uniform), expected)


def test_gumbel_noise_is_finite_at_both_ends() -> None:
    assert gumbel_noise(torch.tensor([0.0, 1.0 - 2**-24, 1.0])).isfinite().all()


def test_gumbel_noise_has_the_moments_of_the_gumbel_distribution() -> None:
    n = 200_000
    noise = gumbel_noise(torch.rand(n, generator=generator(), dtype=torch.float64))
    variance = math.pi**2 / 6
    euler_gamma = 0.5772156649
    assert abs(float(noise.mean()) - euler_gamma) < 4 * math.sqrt(variance / n)
    # The fourth central moment of a Gumbel variable is 5.4 times its squared variance.
    assert abs(float(noise.var()) - variance) < 4 * variance * math.sqrt(4.4 / n)


def test_the_winner_of_logits_plus_noise_follows_the_softmax() -> None:
    n = 40_000
    logits = torch.tensor([0.5, -1.0, 1.0, 0.0, -torch.inf])
    noise = gumbel_noise(torch.rand(n, 5, generator=generator()))
    counts = torch.bincount((logits + noise).argmax(-1), minlength=5)
    p = logits.softmax(-1)
    sigma = (n * p * (1 - p)).sqrt()
    assert counts[4] == 0
    assert ((counts - n * p).abs()[:4] < 4 * sigma[:4]).all()


@pytest.mark.parametrize("k", [1, 2, 5])
def test_entropy_of_uniform_is_log_k(k: int) -> None:
    assert float(entropy(torch.full((k,), 3.0, dtype=torch.float64))) == pytest.approx(math.log(k), abs=1e-12)


def test_entropy_of_one_hot_is_zero() -> None:
    assert float(entropy(torch.tensor([0.0, 1000.0, 0.0]))) == 0
    assert float(entropy(torch.tensor([-torch.inf, 2.0, -torch.inf]))) == 0


def test_entropy_in_nats_by_hand() -> None:
    p = torch.tensor([0.5, 0.25, 0.125, 0.125], dtype=torch.float64)
    assert float(entropy(p.log())) == pytest.approx(1.75 * math.log(2), rel=1e-12)


def test_masked_places_count_nothing() -> None:
    logits = torch.tensor([[0.3, -torch.inf, 1.2, -torch.inf]], dtype=torch.float64)
    torch.testing.assert_close(entropy(logits), entropy(logits[:, [0, 2]]))


def test_entropy_gradient_is_finite_at_masked_places() -> None:
    logits = torch.tensor([0.3, 0.7, 1.2], dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([False, True, False])
    entropy(logits.masked_fill(mask, -torch.inf)).backward()
    kept = logits.detach()[[0, 2]].requires_grad_()
    entropy(kept).backward()
    assert logits.grad is not None
    assert kept.grad is not None
    assert logits.grad[1] == 0
    torch.testing.assert_close(logits.grad[[0, 2]], kept.grad)


def test_a_new_distribution_is_uniform_over_the_options_of_each_choice() -> None:
    distribution = Categorical(RAGGED)
    report = distribution.table(distribution.probabilities)
    assert report == {"a": {"x": 0.5, "y": 0.5}, "b": {"only": 1.0}, "c": dict.fromkeys("1234", 0.25)}


def test_number_of_parameters() -> None:
    assert Categorical(RAGGED).num_parameters() == 2 + 1 + 4
    assert Categorical(CPSpace(["semseg", "depth", "normals", "edge"])).num_parameters() == 4 * 4 + 12 * 5 == 76


def test_the_genotype_is_the_most_probable_and_never_a_masked_place() -> None:
    distribution = Categorical(RAGGED)
    with torch.no_grad():
        distribution.logits.copy_(torch.tensor([[-5.0, -4.0, 9.0, 9.0], [-9.0, 9.0, 9.0, 9.0], [0.0, 1.0, 3.0, 2.0]]))
    assert dict(distribution.genotype()) == {"a": "y", "b": "only", "c": "3"}


def weights() -> Tensor:
    return torch.arange(12.0).view(3, 4)


def test_selection_has_the_weights_of_every_option_and_nothing_of_masked_places() -> None:
    selection = Categorical(RAGGED).selection(weights())
    selection.check(RAGGED)
    found = {c: [(o, None if w is None else w.item()) for o, w in selection[c]] for c in RAGGED}
    assert found == {
        "a": [("x", 0.0), ("y", 1.0)],
        "b": [("only", 4.0)],
        "c": [("1", 8.0), ("2", 9.0), ("3", 10.0), ("4", 11.0)],
    }


def test_selection_of_a_fixed_choice_has_that_option_alone_at_constant_weight() -> None:
    selection = Categorical(RAGGED).selection(weights(), constant=[-1, 0, 2])
    assert selection.active("a") == ("x", "y")
    assert selection["c"] == (("3", None),)


def test_gradients_reach_the_logits_through_a_selection() -> None:
    distribution = Categorical(RAGGED)
    selection = distribution.selection(distribution.probabilities)
    weight = selection["c"][1].weight
    assert weight is not None
    weight.backward()
    expected = torch.zeros(3, 4)
    expected[2] = torch.tensor([-1.0, 3.0, -1.0, -1.0]) / 16  # p_k (delta_jk - p_j) at p = 1/4
    torch.testing.assert_close(distribution.logits.grad, expected)


def test_loading_keeps_the_tensor_that_an_optimiser_holds() -> None:
    one, other = Categorical(RAGGED), Categorical(RAGGED)
    with torch.no_grad():
        one.logits += torch.randn(3, 4, generator=generator())
    held = other.logits
    state = one.state_dict()
    other.load_state_dict(state)
    assert other.logits is held
    assert torch.equal(held, one.logits)
    with torch.no_grad():
        held.zero_()
    assert torch.equal(state["logits"], one.logits)
