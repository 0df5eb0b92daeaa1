"""Who works for whom: gives worker processes to jobs and takes them back."""

from __future__ import annotations

from collections import deque
from typing import Final

from runtime.core.job import Job
from runtime.log import Log
from runtime.supervisor import MAX_SPARES, State, Supervisor, Worker

MAX_FALSE_STARTS: Final = 3
"""After so many processes in a row that ended before their Hello, none is started unasked."""


class Crew:
    """The workers of one job, by index. ``wanted``: how many it waits for; 0: it waits for none."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.workers: list[Worker] = []
        self.wanted = 0


class Staff:
    """Crews, and the queue of those that want more workers."""

    def __init__(self, supervisor: Supervisor, log: Log) -> None:
        self._supervisor = supervisor
        self._log = log
        self._crews: dict[Job, Crew] = {}
        self._queue: deque[Crew] = deque()
        self.posts: dict[bytes, tuple[Crew, int]] = {}
        """Peer of a busy worker -> its crew and index."""
        self.false_starts = 0

    @property
    def jobs(self) -> list[Job]:
        """Jobs that have or want workers."""
        return list(self._crews)

    def busy_workers(self, besides: Job) -> int:
        """Workers of other jobs."""
        return sum(len(c.workers) for job, c in self._crews.items() if job is not besides)

    def crew(self, job: Job) -> Crew:
        """The crew of a job; empty if it has none."""
        return self._crews.setdefault(job, Crew(job))

    def want(self, job: Job, count: int) -> None:
        """Queue a job for workers up to ``count``."""
        crew = self.crew(job)
        crew.wanted = count
        self._queue.append(crew)

    def assign(self, now: float) -> list[tuple[Crew, list[Worker]]]:
        """Give spare workers to the queue, in its order, and start processes for the rest; the
        crews that are complete, with the workers they were given.

        Raises:
            OSError: a process that is needed could not be started.
        """
        complete = []
        spares = self._supervisor.among(State.SPARE)
        while self._queue:
            crew = self._queue[0]
            missing = crew.wanted - len(crew.workers)
            if missing > len(spares):
                break
            self._queue.popleft()
            crew.wanted = 0
            taken, spares = spares[:missing], spares[missing:]
            for worker in taken:
                worker.state = State.BUSY
                self.posts[worker.peer] = (crew, len(crew.workers))
                crew.workers.append(worker)
            complete.append((crew, taken))
        self.ensure(self.queued(), now)
        return complete

    def ensure(self, free: int, now: float) -> None:
        """Start processes until so many are free or on their way to it."""
        coming = (State.SPARE, State.STARTING, State.UNLOADING)
        have = sum(len(self._supervisor.among(state)) for state in coming)
        for _ in range(have, free):
            self._supervisor.start(now)

    def queued(self) -> int:
        """Workers that the queue still wants."""
        return sum(crew.wanted - len(crew.workers) for crew in self._queue)

    def next_in_line(self) -> Crew | None:
        """The crew that waits longest."""
        return self._queue[0] if self._queue else None

    def release(self, job: Job, kill: bool, now: float) -> list[Worker]:
        """Take a job's workers away. Those in the result must be sent ``Unload``; the others are
        ended: all with ``kill``, else those that the pool has no room for."""
        crew = self._crews.pop(job, None)
        if crew is None:
            return []
        if crew in self._queue:
            self._queue.remove(crew)
        pool = len(self._supervisor.among(State.SPARE) + self._supervisor.among(State.UNLOADING))
        keep = 0 if kill else max(0, MAX_SPARES - pool)
        for worker in crew.workers:
            self.posts.pop(worker.peer, None)
        for worker in crew.workers[keep:]:
            self._supervisor.kill(worker)
        for worker in crew.workers[:keep]:
            worker.state = State.UNLOADING
            worker.since = now
        return crew.workers[:keep]
