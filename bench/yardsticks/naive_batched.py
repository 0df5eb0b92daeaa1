"""The naive design with batches: Python agents on two workers, one batch per worker and tick.

Messages between agents of one worker stay in its process; those for the other worker go through
the coordinator as one msgpack batch, which it forwards unopened when the tick closes.
"""

from __future__ import annotations

from typing import Any

import msgpack

from bench.yardsticks.processes import Share, Team, connect


class NaiveBatched(Team):
    """Coordinator of the batched design; it holds the batches that are under way."""

    def __init__(self, workload: str, agents: int, workers: int = 2) -> None:
        super().__init__(work, workload, agents, workers)
        self.pending: list[list[bytes]] = [[] for _ in range(workers)]

    def round(self, order: bytes) -> list[int]:
        """Sends ``order`` and the pending batches; keeps what the workers answer for next time."""
        workers = range(len(self.identities))
        for worker in workers:
            self.router.send_multipart([self.identities[worker], order, *self.pending[worker]])
        self.pending = [[] for _ in workers]
        done: list[int] = []
        while len(done) < len(self.identities):
            _, total, *batches = self.router.recv_multipart()
            done.append(msgpack.unpackb(total))
            for worker in workers:
                if batches[worker]:
                    self.pending[worker].append(batches[worker])
        return done


def work(endpoint: str, index: int, share: Share) -> None:
    """A worker process: one order with batches in, one answer with batches out."""
    socket = connect(endpoint, index)
    agents = share.make()
    block, workers = share.block, share.workers
    mailbox: dict[int, list[tuple[str, dict[str, int]]]] = {agent.id: [] for agent in agents}
    outbox: list[list[Any]] = [[] for _ in range(workers)]

    def send(to: int, kind: str, body: dict[str, int]) -> None:
        outbox[(to - 1) // block].append((to, kind, body))

    while True:
        order, *batches = socket.recv_multipart()
        verb = msgpack.unpackb(order)[0]
        if verb == "stop":
            break
        for batch in batches:
            for to, kind, body in msgpack.unpackb(batch):
                mailbox[to].append((kind, body))
        total = 0
        if verb == "start":
            for agent in agents:
                agent.start(send)
        elif verb == "tick":
            for agent in agents:
                mail = mailbox[agent.id]
                if mail:
                    mailbox[agent.id] = []
                    for kind, body in mail:
                        getattr(agent, kind)(body, send)
                if agent.stepping:
                    agent.step(send)
        elif verb == "result":
            total = sum(agent.result() for agent in agents)
            total += share.in_transit(mailbox.values())
        for to, kind, body in outbox[index]:
            mailbox[to].append((kind, body))
        outbox[index] = []
        answer = [msgpack.packb(batch) if batch else b"" for batch in outbox]
        outbox = [[] for _ in range(workers)]
        socket.send_multipart([msgpack.packb(total), *answer])
    socket.close(linger=0)
