"""An order in, an answer out: hosts one share of a simulation in one kernel. No sockets.

Every method runs in the thread that owns the Lua state. A fault of a script is part of an answer,
never an exception; an order out of place is answered with ``Refused`` and changes nothing.
"""

from __future__ import annotations

import ctypes
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgpack
import msgspec

from runtime import protocol as p
from workers import check, faults
from workers.expressions import compile_expression
from workers.frontend import Program, compile_model
from workers.heads import Head, Kind, batches_of, decode_head, pack
from workers.lua import Kernel
from workers.program import queries_of

Blobs = Sequence[bytes]
Reply = tuple[p.AnyAnswer, list[bytes]]


class Host:
    """Hosts at most one share.

    ``crumb``: four int32, shared with the supervisor or not, where the kernel keeps the agent it
    runs and the tick. It is all that is known when the state runs out of memory, for that calls
    no error handler.
    """

    def __init__(self, crumb: ctypes.Array[ctypes.c_int32] | None = None) -> None:
        self.worker = 0
        self.epoch = 0
        self._crumb = crumb if crumb is not None else (ctypes.c_int32 * 4)()
        self._kernel: Kernel | None = None
        self._model: p.ModelSpec | None = None
        self._program: Program | None = None
        self._workers = 0
        self._tick = -1
        self._until = ""
        self._had_close = False
        self._handlers: dict[type[Any], Callable[[Any, Blobs], Reply]] = {
            p.Check: self._check,
            p.Load: self._load,
            p.Step: self._step,
            p.Close: self._close,
            p.Settle: self._settle,
            p.Dump: self._dump,
            p.Query: self._query,
            p.Combine: self._combine,
            p.Unload: self._unload,
        }

    def handle(self, order: p.AnyOrder, blobs: Blobs) -> Reply:
        """Carry out an order."""
        if isinstance(order, p.Load):
            self.worker = order.worker
        self.epoch = order.epoch
        handler = self._handlers.get(type(order))
        if handler is None:
            return self._refused(f"{type(order).__name__} is not an order for a host")
        needs_share = not isinstance(order, p.Check | p.Load | p.Unload)
        if needs_share and self._kernel is None:
            return self._refused(
                f"{type(order).__name__} before Load: no simulation is hosted here"
            )
        try:
            return handler(order, blobs)
        except faults.KernelFailure as failure:
            return self._failed(order, failure)

    # --- models and shares ---------------------------------------------------------------------

    def _check(self, order: p.Check, _: Blobs) -> Reply:
        result = check.check_model(order, self._dry_run)
        answer = msgspec.structs.replace(result, worker=self.worker, epoch=self.epoch)
        return answer, []

    def _dry_run(self, load: p.Load, ticks: int) -> p.Fault | None:
        """A share of its own beside this one; what it did is thrown away."""
        other = Host(self._crumb)
        answer, _ = other.handle(load, [])
        assert isinstance(answer, p.Loaded | p.Refused)
        if isinstance(answer, p.Refused):
            return p.Fault(kind="internal", message=answer.reason)
        fault, tick = answer.fault, 0
        while fault is None and tick <= ticks:
            answer, _ = other.handle(p.Step(epoch=load.epoch, tick=tick, last=ticks), [])
            assert isinstance(answer, p.Stepped)
            fault = answer.fault
            if answer.ended:
                break
            tick = answer.tick + 1
        if fault is None:
            # What cannot be kept in a state is found when it is written.
            shards = list(range(len(load.placement)))
            dump = p.Dump(epoch=load.epoch, tick=tick - 1, shards=shards, digest=True)
            dumped, _ = other.handle(dump, [])
            assert isinstance(dumped, p.Dumped)
            fault = dumped.fault
        return fault

    def _load(self, order: p.Load, blobs: Blobs) -> Reply:
        self._forget()
        program, diagnostics = compile_model(order.model)
        if program is None:
            first = next(d for d in diagnostics if d.severity == "error")
            return self._refused(
                f"the model does not check: {first.file}:{first.line}: {first.message}"
            )
        fault = faults.too_many_agents(order)
        if fault is not None:
            return p.Loaded(worker=self.worker, epoch=self.epoch, tick=order.tick, fault=fault), []
        kernel = Kernel(order.vm, order.memory_bytes, ctypes.addressof(self._crumb))
        self._kernel, self._model, self._program = kernel, order.model, program
        self._workers, self._tick, self._until = order.workers, order.tick, ""
        self._had_close = False
        settings = {
            "program": program,
            "parameters": order.parameters,
            "seed": order.seed,
            "fuel": order.model.fuel,
            "counts": order.counts,
            "shard_size": order.shard_size,
            "placement": order.placement,
            "worker": order.worker,
            "workers": order.workers,
            "memory_bytes": order.memory_bytes,
            "tick": order.tick,
            "activation": order.activation,
        }
        head = self._head(self._call("load", pack(settings)))
        fault = head.fault
        if fault is None and order.tick >= 0:
            fault = self._restore(blobs)
        return (
            p.Loaded(
                worker=self.worker,
                epoch=self.epoch,
                tick=order.tick,
                metrics=check.metric_names(program),
                vm=kernel.vm,
                fault=fault,
            ),
            [],
        )

    def _restore(self, blobs: Blobs) -> p.Fault | None:
        *shards, roster = blobs
        fault = self._head(self._call("restore", roster)).fault
        for shard in shards:
            if fault is None:
                fault = self._head(self._call("restore_shard", shard)).fault
        return fault

    def _unload(self, _: p.Unload, __: Blobs) -> Reply:
        self._forget()
        return p.Unloaded(worker=self.worker, epoch=self.epoch), []

    def _forget(self) -> None:
        self._kernel = self._model = self._program = None

    # --- ticks ---------------------------------------------------------------------------------

    def _arrive(self, sources: list[int], blobs: Blobs) -> None:
        for source, blob in zip(sources, blobs, strict=True):
            self._call("arrive", source, self._had_close, blob)

    def _set_until(self, text: str) -> p.Fault | None:
        if text == self._until:
            return None
        assert self._model is not None
        assert self._program is not None
        packed = b""
        if text:
            code, diagnostics = compile_expression(
                text,
                model=self._model,
                context="until",
                kinds=self._program["kinds"],
                records=self._program["records"],
                queries=queries_of(self._program),
            )
            if code is None:
                return p.Fault(
                    kind="metric",
                    message=f"until: {diagnostics[0].message}",
                    tick=max(self._tick, 0),
                    hint=diagnostics[0].hint or None,
                    order=(4, 0, 0, 0, 0),
                )
            packed = pack(
                {"name": "until", "role": "until", "every": 1, "line": 0, "text": text, **code}
            )
        fault = self._head(self._call("set_until", packed)).fault
        if fault is None:
            self._until = text
        return fault

    def _step(self, order: p.Step, blobs: Blobs) -> Reply:
        if order.until != self._until:
            # Before the mail is taken in: what a worker refuses must change nothing.
            fault = self._set_until(order.until)
            if fault is not None:
                hint = f" ({fault.hint})" if fault.hint else ""
                return self._refused(fault.message + hint)
        self._arrive(order.sources, blobs)
        if order.partials:
            settled = self._settled(p.Stepped, order.tick - 1, order.partials)
            if settled.ended or settled.fault is not None:
                return settled, []
        else:
            settled = None
        self._had_close = False
        if self._workers == 1:
            return self._grant(order)
        result = self._call("step", order.tick)
        head = self._head(result)
        self._tick = order.tick
        answer = self._answer(p.Stepped, head)
        if settled is not None and settled.rows:
            answer = msgspec.structs.replace(answer, rows=settled.rows)
        return answer, batches_of(result)

    def _grant(self, order: p.Step) -> Reply:
        """Ticks ``tick``..``last``, in calls that double while they are short, up to the grant."""
        started = time.perf_counter()
        budget = order.grant_ms / 1000
        first, size = order.tick, 1
        rows: list[bytes] = []
        row_count = spawned = removed = 0
        logs: list[Any] = []
        while True:
            last = min(order.last, first + size - 1)
            head = self._head(self._call("run", first, last))
            row_count += head.row_count
            spawned += head.spawned
            removed += head.removed
            rows.append(head.rows)
            if head.logs:
                logs.extend(msgpack.unpackb(head.logs, strict_map_key=False))
            self._tick = head.tick
            spent = time.perf_counter() - started
            done = head.fault is not None or head.ended or head.tick >= order.last
            if done or spent >= budget:
                break
            first = head.tick + 1
            per_tick = spent / (head.tick - order.tick + 1)
            left = int((budget - spent) / per_tick) + 1 if per_tick > 0 else size * 2
            size = max(1, min(size * 2, left))
        head.row_count, head.rows = row_count, b"".join(rows)
        head.logs = msgpack.packb(logs) if logs else b""
        head.spawned, head.removed = spawned, removed
        head.more = not done
        return self._answer(p.Stepped, head), []

    def _close(self, order: p.Close, blobs: Blobs) -> Reply:
        self._arrive(order.sources, blobs)
        self._had_close = True
        result = self._call("close", order.tick, pack(order.placement), *order.changes)
        return self._answer(p.Closed, self._head(result)), batches_of(result)

    def _settled(self, kind: type[Kind], tick: int, partials: list[bytes]) -> Kind:
        """What everybody's ``partials`` say of ``tick``: worker 0's row, an ending, a fault."""
        return self._answer(kind, self._head(self._call("settle", tick, *partials)))

    def _settle(self, order: p.Settle, blobs: Blobs) -> Reply:
        self._arrive(order.sources, blobs)
        fault = self._set_until(order.until)
        if fault is not None:
            return self._answer(p.Settled, Head(tick=order.tick, fault=fault)), []
        return self._settled(p.Settled, order.tick, order.partials), []

    # --- state and questions ---------------------------------------------------------------------

    def _dump(self, order: p.Dump, blobs: Blobs) -> Reply:
        self._arrive(order.sources, blobs)
        fault = self._head(self._call("dump_begin", order.tick)).fault
        out: list[bytes] = []
        for shard in order.shards:
            if fault is not None:
                break
            result = self._call("dump", shard + 1)
            fault = self._head(result).fault
            if fault is None:
                out.append(_digest(result[1]) if order.digest else result[1])
        self._call("dump_end")
        if fault is None:
            result = self._call("replica" if order.digest else "roster")
            fault = self._head(result).fault
            if fault is None:
                out.append(_digest(result[1]) if order.digest else result[1])
        if fault is not None:
            out = []
        answer = p.Dumped(
            worker=self.worker, epoch=self.epoch, tick=order.tick, shards=order.shards, fault=fault
        )
        return answer, out

    def _query(self, order: p.Query, blobs: Blobs) -> Reply:
        self._arrive(order.sources, blobs)
        packed, fault = self._packed_query(order)
        result: Any = (None, b"")
        if fault is None:
            result = self._call("query", packed)
            fault = faults.of_query(self._head(result).fault)
        answer = p.Queried(worker=self.worker, epoch=self.epoch, tick=order.tick, fault=fault)
        return answer, [] if fault is not None else [result[1]]

    def _combine(self, order: p.Combine, _: Blobs) -> Reply:
        packed, fault = self._packed_query(order.query)
        answer = p.Combined(worker=self.worker, epoch=self.epoch, tick=order.tick, fault=fault)
        if fault is None:
            result = self._call("combine", packed, *order.partials)
            fault = faults.of_query(self._head(result).fault)
            if fault is None:
                columns, rows, total = msgpack.unpackb(result[1], strict_map_key=False)
                return msgspec.structs.replace(
                    answer, columns=columns, rows=msgpack.packb(rows), total=total
                ), []
        return msgspec.structs.replace(answer, fault=fault), []

    def _packed_query(self, query: p.Query) -> tuple[bytes, p.Fault | None]:
        assert self._model is not None
        assert self._program is not None
        spec, problem = check.compile_query(query, self._model, self._program)
        if problem is not None:
            return b"", p.Fault(
                kind="query",
                message=problem.message,
                tick=query.tick,
                excerpt=problem.excerpt or None,
                hint=problem.hint or None,
            )
        return pack(spec), None

    # --- the kernel's answers --------------------------------------------------------------------

    def _call(self, name: str, *args: Any) -> Any:
        assert self._kernel is not None
        try:
            return self._kernel.call(name, *args)
        except self._kernel.errors as error:
            raise faults.KernelFailure(name, error) from None

    def _head(self, result: Any) -> Head:
        raw = result[0] if isinstance(result, tuple) else result
        head = decode_head(raw)
        if head.caught is not None:
            assert self._model is not None
            head.fault = faults.fault_from(head.caught, self._model)
        return head

    def _answer(self, kind: type[Kind], head: Head) -> Kind:
        return head.answer(kind, self.worker, self.epoch)

    def _refused(self, reason: str) -> Reply:
        return p.Refused(worker=self.worker, epoch=self.epoch, tick=self._tick, reason=reason), []

    def _failed(self, order: p.AnyOrder, failure: faults.KernelFailure) -> Reply:
        """The state itself gave up (memory, or a bug of the kernel): it is not used again."""
        agent = self._crumb[0]
        tick = getattr(order, "tick", -1)
        # Without an agent the crumb is of an earlier turn, and lua52 leaves none at all.
        at = [self._tick + 1 if isinstance(order, p.Step) else tick, 0]
        at += [self._crumb[1]] if agent else []
        fault = faults.fault_of_failure(failure, max(at), self.worker, agent)
        self._crumb[0] = 0
        self._forget()
        if isinstance(order, p.Step):
            tick -= 1  # of the ticks of a grant none can be vouched for
        if isinstance(order, p.Load):
            return p.Loaded(worker=self.worker, epoch=self.epoch, tick=tick, fault=fault), []
        if isinstance(order, p.Dump):
            return p.Dumped(worker=self.worker, epoch=self.epoch, tick=tick, fault=fault), []
        if isinstance(order, p.Query):
            return p.Queried(worker=self.worker, epoch=self.epoch, tick=tick, fault=fault), []
        if isinstance(order, p.Combine):
            return p.Combined(worker=self.worker, epoch=self.epoch, tick=tick, fault=fault), []
        kinds: dict[type[Any], type[Any]] = {p.Close: p.Closed, p.Settle: p.Settled}
        kind = kinds.get(type(order), p.Stepped)
        return kind(worker=self.worker, epoch=self.epoch, tick=tick, fault=fault), []


def _digest(content: bytes) -> bytes:
    """BLAKE2b-128; of nothing, which a model without environment and space has, 16 zero bytes."""
    return hashlib.blake2b(content, digest_size=16).digest() if content else bytes(16)
