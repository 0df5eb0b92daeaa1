"""The empty tick: what the barrier costs when no agent has anything to do."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import ExitStack

from bench.harness import Options, Row, Target, in_turn, require_equal
from bench.product import Running, product
from bench.sources import OWN

TICKS = {1: 300_000, 2: 6_000, 4: 3_000}
TARGETS = {1: 300_000, 2: 12_000, 4: 7_000}


def run(options: Options) -> Iterator[Row]:
    """Ticks per second with 1, 2 and 4 workers."""
    for agents in options.sizes(64):
        yield from _size(agents, options)


def _size(agents: int, options: Options) -> Iterator[Row]:
    repeats = options.repeats or 5
    with ExitStack() as stack:
        made = stack.enter_context(product())
        ours = {
            workers: made.create(OWN / "empty", {"n": agents}, workers=workers)
            for workers in options.teams(1, 2, 4)
        }
        contestants = {
            str(workers): lambda workers=workers, running=running: _rate(workers, running)
            for workers, running in ours.items()
        }
        in_turn(1, contestants)
        samples = in_turn(repeats, contestants)
        digests = {running.info.digest for running in ours.values()}
        require_equal("digests for the numbers of workers", len(digests), 1)
        for workers in ours:
            rates = samples[str(workers)]
            bound = TARGETS.get(workers)
            yield Row(
                name="empty",
                agents=agents,
                workers=workers,
                checked=True,
                check="every tick closed; one digest",
                repeats=repeats,
                ticks=_ticks(workers),
                value=statistics.median(rates),
                unit="ticks/s",
                targets=(Target("value", ">=", bound),) if bound else (),
                notes={"lowest": min(rates), "highest": max(rates)},
            )


def _ticks(workers: int) -> int:
    return TICKS.get(workers, 2_000)


def _rate(workers: int, running: Running) -> float:
    ticks = _ticks(workers)
    return ticks / running.advance(ticks)
