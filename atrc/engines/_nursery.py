"""Workers that are forked from one process, which has imported what they need."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any

__all__ = ["Forked", "Nursery"]

_START = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = {path!r}; " + (
    "from atrc.engines._worker import nurse; nurse({control})"
)
_LONGEST = 1 << 16


class Nursery:
    """A process that imports modules once, does nothing else, and forks a worker whenever it is asked for one.

    It has one thread and has computed nothing, so that nothing is lost or locked in a fork.

    Args:
        modules: Names of the modules.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = list(modules)
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        code = _START.format(path=sys.path, control=theirs.fileno())
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )

    def fork(self, slot: int) -> Forked:
        """Returns a new worker.

        Raises:
            OSError: The process is gone.
        """
        jobs, ours = os.pipe()
        answers, theirs = os.pipe()
        try:
            pid = self.request({"slot": slot, "modules": self._modules}, [jobs, theirs])
        except OSError:
            os.close(ours)
            os.close(answers)
            raise
        finally:
            os.close(jobs)
            os.close(theirs)
        return Forked(self, pid, os.fdopen(ours, "w", encoding="utf-8"), os.fdopen(answers, encoding="utf-8"))

    def request(self, content: dict[str, Any], passed: Sequence[int] = ()) -> int:
        """Returns the reply to a request; see `atrc.engines._worker.nurse`."""
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(content).encode()], list(passed))
            reply = self._socket.recv(_LONGEST)
        if not reply:
            raise ConnectionError("the process that forks workers is gone")
        return int(reply)

    def close(self) -> None:
        """Ends the process."""
        self._socket.close()
        self._process.wait()


class Forked:
    """A forked worker, with the methods of ``subprocess.Popen`` that engines use.

    Attributes:
        stdin: Where its jobs are written.
        answers: Where its answers are read.
    """

    def __init__(self, nursery: Nursery, pid: int, stdin: IO[str], answers: IO[str]) -> None:
        self.stdin, self.answers = stdin, answers
        self._nursery, self._pid = nursery, pid

    def terminate(self) -> None:
        """Sends SIGTERM. The worker is not waited for yet, so that its id is still its own."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)

    def wait(self) -> int:
        """Waits for the end, and returns the exit status: minus the signal if one killed the worker."""
        try:
            return self._nursery.request({"wait": self._pid})
        except OSError:
            return 0
