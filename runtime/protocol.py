"""Every message between coordinator and worker, declared once.

A message on the wire is one frame with the record below (msgpack array, tag first), followed by the
*blobs* that the record announces: opaque batches that the coordinator forwards unopened.
``docs/protocol.md`` describes the wire for authors of workers in other languages.

Orders and answers pair by verb: ``Step``/``Stepped``. An order carries the ``epoch`` that the
worker was welcomed with; every answer repeats it, with the worker's index and the tick it speaks
of, and an answer whose epoch or tick is not the open one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

PROTOCOL: Final = 1
"""Version of this module's wire form, sent in ``Hello``."""

MAX_BLOB: Final = 1 << 30
"""Largest frame accepted, in bytes."""

MALFORMED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises on bytes that are no message; text that is not UTF-8 is none of msgspec's
own errors."""

ENVIRONMENT: Final = "environment"
"""What messages, log lines and faults call the environment where agents have a type or a name."""

Tick: TypeAlias = Annotated[int, Meta(ge=-1, lt=2**53)]
WorkerIndex: TypeAlias = Annotated[int, Meta(ge=0, lt=4096)]
Epoch: TypeAlias = Annotated[int, Meta(ge=0)]
Scalar: TypeAlias = bool | int | float | str
"""A parameter's value."""


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of records that are written as maps (model, diagnostics)."""


# --- the model, as the coordinator reads it from model.toml ------------------------------------


class ParameterSpec(Record, frozen=True):
    """One ``[parameters]`` entry. ``line`` is its line in model.toml (1-based; 0 unknown)."""

    name: str
    default: Scalar
    min: float | None = None
    max: float | None = None
    choices: tuple[Scalar, ...] = ()
    description: str = ""
    line: int = 0


class ExpressionSpec(Record, frozen=True):
    """An expression of model.toml: a metric, invariant, stop, count or initial field."""

    name: str
    text: str
    line: int = 0
    every: int = 1


class SpaceSpec(Record, frozen=True):
    """``space`` of ``[environment]``. ``kind``: grid | continuous. Lengths are expressions over
    parameters; ``depth`` makes a continuous space 3-D. ``neighbors``: 8, 4, or 6 for hex (grids).
    ``single``: one agent a cell. ``cell``: side of the index cells (continuous), None: chosen."""

    kind: str
    width: ExpressionSpec
    height: ExpressionSpec
    depth: ExpressionSpec | None = None
    torus: bool = True
    neighbors: int = 8
    single: bool = False
    cell: ExpressionSpec | None = None
    line: int = 0


class NetworkSpec(Record, frozen=True):
    """``network`` of ``[environment]``. ``kind``: empty | complete | ring | watts_strogatz |
    preferential | random | grid | edges. ``of``: the type whose agents are linked, '' for all.
    ``numbers``: expressions named k, p, m, width or height, as the kind needs. ``edges``: the text
    of ``file`` (columns from, to[, weight]), for kind edges."""

    kind: str
    directed: bool = False
    of: str = ""
    numbers: tuple[ExpressionSpec, ...] = ()
    torus: bool = True
    edges: str = ""
    file: str = ""
    line: int = 0


class LayerSpec(Record, frozen=True):
    """One entry of ``[environment.layers]``; what is None is not done at the close."""

    name: str
    init: ExpressionSpec
    step: ExpressionSpec | None = None
    diffuse: ExpressionSpec | None = None
    decay: ExpressionSpec | None = None
    line: int = 0


class EnvironmentSpec(Record, frozen=True):
    """``[environment]`` and the script environment.lua; ``source`` is empty without one."""

    file: str = "environment.lua"
    source: str = ""
    line: int = 0
    fuel: int = 100_000_000
    space: SpaceSpec | None = None
    network: NetworkSpec | None = None
    layers: tuple[LayerSpec, ...] = ()


class TypeSpec(Record, frozen=True):
    """One ``[agents.NAME]`` table and its Lua file. ``alias``: a single agent's name, or ''.

    ``place``: '' (off the space) | random | random_empty | grid | at, which has ``place_at``: the
    coordinates as expressions named x, y and z. ``publish``: the fields that others may read.
    """

    name: str
    count: ExpressionSpec
    state: tuple[ExpressionSpec, ...] = ()
    alias: str = ""
    file: str = ""
    source: str = ""
    line: int = 0
    place: str = ""
    place_at: tuple[ExpressionSpec, ...] = ()
    publish: tuple[str, ...] = ()


class ModelSpec(Record, frozen=True):
    """A model as read; ``types`` stand in file order, which is agent order.

    ``activation``: synchronous | random | ordered | uniform | by_type, whose order of types is
    ``by_type``; or parameter: the text parameter ``activation_parameter`` chooses one of the
    first four. ``environment`` is None without ``[environment]`` and without environment.lua.
    """

    name: str
    description: str = ""
    activation: str = "synchronous"
    parameters: tuple[ParameterSpec, ...] = ()
    types: tuple[TypeSpec, ...] = ()
    metrics: tuple[ExpressionSpec, ...] = ()
    invariants: tuple[ExpressionSpec, ...] = ()
    stop: ExpressionSpec | None = None
    fuel: int = 1_000_000
    ticks: int = 100
    on_error: str = "pause"
    memory_mb: int = 0
    toml: str = ""
    environment: EnvironmentSpec | None = None
    by_type: tuple[str, ...] = ()
    activation_parameter: str = ""

    def regime(self, parameters: Mapping[str, Scalar]) -> str:
        """The regime with these parameters: synchronous | random | ordered | uniform | by_type."""
        if self.activation != "parameter":
            return self.activation
        return str(parameters[self.activation_parameter])


class Diagnostic(Record, frozen=True):
    """One finding of the model front end; ``line`` is 1-based, ``severity`` error or warning."""

    severity: str
    code: str
    message: str
    file: str = ""
    line: int = 0
    excerpt: str = ""
    hint: str = ""


class Fault(Record, frozen=True):
    """What ended a tick. A fault of the environment has the type ``environment`` and no agent.
    ``order`` sorts faults of one tick: (phase, index, type, agent id, nth).

    ``kind``: script | fuel | memory | limit | metric | invariant | query | worker | deadline |
    internal. Phases: 1 turns, 2 creation at the close, 3 metrics, 4 invariants, stop and until,
    9 the worker's Lua state gave up.
    """

    kind: str
    message: str
    tick: int = 0
    agent: int | None = None
    agent_type: str | None = None
    file: str | None = None
    line: int | None = None
    handler: str | None = None
    handling: str | None = None
    excerpt: str | None = None
    hint: str | None = None
    locals: str | None = None
    worker: int | None = None
    order: tuple[float, ...] = ()


class Counts(Struct, frozen=True, array_like=True):
    """Messages since the simulation's creation, on one worker; the reader sums over workers."""

    sent: int = 0
    delivered: int = 0
    dead: int = 0


# --- orders: coordinator -> worker --------------------------------------------------------------


class Order(Struct, frozen=True, array_like=True, tag=True, kw_only=True):
    """Base of every order."""

    epoch: Epoch


class Welcome(Order, frozen=True):
    """Answer to ``Hello``: the worker's index and epoch are now these."""

    worker: WorkerIndex


class Check(Order, frozen=True):
    """Check a model; with ``dry_ticks`` > 0 also run so many ticks with the given parameters."""

    model: ModelSpec
    parameters: dict[str, Scalar]
    dry_ticks: int = 0
    dry_agents: int = 10_000
    """Above this many agents the dry run shrinks the counts in proportion, and skips invariants."""
    vm: str = ""
    """luajit21 | lua52; empty: the first of these that the machine has."""


class Load(Order, frozen=True):
    """Host a share of a simulation. ``counts``: initial agents per type; ``placement``: the worker
    of each shard; shards are blocks of ``shard_size`` consecutive ids from id 1.

    With ``tick`` < 0 the next ``Step`` is tick 0, creation. Otherwise blobs are the dumps of
    this worker's shards, all at the end of ``tick``, then one blob of kernel data as ``Dumped``
    gave it (the roster: every living agent, the next id). ``activation`` is the model's regime
    with these parameters: synchronous | random | ordered | uniform | by_type; all but the first
    run on one worker.
    """

    worker: WorkerIndex
    workers: int
    model: ModelSpec
    parameters: dict[str, Scalar]
    seed: int
    counts: list[int]
    shard_size: int
    placement: list[int]
    memory_bytes: int = 0
    tick: Tick = -1
    vm: str = ""
    activation: str = "synchronous"


class Step(Order, frozen=True):
    """Run ticks ``tick``..``last``. ``last`` > ``tick`` only with one worker (a time grant).

    Blobs: one batch per entry of ``sources`` (the worker it comes from). ``partials``: the partial
    aggregates of every worker for tick-1, in worker order; empty when there is nothing to evaluate.
    """

    tick: Tick
    last: Tick
    sources: list[int] = []
    partials: list[bytes] = []
    until: str = ""
    grant_ms: float = 50.0


class Close(Order, frozen=True):
    """Second round of a tick's close: ``changes`` of every worker, in worker order, and the worker
    of each shard that the new agents open. Blobs as in ``Step``."""

    tick: Tick
    changes: list[bytes]
    placement: list[int] = []
    sources: list[int] = []


class Settle(Order, frozen=True):
    """Evaluate metrics, invariants, stop and until of ``tick`` from the merged ``partials``."""

    tick: Tick
    partials: list[bytes]
    until: str = ""
    sources: list[int] = []


class Dump(Order, frozen=True):
    """Give the canonical bytes (or with ``digest`` only their BLAKE2b-128) of ``shards``, and of
    what every worker holds alike. Blobs as in ``Step``: batches under way are taken in first."""

    tick: Tick
    shards: list[int]
    digest: bool = False
    sources: list[int] = []


class Query(Order, frozen=True):
    """Evaluate a query on this worker's agents; every worker's answer then goes to ``Combine``."""

    tick: Tick
    agent_type: str
    where: str = ""
    fields: list[str] = []
    group: str = ""
    aggregates: list[str] = []
    order: str = ""
    descending: bool = False
    limit: int = 20
    sources: list[int] = []


class Combine(Order, frozen=True):
    """Merge the ``partials`` (one per worker, in worker order) of a query into its rows."""

    tick: Tick
    query: Query
    partials: list[bytes]


class Unload(Order, frozen=True):
    """Forget the simulation; the process stays for the next ``Load``."""


class Stop(Order, frozen=True):
    """End the process."""


# --- answers: worker -> coordinator -------------------------------------------------------------


class Answer(Struct, frozen=True, array_like=True, tag=True, kw_only=True):
    """Base of every answer."""

    worker: WorkerIndex
    epoch: Epoch
    tick: Tick = -1


class Hello(Struct, frozen=True, array_like=True, tag=True, kw_only=True):
    """First message of a worker. ``token`` is the launch token its supervisor gave it."""

    protocol: int
    language: str
    capabilities: list[str]
    pid: int
    token: str


class Checked(Answer, frozen=True):
    """``counts``: agents per type with the given parameters; -1 where it cannot be known."""

    diagnostics: list[Diagnostic]
    counts: list[int] = []
    vm: str = ""
    metrics: list[str] = []
    dry_ticks: int = 0


class Loaded(Answer, frozen=True):
    """The share is hosted. ``metrics``: column names of the rows to come."""

    metrics: list[str] = []
    vm: str = ""
    fault: Fault | None = None


class Stepped(Answer, frozen=True):
    """Tick ``tick`` has been run (the last one of a grant). Also the shape of ``Closed``.

    Blobs: one batch per entry of ``out`` (the worker it is for). ``changes`` is not empty when
    agents were spawned or removed: then the tick needs ``Close``. ``rows``: msgpack array of rows
    ``[tick, {metric: value}]`` evaluated since the last answer, by worker 0 alone. ``ended``: ''
    or invariant | stop | until, with ``ended_tick`` the tick it speaks of (when ``ended_tick`` <
    ``tick`` of the order, that order's tick was not run). ``spawned`` and ``removed`` are those of
    all the ticks of a grant.
    """

    out: list[int] = []
    changes: bytes = b""
    spawned: int = 0
    removed: int = 0
    partials: bytes = b""
    rows: bytes = b""
    logs: bytes = b""
    counts: Counts = Counts()
    agents: list[int] = []
    ended: str = ""
    ended_tick: Tick = -1
    ended_by: str = ""
    fault: Fault | None = None
    more: bool = False
    """A grant that stopped early for time's sake, not for an ending."""


class Closed(Stepped, frozen=True):
    """The tick is closed on this worker."""


class Settled(Stepped, frozen=True):
    """Answer to ``Settle``: ``rows`` and ``ended`` are filled."""


class Dumped(Answer, frozen=True):
    """Blobs: per shard its bytes or its digest, in the order asked for; then one blob that every
    worker would give alike: kernel data, or with ``digest`` the digest of the replicated world
    (environment, space, layers, network, published fields), 16 zero bytes without one."""

    shards: list[int] = []
    fault: Fault | None = None


class Queried(Answer, frozen=True):
    """One blob: this worker's partial result, opaque."""

    fault: Fault | None = None


class Combined(Answer, frozen=True):
    """``columns`` and ``rows`` (msgpack array of arrays); ``total``: agents that matched."""

    columns: list[str] = []
    rows: bytes = b""
    total: int = 0
    fault: Fault | None = None


class Unloaded(Answer, frozen=True):
    """The simulation is forgotten."""


class Refused(Answer, frozen=True):
    """The order could not be taken: out of place, or malformed. Nothing was changed."""

    reason: str


AnyOrder: TypeAlias = (
    Welcome | Check | Load | Step | Close | Settle | Dump | Query | Combine | Unload | Stop
)
AnyAnswer: TypeAlias = (
    Hello
    | Checked
    | Loaded
    | Stepped
    | Closed
    | Settled
    | Dumped
    | Queried
    | Combined
    | Unloaded
    | Refused
)

_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
decode_order = msgspec.msgpack.Decoder(AnyOrder).decode
decode_answer = msgspec.msgpack.Decoder(AnyAnswer).decode
