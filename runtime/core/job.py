"""What a job on workers has in common: a flow of rounds behind a barrier.

A *flow* is a generator that says in order what happens: it puts orders into ``_out``, opens a
round and yields; it is resumed with every worker's answer, in worker order. At most one flow is
under way. Between two calls from the shell a job stands still at a yield.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias

from msgspec import Struct

from runtime.core.barrier import Arrived, Barrier
from runtime.core.effects import Effect, NeedWorkers, RefuseAnswer, SendOrder
from runtime.protocol import Answer, AnyAnswer, AnyOrder, Refused

Flow: TypeAlias = Generator[None, list[Arrived], None]
Mail: TypeAlias = list[tuple[list[int], list[bytes]]] | None
"""Batches under way, for each worker: where they come from and the batches. None: no batch."""


class Settings(Struct, frozen=True):
    """What the shell knows about machine and options."""

    cores: int = 1
    memory_bytes: int = 2 << 30
    deadline_s: float = 30.0
    """A worker that has not answered an order for so long is taken for hung."""
    grant_ms: float = 50.0


class Loss(Struct, frozen=True):
    """What the shell can tell of a worker that died, hung or did not start."""

    kind: str
    """worker | deadline"""
    how: str
    """'was ended by signal SIGKILL', 'did not answer for 30 s'."""
    pid: int = 0
    agent: int = 0
    """The agent it was running, from its breadcrumb; 0 none."""
    tick: int = -1
    """The tick it was running it in, where that is known."""


class OrderRefused(Exception):
    """A worker refused the order of this round, for the reason that is ``str()``; nothing was
    changed there."""

    def __init__(self, worker: int, reason: str) -> None:
        super().__init__(reason)
        self.worker = worker


class Job(ABC):
    """A simulation, or the check of a model: something that has workers of its own."""

    def __init__(self, name: str, epoch: int, settings: Settings, now: float) -> None:
        self.name = name
        self.epoch = epoch
        self.settings = settings
        self.workers = 0
        """Workers that take part, once known."""
        self.pids: list[int] = []
        self._now = now
        self._barrier = Barrier(epoch)
        self._flow: Flow | None = None
        self._wants_workers = False
        self._refusal: OrderRefused | None = None
        """The refusal of the open round; of several, the lowest worker's."""
        self._out: list[Effect] = []

    # --- called by the shell -------------------------------------------------------------------

    def workers_ready(self, pids: Sequence[int], now: float) -> list[Effect]:
        """The workers that ``NeedWorkers`` asked for are there: indices 0 … len(pids) - 1."""
        self._now = now
        self.pids = list(pids)
        if self._wants_workers:
            self._wants_workers = False
            self._resume([])
        return self._flush()

    def handle(
        self, worker: int, answer: AnyAnswer, blobs: Sequence[bytes], now: float
    ) -> list[Effect]:
        """A worker's answer."""
        self._now = now
        barrier = self._barrier
        reason = barrier.refusal(worker, answer, blobs) or self._unreadable(answer)
        if reason:
            return [RefuseAnswer(worker, reason)]
        assert isinstance(answer, Answer)
        if type(answer) is Refused:
            first = self._refusal
            if first is None or worker < first.worker:
                self._refusal = OrderRefused(worker, answer.reason)
        if not barrier.add(worker, answer, blobs):
            return []
        self._resume(barrier.close())
        return self._flush()

    def worker_lost(self, worker: int, loss: Loss, now: float) -> list[Effect]:
        """A worker of this job died, hung, or could not be started."""
        self._now = now
        self._abandon()
        self._lost(worker, loss)
        return self._flush()

    def broken(self, reason: str, now: float) -> list[Effect]:
        """The shell met an error of this project in this job: end it with that reason."""
        self._now = now
        self._abandon()
        self._out = []
        self._broken(reason)
        return self._flush()

    def overdue(self, now: float) -> list[int]:
        """The workers that keep the job waiting beyond the deadline."""
        barrier = self._barrier
        if barrier.is_open and now - barrier.opened > self.settings.deadline_s:
            return barrier.missing()
        return []

    def next_time(self) -> float | None:
        """When the shell must look again, if no message comes: a deadline, a waiting client."""
        barrier = self._barrier
        return barrier.opened + self.settings.deadline_s if barrier.is_open else None

    @property
    def is_waiting(self) -> bool:
        """Whether workers still owe it answers."""
        return self._barrier.is_open

    def expire(self, now: float) -> list[Effect]:
        """Time has passed: answer the clients that waited long enough."""
        self._now = now
        return self._flush()

    # --- for flows -----------------------------------------------------------------------------

    def _begin(self, flow: Flow) -> None:
        """Start a flow; it runs up to its first yield."""
        assert self._flow is None, f"{self.name}: a flow is under way"
        self._flow = flow
        self._resume(None)

    def _need(self, count: int) -> None:
        """To be followed by a yield: go on when so many workers are there."""
        self._wants_workers = True
        self._out.append(NeedWorkers(count))

    def _open(self, kind: type[Answer], tick: int, last: int = -1, workers: int = 0) -> None:
        """To be followed by a yield: go on when these workers have answered."""
        self._barrier.open(kind, tick, workers or self.workers, self._now, last)

    def _to_all(self, order: AnyOrder) -> None:
        self._out += [SendOrder(worker, order) for worker in range(self.workers)]

    def _to_each(self, make: Callable[[int, list[int]], AnyOrder], mail: Mail) -> None:
        """To every worker the order that ``make(worker, sources)`` gives, with its mail."""
        for worker in range(self.workers):
            sources, blobs = mail[worker] if mail else ([], [])
            self._out.append(SendOrder(worker, make(worker, sources), blobs))

    @abstractmethod
    def _lost(self, worker: int, loss: Loss) -> None:
        """Say what follows from the loss; the flow is already gone."""

    @abstractmethod
    def _broken(self, reason: str) -> None:
        """Something happened that must not; the flow is already gone."""

    def _unreadable(self, answer: AnyAnswer) -> str:
        """Read what the answer carries for the job itself; why that failed, or ''."""
        return ""

    @abstractmethod
    def _idle(self) -> None:
        """A flow has come to its end; begin what waits for that."""

    # --- the machinery -------------------------------------------------------------------------

    def _resume(self, arrived: list[Arrived] | None) -> None:
        flow = self._flow
        assert flow is not None
        try:
            if arrived is None:
                next(flow)
            elif self._refusal is not None:
                refusal, self._refusal = self._refusal, None
                flow.throw(refusal)
            else:
                flow.send(arrived)
        except StopIteration:
            self._flow = None
            self._idle()
        except OrderRefused as refused:
            self._abandon()
            self._broken(f"worker {refused.worker} refused an order: {refused}")

    def _abandon(self) -> None:
        """Drop the flow and what it waits for."""
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.close()
        self._barrier.abandon()
        self._wants_workers = False
        self._refusal = None

    def _flush(self) -> list[Effect]:
        out, self._out = self._out, []
        return out
