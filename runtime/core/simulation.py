"""One simulation as its clients see it: commands and workers' answers in, effects out.

It owns its life (``lifecycle``), the clients who wait for a run to end, and the queries that wait
for a closed tick; ``ticks`` has the tick loop.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from runtime.commands import (
    AnyReply,
    CreateSimulation,
    Failed,
    QueryAgents,
    QueryLog,
    QueryMetrics,
    RunSimulation,
    SimulationInfo,
    SimulationReply,
    Table,
)
from runtime.core import check, faults
from runtime.core.effects import Effect, Forget, ReleaseWorkers, ReplyTo, SendOrder, Ticket
from runtime.core.faults import Faulted, first_fault
from runtime.core.job import Flow, Loss, OrderRefused, Settings
from runtime.core.lifecycle import Event, Phase, advance
from runtime.core.ticks import Ending, Steps, Ticks
from runtime.errors import UsageError
from runtime.protocol import (
    ENVIRONMENT,
    MALFORMED,
    AnyAnswer,
    Check,
    Checked,
    Combine,
    Combined,
    Diagnostic,
    Fault,
    ModelSpec,
    Queried,
    Query,
    Scalar,
)

_table_rows = msgspec.msgpack.Decoder(list[list[Scalar | None]]).decode


class _Waiting(Struct, frozen=True):
    ticket: Ticket
    until: float


class Simulation(Ticks):
    """One live run of a model with parameters and a seed."""

    def __init__(
        self,
        name: str,
        model: ModelSpec,
        found: list[Diagnostic],
        command: CreateSimulation,
        ticket: Ticket,
        epoch: int,
        settings: Settings,
        now: float,
    ) -> None:
        super().__init__(name, model, command, epoch, settings, now)
        self.phase = Phase.CREATING
        self.target = 0
        self._found = found
        self._creator: Ticket | None = ticket
        self._answer_rows: list[list[Scalar | None]] = []
        self._waiting: list[_Waiting] = []
        self._next_run: str | None = None
        """``until`` of a run that was opened while queries were being answered."""
        self._ending = Ending("")
        self._run_began = now
        self._run_from = 0
        self._elapsed = 0.0

    # --- called by the shell -------------------------------------------------------------------

    def start(self) -> list[Effect]:
        """Begin to create it; called once."""
        self._begin(self._create())
        return self._flush()

    def run(self, ticket: Ticket, command: RunSimulation, now: float) -> list[Effect]:
        """Run on; a model that has come to its own end stays there and says so."""
        self._now = now
        if self.phase is not Phase.ENDED:
            self._open_run(command)
        self._waiting.append(_Waiting(ticket, now + command.wait_s))
        if self._flow is None:
            self._idle()
        return self.expire(now)

    def _open_run(self, command: RunSimulation) -> None:
        if self.phase is not Phase.READY:
            raise UsageError(
                f"{self.name} is {self.phase.value} (tick {max(self.tick, 0)}); "
                "a run can be opened only when it stands still",
                "it failed: remove it, mend the model and create it again"
                if self.phase is Phase.FAILED
                else "wait with status (wait_s), or cancel the run first",
            )
        self.phase = advance(self.name, self.phase, Event.RUN_OPENED)
        ticks = self._model.ticks if command.ticks is None else command.ticks
        self.target = self.tick + ticks
        self._cancelled = False
        self._ending = Ending("")
        if ticks:
            self._digest = ""
        self._run_began, self._run_from, self._elapsed = self._now, self.tick, 0.0
        self._next_run = command.until

    def cancel(self, ticket: Ticket, now: float) -> list[Effect]:
        """End the present run at the next closed tick; answered then."""
        self._now = now
        if self.phase is not Phase.RUNNING:
            return [ReplyTo(ticket, self._reply())]
        self._cancelled = True
        self._waiting.append(_Waiting(ticket, float("inf")))
        return []

    def wait(self, ticket: Ticket, wait_s: float, now: float) -> bool:
        """Answer this ticket when the simulation next stands still, or after ``wait_s``; false when
        there is nothing to wait for."""
        self._now = now
        if wait_s <= 0 or self.phase not in (Phase.RUNNING, Phase.CREATING):
            return False
        self._waiting.append(_Waiting(ticket, now + wait_s))
        return True

    def query(self, ticket: Ticket, command: QueryAgents, now: float) -> list[Effect]:
        """Query agents at the next closed tick."""
        self._now = now
        names = [t.name for t in self._model.types]
        if command.agent_type not in names:
            raise UsageError(
                f"{self.name} has no agent type {command.agent_type!r}",
                f"one of: {', '.join(names)}",
            )
        if self.phase is Phase.FAILED:
            raise UsageError(
                f"{self.name} failed in tick {self.tick + 1}: its agents are gone",
                "its metrics and log are still there",
            )
        self._queries.append((ticket, command))
        if self._flow is None:
            self._idle()
        return self._flush()

    def metrics(self, command: QueryMetrics) -> Table:
        """Metrics over time so far."""
        known = self._metrics.names
        unknown = [name for name in command.names if name not in known]
        if unknown:
            raise UsageError(
                f"{self.name} has no metric {unknown[0]!r}",
                f"one of: {', '.join(known)}" if known else "the model declares no metrics",
            )
        names = command.names or known
        last = command.last if command.last >= 0 else max(self.tick, 0)
        rows, total = self._metrics.table(names, command.first, last, command.points)
        return Table(columns=["tick", *names], rows=rows, total=total, tick=max(self.tick, 0))

    def log(self, command: QueryLog) -> Table:
        """The newest log lines."""
        lines, total = self._log.newest(command.limit, command.contains)
        names = [ENVIRONMENT, *(t.name for t in self._model.types)]
        rows: list[list[Scalar | None]] = [
            [tick, names[kind] if 0 <= kind < len(names) else None, agent or None, text]
            for tick, kind, agent, _, text in lines
        ]
        return Table(
            columns=["tick", "type", "agent", "text"],
            rows=rows,
            total=total,
            tick=max(self.tick, 0),
        )

    def remove(self, now: float) -> list[Effect]:
        """Forget it. Busy workers are ended, idle ones go back to the pool."""
        self._now = now
        busy = self._flow is not None
        self._abandon()
        gone = Failed(kind="UnknownSimulation", message=f"{self.name} was removed meanwhile")
        self._refuse_queries(gone)
        self._reply_waiting(gone)
        if self._creator is not None:
            self._out.append(ReplyTo(self._creator, gone))
        self._out += [ReleaseWorkers(kill=busy), Forget()]
        return self._flush()

    def next_time(self) -> float | None:
        times = [w.until for w in self._waiting]
        deadline = super().next_time()
        if deadline is not None:
            times.append(deadline)
        return min(times, default=None)

    def expire(self, now: float) -> list[Effect]:
        self._now = now
        if any(w.until <= now for w in self._waiting):
            late = [w for w in self._waiting if w.until <= now]
            self._waiting = [w for w in self._waiting if w.until > now]
            reply = self._reply()
            self._out += [ReplyTo(w.ticket, reply) for w in late]
        return self._flush()

    def info(self, now: float) -> SimulationInfo:
        """How it stands."""
        running = self.phase is Phase.RUNNING and not self._ending.stopped
        elapsed = now - self._run_began if running else self._elapsed
        done = max(0, self.tick - self._run_from)
        return SimulationInfo(
            sim=self.name,
            model=self._model.name,
            phase=self.phase.value,
            tick=max(self.tick, 0),
            target=self.target,
            stopped=self._ending.stopped,
            parameters=self._command.parameters,
            seed=self._command.seed,
            activation=self._activation,
            workers=self.workers,
            vm=self._vm,
            agents=self._agents(),
            messages=self._messages(),
            metrics=self._metrics.summaries(),
            elapsed_s=elapsed,
            ticks_per_s=done / elapsed if elapsed > 0 else 0.0,
            digest=self._digest,
            stopped_by=self._ending.by,
            error=self._ending.fault,
            log_lines=self._log.total,
            pids=self.pids,
            notes=list(self.notes),
        )

    # --- flows ---------------------------------------------------------------------------------

    def _create(self) -> Flow:
        try:
            failed = yield from self._check()
            if failed is None:
                yield from self._load()
                ending = yield from self._first_tick()
        except Faulted as faulted:
            self._creation_failed(
                _failed("SimulationFault", faulted.fault),
                kill=faults.poisons(faulted.fault),
            )
            return
        if failed is not None:
            self._creation_failed(failed, kill=False)
            return
        self.tick = 0
        self._close_run(ending, Event.CREATED)

    def _check(self) -> Steps[Failed | None]:
        """Diagnose the model and count its agents, on what will be worker 0."""
        self._need(1)
        yield
        self.workers = 1
        command, model = self._command, self._model
        self._to_all(
            Check(epoch=self.epoch, model=model, parameters=command.parameters, vm=command.vm)
        )
        self._open(Checked, -1)
        [(checked, _)] = yield
        assert isinstance(checked, Checked)
        outcome = check.model_checked(model, self._found, checked, command.parameters)
        if not outcome.ok:
            return check.does_not_check(model.name, outcome.diagnostics)
        self._counts = [max(0, count) for count in checked.counts]
        return None

    def _run(self, until: str) -> Flow:
        before = self.tick
        try:
            if self.workers == 1:
                ending = yield from self._granted(self.target, until)
            else:
                ending = yield from self._barriered(self.target, until)
            self._elapsed = self._now - self._run_began
            self._ending = ending
            yield from self._take_digest()
        except Faulted as faulted:
            self._fail(faulted.fault)
        except OrderRefused as refused:
            if not until or self.tick != before:
                raise
            # The workers take nothing from an order whose ``until`` does not compile.
            self.phase = advance(self.name, self.phase, Event.RUN_CLOSED)
            self._reply_waiting(Failed(kind="UsageError", message=str(refused)))
        else:
            self._close_run(ending, Event.RUN_CLOSED)

    def _stay(self) -> Flow:
        """A run where nothing is left to run: only the digest."""
        try:
            yield from self._take_digest()
        except Faulted as faulted:
            self._fail(faulted.fault)
        else:
            self._reply_waiting(self._reply())

    def _serve_queries(self) -> Steps[None]:
        while self._queries:
            ticket, command = self._queries.popleft()
            try:
                reply: AnyReply = yield from self._query(command)
            except OrderRefused as refused:
                reply = Failed(kind="UsageError", message=str(refused))
            except GeneratorExit:
                self._queries.appendleft((ticket, command))
                raise
            self._out.append(ReplyTo(ticket, reply))

    def _query(self, command: QueryAgents) -> Steps[AnyReply]:
        """Map on every worker, reduce on the first."""
        query = Query(
            epoch=self.epoch,
            tick=self.tick,
            agent_type=command.agent_type,
            where=command.where,
            fields=command.fields,
            group=command.group,
            aggregates=command.aggregates,
            order=command.order,
            descending=command.descending,
            limit=command.limit,
        )
        mail = self._mail
        self._to_each(
            lambda _, sources: (
                msgspec.structs.replace(query, sources=sources) if sources else query
            ),
            mail,
        )
        self._open(Queried, self.tick)
        arrived = yield
        self._mail = None
        fault = first_fault(arrived)
        if fault is None:
            partials = [blob for _, blobs in arrived for blob in blobs]
            order = Combine(epoch=self.epoch, tick=self.tick, query=query, partials=partials)
            self._out.append(SendOrder(0, order))
            self._open(Combined, self.tick, workers=1)
            [(combined, _)] = yield
            assert isinstance(combined, Combined)
            if combined.fault is None:
                return Table(
                    columns=combined.columns,
                    rows=self._answer_rows,
                    total=combined.total,
                    tick=self.tick,
                )
            fault = combined.fault
        return _failed("UsageError", fault)

    # --- endings -------------------------------------------------------------------------------

    def _close_run(self, ending: Ending, event: Event) -> None:
        """Come to rest at a closed tick."""
        own_end = ending.stopped in ("stop", "invariant")
        self.phase = advance(self.name, self.phase, Event.MODEL_ENDED if own_end else event)
        self._ending = ending if own_end or event is Event.RUN_CLOSED else Ending("")
        if self._creator is not None:
            self._out.append(ReplyTo(self._creator, self._reply()))
            self._creator = None
        self._reply_waiting(self._reply())

    def _creation_failed(self, failed: Failed, kill: bool) -> None:
        self.phase = advance(self.name, self.phase, Event.FAULT)
        if self._creator is not None:
            self._out.append(ReplyTo(self._creator, failed))
            self._creator = None
        self._refuse_queries(failed)
        self._reply_waiting(failed)
        self._out += [ReleaseWorkers(kill), Forget()]

    def _fail(self, fault: Fault) -> None:
        """A fault ended the run: what was computed stays readable, the workers go."""
        self.phase = advance(self.name, self.phase, Event.FAULT)
        if fault.agent and fault.agent_type is None:
            fault = msgspec.structs.replace(fault, agent_type=self._type_of(fault.agent))
        if self._ending.stopped == "":
            self._elapsed = self._now - self._run_began
        # What is evaluated from merged partials is found one tick late.
        if fault.kind not in faults.OF_THE_MACHINE:
            if self.tick >= fault.tick > 0:
                self._latest = self._before
            self.tick = max(0, min(self.tick, fault.tick - 1))
            self._log.end_at(fault)
        self._ending = Ending("error", "", fault)
        self._digest = ""
        self._refuse_queries(_failed("SimulationFault", fault))
        self._reply_waiting(self._reply())
        self._out.append(ReleaseWorkers(faults.poisons(fault)))

    def _lost(self, worker: int, loss: Loss) -> None:
        if self.phase is Phase.FAILED:
            return
        running = self.phase in (Phase.RUNNING, Phase.CREATING)
        fault = faults.lost_worker(worker, loss, self.tick, running, self._type_of(loss.agent))
        if self.phase is Phase.CREATING:
            self._creation_failed(_failed("WorkerLost", fault), kill=True)
        else:
            self._fail(fault)

    def _broken(self, reason: str) -> None:
        if self.phase is Phase.FAILED:
            return
        tick = max(self.tick + 1, 0)
        fault = faults.internal(reason, tick)
        if self.phase is Phase.CREATING:
            self._creation_failed(_failed("SimulationFault", fault), kill=True)
        else:
            self._fail(fault)

    def _idle(self) -> None:
        if self.phase is Phase.FAILED:
            return
        if self._next_run is not None:
            until, self._next_run = self._next_run, None
            self._begin(self._run(until))
        elif self._queries:
            self._begin(self._serve_queries())
        elif self._waiting and self.phase is Phase.ENDED:
            self._begin(self._stay())

    # --- small parts ---------------------------------------------------------------------------

    def _type_of(self, agent: int) -> str | None:
        """The type of an agent of the first hour; ids are given type by type."""
        last = 0
        for t, count in zip(self._model.types, self._counts, strict=False):
            last += count
            if 0 < agent <= last:
                return t.name
        return None

    def _reply(self) -> SimulationReply:
        return SimulationReply(simulation=self.info(self._now))

    def _reply_waiting(self, reply: AnyReply) -> None:
        self._out += [ReplyTo(w.ticket, reply) for w in self._waiting]
        self._waiting = []

    def _refuse_queries(self, failed: Failed) -> None:
        self._out += [ReplyTo(ticket, failed) for ticket, _ in self._queries]
        self._queries.clear()

    def _unreadable(self, answer: AnyAnswer) -> str:
        if isinstance(answer, Combined) and answer.fault is None:
            try:
                self._answer_rows = _table_rows(answer.rows)
            except MALFORMED as error:
                return f"Combined with unreadable rows: {error}"
        return super()._unreadable(answer)


def _failed(kind: str, fault: Fault) -> Failed:
    return Failed(kind=kind, message=fault.message, hint=fault.hint or "", fault=fault)
