"""The client's side of the coordinator's socket, and a coordinator of one's own.

A ``Client`` belongs to one thread at a time; open one per thread. It notices the end of the
coordinator at once (a process descriptor), its silence within ``SILENCE_S``.
"""

from __future__ import annotations

import os
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, overload

from runtime import errors, private
from runtime.commands import (
    AnyCommand,
    AnyReply,
    CancelRun,
    CheckModel,
    Command,
    CreateSimulation,
    Done,
    Failed,
    ModelChecked,
    QueryAgents,
    QueryLog,
    QueryMetrics,
    RemoveSimulation,
    Request,
    RunSimulation,
    Shutdown,
    SimulationReply,
    Status,
    StatusReply,
    Table,
    decode_response,
    encode_request,
)
from runtime.errors import CoordinatorLost, GedankenError, UsageError
from runtime.interpreter import module_command, module_environment
from runtime.transport import connect

SILENCE_S: Final = 20.0
"""A coordinator that says nothing for so long, though asked, is taken for lost."""
_ASK_S: Final = 5.0
"""While a reply is long in coming, the coordinator is asked so often whether it is there."""
_BLIND_S: Final = 0.25
"""Without process descriptors, whether the coordinator lives is looked up so often."""
_START_S: Final = 30.0
_END_S: Final = 3.0


class Client:
    """A connection to one coordinator; a context manager.

    Args:
        endpoint: as ``find_coordinators`` gives it (``ipc:///…/clients.sock``), or that path.

    Raises:
        CoordinatorLost: no living coordinator serves there.
    """

    def __init__(self, endpoint: str, silence_s: float = SILENCE_S) -> None:
        path = Path(endpoint.removeprefix("ipc://"))
        card = private.read_card(path.parent)
        self.endpoint = f"ipc://{path}"
        self.pid = card.pid
        """The coordinator's process."""
        self._directory = path.parent
        self._silence_s = silence_s
        self._life = _life_of(card.pid)
        self._channel = connect(self.endpoint)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the coordinator. No request may be under way. May be called again."""
        self._channel.close()
        if self._life is not None:
            os.close(self._life)
            self._life = None

    @overload
    def request(self, command: CheckModel) -> ModelChecked: ...
    @overload
    def request(self, command: CreateSimulation | RunSimulation | CancelRun) -> SimulationReply: ...
    @overload
    def request(self, command: Status) -> StatusReply: ...
    @overload
    def request(self, command: QueryAgents | QueryMetrics | QueryLog) -> Table: ...
    @overload
    def request(self, command: RemoveSimulation | Shutdown) -> Done: ...
    @overload
    def request(self, command: Command) -> AnyReply: ...

    def request(self, command: Command) -> AnyReply:
        """Have a command carried out; blocks until the reply is there.

        Raises:
            ModelError: the model does not check; carries every diagnostic.
            SimulationFault: creation failed; carries the fault.
            UsageError: the command does not fit (UnknownSimulation: no such simulation).
            WorkerLost: a worker process died or hung during the command.
            CoordinatorLost: the coordinator ended, or fell silent.
        """
        key = secrets.token_hex(8)
        assert isinstance(command, AnyCommand)
        self._channel.send([encode_request(Request(key, command))])
        reply = self._await(key, type(command).__name__)
        if isinstance(reply, Failed):
            raise _error_of(reply)
        return reply

    def _await(self, key: str, what: str) -> AnyReply:
        """The reply to ``key``; replies to requests that were given up are passed over."""
        heard = asked = time.monotonic()
        ask_s = min(_ASK_S, self._silence_s / 2)
        while True:
            try:
                frames = self._channel.recv_or_end(
                    _BLIND_S if self._life is None else ask_s, self._life
                )
            except TimeoutError:
                now = time.monotonic()
                if not private.is_held(self._directory):
                    raise self._gone(what) from None
                if now - heard > self._silence_s:
                    raise CoordinatorLost(
                        f"the coordinator (process {self.pid}) has not answered for "
                        f"{self._silence_s:g} s, during {what}",
                        "is it stopped, or its machine out of memory?",
                    ) from None
                if now - asked >= ask_s:
                    asked = now
                    self._channel.send([encode_request(Request(f"{key}?", Status(sim="?")))])
                continue
            if frames is None:
                # Its last words may have come together with its end.
                frames = self._last_words(key)
                if frames is None:
                    raise self._gone(what)
            heard = time.monotonic()
            response = decode_response(frames[0])
            if response.key == key:
                return response.reply

    def _last_words(self, key: str) -> list[bytes] | None:
        with suppress(TimeoutError):
            while True:
                frames = self._channel.recv(0.05)
                if decode_response(frames[0]).key == key:
                    return frames
        return None

    def _gone(self, what: str) -> CoordinatorLost:
        return CoordinatorLost(
            f"the coordinator (process {self.pid}) ended during {what}; its simulations are gone",
            "a run repeats exactly: start again with the same seed",
        )


def find_coordinators() -> list[str]:
    """The endpoints of this user's running coordinators."""
    return [card.endpoint for card in private.coordinators()]


@contextmanager
def embedded_coordinator(
    log_level: str = "warning", deadline_s: float | None = None, worker_module: str | None = None
) -> Iterator[Client]:
    """A coordinator of one's own, and a client of it (more: ``Client(client.endpoint)``).

    At the end nothing of it is left, process, socket or file, however the block ends: Ctrl-C too.
    If this process dies, the coordinator notices and ends itself.

    Raises:
        CoordinatorLost: it could not be started, or it died in the block.
    """
    directory: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    client: Client | None = None
    owned, owner = os.pipe()
    try:
        directory = private.new_directory()
        command = [sys.executable, *module_command("runtime.coordinator"), "--owned"]
        command += ["--dir", str(directory), "--log-level", log_level]
        if deadline_s is not None:
            command += ["--deadline", str(deadline_s)]
        if worker_module is not None:
            command += ["--worker-module", worker_module]
        process = subprocess.Popen(
            command,
            stdin=owned,
            stdout=subprocess.PIPE,
            env=module_environment(),
            # Ctrl-C in the terminal is for the client, which ends the run in order.
            start_new_session=True,
        )
        endpoint = _wait_until_ready(process)
        client = Client(endpoint)
        yield client
    finally:
        _end(client, process, [owned, owner], directory)


def _wait_until_ready(process: subprocess.Popen[bytes]) -> str:
    """The endpoint that a coordinator says it serves."""
    assert process.stdout is not None
    said = b""
    until = time.monotonic() + _START_S
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0, until - time.monotonic()))
        if not ready:
            raise CoordinatorLost(f"the coordinator was not ready within {_START_S:g} s")
        some = os.read(process.stdout.fileno(), 4096)
        if not some:
            status = process.wait(_END_S)
            if status == 2:
                raise UsageError("the coordinator refused its settings", "it says why on stderr")
            raise CoordinatorLost(
                f"the coordinator ended with status {status} before it was ready", "see stderr"
            )
        said += some
    return said.decode().removeprefix("ready ").strip()


def _end(
    client: Client | None,
    process: subprocess.Popen[bytes] | None,
    descriptors: Sequence[int],
    directory: Path | None,
) -> None:
    """Take back everything, in steps that may be repeated; Ctrl-C waits until it is done."""
    open_descriptors = list(descriptors)

    def step() -> None:
        if client is not None:
            client.close()
        # With its standard input closed the coordinator ends itself, workers and files included.
        while open_descriptors:
            with suppress(OSError):
                os.close(open_descriptors.pop())
        if process is not None:
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if directory is not None:
            private.remove_directory(directory)

    interrupted = False
    for _ in range(5):
        try:
            step()
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt


def _life_of(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where there are none."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


_ERRORS: Final = {
    kind.__name__: kind
    for kind in (
        errors.UsageError,
        errors.UnknownSimulation,
        errors.UnknownModel,
        errors.ProtocolError,
        errors.WorkerLost,
        errors.CoordinatorLost,
    )
}


def _error_of(failed: Failed) -> GedankenError:
    """The error that a reply tells of."""
    if failed.kind == "ModelError":
        return errors.ModelError(failed.message, failed.diagnostics, failed.hint)
    if failed.kind == "SimulationFault" and failed.fault is not None:
        return errors.SimulationFault(failed.fault)
    return _ERRORS.get(failed.kind, GedankenError)(failed.message, failed.hint)
