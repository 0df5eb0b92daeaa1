"""Ring from a thousand to a million agents: what a step costs as memory grows, and the peak."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.harness import Options, Row, Target, in_turn, per_step, ratio
from bench.memory import peak
from bench.product import Course, fresh_samples, product
from bench.sources import LIBRARY
from bench.workloads.messages import verify_ring

STEPS = 4_000_000


def growth(options: Options) -> Iterator[Row]:
    """One row per size; the value is its cost per agent-step over that of the smallest."""
    sizes = sorted(options.sizes(1_000, 10_000, 100_000, 1_000_000))
    repeats = options.repeats or 3
    for workers in options.teams(1):
        with product() as made:
            samples = in_turn(
                repeats,
                {
                    str(agents): fresh_samples(made, _course(agents), workers, set())
                    for agents in sizes
                },
            )
        for agents in sizes:
            mine = samples[str(agents)]
            yield Row(
                name="growth",
                agents=agents,
                workers=workers,
                checked=True,
                check="every node holds the token it should; counters",
                repeats=repeats,
                ticks=_course(agents).ticks,
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
                ticks = _course(agents).ticks
                sample = per_step(running, ticks, agents)
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
                    ticks=ticks,
                    value=memory / 2**30,
                    unit="GiB peak",
                    targets=(Target("value", "<=", 2),),
                    samples_ns=tuple(times),
                )


def _course(agents: int) -> Course:
    return Course(
        folder=LIBRARY / "ring",
        parameters={"n": agents},
        agents=agents,
        ticks=max(4, STEPS // agents),
        verify=partial(verify_ring, agents=agents),
    )
