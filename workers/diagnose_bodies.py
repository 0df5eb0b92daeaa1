"""Fields of messages that are read and that no message of the kind carries."""

from __future__ import annotations

from typing import Final

from workers.agent_file import AgentFile, Sent, handler_kind
from workers.diagnose_mail import passes_api_on
from workers.names import listing, nearest
from workers.scope import Variable
from workers.syntax import Node, arguments, keyed_fields

_BODY_AT: Final = 2
_SENDER: Final = frozenset({"from", "sender", "src", "source", "id", "who", "from_id"})
_ENGINE: Final = {"blocked": {"x", "y", "z"}}
"""Kinds that the runtime sends, and what they carry."""


def diagnose_bodies(scripts: list[AgentFile]) -> None:
    """Report them, where the text shows the bodies of all messages of the kind."""
    if not all(file.whole for file in scripts):
        return
    sent = [one for file in scripts for one in file.sent]
    if any(one.kind is None for one in sent) or any(passes_api_on(file) for file in scripts):
        return
    carried: dict[str, set[str] | None] = {kind: set(keys) for kind, keys in _ENGINE.items()}
    for file in scripts:
        for one in file.sent:
            keys, known = _keys(file, one), carried.get(one.kind or "", set())
            both = None if keys is None or known is None else known | keys
            carried[one.kind or ""] = both
    for file in scripts:
        _reads(file, carried)


def _keys(file: AgentFile, sent: Sent) -> set[str] | None:
    """The fields of a body that is written out; none of no body."""
    given = arguments(sent.call)
    if len(given) <= _BODY_AT:
        return set()
    body = given[_BODY_AT]
    if body.type == "nil":
        return set()
    if body.type != "table_constructor":
        return None
    keys = [key for key, _ in keyed_fields(file.tree, body)]
    return None if None in keys else {key for key in keys if key is not None}


def _reads(file: AgentFile, carried: dict[str, set[str] | None]) -> None:
    handlers = _handlers(file)
    changed = {use.node.children[0].var for use in file.scopes.stores}
    reported: set[tuple[str, str]] = set()
    for node in file.tree.nodes:
        if node.type != "dot_index_expression":
            continue
        variable = node.children[0].var
        kind = handlers.get(variable) if isinstance(variable, Variable) else None
        if kind is None or variable in changed:
            continue
        keys, name = carried.get(kind), file.text(node.children[-1])
        if keys is None or name in keys or (kind, name) in reported:
            continue
        reported.add((kind, name))
        message = f"no message of kind '{kind}' carries '{name}': it is always nil"
        file.warning(node, "body", message, _cure(file, kind, name, keys))


def _cure(file: AgentFile, kind: str, name: str, keys: set[str]) -> str:
    if name in _SENDER:
        return f"the sender is the third parameter: function on.{kind}{file.role.handler}"
    like = nearest(name, keys)
    if like is not None:
        return f"did you mean msg.{like}?"
    return f"carried: {listing(keys)}; else send it: {{{name} = …}}"


def _handlers(file: AgentFile) -> dict[Variable, str]:
    """The parameter ``msg`` of each handler -> its kind."""
    found: dict[Variable, str] = {}
    for function in file.scopes.functions:
        target = _target(function.node)
        kind = handler_kind(file.tree, target) if target is not None else None
        if kind is not None and len(function.parameters) > 1:
            found[function.parameters[1]] = kind
    return found


def _target(function: Node) -> Node | None:
    """``on.kind`` of ``function on.kind(…)``."""
    name = function.get("name")
    return name if name is not None and "index" in name.type else None
