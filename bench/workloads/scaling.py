"""Ring from a thousand to a million agents: what a step costs as memory grows, and the peak."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from bench.harness import Options, Row, Target, in_turn, per_step, ratio
from bench.memory import peak
from bench.product import product
from bench.sources import LIBRARY
from bench.workloads.messages import verify_ring

STEPS = 4_000_000


def growth(options: Options) -> Iterator[Row]:
    """One row per size; the value is its cost per agent-step over that of the smallest."""
    sizes = sorted(options.sizes(1_000, 10_000, 100_000, 1_000_000))
    repeats = options.repeats or 3
    for workers in options.teams(1):
        with ExitStack() as stack:
            made = stack.enter_context(product())
            ours = {
                agents: made.create(LIBRARY / "ring", {"n": agents}, workers=workers)
                for agents in sizes
            }
            contestants = {
                str(agents): per_step(running, _ticks(agents), agents)
                for agents, running in ours.items()
            }
            in_turn(1, contestants)
            samples = in_turn(repeats, contestants)
            for agents, running in ours.items():
                verify_ring(running, agents)
                mine = samples[str(agents)]
                yield Row(
                    name="growth",
                    agents=agents,
                    workers=workers,
                    checked=True,
                    check="every node holds the token it should; counters",
                    repeats=repeats,
                    ticks=_ticks(agents),
                    value=ratio(mine, samples[str(sizes[0])]),
                    unit=f"× {sizes[0]}",
                    targets=(Target("value", "<=", 3),),
                    samples_ns=tuple(mine),
                )


def million(options: Options) -> Iterator[Row]:
    """A million agents, one message each per tick: peak memory of coordinator and workers."""
    for agents in options.sizes(1_000_000):
        for workers in options.teams(2):
            with product() as made:
                running = made.create(LIBRARY / "ring", {"n": agents}, workers=workers)
                sample = per_step(running, _ticks(agents), agents)
                times = [sample() for _ in range(options.repeats or 3)]
                verify_ring(running, agents)
                memory = peak([made.coordinator, *running.info.pids])
                yield Row(
                    name="million",
                    agents=agents,
                    workers=workers,
                    checked=True,
                    check="every node holds the token it should; counters",
                    repeats=len(times),
                    ticks=_ticks(agents),
                    value=memory / 2**30,
                    unit="GiB peak",
                    targets=(Target("value", "<=", 2),),
                    samples_ns=tuple(times),
                )


def _ticks(agents: int) -> int:
    return max(4, STEPS // agents)
