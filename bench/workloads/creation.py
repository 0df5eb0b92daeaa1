"""Creating agents with three fields, and what each then takes in memory."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from bench.harness import Options, Row, Target, require_equal
from bench.memory import resident
from bench.product import Running, product, timed_creation
from bench.sources import OWN


def run(options: Options) -> Iterator[Row]:
    """Two rows per size: seconds to create, bytes per agent."""
    for agents in options.sizes(100_000):
        for workers in options.teams(1):
            yield _creation(agents, workers, options.repeats or 5)
        yield _bytes(agents)


def _creation(agents: int, workers: int, repeats: int) -> Row:
    seconds: list[float] = []
    with product() as made:
        for _ in range(repeats):
            took, running = timed_creation(made, OWN / "fields", {"n": agents}, workers)
            _verify(running, agents)
            running.remove()
            seconds.append(took)
    return Row(
        name="create",
        agents=agents,
        workers=workers,
        checked=True,
        check="count and sum of a field",
        repeats=repeats,
        value=statistics.median(seconds),
        unit="s",
        targets=(Target("value", "<=", 0.5),) if agents == 100_000 else (),
        notes={"lowest": min(seconds), "highest": max(seconds)},
    )


def _bytes(agents: int) -> Row:
    """Memory of the worker, less that of one with a single agent, after a few ticks."""
    with product() as made:
        held = []
        for number in (1, agents):
            running = made.create(OWN / "fields", {"n": number}, workers=1)
            _verify(running, number)
            running.advance(20)
            (pid,) = running.info.pids
            held.append(resident(pid))
    return Row(
        name="bytes",
        agents=agents,
        workers=1,
        checked=True,
        check="count and sum of a field",
        repeats=1,
        value=(held[1] - held[0]) / agents,
        unit="B/agent",
        targets=(Target("value", "<=", 500),) if agents == 100_000 else (),
    )


def _verify(running: Running, agents: int) -> None:
    require_equal("agents", running.info.agents, {"holder": agents})
    total = running.ask("holder", "sum(self.cash)")
    require_equal("sum of cash", total, 10 * agents * (agents + 1) // 2)
