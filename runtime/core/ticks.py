"""The tick loop of one simulation, and the mail between its workers. Batches are never opened here.

With several workers each tick is one round (``Step``/``Stepped``), two when agents come or go
(``Close``/``Closed``); a tick's metrics are evaluated by the workers in the next tick's ``Step``
from the partial aggregates of all, or by ``Settle`` after the last. With one worker ticks are
granted in bulk and the worker does all of that itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Generator
from typing import TypeAlias, TypeVar

from msgspec import Struct

from runtime.commands import CreateSimulation, QueryAgents
from runtime.core.barrier import Arrived
from runtime.core.digest import SIZE, digest_of, in_shard_order
from runtime.core.effects import Ticket
from runtime.core.faults import Faulted, first_fault, internal
from runtime.core.job import Job, Mail, Settings
from runtime.core.loglines import LogLines, read_lines
from runtime.core.placement import Placement, memory_for, shard_size_for, workers_for
from runtime.core.rows import MetricTable, read_rows
from runtime.protocol import (
    MALFORMED,
    AnyAnswer,
    Close,
    Closed,
    Counts,
    Dump,
    Dumped,
    Fault,
    Load,
    Loaded,
    ModelSpec,
    Settle,
    Settled,
    Step,
    Stepped,
)

T = TypeVar("T")
Steps: TypeAlias = Generator[None, list[Arrived], T]
"""A part of a flow that gives a result."""


class Ending(Struct, frozen=True):
    """Why a run ended; ``by`` names the expression or invariant."""

    stopped: str
    by: str = ""
    fault: Fault | None = None


class Ticks(Job):
    """A simulation as its workers see it: parts of flows that load, tick, settle and digest."""

    def __init__(
        self,
        name: str,
        model: ModelSpec,
        command: CreateSimulation,
        epoch: int,
        settings: Settings,
        now: float,
    ) -> None:
        super().__init__(name, epoch, settings, now)
        self.tick = -1
        """The last closed tick."""
        self.other_workers = 0
        """Workers of other simulations, which share the machine's memory; set by the shell."""
        self.notes: list[str] = []
        """What the client should know of how it runs."""
        self._model = model
        self._command = command
        self._activation = model.regime(command.parameters)
        self._vm = command.vm
        self._evaluates = bool(model.metrics or model.stop or model.invariants)
        self._counts: list[int] = []
        self._placement = Placement(1, 1, 1)
        self._mail: Mail = None
        self._partials: list[bytes] = []
        """Partial aggregates of the last closed tick, while nobody has evaluated them."""
        self._latest: list[Stepped] = []
        """The answers that closed the last tick."""
        self._before: list[Stepped] = []
        """Those that closed the tick before it."""
        self._metrics = MetricTable()
        self._log = LogLines(sequential=self._activation != "synchronous")
        self._queries: deque[tuple[Ticket, QueryAgents]] = deque()
        """Served between ticks."""
        self._cancelled = False
        self._digest = ""

    def _load(self) -> Steps[None]:
        agents = sum(self._counts)
        workers = self._command.workers or workers_for(agents, self.settings.cores)
        if self._activation != "synchronous":
            if self._command.workers > 1:
                self.notes.append(
                    f"activation '{self._activation}' runs on one worker: {workers} were asked for"
                )
            workers = 1
        if workers > 1:
            self._need(workers)
            yield
        self.workers = workers
        self._placement = Placement(agents + 1, shard_size_for(agents), workers)
        memory = memory_for(
            self.settings.memory_bytes, workers + self.other_workers, self._model.memory_mb
        )

        def load(worker: int, _: list[int]) -> Load:
            return Load(
                epoch=self.epoch,
                worker=worker,
                workers=workers,
                model=self._model,
                parameters=self._command.parameters,
                seed=self._command.seed,
                counts=self._counts,
                shard_size=self._placement.shard_size,
                placement=self._placement.shards,
                memory_bytes=memory,
                vm=self._command.vm,
                activation=self._activation,
            )

        self._to_each(load, None)
        self._open(Loaded, -1)
        arrived = yield
        fault = first_fault(arrived)
        if fault is not None:
            raise Faulted(fault)
        loaded = arrived[0][0]
        assert isinstance(loaded, Loaded)
        self._vm = loaded.vm
        every = {metric.name: metric.every for metric in self._model.metrics}
        self._metrics.declare(loaded.metrics, every)

    def _first_tick(self) -> Steps[Ending]:
        if self.workers == 1:
            return (yield from self._granted(0, ""))
        yield from self._tick(0, "")
        self.tick = 0
        return (yield from self._settle(""))

    def _granted(self, target: int, until: str) -> Steps[Ending]:
        """One worker: it runs many ticks an order, and stops early for an ending or for time."""
        while self.tick < target and not self._cancelled:
            if self._queries:
                yield from self._serve_queries()
            first = self.tick + 1
            self._to_all(
                Step(
                    epoch=self.epoch,
                    tick=first,
                    last=target,
                    until=until,
                    grant_ms=self.settings.grant_ms,
                )
            )
            self._open(Stepped, first, target)
            arrived = yield
            fault = first_fault(arrived)
            answer = arrived[0][0]
            assert isinstance(answer, Stepped)
            self.tick = max(self.tick, answer.tick)
            if fault is not None:
                if answer.agents:
                    # Those of the last closed tick; a worker whose memory is spent cannot tell.
                    self._latest = self._before = [answer]
                raise Faulted(fault)
            self._latest = [answer]
            self._placement.grow(answer.spawned, [0])
            if answer.ended:
                return self._ending_of(answer)
            if self.tick < first or (self.tick < target and not answer.more):
                raise Faulted(internal(f"the worker stopped at tick {answer.tick}", first))
        return Ending("interrupted" if self.tick < target else "ticks")

    def _barriered(self, target: int, until: str) -> Steps[Ending]:
        """Several workers: a barrier at every tick."""
        while self.tick < target and not self._cancelled:
            if self._queries:
                yield from self._serve_queries()
            ended = yield from self._tick(self.tick + 1, until)
            if ended is not None:
                return ended
            self.tick += 1
        ending = yield from self._settle(until)
        if ending.stopped != "ticks":
            return ending
        return Ending("interrupted" if self.tick < target else "ticks")

    def _tick(self, tick: int, until: str) -> Steps[Ending | None]:
        """Run and close one tick; or find, before it is run, that the tick before was the last."""
        mail, partials = self._mail, self._partials
        if mail is None:
            self._to_all(
                Step(epoch=self.epoch, tick=tick, last=tick, partials=partials, until=until)
            )
        else:
            self._to_each(
                lambda _, sources: Step(
                    epoch=self.epoch,
                    tick=tick,
                    last=tick,
                    sources=sources,
                    partials=partials,
                    until=until,
                ),
                mail,
            )
        self._open(Stepped, tick)
        arrived = yield
        self._mail, self._partials = None, []
        changed = spoken = False
        for answer, _ in arrived:
            assert isinstance(answer, Stepped)
            if answer.changes:
                changed = True
            if answer.fault is not None or answer.ended:
                spoken = True
        if spoken:
            fault = first_fault(arrived, evaluated=not changed)
            if fault is not None:
                raise Faulted(fault)
            ended = self._ended(arrived, tick - 1)
            if ended is not None:
                return ended
        mail = self._gather(arrived)
        if changed:
            arrived = yield from self._close_tick(tick, arrived, mail)
            mail = self._gather(arrived)
        self._mail = mail
        self._before = self._latest
        self._latest = latest = [answer for answer, _ in arrived if isinstance(answer, Stepped)]
        partials = [answer.partials for answer in latest]
        if self._evaluates or until or any(partials):
            self._partials = partials
        return None

    def _close_tick(self, tick: int, arrived: list[Arrived], mail: Mail) -> Steps[list[Arrived]]:
        """The second round: every worker learns what came and went anywhere."""
        stepped = [answer for answer, _ in arrived if isinstance(answer, Stepped)]
        changes = [answer.changes for answer in stepped]
        opened = self._placement.grow(
            sum(answer.spawned for answer in stepped), [sum(answer.agents) for answer in stepped]
        )
        self._to_each(
            lambda _, sources: Close(
                epoch=self.epoch, tick=tick, changes=changes, placement=opened, sources=sources
            ),
            mail,
        )
        self._open(Closed, tick)
        closed = yield
        fault = first_fault(closed)
        if fault is not None:
            raise Faulted(fault)
        return closed

    def _settle(self, until: str) -> Steps[Ending]:
        """Evaluate the last closed tick now, since no next one does."""
        partials, self._partials = self._partials, []
        if not partials:
            return Ending("ticks")
        self._to_all(Settle(epoch=self.epoch, tick=self.tick, partials=partials, until=until))
        self._open(Settled, self.tick)
        arrived = yield
        fault = first_fault(arrived)
        if fault is not None:
            raise Faulted(fault)
        return self._ended(arrived, self.tick) or Ending("ticks")

    def _take_digest(self) -> Steps[None]:
        """Digest the state; mail under way is taken in, being part of it."""
        if self._digest:
            return
        mail, self._mail = self._mail, None
        shards = [self._placement.of(worker) for worker in range(self.workers)]
        self._to_each(
            lambda worker, sources: Dump(
                epoch=self.epoch,
                tick=self.tick,
                shards=shards[worker],
                digest=True,
                sources=sources,
            ),
            mail,
        )
        self._open(Dumped, self.tick)
        arrived = yield
        fault = first_fault(arrived)
        if fault is not None:
            raise Faulted(fault)
        dumps: dict[int, bytes] = {}
        environments: set[bytes] = set()
        for answer, blobs in arrived:
            assert isinstance(answer, Dumped)
            dumps.update(zip(answer.shards, blobs, strict=False))
            environments.add(blobs[-1] if len(blobs) == len(answer.shards) + 1 else b"")
        digests = in_shard_order(dumps, len(self._placement.shards))
        if digests is None or any(len(one) != SIZE for one in environments):
            raise Faulted(internal("the workers did not give a digest of every part", self.tick))
        if len(environments) > 1:
            raise Faulted(internal("the workers' copies of the environment differ", self.tick))
        self._digest = digest_of(digests, environments.pop(), self._placement.next_id)

    def _ended(self, arrived: list[Arrived], tick: int) -> Ending | None:
        """The ending that the workers found in ``tick``; they must agree."""
        found = {
            (answer.ended, answer.ended_tick, answer.ended_by)
            for answer, _ in arrived
            if isinstance(answer, Stepped)
        }
        if found == {("", -1, "")}:
            return None
        answer = arrived[0][0]
        assert isinstance(answer, Stepped)
        if len(found) > 1 or answer.ended_tick != tick:
            raise Faulted(internal(f"the workers disagree on the end: {sorted(found)}", tick))
        return self._ending_of(answer)

    def _ending_of(self, answer: Stepped) -> Ending:
        """A stop condition is told by its text, there being one; an invariant by its name."""
        stop = self._model.stop
        by = stop.text if answer.ended == "stop" and stop is not None else answer.ended_by
        return Ending(answer.ended, by, answer.fault)

    @abstractmethod
    def _serve_queries(self) -> Steps[None]:
        """Answer every query that waits."""

    def _unreadable(self, answer: AnyAnswer) -> str:
        """Take in the rows and log lines of an answer; they cannot be put out of order."""
        if not isinstance(answer, Stepped) or not (answer.rows or answer.logs):
            return ""
        try:
            rows = read_rows(answer.rows) if answer.rows else []
            lines = read_lines(answer.logs) if answer.logs else []
        except MALFORMED as error:
            return f"{type(answer).__name__} with unreadable rows or log: {error}"
        if answer.worker and rows:
            return f"{type(answer).__name__} with rows, which are worker 0's to give"
        self._metrics.extend(rows)
        self._log.extend(lines)
        return ""

    def _gather(self, arrived: list[Arrived]) -> Mail:
        """The batches of a round by destination, in the order of the workers they come from."""
        mail: Mail = None
        for source, (answer, blobs) in enumerate(arrived):
            if blobs:
                assert isinstance(answer, Stepped)
                if mail is None:
                    mail = [([], []) for _ in range(self.workers)]
                for to, blob in zip(answer.out, blobs, strict=True):
                    mail[to][0].append(source)
                    mail[to][1].append(blob)
        return mail

    def _agents(self) -> dict[str, int]:
        """Living agents per type."""
        columns = [answer.agents for answer in self._latest]
        return {
            t.name: sum(column[i] for column in columns if i < len(column))
            for i, t in enumerate(self._model.types)
        }

    def _messages(self) -> Counts:
        counts = [answer.counts for answer in self._latest]
        return Counts(
            sum(c.sent for c in counts),
            sum(c.delivered for c in counts),
            sum(c.dead for c in counts),
        )
