"""The agents of ``models/`` as anyone would write them in Python, for the two naive designs.

A handler is a method named after its message kind; ``send(to, kind, body)`` is given with each
call. ``result`` is what an agent adds to the sum that the benchmark checks.
"""

from __future__ import annotations

import random
from collections.abc import Callable

Body = dict[str, int]
Send = Callable[[int, str, Body], None]


class Ring:
    """Receives one token a tick and sends it to the next agent."""

    __slots__ = ("agents", "id", "received", "value")
    stepping = False

    def __init__(self, agent: int, agents: int) -> None:
        self.id = agent
        self.agents = agents
        self.received = 0
        self.value = agent

    def start(self, send: Send) -> None:
        send(self.id % self.agents + 1, "token", {"value": self.id})

    def token(self, body: Body, send: Send) -> None:
        self.value = body["value"]
        self.received += 1
        send(self.id % self.agents + 1, "token", {"value": body["value"]})

    def result(self) -> int:
        return self.received


class Gossip:
    """Sends one word a tick to an agent drawn at random."""

    __slots__ = ("agents", "before", "heard", "id", "now")
    stepping = True

    def __init__(self, agent: int, agents: int) -> None:
        self.id = agent
        self.agents = agents
        self.heard = 0
        self.before = 0
        self.now = 0

    def start(self, send: Send) -> None:
        return

    def word(self, body: Body, send: Send) -> None:
        self.heard += body["value"]

    def step(self, send: Send) -> None:
        self.now = self.heard - self.before
        self.before = self.heard
        send(int(random.random() * self.agents) + 1, "word", {"value": 1})

    def result(self) -> int:
        return self.heard


class Coin:
    """Sends a coin, when it has one, to an agent drawn at random."""

    __slots__ = ("agents", "coins", "id", "wealth")
    stepping = True

    def __init__(self, agent: int, agents: int) -> None:
        self.id = agent
        self.agents = agents
        self.coins = 1
        self.wealth = 1

    def start(self, send: Send) -> None:
        return

    def coin(self, body: Body, send: Send) -> None:
        self.coins += body["value"]

    def step(self, send: Send) -> None:
        self.wealth = self.coins
        if self.coins > 0:
            self.coins -= 1
            send(int(random.random() * self.agents) + 1, "coin", {"value": 1})

    def result(self) -> int:
        return self.coins


AGENTS: dict[str, type[Ring | Gossip | Coin]] = {"ring": Ring, "gossip": Gossip, "coin": Coin}
"""The workloads that the naive designs know."""
