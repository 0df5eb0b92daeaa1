"""The coordinator's desk: clients' requests in, responses out, every one answered once.

It knows the simulations by name, whose request each ticket is, and by the record of client keys
what was carried out already. It has no sockets; the coordinator moves the bytes.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable
from hashlib import blake2b
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from runtime.commands import (
    FORMAT,
    AnyCommand,
    AnyReply,
    CancelRun,
    CheckModel,
    Command,
    CreateSimulation,
    Done,
    Failed,
    QueryAgents,
    QueryLog,
    QueryMetrics,
    RemoveSimulation,
    Request,
    Response,
    RunSimulation,
    Shutdown,
    SimulationInfo,
    SimulationReply,
    Status,
    StatusReply,
    decode_request,
)
from runtime.core import check
from runtime.core.check import ModelCheck
from runtime.core.effects import Effect, Ticket
from runtime.core.job import Job, Settings
from runtime.core.record import Record
from runtime.core.simulation import Simulation
from runtime.errors import GedankenError, ModelError, UnknownSimulation, UsageError
from runtime.log import Log
from runtime.model import apply_parameters, read_draft
from runtime.protocol import MALFORMED, Diagnostic, ModelSpec

MAX_REQUEST: Final = 64 << 20
"""Bytes of a request; a model's files are the largest."""

Work: TypeAlias = list[tuple[Job, list[Effect]]]

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_IDEMPOTENT: Final = (CheckModel, Status, QueryAgents, QueryMetrics, QueryLog)
"""Commands that change nothing: sent again they are simply carried out again."""

_encode = msgspec.msgpack.Encoder().encode


class _Asked(Struct):
    """A request that waits for its reply. ``peers``: who wants it, since a request may be sent
    again on another connection."""

    peers: list[bytes]
    key: str
    command: Command


class Desk:
    """Clients' requests and the simulations that they are about."""

    def __init__(self, endpoint: str, settings: Settings, log: Log) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._log = log
        self._record = Record()
        self._asked: dict[Ticket, _Asked] = {}
        self._tickets = 0
        self._epoch = 0
        self._simulations: dict[str, Simulation] = {}
        self._numbers: dict[str, int] = {}
        self._outgoing: list[tuple[bytes, bytes]] = []
        self._soon = 0
        self.shutdown = False
        """Shutdown was asked for, and answered."""
        self._handlers: dict[type, Callable[[Ticket, Command, float], Work]] = {
            CheckModel: self._check_model,
            CreateSimulation: self._create,
            RunSimulation: self._run,
            Status: self._status,
            CancelRun: self._cancel,
            RemoveSimulation: self._remove,
            QueryAgents: self._query_agents,
            QueryMetrics: self._query_metrics,
            QueryLog: self._query_log,
            Shutdown: self._shut_down,
        }

    def simulations(self) -> list[Simulation]:
        """In order of creation."""
        return list(self._simulations.values())

    def workers_soon(self) -> int:
        """How many workers the request just taken will want, beyond those it asked for already."""
        soon, self._soon = self._soon, 0
        return soon

    # --- requests in ---------------------------------------------------------------------------

    def take(self, peer: bytes, frames: list[bytes], now: float) -> Work:
        """Carry out a client's message as far as it goes at once."""
        if len(frames) != 1:
            self._refuse(peer, "", UsageError(f"a request has one frame, not {len(frames)}"))
            return []
        try:
            request = decode_request(frames[0])
        except MALFORMED as error:
            self._refuse(peer, _key_of(frames[0]), UsageError(f"the request is not one: {error}"))
            return []
        if request.format != FORMAT:
            self._refuse(
                peer,
                request.key,
                UsageError(f"the request has format {request.format}; this is {FORMAT}"),
            )
            return []
        return self._open(peer, request, frames[0], now)

    def _open(self, peer: bytes, request: Request, raw: bytes, now: float) -> Work:
        key, command = request.key, request.command
        recorded = not isinstance(command, _IDEMPOTENT)
        self._tickets += 1
        ticket = self._tickets
        if recorded:
            fingerprint = blake2b(raw, digest_size=16).digest()
            known = self._record.find(key)
            if known is not None and known.fingerprint != fingerprint:
                self._refuse(peer, key, UsageError(f"key {key} was used for another request"))
                return []
            if known is not None and known.response is not None:
                self._outgoing.append((peer, known.response))
                return []
            if known is not None:
                peers = self._asked[known.ticket].peers
                peers += [peer] * (peer not in peers)
                return []
            self._record.open(key, fingerprint, ticket)
        self._asked[ticket] = _Asked([peer], key, command)
        return self._carry_out(ticket, command, now)

    def _carry_out(self, ticket: Ticket, command: AnyCommand, now: float) -> Work:
        try:
            return self._handlers[type(command)](ticket, command, now)
        except GedankenError as error:
            self.answer(ticket, failed(error))
        except Exception as error:
            self._log.write(
                "error",
                "internal error",
                command=repr(command)[:2000],
                traceback="".join(traceback.format_exception(error)),
            )
            self.answer(ticket, Failed(kind="GedankenError", message=f"internal error: {error!r}"))
        return []

    def _refuse(self, peer: bytes, key: str, error: GedankenError) -> None:
        self._log.write("warning", "refused a request", reason=str(error), peer=peer.hex())
        self._outgoing.append((peer, self.refusal(key, error)))

    # --- responses out -------------------------------------------------------------------------

    def answer(self, ticket: Ticket, reply: AnyReply) -> None:
        """The reply to a request; a second one to the same is a mistake and is dropped."""
        asked = self._asked.pop(ticket, None)
        if asked is None:
            return
        if isinstance(asked.command, Status) and isinstance(reply, SimulationReply):
            reply = self._standing([reply.simulation])
        response = _encode(Response(asked.key, reply))
        if not isinstance(asked.command, _IDEMPOTENT):
            self._record.close(asked.key, response)
        self._outgoing += [(peer, response) for peer in asked.peers]

    def outgoing(self) -> list[tuple[bytes, bytes]]:
        """The responses to send, once each."""
        out, self._outgoing = self._outgoing, []
        return out

    def refusal(self, key: str, error: GedankenError) -> bytes:
        """The response to what was no request."""
        return _encode(Response(key, failed(error)))

    def close(self) -> list[tuple[bytes, bytes]]:
        """The coordinator ends: what must still be sent, to everybody who waits."""
        gone = Failed(kind="CoordinatorLost", message="the coordinator was ended")
        for ticket in list(self._asked):
            self.answer(ticket, gone)
        return self.outgoing()

    def forget(self, job: Job) -> None:
        """The job is over."""
        if self._simulations.get(job.name) is job:
            del self._simulations[job.name]

    # --- commands ------------------------------------------------------------------------------

    def _check_model(self, ticket: Ticket, command: Command, now: float) -> Work:
        assert isinstance(command, CheckModel)
        model, found = read_draft(command.name, command.files)
        if model is None:
            unread = ModelSpec(name=command.name)
            self.answer(ticket, check.model_checked(unread, found, None, {}))
            return []
        values, unfit = apply_parameters(model, command.parameters)
        found = [*found, *unfit]
        command = msgspec.structs.replace(command, parameters=values)
        self._epoch += 1
        job = ModelCheck(model, found, command, ticket, self._epoch, self._settings, now)
        return [(job, job.start())]

    def _create(self, ticket: Ticket, command: Command, now: float) -> Work:
        assert isinstance(command, CreateSimulation)
        if not _NAME.fullmatch(command.name):
            raise UsageError(
                f"{command.name!r} cannot be a model's name",
                "letters, digits, _ and -; a letter first; at most 40",
            )
        model, found = read_draft(command.name, command.files)
        if model is None:
            self.answer(ticket, check.does_not_check(command.name, check.in_place_order(found)))
            return []
        values, unfit = apply_parameters(model, command.parameters)
        if unfit and not check.errors_among(found):
            raise UsageError("; ".join(one.message for one in unfit), unfit[0].hint)
        command = msgspec.structs.replace(command, parameters=values)
        number = self._numbers.get(command.name, 0) + 1
        self._numbers[command.name] = number
        name = f"{command.name}-{number}"
        self._epoch += 1
        simulation = Simulation(
            name, model, found, command, ticket, self._epoch, self._settings, now
        )
        self._simulations[name] = simulation
        if model.regime(values) == "synchronous":
            self._soon = max(0, command.workers - 1)
        return [(simulation, simulation.start())]

    def _run(self, ticket: Ticket, command: Command, now: float) -> Work:
        assert isinstance(command, RunSimulation)
        simulation = self._named(command.sim)
        return [(simulation, simulation.run(ticket, command, now))]

    def _status(self, ticket: Ticket, command: Command, now: float) -> Work:
        assert isinstance(command, Status)
        if not command.sim:
            reply = self._standing([s.info(now) for s in self.simulations()])
            self.answer(ticket, reply)
            return []
        simulation = self._named(command.sim)
        if not simulation.wait(ticket, command.wait_s, now):
            self.answer(ticket, self._standing([simulation.info(now)]))
        return []

    def _cancel(self, ticket: Ticket, command: Command, now: float) -> Work:
        assert isinstance(command, CancelRun)
        simulation = self._named(command.sim)
        return [(simulation, simulation.cancel(ticket, now))]

    def _remove(self, ticket: Ticket, command: Command, now: float) -> Work:
        assert isinstance(command, RemoveSimulation)
        simulation = self._named(command.sim)
        self.forget(simulation)
        self.answer(ticket, Done())
        return [(simulation, simulation.remove(now))]

    def _query_agents(self, ticket: Ticket, command: Command, now: float) -> Work:
        assert isinstance(command, QueryAgents)
        simulation = self._named(command.sim)
        return [(simulation, simulation.query(ticket, command, now))]

    def _query_metrics(self, ticket: Ticket, command: Command, now: float) -> Work:
        assert isinstance(command, QueryMetrics)
        self.answer(ticket, self._named(command.sim).metrics(command))
        return []

    def _query_log(self, ticket: Ticket, command: Command, now: float) -> Work:
        assert isinstance(command, QueryLog)
        self.answer(ticket, self._named(command.sim).log(command))
        return []

    def _shut_down(self, ticket: Ticket, command: Command, now: float) -> Work:
        self.shutdown = True
        self.answer(ticket, Done())
        return []

    def _named(self, name: str) -> Simulation:
        simulation = self._simulations.get(name)
        if simulation is None:
            known = ", ".join(self._simulations) or "there is none yet"
            raise UnknownSimulation(f"no simulation is called {name!r}", f"simulations: {known}")
        return simulation

    def _standing(self, infos: list[SimulationInfo]) -> StatusReply:
        return StatusReply(simulations=infos, pid=os.getpid(), socket=self._endpoint)


def failed(error: GedankenError) -> Failed:
    """The reply that makes a client raise this error."""
    diagnostics: list[Diagnostic] = error.diagnostics if isinstance(error, ModelError) else []
    return Failed(
        kind=type(error).__name__, message=str(error), hint=error.hint, diagnostics=diagnostics
    )


def _key_of(raw: bytes) -> str:
    """The key of a request that cannot be read otherwise, so that its sender hears of it."""
    try:
        loose = msgspec.msgpack.decode(raw)
    except MALFORMED:
        return ""
    key = loose.get("key") if isinstance(loose, dict) else None
    return key if isinstance(key, str) and len(key) <= 64 else ""
