"""Large spaces: how radius queries spread on workers, and what a grid takes in memory."""

from __future__ import annotations

from collections.abc import Iterator

from bench.harness import CheckFailed, Options, Row, Target, in_turn, per_step, ratio, require_equal
from bench.memory import peak
from bench.product import Course, Running, fresh_samples, product
from bench.sources import OWN

STEPS = 2_000_000
"""Agent-steps per sample: about half a second of ours."""

NEIGHBOURS = (9.5, 10.3)
"""What a mover sees on average: pi * 1.8^2 = 10.18, and a little less once they have moved."""

SIDE = 1000
"""Cells along one side of the grid of ``crowd``."""


def movers(options: Options) -> Iterator[Row]:
    """One row per size and number of workers."""
    repeats = options.repeats or 5
    for agents in options.sizes(100_000):
        teams = options.teams(1, 2)
        digests: set[str] = set()
        course = Course(
            folder=OWN / "movers",
            parameters={"n": agents},
            agents=agents,
            ticks=max(4, STEPS // agents),
            verify=_verify_movers,
        )
        with product() as made:
            samples = in_turn(
                repeats, {str(w): fresh_samples(made, course, w, digests) for w in teams}
            )
        for workers in teams:
            mine = samples[str(workers)]
            target = Target("ratio_to_one_worker", ">=", 1.4)
            yield Row(
                name="movers",
                agents=agents,
                workers=workers,
                checked=True,
                check="who is near me, I am near to; neighbours on average; one digest",
                repeats=repeats,
                ticks=course.ticks,
                ratio_to_one_worker=ratio(samples.get("1"), mine) if workers > 1 else None,
                targets=(target,) if (agents, workers) == (100_000, 2) else (),
                samples_ns=tuple(mine),
            )


def _verify_movers(running: Running) -> None:
    (agents,) = running.info.agents.values()
    _verify_pairs(running, "mover", agents, NEIGHBOURS)


def crowd(options: Options) -> Iterator[Row]:
    """Walkers on a grid of a million cells: peak memory of coordinator and workers."""
    for agents in options.sizes(200_000):
        for workers in options.teams(1):
            with product() as made:
                running = made.create(OWN / "crowd", {"n": agents, "side": SIDE}, workers=workers)
                ticks = max(4, STEPS // agents)
                sample = per_step(running, ticks, agents)
                times = [sample() for _ in range(options.repeats or 3)]
                density = 9 * agents / SIDE**2
                _verify_pairs(running, "walker", agents, (density * 0.95, density * 1.05))
                memory = peak([made.coordinator, *running.info.pids])
            yield Row(
                name="crowd",
                agents=agents,
                workers=workers,
                checked=True,
                check="who is near me, I am near to; neighbours on average",
                repeats=len(times),
                ticks=ticks,
                value=memory / 2**20,
                unit="MiB peak",
                targets=(Target("value", "<=", 300),) if (agents, workers) == (200_000, 1) else (),
                samples_ns=tuple(times),
            )


def _verify_pairs(
    running: Running, kind: str, agents: int, neighbours: tuple[float, float]
) -> None:
    """All look at the same positions, so every pair is counted from both ends."""
    seen = running.ask(kind, "sum(self.near)")
    if not isinstance(seen, int | float):
        raise TypeError(f"neighbours are {seen!r}")
    require_equal("neighbours without their opposite", seen % 2, 0)
    if not neighbours[0] < seen / agents < neighbours[1]:
        raise CheckFailed(f"{kind}: {seen / agents} neighbours on average, not {neighbours}")
