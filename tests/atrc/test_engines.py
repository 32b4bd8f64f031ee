"""Jobs in processes of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import psutil
import pytest

from atrc.engines import JobFailed, Processes
from atrc.machine.stopping import Interrupted
from searchspace import InputError

JOBS = """
import os, signal, sys, time
from pathlib import Path

from atrc.machine.stopping import Interrupted, stop_requests
from searchspace import InputError

def double(x): return 2 * x
def place(slot): return slot, os.getpid()
def talk(text): print(text); return text
def refuse(message): raise InputError(message)
def divide(x): return 1 / x
def unsayable(): return {1, 2}
def leave(): sys.exit(3)
def die(status): os._exit(status)
def kill(): os.kill(os.getpid(), signal.SIGKILL)

def nap(mark, slot=None):
    # Sleeps until it is asked to stop, and says so.
    with stop_requests(insist=True) as stop:
        Path(mark).write_text(str(os.getpid()))
        while not stop.requested:
            time.sleep(0.01)
    Path(mark).write_text("stopped")
    raise Interrupted("a checkpoint was written")
"""


@pytest.fixture(params=[(), ("some_jobs", "no_such_module")], ids=["started", "forked"])
def modules(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Without modules to import before, workers are started; with some, they are forked."""
    found: tuple[str, ...] = request.param
    return found


@pytest.fixture(autouse=True)
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modules: tuple[str, ...]) -> None:
    """A module of jobs, where this process and its workers find it."""
    monkeypatch.setattr(Processes.__init__, "__defaults__", (modules,))
    (tmp_path / "some_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)


def until(condition: Callable[[], Any], seconds: float = 30.0) -> bool:
    """Waits for something to come true."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(condition())


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_results_and_the_worker_of_each_job() -> None:
    with Processes(2) as engine:
        doubled = [engine.submit("some_jobs:double", x=x) for x in range(6)]
        placed = [engine.submit("some_jobs:place", slot=None) for _ in range(6)]
        assert [job.result() for job in doubled] == [0, 2, 4, 6, 8, 10]
        workers = {tuple(job.result()) for job in placed}
    assert {slot for slot, _ in workers} <= {0, 1}
    assert len({process for _, process in workers}) == len(workers)  # a slot is one process
    assert os.getpid() not in {process for _, process in workers}


def test_errors_of_jobs() -> None:
    """InputError stays what it is; anything else says its type, and ends neither the worker nor the other jobs."""
    with Processes(1) as engine:
        refused = engine.submit("some_jobs:refuse", message="a batch of 0 images")
        failed = {
            "ZeroDivisionError: division by zero": engine.submit("some_jobs:divide", x=0),
            "TypeError: Object of type set is not JSON serializable": engine.submit("some_jobs:unsayable"),
            "SystemExit: 3": engine.submit("some_jobs:leave"),
            "AttributeError: module 'some_jobs' has no attribute 'nothing'": engine.submit("some_jobs:nothing"),
        }
        placed = [engine.submit("some_jobs:place", slot=None) for _ in range(2)]
        assert type(refused.exception()) is InputError
        assert str(refused.exception()) == "a batch of 0 images"
        for message, job in failed.items():
            assert isinstance(job.exception(), JobFailed)
            assert str(job.exception()) == message
        assert placed[0].result() == placed[1].result()


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (("some_jobs:kill", {}), "its process was killed by SIGKILL"),
        (("some_jobs:die", {"status": 7}), "its process ended with status 7"),
    ],
)
def test_a_worker_that_dies_fails_one_job(job: tuple[str, dict[str, Any]], said: str) -> None:
    with Processes(1) as engine:
        before = engine.submit("some_jobs:place", slot=None)
        dead = engine.submit(job[0], **job[1])
        after = engine.submit("some_jobs:place", slot=None)
        assert str(dead.exception()) == said
        assert before.result()[1] != after.result()[1]


def test_prints_of_jobs_are_no_answers(capfd: pytest.CaptureFixture[str]) -> None:
    with Processes(1) as engine:
        assert engine.submit("some_jobs:talk", text='{"result": 1}').result() == '{"result": 1}'
    assert capfd.readouterr().out == '{"result": 1}\n'


def test_stop_asks_what_runs_and_begins_nothing_else(tmp_path: Path) -> None:
    """Ctrl-C is for the parent alone: it decides."""
    mark = tmp_path / "mark"
    with Processes(1) as engine:
        running = engine.submit("some_jobs:nap", mark=str(mark))
        waiting = engine.submit("some_jobs:double", x=1)
        assert until(lambda: text(mark).isdigit())
        os.kill(int(text(mark)), signal.SIGINT)
        assert not wait([running], timeout=0.3).done
        engine.stop()
        assert str(running.exception()) == "a checkpoint was written"
        assert isinstance(running.exception(), Interrupted)
        assert isinstance(waiting.exception(), Interrupted)
    assert text(mark) == "stopped"


def test_nothing_is_left(tmp_path: Path) -> None:
    """Neither processes nor threads, also where the block ends in an error while a job runs."""
    threads, mark = threading.active_count(), tmp_path / "mark"
    others = set(psutil.Process().children())
    engine = Processes(2)

    def block() -> None:
        with engine:
            begun.append(engine.submit("some_jobs:nap", mark=str(mark)))
            for x in range(9):
                engine.submit("some_jobs:double", x=x).cancel()
            assert until(lambda: text(mark).isdigit())
            raise ZeroDivisionError

    begun: list[Future[Any]] = []
    with pytest.raises(ZeroDivisionError):
        block()
    assert isinstance(begun[0].exception(), Interrupted)
    assert threading.active_count() == threads
    assert set(psutil.Process().children()) <= others


def test_a_plain_script_needs_no_guard(tmp_path: Path, modules: tuple[str, ...]) -> None:
    """Workers never import the script, which without a guard would begin again in each of them."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        from atrc.engines import Processes
        print("begun")
        with Processes(2, {modules}) as engine:
            print([job.result() for job in [engine.submit("some_jobs:double", x=x) for x in (1, 2)]])
        """)
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("begun\n[2, 4]\n", "")


def test_workers_do_not_outlive_their_parent(tmp_path: Path, modules: tuple[str, ...]) -> None:
    """The job at hand is asked to stop, and none of those that wait begins."""
    script, marks = tmp_path / "script.py", [tmp_path / f"mark{index}" for index in range(3)]
    script.write_text(
        textwrap.dedent(f"""
        from atrc.engines import Processes
        with Processes(1, {modules}) as engine:
            for mark in {[str(mark) for mark in marks]}:
                engine.submit("some_jobs:nap", mark=mark)
        """)
    )
    parent = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE)
    assert until(lambda: text(marks[0]).isdigit())
    worker = int(text(marks[0]))
    parent.kill()
    _, said = parent.communicate(timeout=60)  # the worker has the pipe as well, and ends
    assert until(lambda: not psutil.pid_exists(worker))
    assert [text(mark) for mark in marks] == ["stopped", "", ""]
    assert said == b""


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux")
def test_modules_are_imported_once_for_all_workers(tmp_path: Path) -> None:
    """Also for one that takes the place of a dead one; a killed process that forks is replaced, too."""
    log = tmp_path / "imports"
    with (tmp_path / "some_jobs.py").open("a") as file:
        file.write(f"with open({str(log)!r}, 'a') as log: print(os.getpid(), file=log)\n")

    def importing() -> list[int]:
        return [int(line) for line in text(log).split()]

    others = set(psutil.Process().children())
    with Processes(2, ("some_jobs",)) as engine:
        naps = [engine.submit("some_jobs:nap", mark=str(tmp_path / name)) for name in "ab"]
        assert until(lambda: all(text(tmp_path / name).isdigit() for name in "ab"))
        os.kill(int(text(tmp_path / "a")), signal.SIGKILL)
        assert until(lambda: any(nap.done() for nap in naps))
        assert engine.submit("some_jobs:double", x=2).result() == 4
        (nursery,) = set(psutil.Process().children()) - others
        assert importing() == [nursery.pid]
        nursery.kill()
        assert engine.submit("some_jobs:double", x=3).result() == 6  # its workers live on
        assert isinstance(engine.submit("some_jobs:die", status=1).exception(), JobFailed)
        assert engine.submit("some_jobs:double", x=4).result() == 8
        assert len(importing()) == 2
        engine.stop()
