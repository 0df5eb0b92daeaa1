"""SIR with 10 000 agents and 1.2 million contact messages, metrics and invariant included."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from bench.harness import CheckFailed, Options, Row, Target, in_turn, ratio, require_equal
from bench.product import Product, product, timed_creation
from bench.sources import LIBRARY
from bench.yardsticks.bare import Bare
from runtime.protocol import Scalar

INFECTED, BETA, GAMMA = 10, 20.0, 1 / 6
"""Everybody falls ill and makes beta contacts a tick for 1/gamma ticks: 120 messages per agent."""

LIMIT = 400
"""Ticks after which nobody is left ill, for any seed worth naming: (5/6)**400 is 2e-32."""


def run(options: Options) -> Iterator[Row]:
    """One row per size and number of workers; the value is creation and run together."""
    for agents in options.sizes(10_000):
        for workers in options.teams(1, 2):
            yield _row(agents, workers, options.repeats or 3)


def _row(agents: int, workers: int, repeats: int) -> Row:
    expected = agents * BETA / GAMMA
    seen: set[tuple[int, int, str]] = set()
    with product() as made:
        contestants = {
            "ours": lambda: _ours(made, agents, workers, seen),
            "bare": lambda: _bare(agents, expected),
        }
        in_turn(1, contestants)
        samples = in_turn(repeats, contestants)
    ((ticks, sent, _),) = seen
    if abs(sent / expected - 1) > 0.05:
        raise CheckFailed(f"sir: {sent} messages, about {expected:.0f} expected")
    seconds = statistics.median(samples["ours"])
    return Row(
        name="sir",
        agents=agents,
        workers=workers,
        checked=True,
        check="everybody recovered; every message delivered; one digest",
        repeats=repeats,
        ticks=ticks,
        value=seconds,
        unit="s",
        samples_ns=tuple(sample / ticks / agents * 1e9 for sample in samples["ours"]),
        ratio_to_bare_luajit=ratio(samples["ours"], samples["bare"]),
        targets=(Target("value", "<=", 0.8),) if (agents, workers) == (10_000, 1) else (),
        notes={"messages": sent},
    )


def _ours(made: Product, agents: int, workers: int, seen: set[tuple[int, int, str]]) -> float:
    """Seconds from the request to create until the epidemic is over."""
    parameters: dict[str, Scalar] = {
        "n": agents,
        "infected": INFECTED,
        "rule": "rates",
        "beta": BETA,
        "gamma": GAMMA,
    }
    created, running = timed_creation(made, LIBRARY / "epidemic", parameters, workers, watched=True)
    seconds = running.finish(LIMIT)
    info = running.info
    require_equal("recovered", info.metrics["r"].last, agents)
    require_equal("delivered", info.messages.delivered, info.messages.sent)
    seen.add((info.tick, info.messages.sent, info.digest))
    require_equal("different outcomes of one seed", len(seen), 1)
    running.remove()
    return created + seconds


def _bare(agents: int, expected: float) -> float:
    """Seconds of the bare loop, scaled to the number of messages expected of ours."""
    bare = Bare("sir", agents, INFECTED, BETA, GAMMA)
    seconds = bare.advance(100)
    sent = bare.result()
    if abs(sent / expected - 1) > 0.05:
        raise CheckFailed(f"bare sir: {sent:.0f} messages, about {expected:.0f} expected")
    return seconds
