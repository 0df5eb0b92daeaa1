"""Ring, gossip and coin exchange: the price of a message, beside every yardstick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from bench.harness import Options, Row, Target, in_turn, per_step, ratio, require_equal
from bench.product import Course, Running, fresh_samples, product
from bench.sources import LIBRARY
from bench.yardsticks import bare, mesa_coin
from bench.yardsticks.naive import Naive
from bench.yardsticks.naive_batched import NaiveBatched
from bench.yardsticks.processes import Team

STEPS = 4_000_000
"""Agent-steps per sample: a tenth to half a second of ours."""

BARE_STEPS = 1_500_000
"""Fewer for the bare loop, which slows down to 1 µs where it no longer fits the caches."""

NAIVE_STEPS = 60_000
"""Agent-steps per sample of the naive design, at about 7 µs each."""

BATCHED_STEPS = 300_000


@dataclass(frozen=True)
class Exchange:
    """A workload whose agents send one message per tick, or nearly."""

    name: str
    folder: str
    parameter: str
    check: str
    verify: Callable[[Running, int], None]
    bare: Callable[[int, int], int]
    """Agents and ticks -> what ``result`` of the bare loop must be."""
    result: Callable[[int, int], int]
    """The same for the other yardsticks."""


def verify_ring(running: Running, agents: int) -> None:
    tick, messages = running.info.tick, running.info.messages
    require_equal("tokens sent", messages.sent, agents * (tick + 1))
    require_equal("tokens delivered", messages.delivered, agents * tick)
    where = f"self.value == (self.id - 1 - {tick}) % {agents} + 1"
    require_equal("nodes with their token", running.ask("node", "count()", where), agents)


def verify_gossip(running: Running, agents: int) -> None:
    tick, messages = running.info.tick, running.info.messages
    require_equal("words sent", messages.sent, agents * tick)
    require_equal("words delivered", messages.delivered, agents * (tick - 1))
    require_equal("words heard", running.ask("person", "sum(self.heard)"), messages.delivered)


def verify_coin(running: Running, agents: int) -> None:
    messages = running.info.messages
    hands = running.ask("person", "sum(self.coins)")
    if not isinstance(hands, int | float):
        raise TypeError(f"sum of coins is {hands!r}")
    require_equal("coins", hands + messages.sent - messages.delivered, agents)


RING = Exchange(
    name="ring",
    folder="ring",
    parameter="n",
    check="every node holds the token it should; counters",
    verify=verify_ring,
    bare=lambda agents, ticks: agents,
    result=lambda agents, ticks: agents * ticks,
)
GOSSIP = Exchange(
    name="gossip",
    folder="gossip",
    parameter="n",
    check="words heard = delivered = sent - under way",
    verify=verify_gossip,
    bare=lambda agents, ticks: agents * ticks,
    result=lambda agents, ticks: agents * ticks,
)
COIN = Exchange(
    name="coin",
    folder="wealth",
    parameter="people",
    check="coins in hands and under way",
    verify=verify_coin,
    bare=lambda agents, ticks: agents,
    result=lambda agents, ticks: agents,
)

TARGETS: dict[tuple[str, int, int], tuple[Target, ...]] = {
    ("ring", 10_000, 1): (Target("ratio_to_bare_luajit", "<=", 0.8),),
    ("gossip", 10_000, 1): (Target("ratio_to_bare_luajit", "<=", 0.35),),
    ("coin", 10_000, 1): (
        Target("ratio_to_bare_luajit", "<=", 0.6),
        Target("ratio_to_mesa", ">=", 3),
    ),
    ("coin", 100_000, 1): (Target("ratio_to_mesa", ">=", 5),),
    ("ring", 100_000, 2): (Target("ratio_to_one_worker", ">=", 1.5),),
    ("gossip", 100_000, 2): (Target("ratio_to_one_worker", ">=", 1.2),),
}
NAIVE_TARGETS = (Target("ratio_to_naive", ">=", 40), Target("ratio_to_naive_batched", ">=", 4))
"""For ring and gossip on 2 workers, from 10 000 agents: below, the barrier is most of a tick."""


def run(exchange: Exchange, options: Options) -> Iterator[Row]:
    """Rows of one workload: every size with every number of workers."""
    for agents in options.sizes(1_000, 10_000, 100_000):
        yield from _size(exchange, agents, options)


def _size(exchange: Exchange, agents: int, options: Options) -> Iterator[Row]:
    repeats = options.repeats or 5
    teams = options.teams(1, 2)
    digests: set[str] = set()
    course = Course(
        folder=LIBRARY / exchange.folder,
        parameters={exchange.parameter: agents},
        agents=agents,
        ticks=max(4, STEPS // agents),
        verify=lambda running: exchange.verify(running, agents),
    )
    with ExitStack() as stack:
        made = stack.enter_context(product())
        rivals = _rivals(exchange, agents, stack)
        contestants = {
            **{str(workers): fresh_samples(made, course, workers, digests) for workers in teams},
            "bare": bare.fresh_samples(
                exchange.name,
                agents,
                max(4, BARE_STEPS // agents),
                partial(exchange.bare, agents),
            ),
            **{name: per_step(rival, ticks, agents) for name, (rival, ticks) in rivals.items()},
        }
        samples = in_turn(repeats, contestants)
        for name, (rival, ticks) in rivals.items():
            expected = exchange.result(agents, 1 + ticks * repeats)
            require_equal(f"{name}: {exchange.name}", rival.result(), expected)
    for workers in teams:
        mine = samples[str(workers)]
        targets = TARGETS.get((exchange.name, agents, workers), ())
        if workers == 2 and agents >= 10_000 and exchange is not COIN:
            targets += NAIVE_TARGETS
        yield Row(
            name=exchange.name,
            agents=agents,
            workers=workers,
            checked=True,
            check=exchange.check + "; one digest",
            repeats=repeats,
            ticks=course.ticks,
            ratio_to_bare_luajit=ratio(mine, samples["bare"]),
            ratio_to_naive=ratio(samples["naive"], mine),
            ratio_to_naive_batched=ratio(samples["batched"], mine),
            ratio_to_mesa=ratio(samples.get("mesa"), mine),
            ratio_to_one_worker=ratio(samples.get("1"), mine) if workers > 1 else None,
            targets=targets,
            samples_ns=tuple(mine),
        )


def _rivals(
    exchange: Exchange, agents: int, stack: ExitStack
) -> dict[str, tuple[Team | mesa_coin.MesaCoin, int]]:
    """The yardsticks in Python, warm by one tick, each with the ticks of one sample."""
    short = max(1, NAIVE_STEPS // agents)
    middle = max(2, BATCHED_STEPS // agents)
    rivals: dict[str, tuple[Team | mesa_coin.MesaCoin, int]] = {
        "naive": (stack.enter_context(Naive(exchange.name, agents)), short),
        "batched": (stack.enter_context(NaiveBatched(exchange.name, agents)), middle),
    }
    if exchange is COIN and mesa_coin.INSTALLED:
        rivals["mesa"] = (mesa_coin.MesaCoin(agents), middle)
    for rival, _ in rivals.values():
        rival.advance(1)
    return rivals


ring = partial(run, RING)
gossip = partial(run, GOSSIP)
coin = partial(run, COIN)
