"""Models written out in a test: the text of model.toml and of its scripts."""

from __future__ import annotations

from typing import Any

import msgpack
from shares import Shares

from runtime import protocol as p
from runtime.model import read_model


def written(toml: str, *, links: str = "", **scripts: str) -> p.ModelSpec:
    """A model from its model.toml and its scripts: those of agents by type name, ``environment``
    beside them; ``links`` is the text of links.csv."""
    files = {"model.toml": toml}
    if links:
        files["links.csv"] = links
    for name, text in scripts.items():
        files[f"{name}.lua" if name == "environment" else f"agents/{name}.lua"] = text
    spec, found = read_model("m", files)
    assert spec is not None, found
    return spec


def environment_of(world: Shares) -> tuple[Any, list[Any], list[Any]]:
    """The environment as a dump has it: its state, its mail as [[due, [from, kind, body, sent
    tick], ...], ...], and [type, fields, x, y, z] of whom it will spawn."""
    _, roster = world.dump()
    _, _, replica = msgpack.unpackb(roster, strict_map_key=False)
    reader = msgpack.Unpacker(strict_map_key=False)
    reader.feed(replica)
    reader.read_array_header()
    state, mail, spawns = reader.unpack()
    return state, mail, spawns


def under_way(world: Shares) -> int:
    """Messages that were sent and have not come: to agents, and to the environment."""
    waiting = sum(len(mail) for _, _, mail in world.states().values())
    _, days, _ = environment_of(world)
    return waiting + sum(len(day) - 1 for day in days)
