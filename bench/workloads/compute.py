"""Agents that compute for about 5 µs a tick and send nothing: how well work spreads on workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from bench.harness import (
    Options,
    Row,
    Sample,
    Target,
    in_turn,
    per_step,
    ratio,
    require_equal,
)
from bench.product import product
from bench.sources import OWN
from bench.yardsticks.bare import Bare

TURNS = 3_300
STEPS = 100_000
"""Agent-steps per sample."""


def run(options: Options) -> Iterator[Row]:
    """One row per size and number of workers."""
    for agents in options.sizes(100_000):
        yield from _size(agents, options)


def _size(agents: int, options: Options) -> Iterator[Row]:
    ticks = max(1, STEPS // agents)
    repeats = options.repeats or 5
    with ExitStack() as stack:
        made = stack.enter_context(product())
        parameters = {"n": agents, "turns": TURNS}
        ours = {
            workers: made.create(OWN / "compute", parameters, workers=workers)
            for workers in options.teams(1, 2)
        }
        bare = Bare("compute", agents, TURNS)
        contestants: dict[str, Sample] = {
            str(workers): per_step(running, ticks, agents) for workers, running in ours.items()
        }
        contestants["bare"] = per_step(bare, ticks, agents)
        in_turn(1, contestants)
        samples = in_turn(repeats, contestants)
        for running in ours.values():
            require_equal("largest x", running.ask("thinker", "max(self.x)"), bare.result())
        digests = {running.info.digest for running in ours.values()}
        require_equal("digests for the numbers of workers", len(digests), 1)
        for workers in ours:
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
