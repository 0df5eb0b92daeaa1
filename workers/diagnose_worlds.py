"""Habits from other frameworks that run here and change nothing, or change it twice."""

from __future__ import annotations

import re
from typing import Final

from runtime.protocol import ModelSpec
from workers.agent_file import AgentFile, api_name, literal
from workers.diagnose_state import stored_values
from workers.names import MOVES, PLACE_FIELDS
from workers.origins import layer_of
from workers.scope import Variable
from workers.syntax import Node, arguments

_ONE_A_CELL: Final = ("grid", "random_empty")
_AT_CELL: Final = frozenset({"count_at", "at", "neighbors_of"})
_FROM_PLACE: Final = frozenset(
    {"neighbors", "count_near", "nearest", "distance", "offset", "move_by"}
)
_LENGTH: Final = re.compile(r"space\.(width|height|depth)")
_TYPE_AT, _FIELD_AT, _VALUE_AT = 1, 2, 2


def diagnose_worlds(file: AgentFile, model: ModelSpec) -> None:
    """Report moves that move nobody, food eaten twice, and places counted from 1."""
    if file.features.space and not file.is_environment:
        _stands_still(file)
        _published_by_others(file, model)
    if file.features.layers and not file.is_environment:
        _taken_twice(file)
    if file.features.grid or file.features.layers:
        _cells(file)


def _called(file: AgentFile) -> set[str]:
    """The API functions that the script calls."""
    return {api_name(file.tree, use.node) for use in file.scopes.calls} & file.api


def _stands_still(file: AgentFile) -> None:
    """``self.x = self.x + 1`` in a script that never moves."""
    if _called(file) & MOVES:
        return
    for target, value in stored_values(file.scopes.stores):
        shown = file.text(target)
        name = file.text(target.children[-1])
        if target.type != "dot_index_expression" or name not in PLACE_FIELDS:
            continue
        own = target.children[0].var
        if not isinstance(own, Variable) or own.role != "parameter":
            continue
        if any(file.text(node) == shown for node in value.walk()):
            message = f"{shown} is a field like any other: the agent stays where it is"
            hint = "write move_by(dx, dy) or move_to(x, y); local x, y = position() is the place"
            if file.features.dimensions == 3:
                hint = hint.replace("dy)", "dy, dz)").replace("x, y", "x, y, z")
            file.warning(target, "move", message, hint)
            return


def _published_by_others(file: AgentFile, model: ModelSpec) -> None:
    """``count_near(1, "wolf", "energy", 0)`` where sheep publish it, and wolves do not."""
    published = {agent.name: agent.publish for agent in model.types}
    for use in file.scopes.calls:
        given = arguments(use.node)
        if api_name(file.tree, use.node) != "count_near" or len(given) <= _FIELD_AT:
            continue
        kind, field = literal(file.tree, given[_TYPE_AT]), literal(file.tree, given[_FIELD_AT])
        if kind not in published or field not in file.features.published:
            continue
        if field not in published[kind]:
            message = f"no {kind} publishes '{field}': this counts none"
            hint = f'add to [agents.{kind}] of model.toml: publish = ["{field}"]'
            file.warning(given[_FIELD_AT], "field", message, hint)


def diagnose_places(file: AgentFile, scripts: list[AgentFile]) -> None:
    """Report a type whose agents look around themselves and stand nowhere: no ``place``, or born
    into a single grid without one."""
    calls = _called(file)
    own = [use.node for use in file.scopes.calls if _looks_around(file, use.node)]
    if not file.features.space or not own or "move_to" in calls:
        return
    name = file.spec.name
    births = [
        (other, one)
        for other in scripts
        for one in other.spawned
        if one.agent_type in (name, None) and "spawn" in other.api
    ]
    if not file.spec.place and not births:
        message = f"a {name} stands nowhere: [agents.{name}] has no place"
        where = "random_empty" if file.features.single else "random"
        file.warning(own[0], "place", message, f'write there place = "{where}", or move_to in init')
    for other, one in births if file.features.single else []:
        if len(arguments(one.call)) <= _VALUE_AT:
            message = "in a single grid the newborn stands nowhere: its parent has the cell"
            hint = "write local x, y = random_empty(); if x then spawn(type, fields, x, y) end"
            other.warning(one.call, "place", message, hint)


def _looks_around(file: AgentFile, call: Node) -> bool:
    name = api_name(file.tree, call)
    return name in _FROM_PLACE or (name == "position" and not arguments(call))


# --- what two agents both take --------------------------------------------------------------------


def _taken_twice(file: AgentFile) -> None:
    """Where all act at once, two agents of one cell see the same food, and each eats all of it."""
    if "synchronous" not in file.features.regimes or file.features.single:
        return
    apart = file.spec.place in _ONE_A_CELL and not _called(file) & MOVES
    if apart or file.spec.alias:
        return
    if any(_counts_here(file, use.node) for use in file.scopes.calls):
        return
    read = {layer_of(file, use.node.children[0]) for use in file.scopes.calls}
    for use in file.scopes.calls:
        callee, given = use.node.children[0], arguments(use.node)
        if callee.type != "method_index_expression" or len(given) <= _VALUE_AT:
            continue
        layer, method = layer_of(file, callee.children[0]), file.text(callee.children[-1])
        if layer is None or layer not in read or not _takes(file, method, given[_VALUE_AT]):
            continue
        message = f"two agents at one cell would both take the same {layer}: all act at once, "
        message += "and each sees what the last tick left"
        hint = 'write activation = "random" in model.toml; or single = true in its space; or share'
        hint += f": layer.{layer}(x, y) / count_at(x, y)" if file.features.grid else " by message"
        file.warning(use.node, "twice", message, hint)
        return


def _counts_here(file: AgentFile, call: Node) -> bool:
    """Whether the call asks who else is at a cell."""
    name, given = api_name(file.tree, call), arguments(call)
    if name in _AT_CELL:
        return name in file.api
    return name in ("neighbors", "count_near") and bool(given) and file.text(given[0]) == "0"


def _takes(file: AgentFile, method: str, value: Node) -> bool:
    """Whether a write takes something away: ``add`` of less than nothing, ``set`` to nothing or to
    a difference."""
    while value.type == "parenthesized_expression":
        value = value.children[1]
    negative = value.type == "unary_expression" and value.children[0].type == "-"
    if method == "add":
        return negative
    minus = value.type == "binary_expression" and value.children[1].type == "-"
    return method == "set" and (minus or file.text(value) == "0")


# --- cells are counted from 0 ---------------------------------------------------------------------


def _cells(file: AgentFile) -> None:
    for node in file.tree.nodes:
        if node.type == "for_numeric_clause":
            start, end = node.get("start"), node.get("end")
            if start is None or end is None or _LENGTH.fullmatch(file.text(end)) is None:
                continue
            first, name = file.text(start), node.children[0]
            if first == "0" or (first == "1" and not _is_lowered(file, name)):
                _beyond(file, node, end, f"for {file.text(name)} = 0, {file.text(end)} - 1 do")
        elif node.type == "function_call" and api_name(file.tree, node) == "random":
            given = arguments(node)
            if len(given) == 2 and file.text(given[0]) == "0":
                _beyond(file, node, given[1], f"random(0, {file.text(given[1])} - 1)")


def _is_lowered(file: AgentFile, name: Node) -> bool:
    """Whether a loop's variable is used as ``x - 1``, so that it may well begin at 1."""
    return any(
        node.type == "binary_expression"
        and node.children[0].var is name.var
        and node.children[1].type == "-"
        for node in file.tree.nodes
    )


def _beyond(file: AgentFile, node: Node, end: Node, right: str) -> None:
    found = _LENGTH.fullmatch(file.text(end))
    if found is not None and end.children[0].var is None:
        length = found[0]
        message = f"cells go from 0 to {length} - 1: {length} is outside, or cell 0 on a torus"
        file.warning(node, "cell", message, f"write {right}")
