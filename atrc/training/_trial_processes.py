"""Scores the trials of one search in several processes."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from functools import lru_cache
from pathlib import Path
from typing import Any

from atrc.engines import Processes, WorkerDied
from atrc.machine.devices import pick_device
from atrc.machine.memory import keep_memory
from atrc.machine.stopping import Stop, stop_requests
from atrc.machine.threads import threads_of_a_run
from atrc.runs import RunDirectory
from atrc.setup import Setup
from atrc.training.scoring import Scorer, Scoring, build_scorer
from strategies import Score, Trial

__all__ = ["TrialProcesses", "prepare", "score_trial"]


ATTEMPTS = 3
"""Maximum number of attempts to score a trial. An attempt fails if its process dies."""


class TrialProcesses:
    """A scorer that lets other processes score trials. The scores are the same as in the search's own process.

    Args:
        scorer: The scorer of this process, which also knows the number of images of a trial.
        run: Directory of the search, from which every process builds the same scorer.
        number: Number of processes.
        stop: Flag that is set by a request to stop. The request is passed on to the processes.
    """

    def __init__(self, scorer: Scorer, run: Path, number: int, stop: Stop) -> None:
        self._scorer, self._run, self._stop = scorer, run, stop
        self._engine, self._number = Processes(number, (__name__,)), number
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._engine.__enter__()
        self._watcher.start()
        # The processes import torch and open the data before a clock measures their first trials. What goes wrong
        # here goes wrong in a trial, too, and is raised there.
        wait([self._engine.submit(f"{__name__}:prepare", run=str(self._run)) for _ in range(self._number)])

    def __exit__(self, *error: Any) -> None:
        self._over.set()
        self._watcher.join()
        self._engine.__exit__(*error)

    def _watch(self) -> None:
        """Passes a request to stop on, while the search's own process waits for a score."""
        while not self._over.wait(0.2):
            if self._stop.requested:
                self._engine.stop()
                return

    def samples(self, trial: Trial) -> int:
        """Returns the number of images that a score will use."""
        return self._scorer.samples(trial)

    def __call__(self, trial: Trial) -> Score:
        return self._scorer(trial)

    def submit(self, trial: Trial) -> Future[Score]:
        """Queues a trial for the next free process. If that process dies, the trial is scored again."""
        outcome: Future[Score] = Future()
        self._begin(trial, outcome, 1)
        return outcome

    def _begin(self, trial: Trial, outcome: Future[Score], attempt: int) -> None:
        job = self._engine.submit(
            f"{__name__}:score_trial",
            run=str(self._run),
            number=trial.number,
            genotype=dict(trial.genotype),
            budget=trial.budget,
        )

        def pass_on(done: Future[Any]) -> None:
            error = done.exception()
            if isinstance(error, WorkerDied) and attempt < ATTEMPTS:
                self._begin(trial, outcome, attempt + 1)
            elif error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(Score(**done.result()))

        job.add_done_callback(pass_on)


def prepare(run: str) -> None:
    """Makes this process ready to score trials of a search."""
    _scorer(run)


def score_trial(run: str, number: int, genotype: dict[str, str], budget: float) -> dict[str, Any]:
    """Scores a trial of a search in this process."""
    scorer = _scorer(run)
    scoring = scorer.scoring
    with stop_requests(insist=True, stop=scoring.stop), threads_of_a_run(scoring.config.threads):
        trial = Trial(number, scoring.setup.space.genotype(genotype), budget)
        score = scorer.score(trial)
    return {**vars(score), "metrics": dict(score.metrics)}


@lru_cache(maxsize=1)
def _scorer(run: str) -> Scorer:
    """Builds the scorer of a search. A process does so once."""
    directory = RunDirectory.open(run)
    keep_memory()
    setup, device = Setup.of(directory.config), pick_device(directory.config.device)
    with threads_of_a_run(directory.config.threads):
        return build_scorer(Scoring.for_search(setup, seed=directory.spec.seed, device=device, stop=Stop()))
