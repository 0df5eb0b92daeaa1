"""What may stand in an expression, by the place where the expression stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workers.names import RANDOM


@dataclass(frozen=True)
class Rules:
    """What a context allows besides parameters and the library."""

    names: frozenset[str] = frozenset()
    aggregates: bool = False
    metrics: bool = False


_SETTLED: Final = Rules(frozenset({"tick"}), aggregates=True, metrics=True)
_AGENT: Final = Rules(frozenset({"tick", "self"}))

CONTEXTS: Final[dict[str, Rules]] = {
    "count": Rules(),
    "state": Rules(frozenset({"i"}) | RANDOM),
    "metric": Rules(frozenset({"tick"}), aggregates=True),
    "stop": _SETTLED,
    "until": _SETTLED,
    "invariant": _SETTLED,
    "where": _AGENT,
    "field": _AGENT,
    "group": _AGENT,
    "order": _AGENT,
    "aggregate": Rules(frozenset({"tick"}), aggregates=True),
}

INSIDE: Final = Rules(frozenset({"tick", "self"}))
INSIDE_MAIL: Final = Rules(frozenset({"tick", "msg"}))

_FORMS: Final = {
    "count": "count(type) or count(type, condition)",
    "share": "share(type, condition)",
    "quantile": "quantile(type, value, q) or quantile(type, value, q, condition), 0 <= q <= 1",
    "mail": "mail('kind') counts messages under way, mail('kind', msg.field) sums over them",
}

ONLY: Final = {
    "self": "self stands only inside an aggregate: sum(type, self.field)",
    "msg": "msg stands only inside mail: mail('kind', msg.field)",
    "i": "i (the agent's index in its type) stands only in [agents.x] state",
    "tick": "an expression that is evaluated at creation has no tick",
}


def form(op: str) -> str:
    return _FORMS.get(op, f"{op}(type, value) or {op}(type, value, condition)")
