"""The paper's search (Sec. 3.3): single-level Gumbel-softmax with entropy annealing and freezing.

Bruggemann et al., Exploring Relational Context for Multi-Task Dense Prediction, ICCV 2021; the estimator is that of
SNAS (Xie et al., ICLR 2019), the entropy term that of MTL-NAS (Gao et al., CVPR 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from searchspace import Genotype, InputError, SearchSpace, Selection, UnknownNameError
from strategies._base import STRATEGIES
from strategies._categorical import entropy, gumbel_softmax
from strategies._knobs import number, pair
from strategies._step import DataUse
from strategies.one_shot._logits import LogitStrategy

__all__ = ["FREEZE_CRITERIA", "GumbelEntropy", "entropy_at_gap", "entropy_below", "probability_gap"]

GAP = 0.3
"""Threshold of the released code: lead of the largest probability at which a choice freezes."""
SAMPLES = ("gumbel", "softmax")
"""Kinds of samples of a step."""
LOOK_EVERY = 50
"""Number of steps after which a search on a GPU looks which choices are frozen."""


def probability_gap(probabilities: Tensor, threshold: float | Tensor) -> Tensor:
    """Tells for each choice whether its two largest probabilities differ by at least a threshold, as ``(J,)`` bool.

    This is the criterion of the released code, with a threshold of 0.3.

    Args:
        probabilities: Probabilities ``(J, K)``, 0 beyond a choice's options.
        threshold: One number in [0, 1], or one for each choice, ``(J,)``.
    """
    if probabilities.shape[-1] < 2:
        return torch.ones(probabilities.shape[:-1], dtype=torch.bool, device=probabilities.device)
    top = probabilities.topk(2, dim=-1).values
    return top[..., 0] - top[..., 1] >= threshold


def entropy_below(probabilities: Tensor, threshold: float | Tensor) -> Tensor:
    """Tells for each choice whether its entropy is at most a threshold, as ``(J,)`` bool (the paper's wording).

    Args:
        probabilities: Probabilities ``(J, K)``, 0 beyond a choice's options.
        threshold: One entropy in nats, >= 0, or one for each choice, ``(J,)``.
    """
    return entropy(probabilities.log()) <= threshold


def entropy_at_gap(options: Tensor, gap: float) -> Tensor:
    """Returns the entropy in nats of n options, one of probability ``p + gap`` and the others of p each, as ``(J,)``.

    With ``p = (1 - gap) / n`` it is ``-(p + gap) log(p + gap) - (n - 1) p log p``: at a gap of 0.3, 1.46 nats for
    five options and 0 for one.

    Args:
        options: Mask ``(J, K)``, True where a choice has an option; the first place of every choice is True.
        gap: Lead of the first probability, in [0, 1].
    """
    probabilities = options * ((1.0 - gap) / options.sum(-1, keepdim=True))
    probabilities[:, 0] += gap
    return entropy(probabilities.log())


class _Criterion(NamedTuple):
    """A criterion for freezing choices.

    Attributes:
        met: Function of probabilities and a threshold: which choices freeze, ``(J,)`` bool.
        usual: Function of the mask of options: the default threshold.
        most: Largest threshold that makes sense; None if there is no bound.
    """

    met: Callable[[Tensor, float | Tensor], Tensor]
    usual: Callable[[Tensor], float | Tensor]
    most: float | None


FREEZE_CRITERIA = {
    "gap": _Criterion(probability_gap, lambda _: GAP, most=1.0),
    "entropy": _Criterion(entropy_below, lambda options: entropy_at_gap(options, GAP), most=None),
}


@STRATEGIES.register("gumbel_entropy")
class GumbelEntropy(LogitStrategy):
    """Single-level search: logits and weights learn from one loss; entropy is pushed up first, then down.

    A choice stops sampling for good once its distribution meets the freeze criterion; from then on its most
    probable option has weight 1, and runs alone. On a GPU, where to look means to wait, the others run with weight 0
    until the next look, at most 50 steps later. Defaults are the paper's, for 40,000 steps; logits move by about
    ``lr`` a step, so a search of fewer steps needs a larger one.

    Args:
        space: Any space of independent choices.
        seed: Seeds the Gumbel noise.
        lr: Adam learning rate of the logits, constant, > 0; there is no weight decay.
        temperature: Gumbel-softmax lambda at the start and at the end, > 0, linear in progress.
        entropy_weight: Weight of the mean entropy at the start and at the end, linear in progress.
        freeze: ``"gap"``, ``"entropy"``, or None to sample every choice to the end.
        freeze_threshold: For ``"gap"`` the gap of probabilities, in [0, 1]; None means 0.3. For ``"entropy"`` the
            entropy in nats, >= 0; None means for each choice the entropy at which its largest probability is 0.3
            ahead of the others, if these are equal (see `entropy_at_gap`): 1.46 for five options.
        sample: ``"gumbel"`` draws Gumbel noise; ``"softmax"`` draws nothing, so options are weighted by a softmax of
            this temperature. For ablations.
        hard: True for straight-through samples: the largest weight of a sample becomes 1 and the others 0, while
            gradients are those of the soft sample. All options run either way. For ablations.
    """

    name = "gumbel_entropy"
    summary = "single-level Gumbel-softmax with entropy annealing and freezing: the paper's own search"
    paper = "Bruggemann et al., ICCV 2021"
    data_use = DataUse.SINGLE_LEVEL
    active_paths = "all, one once frozen"
    temperature: float
    entropy_weight: float

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        lr: float = 5e-4,
        temperature: tuple[float, float] = (1.0, 0.05),
        entropy_weight: tuple[float, float] = (-0.02, 0.06),
        freeze: str | None = "gap",
        freeze_threshold: float | None = None,
        sample: str = "gumbel",
        hard: bool = False,
    ) -> None:
        super().__init__(
            space,
            seed=seed,
            lr=lr,
            schedules={
                "temperature": pair("temperature", temperature, above=0),
                "entropy_weight": pair("entropy_weight", entropy_weight),
            },
        )
        if freeze is not None and freeze not in FREEZE_CRITERIA:
            raise UnknownNameError("freeze criterion", freeze, FREEZE_CRITERIA)
        if sample not in SAMPLES:
            raise UnknownNameError("kind of sample", sample, SAMPLES)
        if not isinstance(hard, bool):
            raise InputError(f"hard must be true or false, got {hard!r}")
        self._noisy, self._hard = sample == "gumbel", hard
        self._criterion = None if freeze is None else FREEZE_CRITERIA[freeze]
        self._threshold: float | Tensor = 0.0
        if self._criterion is not None and freeze_threshold is None:
            self._threshold = self._criterion.usual(self.distribution.mask)
        elif self._criterion is not None:
            self._threshold = number("freeze_threshold", freeze_threshold, at_least=0, at_most=self._criterion.most)
        # The option that a frozen choice stays at; -1 while it still samples.
        self.frozen = torch.full((len(space),), -1)
        self._seen = self.frozen.tolist()  # as at the last look
        self._updates = 0

    def to(self, device: torch.device) -> None:
        super().to(device)
        if isinstance(self._threshold, Tensor):
            self._threshold = self._threshold.to(device)

    def select(self) -> Selection:
        logits = self.distribution.masked_logits
        noise = self.distribution.gumbel_noise(self._generator) if self._noisy else torch.zeros_like(logits)
        soft = gumbel_softmax(logits, noise, self.temperature)
        if self._hard:
            soft = soft - soft.detach() + self.distribution.one_hot(soft.argmax(-1))
        frozen = self.frozen[:, None]
        one = (torch.arange(soft.shape[1], device=soft.device) == frozen).to(soft.dtype)
        return self.distribution.selection(torch.where(frozen < 0, soft, one), constant=self._seen)

    def regulariser(self) -> Tensor:
        """Returns the entropy weight times the mean entropy of p_alpha over all choices."""
        return self.entropy_weight * entropy(self.distribution.masked_logits).mean()

    def update(self) -> None:
        super().update()
        self._freeze()

    @torch.no_grad()
    def _freeze(self) -> None:
        if self._criterion is None:
            return
        done = self._criterion.met(self.distribution.probabilities, self._threshold)
        best = self.distribution.masked_logits.argmax(-1)
        self.frozen = torch.where((self.frozen < 0) & done, best, self.frozen)
        self._updates += 1
        if self._looks_for_free() or self._updates % LOOK_EVERY == 0:
            self._seen = self.frozen.tolist()

    def _looks_for_free(self) -> bool:
        """Returns whether a value can be read without waiting."""
        return self.frozen.device.type == "cpu"

    def genotype(self) -> Genotype:
        best = self.distribution.masked_logits.argmax(-1)
        return self.space.decode(torch.where(self.frozen < 0, best, self.frozen).tolist())

    def report(self) -> dict[str, Any]:
        frozen = [c for c, f in zip(self.space, self.frozen.tolist(), strict=True) if f >= 0]
        return {**super().report(), "frozen": frozen}

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "frozen": self.frozen.clone(),
            "seen": list(self._seen),
            "updates": self._updates,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.frozen = state["frozen"].to(self.distribution.mask.device, copy=True)
        # Searches of earlier versions looked after every step.
        self._seen = list(state.get("seen", self.frozen.tolist()))
        self._updates = state.get("updates", 0)
