"""A whole simulation in one process: hosts driven tick by tick, as a coordinator would.

``Shares`` is for tests of semantics: it sees every answer, and can stop, dump and restore anywhere.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgpack
import msgspec

from runtime import protocol as p
from runtime.core.placement import initial_placement, shard_size_for, shards_for
from workers.host import Host

STACK = 256 * 1024 * 1024


def in_large_stack(function: Callable[[], Any]) -> Any:
    """Run in a thread like a worker's, whose stack holds what the VM's C code may need."""
    result: list[Any] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            result.append(function())
        except BaseException as error:
            failure.append(error)

    previous = threading.stack_size(STACK)
    try:
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(previous)
    if failure:
        raise failure[0]
    return result[0]


def model(
    types: Mapping[str, str],
    counts: Mapping[str, int | str] | None = None,
    *,
    metrics: Mapping[str, str] | None = None,
    invariants: Mapping[str, str] | None = None,
    stop: str = "",
    parameters: Mapping[str, p.Scalar] | None = None,
    state: Mapping[str, Mapping[str, str]] | None = None,
    aliases: Mapping[str, str] | None = None,
    fuel: int = 1_000_000,
) -> p.ModelSpec:
    """A model from sources by type name, without files."""
    expression = p.ExpressionSpec
    return p.ModelSpec(
        name="m",
        parameters=tuple(p.ParameterSpec(n, v) for n, v in (parameters or {}).items()),
        types=tuple(
            p.TypeSpec(
                name=name,
                count=expression("count", str((counts or {}).get(name, 0))),
                file=f"agents/{name}.lua",
                source=source,
                alias=(aliases or {}).get(name, ""),
                state=tuple(expression(f, t) for f, t in (state or {}).get(name, {}).items()),
            )
            for name, source in types.items()
        ),
        metrics=tuple(expression(n, t) for n, t in (metrics or {}).items()),
        invariants=tuple(expression(n, t) for n, t in (invariants or {}).items()),
        stop=expression("stop", stop) if stop else None,
        fuel=fuel,
    )


def _without_metric_fault(answer: p.Stepped) -> p.Stepped:
    """Metrics are evaluated again when the changes of the tick are applied."""
    if answer.fault is not None and answer.fault.order[0] == 3:
        return msgspec.structs.replace(answer, fault=None)
    return answer


class Shares:
    """One simulation on ``workers`` hosts. ``counts`` by type name; tick 0 is closed at once."""

    def __init__(
        self,
        spec: p.ModelSpec,
        counts: Sequence[int],
        workers: int = 1,
        *,
        seed: int = 1,
        vm: str = "",
        parameters: Mapping[str, p.Scalar] | None = None,
        dump: tuple[int, int, list[int], dict[int, bytes], bytes] | None = None,
    ) -> None:
        self.spec, self.counts_given, self.seed, self.vm = spec, list(counts), seed, vm
        self.parameters = dict(parameters or {q.name: q.default for q in spec.parameters})
        self.workers = workers
        agents = sum(counts)
        self.shard_size = shard_size_for(agents)
        self.next_id = agents + 1
        self.tick = -1
        if dump:
            self.tick, self.next_id = dump[0], dump[1]
        self.placement = initial_placement(shards_for(self.next_id, self.shard_size), workers)
        self.rows: list[tuple[int, dict[str, float | None]]] = []
        self.logs: list[list[Any]] = []
        self.fault: p.Fault | None = None
        self.query_fault: p.Fault | None = None
        self.ended, self.ended_by = "", ""
        self._pending: list[list[tuple[int, bytes]]] = [[] for _ in range(workers)]
        self._partials: list[bytes] = []
        self._last: list[p.Stepped] = []
        self._hosts = [Host() for _ in range(workers)]
        for index, host in enumerate(self._hosts):
            mine = [s for s, w in enumerate(self.placement) if w == index]
            blobs = [dump[3][s] for s in mine] + [dump[4]] if dump else []
            load = p.Load(
                epoch=1, worker=index, workers=workers, model=spec, parameters=self.parameters,
                seed=seed, counts=list(counts), shard_size=self.shard_size,
                placement=list(self.placement), vm=vm, tick=self.tick,
                activation=spec.regime(self.parameters),
            )  # fmt: skip
            answer, _ = host.handle(load, blobs)
            assert isinstance(answer, p.Loaded), answer
            self.fault = self.fault or answer.fault
        if not dump:
            self.run(0)

    def run(self, last: int, until: str = "") -> Shares:
        """Close the ticks up to ``last``, or to an ending or fault."""
        while self.tick < last and self.fault is None and not self.ended:
            if self.workers == 1:
                self._grant(last, until)
            else:
                self._barrier(until)
        if self._partials and self.fault is None and not self.ended:
            self._note(
                [
                    host.handle(
                        p.Settle(epoch=1, tick=self.tick, partials=self._partials, until=until), []
                    )
                    for host in self._hosts
                ]
            )
            self._partials = []
        return self

    def _grant(self, last: int, until: str) -> None:
        order = p.Step(epoch=1, tick=self.tick + 1, last=last, until=until)
        answer, blobs = self._hosts[0].handle(order, [])
        self.tick = answer.tick
        self._note([(answer, blobs)])
        self._grow(answer.spawned)

    def _grow(self, spawned: int) -> list[int]:
        self.next_id += spawned
        shards = shards_for(self.next_id, self.shard_size)
        new = [s % self.workers for s in range(len(self.placement), shards)]
        self.placement += new
        return new

    def _barrier(self, until: str) -> None:
        tick, partials = self.tick + 1, self._partials
        self._partials = []
        orders = []
        for index in range(self.workers):
            sources, blobs = self._take(index)
            orders.append(
                (
                    p.Step(
                        epoch=1,
                        tick=tick,
                        last=tick,
                        sources=sources,
                        partials=partials,
                        until=until,
                    ),
                    blobs,
                )
            )
        answers = [h.handle(o, b) for h, (o, b) in zip(self._hosts, orders, strict=True)]
        if any(a.changes for a, _ in answers):
            answers = [(_without_metric_fault(a), blobs) for a, blobs in answers]
        if any(a.fault for a, _ in answers) or any(a.ended for a, _ in answers):
            self._note(answers)
            return
        self._post(answers)
        if any(a.changes for a, _ in answers):
            self._note(answers)
            new = self._grow(sum(a.spawned for a, _ in answers))
            closing = []
            for index in range(self.workers):
                sources, blobs = self._take(index)
                changes = [a.changes for a, _ in answers]
                closing.append(
                    (
                        p.Close(
                            epoch=1, tick=tick, changes=changes, placement=new, sources=sources
                        ),
                        blobs,
                    )
                )
            answers = [h.handle(o, b) for h, (o, b) in zip(self._hosts, closing, strict=True)]
            self._post(answers)
        self._note(answers)
        if self.fault is None:
            self.tick = tick
            self._partials = [a.partials for a, _ in answers]
            if not any(self._partials):
                self._partials = []

    def _post(self, answers: list[Any]) -> None:
        for source, (answer, blobs) in enumerate(answers):
            for to, blob in zip(answer.out, blobs, strict=True):
                self._pending[to].append((source, blob))

    def _take(self, index: int) -> tuple[list[int], list[bytes]]:
        waiting = sorted(self._pending[index], key=lambda one: one[0])
        self._pending[index] = []
        return [source for source, _ in waiting], [blob for _, blob in waiting]

    def _note(self, answers: list[Any]) -> None:
        faults = [a.fault for a, _ in answers if a.fault is not None]
        if faults:
            self.fault = min(faults, key=lambda f: f.order)
        self._last = [a for a, _ in answers]
        first = answers[0][0]
        if first.ended:
            self.ended, self.ended_by = first.ended, first.ended_by
        if first.rows:
            self.rows += [(t, row) for t, row in msgpack.unpackb(first.rows)]
        for answer, _ in answers:
            if answer.logs:
                self.logs += msgpack.unpackb(answer.logs)

    @property
    def answers(self) -> list[Any]:
        """The last answer of every host."""
        return list(self._last)

    def counts(self) -> p.Counts:
        """Messages so far, over all shares."""
        parts = [a.counts for a in self._last]
        return p.Counts(
            sum(c.sent for c in parts), sum(c.delivered for c in parts), sum(c.dead for c in parts)
        )

    def dump(self, digest: bool = False) -> tuple[dict[int, bytes], bytes]:
        """Shards by number, and the roster, or with ``digest`` the digests of shards and of the
        environment. Mail under way is taken in: running on is allowed."""
        shards: dict[int, bytes] = {}
        roster = b""
        for index, host in enumerate(self._hosts):
            sources, blobs = self._take(index)
            mine = [s for s, w in enumerate(self.placement) if w == index]
            answer, out = host.handle(
                p.Dump(epoch=1, tick=self.tick, shards=mine, digest=digest, sources=sources), blobs
            )
            assert isinstance(answer, p.Dumped), answer
            self.fault = self.fault or answer.fault
            if out:
                *out, last = out
                assert roster in (b"", last), "what every worker holds alike differs"
                roster = last
            shards.update(zip(mine, out, strict=False))
        return shards, roster

    def digest(self) -> str:
        """As design 4.9 defines it."""
        shards, environment = self.dump(digest=True)
        assert self.fault is None, self.fault
        content = b"".join(shards[s] for s in range(len(self.placement)))
        content += environment + self.next_id.to_bytes(8, "little")
        return hashlib.blake2b(content, digest_size=16).hexdigest()

    def restored(self, workers: int, vm: str = "") -> Shares:
        """A new simulation that goes on from this one's present state."""
        shards, roster = self.dump()
        assert self.fault is None, self.fault
        return Shares(
            self.spec, self.counts_given, workers, seed=self.seed, vm=vm or self.vm,
            parameters=self.parameters, dump=(self.tick, self.next_id, [], shards, roster),
        )  # fmt: skip

    def query(self, query: p.Query) -> tuple[list[str], list[list[Any]], int]:
        """Columns, rows and the number of matches; its fault is kept beside the world's."""
        self.query_fault = None
        parts: list[bytes] = []
        faults: list[p.Fault] = []
        for index, host in enumerate(self._hosts):
            sources, blobs = self._take(index)
            answer, out = host.handle(msgspec.structs.replace(query, sources=sources), blobs)
            assert isinstance(answer, p.Queried), answer
            parts += out
            if answer.fault is not None:
                faults.append(answer.fault)
        if not faults:
            order = p.Combine(epoch=1, tick=self.tick, query=query, partials=parts)
            combined, _ = self._hosts[0].handle(order, [])
            assert isinstance(combined, p.Combined), combined
            if combined.fault is None:
                return combined.columns, msgpack.unpackb(combined.rows), combined.total
            faults = [combined.fault]
        self.query_fault = min(faults, key=lambda fault: fault.order)
        return [], [], 0

    def states(self) -> dict[int, tuple[str, dict[str, Any], list[Any]]]:
        """id -> (type, state, pending mail), read from the dump."""
        found: dict[int, tuple[str, dict[str, Any], list[Any]]] = {}
        for content in self.dump()[0].values():
            for id_, kind, state, mail, *_ in msgpack.unpackb(
                content, strict_map_key=False, unicode_errors="surrogateescape"
            ):
                found[id_] = (kind, state, mail)
        return dict(sorted(found.items()))
