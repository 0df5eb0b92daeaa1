"""What every test gets: a home of its own, repeatable hypothesis, and a check for what is left.

A process started by a test inherits the test's mark in its environment, so that it is found again
even when its parent has gone: a test that leaves one behind fails, and so does one that leaves a
socket or another file in the runtime directory.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from waiting import still_living

MARK = "GEDANKEN_TEST_MARK"
GRACE_S = 5.0

# derandomize: a failure is the same in every run; no deadline: the machine may be busy.
settings.register_profile("gedanken", derandomize=True, deadline=None, database=None)
settings.load_profile("gedanken")


@pytest.fixture(autouse=True)
def own_surroundings(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory
) -> Iterator[None]:
    """A runtime directory, a data directory and a mark of the test's own; nothing may be left."""
    if request.node.get_closest_marker("process") is None:
        yield
        return
    # Not tmp_path: a socket's path may have 100 bytes, and test names are long.
    runtime_dir = Path(tempfile.mkdtemp(prefix="gt-"))
    mark = uuid.uuid4().hex
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_dir))
    monkeypatch.setenv("GEDANKEN_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv(MARK, mark)
    yield
    processes = left_running(mark)
    files = what_lies_in(runtime_dir)
    for pid in processes:
        os.kill(pid, 9)
    shutil.rmtree(runtime_dir, ignore_errors=True)
    assert (list(processes.values()), files) == ([], []), "left behind: processes, files"


def left_running(mark: str) -> dict[int, str]:
    """The processes with this mark that live on after the time limit; returns at once if none do.

    What ends only now may still have started another: so they are looked for again.
    """
    until = time.monotonic() + GRACE_S
    while (left := marked_processes(mark)) and time.monotonic() < until:
        still_living(left, until - time.monotonic())
    return left


def marked_processes(mark: str) -> dict[int, str]:
    """Command lines of the living processes with this mark, without this one."""
    wanted = f"{MARK}={mark}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) != os.getpid() and wanted in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_bytes().decode()
        except OSError:
            continue  # ended meanwhile, or another user's
    return found


def what_lies_in(runtime_dir: Path) -> list[str]:
    """Everything in the runtime directory but the directory of all coordinators itself."""
    return sorted(str(path) for path in runtime_dir.rglob("*") if path.name != "gedanken")
