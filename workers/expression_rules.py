"""What may stand in an expression, by the place where the expression stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workers.names import RANDOM


@dataclass(frozen=True)
class Rules:
    """What a context allows besides parameters and the library. ``world``: which of env, layer and
    space; ``cells``: the layers by their bare names, the value at the cell."""

    names: frozenset[str] = frozenset()
    aggregates: bool = False
    metrics: bool = False
    world: frozenset[str] = frozenset()
    cells: bool = False


WORLD: Final = frozenset({"env", "layer", "space"})

_SETTLED: Final = Rules(frozenset({"tick"}), aggregates=True, metrics=True, world=WORLD)
_MEASURED: Final = Rules(frozenset({"tick"}), aggregates=True, world=WORLD)
_AGENT: Final = Rules(frozenset({"tick", "self"}), world=WORLD)

CONTEXTS: Final[dict[str, Rules]] = {
    "count": Rules(),
    "state": Rules(frozenset({"i"}) | RANDOM, world=frozenset({"env"})),
    "size": Rules(),
    "place": Rules(frozenset({"i"}) | RANDOM),
    "layer_init": Rules(frozenset({"x", "y"}) | RANDOM),
    "layer_step": Rules(frozenset({"tick", "v", "x", "y", "around"}) | RANDOM, cells=True),
    "rate": Rules(),
    "metric": _MEASURED,
    "stop": _SETTLED,
    "until": _SETTLED,
    "invariant": _SETTLED,
    "where": _AGENT,
    "field": _AGENT,
    "group": _AGENT,
    "order": _AGENT,
    "aggregate": _MEASURED,
}
"""``size``: numbers of a space or network; ``place``: coordinates; ``rate``: diffuse and decay."""

INSIDE: Final = Rules(frozenset({"tick", "self"}), world=WORLD)
INSIDE_MAIL: Final = Rules(frozenset({"tick", "msg"}), world=WORLD)

_FORMS: Final = {
    "count": "count(type) or count(type, condition)",
    "share": "share(type, condition)",
    "quantile": "quantile(type, value, q) or quantile(type, value, q, condition), 0 <= q <= 1",
    "mail": "mail('kind') counts messages under way, mail('kind', msg.field) sums over them",
}

ONLY: Final = {
    "self": "self stands only inside an aggregate: sum(type, self.field)",
    "msg": "msg stands only inside mail: mail('kind', msg.field)",
    "i": "i (the agent's index in its type) stands only in state and place of [agents.x]",
    "tick": "an expression that is evaluated at creation has no tick",
}


def form(op: str) -> str:
    return _FORMS.get(op, f"{op}(type, value) or {op}(type, value, condition)")
