"""The gradients and samples of the one-shot strategies against their definitions."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from searchspace import Costs, InputError, SearchSpace, Selection, ToySpace, Weighted
from strategies import (
    DARTS,
    DSNAS,
    ENAS,
    GDAS,
    SNAS,
    SPOS,
    DARTSSecondOrder,
    DrNAS,
    FairDARTS,
    GumbelEntropy,
    LogitStrategy,
    ProxylessNAS,
    Step,
    build_strategy,
    gumbel_softmax,
)
from strategies.one_shot import sample_dirichlet
from strategies.testing import supernet_problem

SPACE = SearchSpace("s", {"a": ["x", "y", "z"], "b": ["x", "y"]})


def set_logits(strategy: LogitStrategy, *rows: list[float]) -> Tensor:
    with torch.no_grad():
        for j, row in enumerate(rows):
            strategy.distribution.logits[j, : len(row)] = torch.tensor(row)
    return strategy.distribution.logits


def weight(selection: Selection, choice: str, option: str) -> Tensor:
    found = dict(selection[choice])[option]
    assert found is not None
    return found


class Quadratic(nn.Module):
    """``loss = sum_jk s_jk |A_jk w - b|^2`` for weights w and shares s: every derivative is known to autograd."""

    space = SPACE

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.w = nn.Parameter(torch.randn(4, generator=generator, dtype=torch.double))
        self.a = {(c, o): torch.randn(4, 4, generator=generator, dtype=torch.double) for c in SPACE for o in SPACE[c]}

    def at(self, w: Tensor, batch: Tensor, selection: Selection) -> Tensor:
        total = w.new_zeros(())
        for choice in SPACE:
            for option, share in selection[choice]:
                loss = ((self.a[choice, option] @ w - batch) ** 2).sum()
                total = total + (loss if share is None else share.double() * loss)
        return total

    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        return self.at(self.w, batch, selection)

    def derive(self, genotype: object) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("xi", [0.01, None])
def test_the_unrolled_gradient_is_that_of_the_unrolled_loss(xi: float | None) -> None:
    supernet, strategy = Quadratic(), DARTSSecondOrder(SPACE, xi=xi, radius=1e-3)
    logits = set_logits(strategy, [0.3, -0.2, 0.5], [0.1, -0.4])
    train, held_out = torch.full((4,), 0.7).double(), torch.full((4,), -0.3).double()
    before = supernet.w.detach().clone()
    rate = 0.02 if xi is None else xi
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.02)
    strategy.held_out_gradients(Step(supernet, optimizer, train, held_out))
    assert torch.equal(supernet.w, before)
    assert supernet.w.grad is None

    (inner,) = torch.autograd.grad(supernet.loss(train, strategy.select()), supernet.w, create_graph=True)
    exact = torch.autograd.grad(supernet.at(supernet.w - rate * inner, held_out, strategy.select()), logits)[0]
    first_order = torch.autograd.grad(supernet.loss(held_out, strategy.select()), logits)[0]
    torch.testing.assert_close(logits.grad, exact, rtol=1e-3, atol=1e-4)
    assert (exact - first_order).abs().max() > 10 * (exact - logits.grad).abs().max()  # type: ignore[operator]


class Normed(nn.Module):
    """A supernet with a batch norm, whose running mean tells which data it has seen."""

    space = SPACE

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1)
        self.w = nn.Parameter(torch.ones(()))

    def loss(self, batch: Tensor, selection: Selection) -> Tensor:
        mixed = sum(1.0 if share is None else share for _, share in selection["a"])
        return (self.norm(batch) * self.w * mixed).square().mean()

    def derive(self, genotype: object) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("strategy", [DARTS, DARTSSecondOrder, ENAS, GDAS, DrNAS, FairDARTS, ProxylessNAS])
def test_held_out_data_do_not_touch_batch_norm_statistics(strategy: type[DARTS]) -> None:
    """Training batches have mean 0, held-out ones 100: ten per cent of that in the running mean would be 10."""
    generator = torch.Generator().manual_seed(0)
    supernet = Normed()
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.1)
    train, held_out = torch.randn(64, 1, generator=generator), torch.randn(64, 1, generator=generator) + 100
    Step(supernet, optimizer, train, held_out).take(strategy(SPACE))
    assert supernet.norm.running_mean is not None
    assert float(supernet.norm.running_mean) == pytest.approx(0.1 * float(train.mean()), abs=1e-5)
    assert int(supernet.norm.num_batches_tracked) == 1  # type: ignore[arg-type]


def test_gdas_runs_the_hard_sample_with_the_gradient_of_the_soft_one() -> None:
    strategy = GDAS(SPACE, seed=3)
    logits = set_logits(strategy, [0.3, -0.2, 0.5], [0.1, -0.4])
    strategy.anneal(0.5)
    assert strategy.temperature == pytest.approx((10 + 0.1) / 2)
    noise = GDAS(SPACE, seed=3).distribution.gumbel_noise(torch.Generator().manual_seed(3))
    selection = strategy.select()
    soft = gumbel_softmax(strategy.distribution.masked_logits, noise, strategy.temperature)
    ((option, share),) = selection["a"]
    assert option == SPACE["a"][int(soft[0].argmax())]
    assert share == 1.0
    assert share is not None
    expected = torch.autograd.grad(soft[0].max(), logits, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(share, logits)[0], expected)


def test_dsnas_credits_the_sample_alone() -> None:
    strategy = DSNAS(SPACE, seed=1)
    logits = set_logits(strategy, [0.3, -0.2, 0.5], [0.1, -0.4])
    ((option, share),) = strategy.select()["b"]
    assert share is not None
    assert share == 1.0
    log_p = torch.log_softmax(logits[1, :2], dim=-1)[SPACE["b"].index(option)]
    expected = torch.autograd.grad(log_p, logits)[0]
    torch.testing.assert_close(torch.autograd.grad(5.0 * share, logits)[0], 5.0 * expected)


def test_dsnas_is_unbiased() -> None:
    """The mean gradient over samples is the gradient of the expected loss, for losses that add up over choices."""
    strategy = DSNAS(SPACE, seed=0)
    logits = set_logits(strategy, [0.3, -0.2, 0.5], [0.1, -0.4])
    losses = {"x": 1.0, "y": 3.0, "z": -2.0}
    for _ in range(4000):
        ((option, share),) = strategy.select()["a"]
        assert share is not None
        (share * losses[option]).backward()
    probabilities = strategy.distribution.probabilities[0]
    expected_loss = (probabilities * torch.tensor(list(losses.values()))).sum()
    expected = torch.autograd.grad(expected_loss, logits)[0]
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0] / 4000, expected[0], atol=0.06, rtol=0)


def test_proxyless_gate_gradient_is_equation_4_on_the_pair() -> None:
    strategy = ProxylessNAS(SPACE, seed=2)
    logits = set_logits(strategy, [0.3, -0.2, 0.5], [0.1, -0.4])
    selection = strategy.select_to_learn()
    pair = [SPACE["a"].index(option) for option, _ in selection["a"]]
    assert len(pair) == 2
    gates = [w for _, w in selection["a"] if w is not None]
    assert sorted(g.item() for g in gates) == [0.0, 1.0]
    by_gate = torch.tensor([2.0, -1.0])
    gradient = torch.autograd.grad(sum(g * d for g, d in zip(gates, by_gate, strict=True)), logits)[0]
    p = torch.softmax(logits.detach()[0, pair], dim=-1)
    for i, place in enumerate(pair):
        expected = sum(float(by_gate[j] * p[j] * (float(i == j) - p[i])) for j in range(2))
        assert float(gradient[0, place]) == pytest.approx(expected, rel=1e-5)


def test_proxyless_keeps_the_probabilities_of_options_that_were_not_sampled() -> None:
    strategy = ProxylessNAS(SPACE, seed=2, lr=0.3)
    set_logits(strategy, [0.3, -0.2, 0.5], [0.1, -0.4])
    before = strategy.distribution.probabilities.detach()
    selection = strategy.select_to_learn()
    weight(selection, "a", selection.active("a")[0]).backward()
    strategy.update()
    after = strategy.distribution.probabilities.detach()
    (left_out,) = [k for k, option in enumerate(SPACE["a"]) if option not in selection.active("a")]
    assert float(after[0, left_out]) == pytest.approx(float(before[0, left_out]), rel=1e-5)
    assert (after[0] - before[0]).abs().max() > 0.01


@pytest.mark.parametrize("betas", [(0.0, 0.999), (0.9, 0.999)])
def test_proxyless_keeps_them_when_a_cost_is_charged(betas: tuple[float, float]) -> None:
    space = SearchSpace("s", {"a": ["w", "x", "y", "z"], "b": ["x", "y", "z"], "c": ["x"]})
    strategy = ProxylessNAS(space, seed=0, lr=0.1, betas=betas)
    strategy.charge(Costs({c: {o: float(k) for k, o in enumerate(os)} for c, os in space.items()}), weight=5.0)
    for _ in range(20):
        before = strategy.distribution.probabilities.detach()
        logits = strategy.distribution.logits.detach().clone()
        strategy.select_to_learn()
        strategy.penalised(torch.zeros(())).backward()
        strategy.update()
        others = ~strategy.pair
        assert torch.equal(strategy.distribution.logits.detach()[others], logits[others])
        after = strategy.distribution.probabilities.detach()
        torch.testing.assert_close(after[others], before[others], rtol=1e-5, atol=1e-7)
        moved = (after - before) * strategy.pair
        assert (moved.abs().amax(-1) > 1e-4).tolist() == [True, True, False]


def test_the_gradient_of_a_charged_cost_moves_probability_within_the_pair() -> None:
    """With m = p_x + p_y fixed, d/d logit_x of ``p_x s_x + p_y s_y`` is ``p_x p_y / m (s_x - s_y)``."""
    strategy = ProxylessNAS(SPACE, seed=2)
    strategy.charge(Costs({"a": {"x": 0.0, "y": 1.0, "z": 4.0}, "b": {"x": 0.0, "y": 0.0}}), weight=3.0)
    logits = set_logits(strategy, [0.3, -0.2, 0.5], [0.1, -0.4])
    one, other = (SPACE["a"].index(option) for option, _ in strategy.select_to_learn()["a"])
    penalty = strategy.penalty()
    assert penalty is not None
    p, share = torch.softmax(logits.detach()[0], -1), torch.tensor([0.0, 0.25, 1.0])
    assert float(penalty.detach()) == pytest.approx(3.0 * float(p @ share), rel=1e-5)
    (gradient,) = torch.autograd.grad(penalty, logits)
    expected = torch.zeros(3)
    expected[one] = 3.0 * p[one] * p[other] / (p[one] + p[other]) * (share[one] - share[other])
    expected[other] = -expected[one]
    torch.testing.assert_close(gradient[0], expected)
    assert (gradient[1] == 0).all()


def test_charged_proxyless_learns_the_cheapest_genotype() -> None:
    space = ToySpace(choices=3, options=4, seed=0)
    strategy = ProxylessNAS(space, seed=1, lr=0.05)
    strategy.charge(Costs({c: {o: float(k) for k, o in enumerate(os)} for c, os in space.items()}), weight=1.0)
    for _ in range(300):
        strategy.select_to_learn()
        strategy.penalised(torch.zeros(())).backward()
        strategy.update()
    assert set(strategy.genotype().values()) == {"o0"}


def test_independent_distributions_cannot_meet_constraints_between_choices() -> None:
    class Constrained(SearchSpace):
        def violation(self, choices: Mapping[str, str]) -> str | None:
            return "a and b must differ" if choices["a"] == choices["b"] else None

    space = Constrained("different", {"a": ["x", "y"], "b": ["x", "y"]})
    for name in ("gumbel_entropy", "darts", "proxyless", "drnas", "enas", "nni_darts", "nni_random_one_shot"):
        strategy = build_strategy(name, space, seed=0)
        assert not strategy.supports(space), name
        assert strategy.supports(SPACE), name
    assert build_strategy("fixed", space, seed=0, knobs={"genotype": space.decode([0, 1])}).supports(space)


def test_dirichlet_samples_have_the_moments_of_the_distribution() -> None:
    concentration = torch.tensor([0.5, 2.0, 0.0, 1.5]).expand(20_000, 4)
    drawn = sample_dirichlet(concentration, torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.sum(-1), torch.ones(20_000))
    assert (drawn[:, 2] == 0).all()
    mean = torch.tensor([0.5, 2.0, 0.0, 1.5]) / 4.0
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.01, rtol=0)
    torch.testing.assert_close(drawn.var(0), mean * (1 - mean) / 5.0, atol=0.005, rtol=0)


def test_dirichlet_gradient_is_that_of_the_mean() -> None:
    """d E[x_0] / d beta, by averaging pathwise gradients, against the closed form of the mean."""
    beta = torch.tensor([0.8, 1.4, 2.0], requires_grad=True)
    drawn = sample_dirichlet(beta.expand(50_000, 3), torch.Generator().manual_seed(0))
    got = torch.autograd.grad(drawn[:, 0].mean(), beta)[0]
    expected = torch.autograd.grad(beta[0] / beta.sum(), beta)[0]
    torch.testing.assert_close(got, expected, atol=0.004, rtol=0)


def test_drnas_starts_uniform_and_anchored() -> None:
    strategy = DrNAS(SPACE)
    assert float(strategy.regulariser()) == 0.0
    torch.testing.assert_close(strategy.probabilities()[0, :3], torch.full((3,), 1 / 3))
    set_logits(strategy, [1.0, 0.0, 0.0])
    assert float(strategy.regulariser()) == pytest.approx(1e-3)


def test_fair_darts_weights_do_not_compete() -> None:
    strategy = FairDARTS(SPACE)
    set_logits(strategy, [2.0, 2.0, -2.0])
    selection = strategy.select()
    weights = [float(weight(selection, "a", o).detach()) for o in SPACE["a"]]
    assert weights == pytest.approx([1 / (1 + math.exp(-2.0))] * 2 + [1 / (1 + math.exp(2.0))])
    squares = [(w - 0.5) ** 2 for w in weights] + [0.0, 0.0]
    assert float(strategy.regulariser()) == pytest.approx(-10.0 * sum(squares) / 5)


def test_samples_follow_the_probabilities() -> None:
    strategy = SNAS(SPACE)
    set_logits(strategy, [1.0, 0.0, -1.0], [0.0, 2.0])
    generator = torch.Generator().manual_seed(0)
    drawn = Counter(tuple(strategy.distribution.sample(generator).flatten().tolist()) for _ in range(4000))
    p = strategy.distribution.probabilities.detach()
    for (i, j), count in drawn.items():
        assert count / 4000 == pytest.approx(float(p[0, i] * p[1, j]), abs=0.03)


def test_enas_learns_what_is_rewarded() -> None:
    strategy = ENAS(SPACE, lr=0.01, hidden=16, temperature=2.0)
    for _ in range(200):
        selection = strategy.select_to_learn()
        strategy.reward(float(selection.active("a") == ("z",)) - float(selection.active("b") == ("y",)))
        strategy.update()
    assert dict(strategy.genotype()) == {"a": "z", "b": "x"}


def test_the_first_reward_teaches_nothing() -> None:
    strategy = ENAS(SPACE, entropy_weight=0.0)
    before = [p.clone() for p in strategy.parameters()]
    strategy.select_to_learn()
    strategy.reward(-7.0)
    strategy.update()
    assert all(torch.equal(p, q) for p, q in zip(strategy.parameters(), before, strict=True))


def test_cost_penalty_is_the_expected_share_of_the_range() -> None:
    costs = Costs({"a": {"x": 10.0, "y": 20.0, "z": 40.0}, "b": {"x": 5.0, "y": 15.0}}, base=100.0)
    assert costs.of({"a": "y", "b": "x"}) == 125.0
    strategy = DARTS(SPACE)
    strategy.charge(costs, weight=2.0)
    logits = set_logits(strategy, [0.3, -0.2, 0.5], [0.1, -0.4])
    p = torch.softmax(logits.detach()[0], -1), torch.softmax(logits.detach()[1, :2], -1)
    share = {"x": 0.0, "y": 10 / 40, "z": 30 / 40}, {"x": 0.0, "y": 10 / 40}
    expected = sum(float(q) * share[j][o] for j, c in enumerate(SPACE) for o, q in zip(SPACE[c], p[j], strict=False))
    penalty = strategy.penalty()
    assert penalty is not None
    assert float(penalty) == pytest.approx(2.0 * expected, rel=1e-6)


def test_costs_of_every_genotype_span_zero_to_one() -> None:
    costs = Costs({"a": {"x": 3.0, "y": 3.0, "z": 4.5}, "b": {"x": 7.0, "y": -1.0}})
    relative = costs.relative(SPACE)
    shares = [sum(relative[c][o] for c, o in g.items()) for g in SPACE.enumerate()]
    assert min(shares) == 0.0
    assert max(shares) == pytest.approx(1.0)
    ranked = sorted(SPACE.enumerate(), key=costs.of)
    assert ranked == sorted(ranked, key=lambda g: sum(relative[c][o] for c, o in g.items()))


def test_an_option_without_a_cost_is_named() -> None:
    with pytest.raises(InputError, match="'z' of the choice 'a' has no cost"):
        Costs({"a": {"x": 1.0, "y": 2.0}, "b": {"x": 1.0, "y": 2.0}}).relative(SPACE)


def test_spos_names_what_its_second_stage_scored_best() -> None:
    strategy = SPOS(ToySpace(4, 3, seed=5), final_trials=30, population=10, parents=3)
    problem = supernet_problem(strategy, 10, 5)
    problem.run(11)  # the stage begins, then ten steps
    assert strategy.final.history == []
    named = problem.search.run()
    assert len(strategy.final.history) == 30
    assert named == max(strategy.final.history, key=lambda told: told.score).trial.genotype


def test_a_detached_selection_teaches_nothing_and_weighs_the_same() -> None:
    selection = SNAS(SPACE).select()
    detached = selection.detach()
    assert [o for o, _ in itertools.chain(*detached.options.values())] == ["x", "y", "z", "x", "y"]
    for choice in SPACE:
        for (_, one), (_, other) in zip(selection[choice], detached[choice], strict=True):
            assert one is not None
            assert other is not None
            assert not other.requires_grad
            assert torch.equal(one, other)
    assert Selection({"a": (Weighted("x", None),)}).detach() == Selection({"a": (Weighted("x", None),)})


def test_entropy_annealing_lowers_the_variance_of_sampled_networks() -> None:
    """Sec. 3.3 of the paper: with entropy annealing, what is sampled at the end varies less than with plain SNAS."""

    def disagreement(strategy: LogitStrategy, seed: int) -> float:
        """Share of choices in which two sampled networks differ, after the search."""
        supernet_problem(strategy, 80, seed).search.run()
        p = strategy.distribution.probabilities.detach()
        return float((1 - (p**2).sum(-1)).mean())

    knobs = {"lr": 0.03, "temperature": (1.0, 0.05)}
    annealed, plain = [], []
    for seed in range(5):
        space = ToySpace(4, 3, seed=seed)
        ours = GumbelEntropy(space, seed=seed, freeze=None, entropy_weight=(-0.02, 0.3), **knobs)  # type: ignore[arg-type]
        annealed.append(disagreement(ours, seed))
        plain.append(disagreement(SNAS(space, seed=seed, betas=(0.9, 0.999), weight_decay=0.0, **knobs), seed))  # type: ignore[arg-type]
    assert all(a < b for a, b in zip(annealed, plain, strict=True)), (annealed, plain)
