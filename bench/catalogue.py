"""Every benchmark by name, in the order in which the table shows them."""

from __future__ import annotations

from typing import Final

from bench.harness import Workload
from bench.workloads import (
    automata,
    cold,
    compute,
    creation,
    epidemic,
    gateway,
    idle,
    messages,
    scaling,
    spaces,
    worlds,
)

BENCHMARKS: Final[dict[str, tuple[Workload, str]]] = {
    "ring": (messages.ring, "receive one message, send one to the next agent"),
    "gossip": (messages.gossip, "send one message to an agent drawn at random"),
    "coin": (messages.coin, "coin exchange, a message per coin"),
    "sir": (epidemic.run, "SIR epidemic with 120 messages per agent, created and run to its end"),
    "empty": (idle.run, "ticks in which no agent has anything to do"),
    "compute": (compute.run, "about 5 µs of float work per agent and tick, no messages"),
    "create": (creation.run, "create agents with three fields; bytes per agent"),
    "growth": (scaling.growth, "ring from a thousand to a million agents"),
    "million": (scaling.million, "a million agents, one message each per tick: peak memory"),
    "schelling": (worlds.schelling, "Schelling's segregation, 8000 people, beside Mesa"),
    "wolf_sheep": (worlds.wolf_sheep, "wolves, sheep and grass on 10 000 cells, beside Mesa"),
    "flocking": (worlds.flocking, "400 birds that look far, beside Mesa"),
    "fire": (automata.fire, "forest fire on 500 x 500 cells, created and run to its end"),
    "sandpile": (automata.sandpile, "65 536 grains on one site, created and run to rest"),
    "life": (automata.life, "Game of Life on a million cells, as a layer"),
    "movers": (spaces.movers, "agents that move and look around in a continuous space"),
    "crowd": (spaces.crowd, "agents on a grid of a million cells: peak memory"),
    "cold": (cold.run, "`simctl run` of a small model, from nothing"),
    "mcp": (gateway.run, "sim_create and sim_run over MCP, warm"),
}
