"""Where a value comes from, as far as the text shows it."""

from __future__ import annotations

from workers.agent_file import AgentFile, api_name, literal
from workers.scope import Variable
from workers.syntax import INDEX, Node, arguments


def origin(file: AgentFile, node: Node) -> str | None:
    """The global that ``node`` is, lies in, or is the answer of: ``env`` for ``env.list[1]``, for
    ``env.best()``, and for a local that holds one of these. None where that is not certain."""
    while True:
        if node.type in INDEX:
            node = node.children[0]
        elif node.type == "parenthesized_expression":
            node = node.children[1]
        elif node.type == "function_call" and node.children[0].type == "dot_index_expression":
            # An answer of a query is a view too; those of other functions are fresh.
            callee = node.children[0].children[0]
            if callee.type != "identifier" or callee.var is not None or file.text(callee) != "env":
                return None
            node = callee
        elif node.type != "identifier":
            return None
        elif not isinstance(node.var, Variable):
            return file.text(node)
        else:
            came_from = _value_of(file, node.var)
            if came_from is None:
                return None
            node = came_from


def _value_of(file: AgentFile, variable: Variable) -> Node | None:
    """What a local holds for all its life: its initial value, or elements of what it walks."""
    if variable.writes:
        return None
    if variable.value is not None:
        return variable.value
    loop = variable.loop
    if loop is None or variable.position != 1 or loop.type != "function_call":
        return None
    given = arguments(loop)
    return given[0] if given and api_name(file.tree, loop) in ("pairs", "ipairs") else None


def layer_of(file: AgentFile, node: Node) -> str | None:
    """The name of the layer that ``node`` is: of ``layer.grass``, or of a local that holds it."""
    for _ in range(8):
        if node.type in INDEX:
            base = node.children[0]
            if base.type != "identifier" or base.var is not None or file.text(base) != "layer":
                return None
            return file.text(node.children[-1]) if node.type == "dot_index_expression" else None
        if node.type != "identifier" or not isinstance(node.var, Variable):
            return None
        value = _value_of(file, node.var)
        if value is None or node.var.loop is not None:
            return None
        node = value
    return None


def fields_set(script: AgentFile) -> set[str] | None:
    """The fields that environment.lua sets somewhere; None where that cannot be known."""
    if not script.whole:
        return None
    known: set[str] = set()
    for use in script.scopes.stores:
        target = use.node
        if target.type != "bracket_index_expression":
            known.add(script.text(target.children[-1]))
            continue
        key = literal(script.tree, target.get("field"))
        base = target.children[0].var
        if key is None and isinstance(base, Variable) and base.role == "parameter":
            return None
        known |= {key} if key is not None else set()
    if any(script.text(use.node) == "rawset" for use in script.scopes.reads):
        return None
    for node in script.tree.nodes:
        name = node.get("name") if node.type == "field" else None
        if name is not None:
            known.add(script.text(name))
    return known
