"""Worker processes of the naive designs: started, counted, stopped."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import msgpack
import zmq

from bench.yardsticks.python_agents import AGENTS


@dataclass(frozen=True)
class Share:
    """The block of agents that one worker hosts: ids ``first`` to ``last`` of ``agents``."""

    workload: str
    agents: int
    first: int
    last: int
    block: int
    workers: int

    def make(self) -> list[Any]:
        kind = AGENTS[self.workload]
        return [kind(agent, self.agents) for agent in range(self.first, self.last + 1)]

    def in_transit(self, mailboxes: Iterable[list[tuple[str, dict[str, int]]]]) -> int:
        """What unread mail adds to the checked sum: words and coins under way."""
        if self.workload == "ring":
            return 0
        return sum(body["value"] for mail in mailboxes for _, body in mail)


def connect(endpoint: str, index: int) -> zmq.Socket[bytes]:
    """A worker's socket, without limits on what it may queue."""
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    socket.set_hwm(0)
    socket.setsockopt(zmq.IDENTITY, b"%d" % index)
    socket.connect(endpoint)
    socket.send_multipart([b"hello"])
    return socket


class Team(ABC):
    """A coordinator with its worker processes; a context manager."""

    def __init__(
        self,
        target: Callable[[str, int, Share], None],
        workload: str,
        agents: int,
        workers: int,
    ) -> None:
        self.block = -(-agents // workers)
        self._directory = tempfile.TemporaryDirectory(prefix="gedanken-bench-")
        endpoint = f"ipc://{self._directory.name}/naive"
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.router = self._context.socket(zmq.ROUTER)
        self.router.set_hwm(0)
        self.router.bind(endpoint)
        spawn = multiprocessing.get_context("spawn")
        self._processes = []
        for index in range(workers):
            first = index * self.block + 1
            last = min(agents, first + self.block - 1)
            share = Share(workload, agents, first, last, self.block, workers)
            process = spawn.Process(target=target, args=(endpoint, index, share), daemon=True)
            process.start()
            self._processes.append(process)
        self.identities = sorted(self.router.recv_multipart()[0] for _ in range(workers))

    @abstractmethod
    def round(self, order: bytes) -> list[int]:
        """One order to every worker; their totals."""

    def start(self) -> None:
        self.round(msgpack.packb(["start"]))

    def advance(self, ticks: int) -> float:
        """Runs ``ticks`` ticks; the seconds they took."""
        order = msgpack.packb(["tick"])
        began = time.perf_counter()
        for _ in range(ticks):
            self.round(order)
        return time.perf_counter() - began

    def result(self) -> int:
        """Ring: tokens received; gossip: words heard and under way; coin: coins, likewise."""
        return sum(self.round(msgpack.packb(["result"])))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for identity in self.identities:
            self.router.send_multipart([identity, msgpack.packb(["stop"])])
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.kill()
                process.join()
        self._context.destroy(linger=0)
        self._directory.cleanup()
