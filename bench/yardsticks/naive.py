"""The naive design: Python agents on two workers, and every message an envelope of its own.

Each message is one msgpack envelope that goes to the coordinator as one ZeroMQ message; the
coordinator opens it to learn the recipient and forwards it to the recipient's worker.
"""

from __future__ import annotations

import msgpack

from bench.yardsticks.processes import Share, Team, connect


class Naive(Team):
    """Coordinator of the naive design. ``advance`` runs ticks; ``result`` sums over the agents."""

    def __init__(self, workload: str, agents: int, workers: int = 2) -> None:
        super().__init__(work, workload, agents, workers)

    def round(self, order: bytes) -> list[int]:
        """Sends ``order`` to every worker and forwards envelopes until each has said it is done."""
        router, identities, block = self.router, self.identities, self.block
        for identity in identities:
            router.send_multipart([identity, order])
        done: list[int] = []
        while len(done) < len(identities):
            _, frame = router.recv_multipart()
            envelope = msgpack.unpackb(frame)
            if envelope[0] == "done":
                done.append(envelope[1])
            else:
                router.send_multipart([identities[(envelope[1] - 1) // block], frame])
        return done


def work(endpoint: str, index: int, share: Share) -> None:
    """A worker process: envelopes are put into mailboxes until an order comes."""
    socket = connect(endpoint, index)
    tick = 0
    agents = share.make()
    mailbox: dict[int, list[tuple[str, dict[str, int]]]] = {agent.id: [] for agent in agents}

    def send(to: int, kind: str, body: dict[str, int]) -> None:
        socket.send(msgpack.packb(["message", to, sender, tick, kind, body]))

    while True:
        message = msgpack.unpackb(socket.recv())
        if message[0] == "message":
            mailbox[message[1]].append((message[4], message[5]))
            continue
        total = 0
        if message[0] == "stop":
            break
        if message[0] == "start":
            for agent in agents:
                sender = agent.id
                agent.start(send)
        elif message[0] == "tick":
            tick += 1
            for agent in agents:
                sender = agent.id
                mail = mailbox[sender]
                if mail:
                    mailbox[sender] = []
                    for kind, body in mail:
                        getattr(agent, kind)(body, send)
                if agent.stepping:
                    agent.step(send)
        elif message[0] == "result":
            total = sum(agent.result() for agent in agents)
            total += share.in_transit(mailbox.values())
        socket.send(msgpack.packb(["done", total]))
    socket.close(linger=0)
