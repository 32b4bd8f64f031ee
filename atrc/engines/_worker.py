"""The worker process, which does one job after the other as long as its parent lives."""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from typing import Any

from atrc.machine.ending import end_process
from atrc.machine.imports import own_process, without_collections
from atrc.machine.stopping import Interrupted
from searchspace import InputError

__all__ = ["nurse", "work"]


def nurse(control: int) -> None:
    """Forks workers on request, until the other end of the socket is closed.

    A request for a worker has its ``slot``, the ``modules`` to import before, and, as file descriptors, where it
    reads its jobs and writes its answers; the reply is its process id. A request to ``wait`` for a worker is answered
    by its exit status.

    Args:
        control: File descriptor of the socket.
    """
    own_process()
    connection = socket.socket(fileno=control)
    while True:
        message, passed, _, _ = socket.recv_fds(connection, 1 << 16, 2)
        if not message:
            end_process()
        asked = json.loads(message)
        if "wait" in asked:
            _, status = os.waitpid(asked["wait"], 0)
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        for module in asked["modules"]:
            with suppress(Exception), without_collections():  # if it cannot be imported, the jobs will say so
                importlib.import_module(module)
        worker = os.fork()
        if worker == 0:
            connection.close()
            os.dup2(passed[0], 0)
            sys.stdin = os.fdopen(0, encoding="utf-8")
            work(passed[1], asked["slot"])
        for descriptor in passed:
            os.close(descriptor)
        connection.send(str(worker).encode())


def work(answers: int, slot: int) -> None:
    """Reads jobs from standard input, one JSON object per line, until it ends.

    Args:
        answers: File descriptor that gets one JSON object per job.
        slot: Number of this worker, for jobs that ask for it.
    """
    own_process()
    jobs: queue.Queue[str | None] = queue.Queue()
    busy = threading.Event()
    threading.Thread(target=_listen, args=(jobs, busy), daemon=True).start()
    # The pipe breaks if the parent does not listen any more.
    with suppress(BrokenPipeError), os.fdopen(answers, "w", encoding="utf-8") as file:
        for line in iter(jobs.get, None):
            answer = _answer(line, slot)
            busy.clear()
            file.write(answer + "\n")
            file.flush()
    end_process()


def _listen(jobs: queue.Queue[str | None], busy: threading.Event) -> None:
    """Passes jobs on. When the parent is gone, it asks the running job to stop and starts no other one."""
    for line in sys.stdin:
        busy.set()
        jobs.put(line)
    jobs.put(None)
    if busy.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


def _answer(line: str, slot: int) -> str:
    """Does a job, and returns its result or its error as JSON."""
    try:
        return json.dumps({"result": _do(line, slot)})
    except (Interrupted, KeyboardInterrupt) as error:  # KeyboardInterrupt: the job was asked to stop twice
        return json.dumps({"error": "Interrupted", "message": str(error)})
    except InputError as error:
        return json.dumps({"error": "InputError", "message": str(error)})
    except (Exception, SystemExit) as error:  # no error may prevent the jobs after it
        traceback.print_exc()
        return json.dumps({"error": "failed", "message": f"{type(error).__name__}: {error}"})


def _do(line: str, slot: int) -> Any:
    job = json.loads(line)
    arguments = {**job["arguments"], **({"slot": slot} if "slot" in job["arguments"] else {})}
    module, function = job["function"].split(":")
    with without_collections():
        found = getattr(importlib.import_module(module), function)
    return found(**arguments)
