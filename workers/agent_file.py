"""One agent type's script, parsed and resolved, with the facts that other files' checks need."""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.protocol import TypeSpec
from workers.names import HOOKS
from workers.scope import Scopes, Use, resolve
from workers.syntax import (
    Node,
    Tree,
    arguments,
    from_bytes_text,
    keyed_fields,
    parse,
    string_value,
    to_bytes_text,
)


@dataclass
class Sent:
    """A call of ``send``, ``broadcast`` or ``after``; ``kind`` is None where it is computed."""

    api: str
    call: Node
    to: Node | None
    kind: str | None
    kind_node: Node | None


@dataclass
class Spawned:
    """A call of ``spawn``; ``agent_type`` is None where it is computed."""

    call: Node
    agent_type: str | None
    type_node: Node | None
    fields: list[str]


@dataclass
class AgentFile:
    """``handlers`` maps a kind to where its handler is named; ``hooks`` likewise ``init``, ``step``."""

    spec: TypeSpec
    tree: Tree
    scopes: Scopes
    handlers: dict[str, Node] = field(default_factory=dict)
    hooks: dict[str, Node] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    spawned: list[Spawned] = field(default_factory=list)
    records: dict[str, Node] = field(default_factory=dict)
    uses_message: bool = False

    @property
    def kinds(self) -> set[str]:
        return set(self.handlers) | {one.kind for one in self.sent if one.kind is not None}


def read_agent_file(spec: TypeSpec) -> AgentFile:
    """Parse a type's script and collect its facts."""
    tree = parse(to_bytes_text(spec.source))
    scopes = resolve(tree)
    file = AgentFile(spec, tree, scopes)
    for use in scopes.writes:
        name = tree.slice(use.node)
        if use.node.var is None and use.function.is_file and name in HOOKS:
            file.hooks.setdefault(name, use.node)
    for use in scopes.stores:
        kind = handler_kind(tree, use.node)
        if kind is not None and use.function.is_file:
            file.handlers.setdefault(kind, use.node)
    for use in scopes.reads:
        if use.node.var is None and tree.slice(use.node) == "message":
            file.uses_message = True
    for use in scopes.calls:
        _collect_call(file, use)
    return file


def handler_kind(tree: Tree, target: Node) -> str | None:
    """The kind if the target of an assignment is ``on.kind`` or ``on["kind"]``."""
    base = target.children[0]
    if base.type != "identifier" or base.var is not None or tree.slice(base) != "on":
        return None
    if target.type == "bracket_index_expression":
        return literal(tree, target.get("field"))
    return from_bytes_text(tree.slice(target.children[-1]))


def literal(tree: Tree, node: Node | None) -> str | None:
    """The value of a string literal."""
    if node is None or node.type != "string":
        return None
    return string_value(tree.slice(node))


def api_name(tree: Tree, call: Node) -> str:
    """The name of the global function that is called by its plain name, or ''."""
    callee = call.children[0]
    return tree.slice(callee) if callee.type == "identifier" and callee.var is None else ""


def _collect_call(file: AgentFile, use: Use) -> None:
    tree, call = file.tree, use.node
    name = api_name(tree, call)
    given = arguments(call)
    first = given[0] if given else None
    second = given[1] if len(given) > 1 else None
    if name in ("send", "broadcast", "after"):
        to = None if name == "after" else first
        file.sent.append(Sent(name, call, to, literal(tree, second), second))
    elif name == "spawn":
        fields = keyed_fields(tree, second) if second and second.type == "table_constructor" else []
        keys = [key for key, _ in fields if key is not None]
        file.spawned.append(Spawned(call, literal(tree, first), first, keys))
    elif name == "record":
        recorded = literal(tree, first)
        if recorded is not None and first is not None:
            file.records.setdefault(recorded, first)
