"""Worker processes: start, greet, watch, end; a pool of spare ones; their crumb files.

A worker dies with its coordinator by itself (``PR_SET_PDEATHSIG``), so this module needs to end
only what a living coordinator no longer wants. The environment tells it whose child it must be
(``GEDANKEN_PARENT``): a coordinator may be killed before its worker has asked the kernel for that.
"""

from __future__ import annotations

import os
import secrets
import signal
import struct
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from runtime.interpreter import module_command, module_environment
from runtime.log import Log

CRUMB_BYTES: Final = 4096
MAX_SPARES: Final = 4
_CRUMB: Final = struct.Struct("<ii")
_REAP_S: Final = 10.0


class State(Enum):
    """Where a worker process stands with us."""

    STARTING = "starting"
    """Started, has not said Hello."""
    SPARE = "spare"
    """Hosts nothing."""
    BUSY = "busy"
    """Belongs to a job."""
    UNLOADING = "unloading"
    """Told to forget its job."""


class Crumb(NamedTuple):
    """What a worker keeps in shared memory: the agent it runs, 0 for none, and the tick."""

    agent: int
    tick: int


class Worker:
    """One worker process, from start to reaping."""

    def __init__(self, process: subprocess.Popen[bytes], token: str, crumb: Path) -> None:
        self.process = process
        self.token = token
        self.crumb = crumb
        self.state = State.STARTING
        self.peer = b""
        """Its name on the socket, once it has said Hello."""
        self.since = 0.0
        """When it entered a state that it must leave again, on the coordinator's clock."""
        self._last_crumb: Crumb | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    def how_it_ended(self) -> str:
        """In words, once it is reaped: 'was ended by signal 9 (SIGKILL)'."""
        status = self.process.returncode
        if status is None:
            return "is alive"
        if status >= 0:
            return f"ended with exit status {status}"
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = "unknown"
        return f"was ended by signal {-status} ({name})"

    def read_crumb(self) -> Crumb:
        """The crumb as it lies there now; for one that ended, as it left it."""
        if self._last_crumb is not None:
            return self._last_crumb
        try:
            with self.crumb.open("rb") as file:
                return Crumb(*_CRUMB.unpack(file.read(_CRUMB.size)))
        except (OSError, struct.error):
            return Crumb(0, 0)

    def keep_crumb(self) -> None:
        """It has ended: remember its crumb, since the file goes."""
        self._last_crumb = self.read_crumb()
        self.crumb.unlink(missing_ok=True)


class Supervisor:
    """Every worker process of a coordinator."""

    def __init__(
        self, directory: Path, endpoint: str, log: Log, log_level: str, module: str
    ) -> None:
        self._directory = directory
        self._endpoint = endpoint
        self._log = log
        self._log_level = log_level
        self._module = module
        self._workers: list[Worker] = []
        self._started = 0

    @property
    def workers(self) -> list[Worker]:
        """Those not yet reaped, oldest first."""
        return list(self._workers)

    def among(self, state: State) -> list[Worker]:
        """Those in a state, oldest first."""
        return [w for w in self._workers if w.state is state]

    def start(self, now: float) -> Worker:
        """Start a process; it will say Hello.

        Raises:
            OSError: the system gives no more processes or files.
        """
        self._started += 1
        token = secrets.token_hex(16)
        crumb = self._directory / f"w{self._started}.crumb"
        crumb.write_bytes(bytes(CRUMB_BYTES))
        command = [sys.executable, *module_command(self._module)]
        command += ["--connect", self._endpoint, "--token", token, "--crumb", str(crumb)]
        command += ["--log-level", self._log_level]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**module_environment(), "GEDANKEN_PARENT": str(os.getpid())},
            )
        except OSError:
            crumb.unlink(missing_ok=True)
            raise
        worker = Worker(process, token, crumb)
        worker.since = now
        self._workers.append(worker)
        self._log.write("debug", "worker started", worker_pid=process.pid)
        return worker

    def greet(self, token: str, pid: int) -> Worker | None:
        """The starting worker that this Hello is from; None if it is from nobody of ours. A token
        is good for one Hello."""
        for worker in self.among(State.STARTING):
            if secrets.compare_digest(worker.token, token) and worker.pid == pid:
                worker.state = State.SPARE
                return worker
        return None

    def reap(self) -> list[Worker]:
        """Those that ended by themselves since the last call; they are gone from ``workers``."""
        ended = [w for w in self._workers if w.process.poll() is not None]
        for worker in ended:
            self._forget(worker)
        return ended

    def kill(self, worker: Worker) -> None:
        """End a process at once and reap it. It has nothing that could be lost."""
        if worker not in self._workers:
            return
        worker.process.kill()
        try:
            worker.process.wait(_REAP_S)
        except subprocess.TimeoutExpired:
            self._log.write("error", "worker does not die", worker_pid=worker.pid)
        self._forget(worker)

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self.workers:
            self.kill(worker)

    def _forget(self, worker: Worker) -> None:
        self._workers.remove(worker)
        worker.keep_crumb()
