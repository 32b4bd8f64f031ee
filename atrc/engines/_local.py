"""Jobs in processes of this machine.

A job is a function, named as ``module:function``, with arguments and a result that JSON can hold. A worker is a
module of ours in a process of its own (`atrc.engines._worker`): it never imports the caller's script, which therefore
needs no ``__main__`` guard.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from atrc.machine.stopping import Interrupted
from searchspace import InputError

__all__ = ["JobFailed", "Processes", "WorkerDied"]

_START = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = {path!r}; " + (
    "from atrc.engines._worker import work; work({answers}, {slot})"
)


class JobFailed(InputError):
    """A job ended in an error that is no mistake of the user's."""


class WorkerDied(JobFailed):
    """The process of a job died. The job can be submitted again; another process takes it."""


@dataclass
class _Worker:
    process: subprocess.Popen[str]
    answers: IO[str]


class Processes:
    """Workers on this machine. Use it as a context manager: on leaving it, all of them are gone.

    Args:
        number: How many jobs run at once, at least one.

    Example::

        with Processes(2) as engine:
            futures = [engine.submit("statistics:mean", data=data) for data in ([1, 2], [3, 4])]
        [future.result() for future in futures]  # [1.5, 3.5]
    """

    def __init__(self, number: int) -> None:
        if number < 1:
            raise InputError(f"the number of processes must be >= 1, got {number}")
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

    def submit(self, function: str, **arguments: Any) -> Future[Any]:
        """Queues a job; a job's function may take a ``slot``, the number of its worker, if ``slot=None`` is given.

        Returns:
            Gives the job's result; raises InputError and `Interrupted` as the job did, and `JobFailed` otherwise.
        """
        outcome: Future[Any] = Future()
        self._jobs.put((outcome, json.dumps({"function": function, "arguments": arguments})))
        return outcome

    def stop(self) -> None:
        """Asks every running job to stop (SIGTERM), and begins no further one: they end in `Interrupted`."""
        with self._lock:
            self._stopped = True
            for worker in self._workers.values():
                worker.process.terminate()

    def _feed(self, slot: int) -> None:
        """Hands jobs to one worker, which is replaced when it dies."""
        for job in iter(self._jobs.get, None):
            outcome, message = job
            if not outcome.set_running_or_notify_cancel():
                continue
            try:
                outcome.set_result(self._run(slot, message))
            except Exception as error:  # whatever it is, whoever waits for the job has to hear of it
                outcome.set_exception(error)
        with self._lock:
            worker = self._workers.pop(slot, None)
        if worker is not None:
            self._close(worker)

    def _run(self, slot: int, message: str) -> Any:
        with self._lock:
            if self._stopped:
                raise Interrupted("stopped before it began")
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

    def _death(self, worker: _Worker) -> Exception:
        self._close(worker)
        code = worker.process.returncode
        if self._stopped:
            return Interrupted("stopped")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return WorkerDied(f"its process {how}")

    @staticmethod
    def _close(worker: _Worker) -> None:
        assert worker.process.stdin is not None
        with suppress(BrokenPipeError):
            worker.process.stdin.close()  # which ends a worker that waits for a job
        worker.process.wait()
        worker.answers.close()


_ERRORS: dict[str, type[Exception]] = {"InputError": InputError, "Interrupted": Interrupted}
