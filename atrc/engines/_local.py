"""Runs jobs in processes of this machine.

A job is a function, given as ``module:function``, whose arguments and result can be written as JSON. A worker process
runs `atrc.engines._worker` and never imports the caller's script. So the script needs no ``__main__`` guard.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from atrc.engines._nursery import Forked, Nursery
from atrc.machine.stopping import Interrupted
from searchspace import InputError

__all__ = ["JobFailed", "Processes", "WorkerDied"]

_START = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = {path!r}; " + (
    "from atrc.engines._worker import work; work({answers}, {slot})"
)


class JobFailed(InputError):
    """Raised if a job ended in an error that is not a mistake of the user."""


class WorkerDied(JobFailed):
    """Raised if the process of a job died. The job can be submitted again; another process takes it."""


@dataclass
class _Worker:
    process: subprocess.Popen[str] | Forked
    answers: IO[str]


class Processes:
    """Worker processes on this machine. It is a context manager that ends all of them on exit.

    Args:
        number: Number of parallel jobs, at least one.
        modules: Modules that all jobs need. On Linux they are imported once, in a process from which the others are
            forked. They must neither start threads nor compute when they are imported.

    Example::

        with Processes(2) as engine:
            futures = [engine.submit("statistics:mean", data=data) for data in ([1, 2], [3, 4])]
        [future.result() for future in futures]  # [1.5, 3.5]
    """

    def __init__(self, number: int, modules: Sequence[str] = ()) -> None:
        if number < 1:
            raise InputError(f"the number of processes must be >= 1, got {number}")
        self._modules = modules if sys.platform.startswith("linux") else ()
        self._nursery: Nursery | None = None
        self._jobs: queue.Queue[tuple[Future[Any], str] | None] = queue.Queue()
        self._workers: dict[int, _Worker] = {}
        self._lock = threading.Lock()
        self._stopped = False
        self._feeders = [threading.Thread(target=self._feed, args=(slot,), daemon=True) for slot in range(number)]

    def __enter__(self) -> Processes:
        for feeder in self._feeders:
            feeder.start()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            self.stop()
        for _ in self._feeders:
            self._jobs.put(None)
        for feeder in self._feeders:
            feeder.join()
        if self._nursery is not None:
            self._nursery.close()

    def submit(self, function: str, **arguments: Any) -> Future[Any]:
        """Queues a job. With the argument ``slot=None``, the function gets the number of its worker as ``slot``.

        Returns:
            A future of the job's result. It raises InputError or `Interrupted` if the job did, and `JobFailed` for
            any other error.
        """
        outcome: Future[Any] = Future()
        self._jobs.put((outcome, json.dumps({"function": function, "arguments": arguments})))
        return outcome

    def stop(self) -> None:
        """Asks every running job to stop (SIGTERM) and starts no further job; all end in `Interrupted`."""
        with self._lock:
            self._stopped = True
            for worker in self._workers.values():
                worker.process.terminate()

    def _feed(self, slot: int) -> None:
        """Passes jobs to one worker, and replaces it if it dies."""
        for job in iter(self._jobs.get, None):
            outcome, message = job
            if not outcome.set_running_or_notify_cancel():
                continue
            try:
                outcome.set_result(self._run(slot, message))
            except Exception as error:  # any error must reach the caller that waits for the job
                outcome.set_exception(error)
        with self._lock:
            worker = self._workers.pop(slot, None)
        if worker is not None:
            self._close(worker)

    def _run(self, slot: int, message: str) -> Any:
        with self._lock:
            if self._stopped:
                raise Interrupted("the job was stopped before it began")
            worker = self._workers.get(slot) or self._start(slot)
            self._workers[slot] = worker
        line = ""
        try:
            assert worker.process.stdin is not None
            worker.process.stdin.write(message + "\n")
            worker.process.stdin.flush()
            line = worker.answers.readline()
        except BrokenPipeError:
            pass
        if not line:
            with self._lock:
                self._workers.pop(slot, None)
            raise self._death(worker)
        answer = json.loads(line)
        if "result" in answer:
            return answer["result"]
        raise _ERRORS.get(answer["error"], JobFailed)(answer["message"])

    def _start(self, slot: int) -> _Worker:
        if self._modules:
            return self._fork(slot)
        answers, theirs = os.pipe()
        code = _START.format(path=sys.path, answers=theirs, slot=slot)
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", code], stdin=subprocess.PIPE, pass_fds=[theirs], encoding="utf-8"
            )
        except OSError:
            os.close(answers)
            raise
        finally:
            os.close(theirs)
        return _Worker(process, os.fdopen(answers, encoding="utf-8"))

    def _fork(self, slot: int) -> _Worker:
        self._nursery = self._nursery or Nursery(self._modules)
        try:
            worker = self._nursery.fork(slot)
        except OSError:  # somebody killed it
            self._nursery.close()
            self._nursery = Nursery(self._modules)
            worker = self._nursery.fork(slot)
        return _Worker(worker, worker.answers)

    def _death(self, worker: _Worker) -> Exception:
        code = self._close(worker)
        if self._stopped:
            return Interrupted("stopped")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return WorkerDied(f"its process {how}")

    @staticmethod
    def _close(worker: _Worker) -> int:
        """Ends a worker that waits for a job, and returns the exit status."""
        assert worker.process.stdin is not None
        with suppress(BrokenPipeError):
            worker.process.stdin.close()
        status = worker.process.wait()
        worker.answers.close()
        return status


_ERRORS: dict[str, type[Exception]] = {"InputError": InputError, "Interrupted": Interrupted}
