"""Agents that compute for about 5 µs a tick and send nothing: how well work spreads on workers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.harness import Options, Row, Target, in_turn, ratio, require_equal, warm_up
from bench.product import Course, Running, fresh_samples, product
from bench.sources import OWN
from bench.yardsticks import bare

TURNS = 3_300
STEPS = 100_000
"""Agent-steps per sample."""


def run(options: Options) -> Iterator[Row]:
    """One row per size and number of workers."""
    for agents in options.sizes(100_000):
        yield from _size(agents, options)


def _size(agents: int, options: Options) -> Iterator[Row]:
    repeats = options.repeats or 5
    teams = options.teams(1, 2)
    ticks = max(1, STEPS // agents)
    digests: set[str] = set()
    largest = _largest(agents, warm_up(ticks) + ticks)
    course = Course(
        folder=OWN / "compute",
        parameters={"n": agents, "turns": TURNS},
        agents=agents,
        ticks=ticks,
        verify=partial(_verify, largest=largest),
    )
    with product() as made:
        samples = in_turn(
            repeats,
            {
                **{str(w): fresh_samples(made, course, w, digests) for w in teams},
                "bare": bare.fresh_samples("compute", agents, ticks, lambda _: largest, [TURNS]),
            },
        )
    for workers in teams:
        mine = samples[str(workers)]
        target = Target("ratio_to_one_worker", ">=", 1.7)
        yield Row(
            name="compute",
            agents=agents,
            workers=workers,
            checked=True,
            check="largest x is the bare loop's, to the bit; one digest",
            repeats=repeats,
            ticks=ticks,
            ratio_to_bare_luajit=ratio(mine, samples["bare"]),
            ratio_to_one_worker=ratio(samples.get("1"), mine) if workers > 1 else None,
            targets=(target,) if (agents, workers) == (100_000, 2) else (),
            samples_ns=tuple(mine),
        )


def _largest(agents: int, ticks: int) -> float:
    """The largest state that the bare loop has after so many ticks."""
    loop = bare.Bare("compute", agents, TURNS)
    loop.advance(ticks)
    return loop.result()


def _verify(running: Running, largest: float) -> None:
    require_equal("largest x", running.ask("thinker", "max(self.x)"), largest)
