"""Aggregates over agents and over mail: ``mean(wolf, self.energy, self.age > 3)``, taken apart."""

from __future__ import annotations

from typing import Protocol, TypedDict

from workers.expression_rules import INSIDE, INSIDE_MAIL, Rules, form
from workers.names import LAYER_READS, listing, nearest
from workers.syntax import Node, Tree, arguments, from_bytes_text, string_value


class AggregateCode(TypedDict):
    """One aggregate. ``value`` and ``condition`` are Lua over ``self`` (``msg`` in mail); the
    condition of ``share`` is its value. Empty where there is none."""

    op: str
    type: str
    value: str
    condition: str
    q: float
    mail: str


class Host(Protocol):
    """The expression that the aggregate stands in: it compiles parts and takes what is wrong."""

    tree: Tree

    def code(self, node: Node, rules: Rules) -> str: ...

    def node(self, node: Node, message: str, hint: str = "") -> None: ...


class AggregateReader:
    """Reads the calls of aggregates of one expression. ``kinds``: None if they are not known."""

    def __init__(
        self, host: Host, types: list[str], kinds: frozenset[str] | None, agent_type: str
    ) -> None:
        self.host = host
        self.types = types
        self.kinds = kinds
        self.agent_type = agent_type

    def read(self, node: Node, op: str) -> AggregateCode | None:
        """The aggregate of a call, or None with the reason reported."""
        given = arguments(node)
        made: AggregateCode = {
            "op": op, "type": "", "value": "", "condition": "", "q": 0.0, "mail": "",
        }  # fmt: skip
        sound = self._mail(node, given, made) if op == "mail" else self._over(node, given, made)
        return made if sound else None

    def _literal(self, node: Node) -> str | None:
        if node.type == "string":
            return string_value(self.host.tree.slice(node))
        return self.host.tree.slice(node) if node.type == "identifier" else None

    def _mail(self, node: Node, given: list[Node], made: AggregateCode) -> bool:
        kind = self._literal(given[0]) if given else None
        if kind is None or len(given) > 2:
            self.host.node(node, "mail takes a message kind and at most one value", form("mail"))
            return False
        if self.kinds is not None and kind not in self.kinds:
            like = nearest(kind, self.kinds)
            self.host.node(
                given[0],
                f"no agent sends or handles messages of kind '{kind}'",
                f"did you mean '{like}'?" if like else f"kinds: {listing(self.kinds)}",
            )
            return False
        made["mail"] = from_bytes_text(kind)
        if len(given) == 2:
            made["value"] = self.host.code(given[1], INSIDE_MAIL)
        return True

    def _over(self, node: Node, given: list[Node], made: AggregateCode) -> bool:
        op = made["op"]
        rest = given
        first = self._literal(given[0]) if given else None
        if first in self.types:
            made["type"] = str(first)
            rest = given[1:]
        elif self.agent_type:
            made["type"] = self.agent_type
        else:
            self._no_type(node, given, op, first)
            return False
        least, most = {"count": (0, 1), "share": (1, 1), "quantile": (2, 3)}.get(op, (1, 2))
        if not least <= len(rest) <= most:
            self.host.node(
                node, f"{op} does not take {len(rest)} arguments after the type", form(op)
            )
            return False
        if op in ("count", "share"):
            made["condition" if op == "count" else "value"] = (
                self.host.code(rest[0], INSIDE) if rest else ""
            )
            return True
        made["value"] = self.host.code(rest[0], INSIDE)
        if op == "quantile":
            text = self.host.tree.slice(rest[1])
            q = float(text) if rest[1].type == "number" and "x" not in text.lower() else -1.0
            if not 0 <= q <= 1:
                self.host.node(rest[1], f"q of quantile must be a number from 0 to 1, not {text}")
                return False
            made["q"] = q
            rest = rest[1:]
        if len(rest) > 1:
            made["condition"] = self.host.code(rest[1], INSIDE)
        return True

    def _no_type(self, node: Node, given: list[Node], op: str, first: str | None) -> None:
        like = nearest(first, self.types) if first else None
        text = self.host.tree.slice(given[0]) if given else ""
        if text.startswith("layer.") and op in LAYER_READS:
            message = f"{op} here is over agents, and {text} is a layer"
            argument = "v" if op == "count" else ""
            self.host.node(given[0], message, f"write {text}:{op}({argument})")
            return
        if op in ("min", "max") and (first is None or not like):
            hint = f"types: {listing(self.types)}; for numbers write math.{op}(a, b)"
        else:
            hint = f"did you mean {like}?" if like else f"types: {listing(self.types)}"
        self.host.node(
            given[0] if given else node,
            f"'{first}' is not an agent type" if first else f"{op} needs an agent type first",
            f"{hint}; {form(op)}",
        )
