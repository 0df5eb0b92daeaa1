"""How the API's functions are called: how many arguments, and what some of them must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workers.features import ENVIRONMENT, Features, Role


@dataclass(frozen=True)
class Signature:
    """Least and most arguments and the form to write. ``type_at``, ``field_at``, ``radius_at``:
    the places (from 0) of a type's name, a published field's name and a radius; -1: there is none.
    ``any_type``: nil stands for all types."""

    least: int
    most: int
    form: str
    type_at: int = -1
    field_at: int = -1
    radius_at: int = -1
    any_type: bool = False


_FIXED: Final = {
    "send": Signature(2, 4, "send(to, kind, body, delay)"),
    "broadcast": Signature(2, 4, "broadcast(type, kind, body, delay)"),
    "after": Signature(2, 3, "after(delay, kind, body)"),
    "ask": Signature(2, 3, "ask(to, kind, body)"),
    "remove": Signature(0, 0, "remove()"),
    "tick": Signature(0, 0, "tick()"),
    "message": Signature(0, 0, "message()"),
    "agents": Signature(1, 1, 'agents("type")', type_at=0),
    "alive": Signature(1, 1, "alive(id)"),
    "record": Signature(2, 2, 'record("name", value)'),
    "choice": Signature(1, 1, "choice(list)"),
    "shuffle": Signature(1, 1, "shuffle(list)"),
    "random": Signature(0, 2, "random(), random(n) or random(a, b)"),
    "normal": Signature(0, 2, "normal(mean, sd)"),
    "exponential": Signature(0, 1, "exponential(rate)"),
    "poisson": Signature(1, 1, "poisson(mean)"),
    "look": Signature(2, 2, 'look(id, "field")', field_at=1),
    "distance": Signature(1, 1, "distance(id)"),
    "offset": Signature(1, 1, "offset(id)"),
    "neighbors": Signature(1, 2, "neighbors(r, type)", type_at=1, radius_at=0, any_type=True),
    "count_near": Signature(
        1, 4, "count_near(r, type, field, value)", 1, field_at=2, radius_at=0, any_type=True
    ),
    "nearest": Signature(2, 2, "nearest(type, r)", type_at=0, radius_at=1, any_type=True),
    "at": Signature(2, 3, "at(x, y, type)", type_at=2, any_type=True),
    "count_at": Signature(2, 3, "count_at(x, y, type)", type_at=2, any_type=True),
    "empty_cells": Signature(0, 1, "empty_cells(), or empty_cells(k) for the place of the k-th"),
    "random_empty": Signature(0, 0, "random_empty()"),
    "link_to": Signature(1, 2, "link_to(id, weight)"),
    "unlink": Signature(1, 1, "unlink(id)"),
}
OF_ONESELF: Final = ("position", "links", "links_in", "degree")
"""Without an argument they speak of the caller."""


def signature(name: str, features: Features, role: Role) -> Signature | None:
    """The signature of an API function in a script of that role."""
    dimensions = features.dimensions
    place = "x, y, z" if dimensions == 3 else "x, y"
    alone = role is ENVIRONMENT
    if name in OF_ONESELF:
        form = f"{name}(id)" if alone else f"{name}() or {name}(id)"
        return Signature(1 if alone else 0, 1, form)
    if name == "link":
        form = "link(a, b)" if alone else "link(other) or link(a, b)"
        return Signature(2 if alone else 1, 2, form)
    if name == "spawn":
        form = f"spawn(type, fields, {place})" if features.space else "spawn(type, fields)"
        return Signature(1, 2 + (dimensions if features.space else 0), form, type_at=0)
    if name == "move_to":
        return Signature(dimensions, dimensions, f"move_to({place})")
    if name == "move_by":
        form = "move_by(dx, dy, dz)" if dimensions == 3 else "move_by(dx, dy)"
        return Signature(dimensions, dimensions, form)
    if name == "neighbors_of":
        form = f"neighbors_of({place}, r, type)"
        return Signature(dimensions + 1, dimensions + 2, form, dimensions + 1, -1, dimensions, True)
    return _FIXED.get(name)
