"""NNI's RegularizedEvolution, a strategy of its architecture search, on a sequential engine that hands models out."""

from __future__ import annotations

from typing import Any

from searchspace import Genotype, SearchSpace
from strategies._base import STRATEGIES
from strategies._knobs import flag, number, whole
from strategies.adapters._nni import ReplayedStrategy, load
from strategies.multi_trial import Scored

__all__ = ["NNIRegularizedEvolution"]


@STRATEGIES.register("nni_regularized_evolution")
class NNIRegularizedEvolution(ReplayedStrategy):
    """NNI's regularized evolution, a cross-check of our `RegularizedEvolution`.

    NNI's strategies ask an engine for evaluations. Here the engine takes one model at a time and keeps it until its
    score is told, so that the strategy can be asked.

    Args:
        space: Any space without constraints between choices.
        seed: Seeds the strategy.
        population: Population size; a failed trial never joins.
        tournament: Number of members of the population that compete, at most all.
        mutation: Probability that a choice is drawn anew, in (0, 1].
        dedup: Whether no genotype is tried twice.
    """

    name = "nni_regularized_evolution"
    summary = "NNI's regularized evolution"
    paper = "Real et al., AAAI 2019"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        population: int = 100,
        tournament: int = 25,
        mutation: float = 0.05,
        dedup: bool = True,
    ) -> None:
        size = whole("population", population)
        self._knobs: dict[str, Any] = {
            "population_size": size,
            "sample_size": whole("tournament", tournament, at_most=size),
            "mutation_prob": number("mutation", mutation, above=0, at_most=1),
            "dedup": flag("dedup", dedup),
        }
        super().__init__(space, seed=seed)

    def _start(self) -> None:
        strategy = load("nni.nas.strategy", "RegularizedEvolution")(**self._knobs, seed=self.seed)
        self._engine = _make_engine()
        strategy.initialize(_model_space(self.space), self._engine)
        self._strategy = strategy
        self._models: dict[int, Any] = {}

    def _next(self, number: int) -> Genotype | None:
        self._engine.open = 1
        self._strategy._run()
        model = self._engine.take()
        if model is None:
            return None
        self._models[number] = model
        return self.space.genotype(model.sample)

    def _learn(self, outcome: Scored) -> None:
        self._engine.finish(self._models.pop(outcome.trial.number), None if outcome.failed else outcome.score)


def _model_space(space: SearchSpace) -> Any:
    """Builds a model space of NNI with the choices of a space. No model of it is ever trained."""
    categorical = load("nni.mutable", "Categorical")
    mutables = load("nni.mutable", "MutableDict")({c: categorical(list(o), label=c) for c, o in space.items()})
    return load("nni.nas.space", "RawFormatModelSpace")(mutables, None)


def _make_engine() -> Any:
    """Builds a sequential engine that keeps the models it is given instead of running them."""
    sequential = load("nni.nas.execution", "SequentialExecutionEngine")
    status = load("nni.nas.space", "ModelStatus")
    end = load("nni.nas.execution.event", "TrainingEndEvent")

    class Engine(sequential):  # type: ignore[misc, valid-type]
        open = 0

        def __init__(self) -> None:
            super().__init__()
            self.waiting: list[Any] = []

        def idle_worker_available(self) -> bool:
            return self.open > 0

        def budget_available(self) -> bool:
            return self.open > 0

        def submit_models(self, *models: Any) -> None:
            self.open -= len(models)
            self.waiting += models

        def wait_models(self, *models: Any) -> None:
            pass

        def take(self) -> Any:
            return self.waiting.pop() if self.waiting else None

        def finish(self, model: Any, score: float | None) -> None:
            if score is None:
                model.status = status.Failed
            else:
                model.status, model.metrics.final = status.Trained, score
            self.dispatch_model_event(end(model, model.status))

    return Engine()
