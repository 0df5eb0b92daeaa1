"""Every request a client may make, and its reply, declared once.

From a declaration here follow its wire form (msgpack map, tagged), its ``simctl`` subcommand (when
``SUBCOMMANDS`` names it) and its JSON schema. Field descriptions are ``msgspec.Meta`` texts.

A request is ``Request(key, command)``. The key is the client's own and unique: a request that is
sent again with the same key is answered from the record and not carried out twice.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from runtime.protocol import Counts, Diagnostic, Fault, Scalar

FORMAT: Final = 1
"""Version of requests, replies and JSON results (their ``format`` field)."""

SimName: TypeAlias = Annotated[
    str, Meta(description="simulation, as `status` lists it: epidemic-1")
]
Files: TypeAlias = Annotated[
    dict[str, str], Meta(description="the model's files: path inside the folder -> text")
]


class Command(Struct, frozen=True, tag=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every command."""


class Reply(Struct, frozen=True, tag=True, kw_only=True):
    """Base of every reply."""


class CheckModel(Command, frozen=True):
    """Check a model's files, and dry-run it for a few ticks with the default parameters."""

    name: str
    files: Files
    parameters: dict[str, Scalar] = {}
    dry_ticks: Annotated[int, Meta(ge=0, le=1000)] = 3
    vm: str = ""


class ParameterInfo(Struct, frozen=True):
    """A parameter as declared."""

    name: str
    default: Scalar
    min: float | None = None
    max: float | None = None
    choices: tuple[Scalar, ...] = ()
    description: str = ""


class ModelChecked(Reply, frozen=True):
    """``ok``: no error among the diagnostics (warnings may be). They are sorted by place."""

    ok: bool
    diagnostics: list[Diagnostic]
    name: str = ""
    description: str = ""
    activation: str = "synchronous"
    parameters: list[ParameterInfo] = []
    agents: dict[str, int] = {}
    metrics: list[str] = []
    dry_ticks: int = 0


class CreateSimulation(Command, frozen=True):
    """Create a simulation from a model's files; tick 0 (creation) is closed when it is answered."""

    name: str
    """The model's name; the simulation is called NAME-1, NAME-2, …"""
    files: Files
    parameters: dict[str, Scalar] = {}
    seed: Annotated[int, Meta(ge=0, lt=2**53, description="0 <= seed < 2^53")] = 1
    workers: Annotated[int, Meta(ge=0, le=256, description="worker processes; 0: chosen")] = 0
    vm: Annotated[str, Meta(description="luajit21 | lua52; empty: chosen")] = ""


class RunSimulation(Command, frozen=True):
    """Run a simulation on. Answered when the run ends, or after ``wait_s`` while it goes on."""

    sim: SimName
    ticks: (
        Annotated[int, Meta(ge=0, lt=2**53, description="how many more ticks, at most")] | None
    ) = None
    """None: as many as the model names, 100 where it names none."""
    until: Annotated[str, Meta(description="expression over metrics: ends the run when true")] = ""
    wait_s: Annotated[float, Meta(ge=0, le=86400, description="wait at most so long")] = 25.0


class Status(Command, frozen=True):
    """How simulations stand: all, or one (then waits up to ``wait_s`` for its run to end)."""

    sim: str = ""
    wait_s: Annotated[float, Meta(ge=0, le=86400)] = 0.0


class CancelRun(Command, frozen=True):
    """End the present run of a simulation at the next closed tick; what was done is kept."""

    sim: SimName


class RemoveSimulation(Command, frozen=True):
    """Forget a simulation and end its worker processes."""

    sim: SimName


class MetricSummary(Struct, frozen=True):
    """A metric over the ticks so far; null where no tick had a value."""

    first: float | None = None
    last: float | None = None
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    spark: list[float | None] = []
    """At most 40 values, evenly thinned, for a sparkline."""


class SimulationInfo(Struct, frozen=True):
    """A simulation as it stands. ``phase``: creating | ready | running | ended | failed.

    ``stopped`` says why the last run ended: ticks | until | stop | invariant | interrupted |
    error, or '' while none has.
    """

    sim: str
    model: str
    phase: str
    tick: int
    target: int
    stopped: str
    parameters: dict[str, Scalar]
    seed: int
    activation: str
    workers: int
    vm: str
    agents: dict[str, int]
    messages: Counts
    metrics: dict[str, MetricSummary]
    elapsed_s: float
    ticks_per_s: float
    digest: str = ""
    """Hex; only in the reply of a run that ended (and not after a fault)."""
    stopped_by: str = ""
    """The expression or invariant that ended the run."""
    error: Fault | None = None
    log_lines: int = 0
    pids: list[int] = []
    notes: list[str] = []
    """What the caller should know of how it runs: fewer workers than were asked for."""


class StatusReply(Reply, frozen=True):
    """``simulations`` in order of creation."""

    simulations: list[SimulationInfo]
    pid: int = 0
    socket: str = ""


class SimulationReply(Reply, frozen=True):
    """The simulation after the command."""

    simulation: SimulationInfo


class QueryAgents(Command, frozen=True):
    """Agents of a type: filter, fields, group, aggregates, order, limit; run in the workers."""

    sim: SimName
    agent_type: str
    where: Annotated[str, Meta(description="Lua expression over self: self.cash > 10")] = ""
    fields: Annotated[list[str], Meta(description="expressions over self: self.cash")] = []
    group: Annotated[str, Meta(description="expression to group by; then aggregates are given")] = (
        ""
    )
    aggregates: Annotated[
        list[str], Meta(description="count() mean(self.cash) max(self.age) …")
    ] = []
    order: Annotated[str, Meta(description="expression, or a column's name, to sort by")] = ""
    descending: bool = False
    limit: Annotated[int, Meta(ge=1, le=100_000)] = 20


class QueryMetrics(Command, frozen=True):
    """Metrics over time, thinned to ``points`` evenly spaced ticks (the last always among them)."""

    sim: SimName
    names: list[str] = []
    first: int = 0
    last: int = -1
    points: Annotated[int, Meta(ge=0, le=10_000_000, description="0: every tick")] = 20


class QueryLog(Command, frozen=True):
    """The newest ``limit`` lines that agents logged, oldest first."""

    sim: SimName
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 50
    contains: str = ""


class Table(Reply, frozen=True):
    """Rows of a query. ``total``: rows there are; those not in ``rows`` were left out."""

    columns: list[str]
    rows: list[list[Scalar | None]]
    total: int
    tick: int


class Shutdown(Command, frozen=True):
    """End the coordinator and every worker."""


class Done(Reply, frozen=True):
    """Nothing to tell."""


class Failed(Reply, frozen=True):
    """The command was refused or failed. ``kind`` names the error class in ``runtime.errors``."""

    kind: str
    message: str
    hint: str = ""
    diagnostics: list[Diagnostic] = []
    fault: Fault | None = None


AnyCommand: TypeAlias = (
    CheckModel
    | CreateSimulation
    | RunSimulation
    | Status
    | CancelRun
    | RemoveSimulation
    | QueryAgents
    | QueryMetrics
    | QueryLog
    | Shutdown
)
AnyReply: TypeAlias = ModelChecked | StatusReply | SimulationReply | Table | Done | Failed


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """A command with its client key (1 to 64 characters, unique to this request)."""

    key: Annotated[str, Meta(min_length=1, max_length=64)]
    command: AnyCommand
    format: int = FORMAT


class Response(Struct, frozen=True):
    """The reply to the request of the same key."""

    key: str
    reply: AnyReply
    format: int = FORMAT


SUBCOMMANDS: Final[dict[str, type[Command]]] = {
    "status": Status,
    "cancel": CancelRun,
    "remove": RemoveSimulation,
    "query": QueryAgents,
    "metrics": QueryMetrics,
    "log": QueryLog,
    "shutdown": Shutdown,
}
"""``simctl`` subcommands derived from commands; they speak to a running coordinator."""

encode_request = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_response = msgspec.msgpack.Decoder(Response).decode
