"""How many workers, which shards where, whose memory: every rule of placement.

A shard is a block of consecutive ids. Nothing here may reach a result: the digest is the same for
any placement. What it decides is speed: models talk to neighbours, so initial shards lie
contiguously, and new ones go to the least loaded worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SMALL: Final = 20_000
"""Below this many agents one worker is fastest: its grants need no round trip per tick."""
AGENTS_PER_WORKER: Final = 10_000


def workers_for(agents: int, cores: int) -> int:
    """The number of workers when the client leaves it open."""
    if agents < SMALL:
        return 1
    return max(1, min(cores, agents // AGENTS_PER_WORKER))


def shard_size_for(agents: int) -> int:
    """Ids per shard, fixed at creation (part of the digest): agents / 64, within 1 … 1024."""
    return max(1, min(1024, -(-agents // 64)))


def shards_for(next_id: int, shard_size: int) -> int:
    """How many shards the ids 1 … next_id - 1 fill."""
    return -(-(next_id - 1) // shard_size)


def initial_placement(shards: int, workers: int) -> list[int]:
    """The worker of each shard: contiguous, as even as it goes."""
    return [s * workers // shards for s in range(shards)]


def memory_for(machine_bytes: int, workers: int, memory_mb: int) -> int:
    """Memory limit of one worker in bytes: the model's own, or half the machine shared by all."""
    return memory_mb << 20 if memory_mb else machine_bytes // 2 // max(1, workers)


class Placement:
    """The worker of every shard so far; grows as agents are spawned."""

    def __init__(self, next_id: int, shard_size: int, workers: int) -> None:
        self.next_id = next_id
        self.shard_size = shard_size
        self._workers = workers
        self.shards = initial_placement(shards_for(next_id, shard_size), workers)

    def grow(self, spawned: int, living: Sequence[int]) -> list[int]:
        """Give ids to ``spawned`` agents; the worker of each shard that they open.

        ``living``: agents of each worker before. A new shard goes to the worker with fewest agents,
        those just assigned included; ties to the lowest index.
        """
        size, first = self.shard_size, self.next_id
        self.next_id += spawned
        opened: list[int] = []
        total = shards_for(self.next_id, size)
        if total == len(self.shards):
            return opened
        load = list(living)
        room = len(self.shards) * size - (first - 1)
        if room:
            load[self.shards[-1]] += room
        for shard in range(len(self.shards), total):
            worker = min(range(self._workers), key=load.__getitem__)
            opened.append(worker)
            load[worker] += min(size, self.next_id - 1 - shard * size)
        self.shards += opened
        return opened

    def of(self, worker: int) -> list[int]:
        """The shards of a worker, ascending."""
        return [s for s, w in enumerate(self.shards) if w == worker]
