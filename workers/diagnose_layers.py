"""Layers in a script: their names, their methods, and how a cell is read and changed."""

from __future__ import annotations

from typing import Final

from workers.agent_file import AgentFile, literal
from workers.expression_world import no_layer
from workers.names import LAYER_METHODS, LAYER_READS, LAYER_WRITES, listing, nearest
from workers.origins import layer_of
from workers.syntax import OPERANDS, Node, arguments, is_called, is_multi

_FORMS: Final = {
    "add": "x, y, v", "set": "x, y, v", "count": "v", "sum": "", "mean": "", "min": "", "max": "",
    "fill": "v", "diffuse": "rate", "decay": "rate", "around": "x, y",
    "map": "function(v, x, y) return … end",
}  # fmt: skip
"""Method -> its arguments."""
_READING: Final = ("get", "at", "read", "value", "cell")
_NOT_OPERATORS: Final = ("==", "~=", "and", "or", "not")


def diagnose_layers(file: AgentFile) -> None:
    """Report what cannot work with the layers that the model declares."""
    if not file.features.layers:
        return
    for use in file.scopes.reads:
        node = use.node
        index = node.parent
        if node.var is not None or file.text(node) != "layer" or index is None:
            continue
        if index.children[0] is node and "index" in index.type:
            _member(file, index)
        elif is_called(node):
            hint = f"write layer.{file.features.layers[0]}(x, y)"
            file.error(node, "layer", "layer is the table of all layers", hint)
    for use in file.scopes.calls:
        _call(file, use.node)
    stored = {id(node) for use in file.scopes.stores for node in _inside(use.node)}
    for node in file.tree.nodes:
        if node.type in OPERANDS:
            _operand(file, node)
        elif node.type == "bracket_index_expression" and id(node) not in stored:
            _cell(file, node)


def _member(file: AgentFile, index: Node) -> None:
    name: str | None = file.text(index.children[-1])
    if index.type == "bracket_index_expression":
        name = literal(file.tree, index.get("field"))
    if name is None:
        return
    if name not in file.features.layers:
        message, hint = no_layer(name, file.features)
        if name in LAYER_METHODS:
            hint = f"methods stand behind a layer's name: layer.{file.features.layers[0]}:{name}"
            hint += f"({_FORMS[name]})"
        file.error(index, "layer", message, hint)
    elif index.type == "method_index_expression":
        hint = f"write layer.{name}(x, y)"
        file.error(index, "layer", "a layer is named with a dot", hint)


def _call(file: AgentFile, call: Node) -> None:
    callee = call.children[0]
    given = arguments(call)
    open_ended = bool(given) and is_multi(given[-1])
    if layer_of(file, callee) in file.features.layers:
        if len(given) != 2 and not (open_ended and len(given) < 2):
            shown = file.text(callee)
            message = f"{shown} is read at a cell, and takes 2 arguments, not {len(given)}"
            file.error(call, "call", message, f"write {shown}(x, y)")
        return
    if callee.type not in ("method_index_expression", "dot_index_expression"):
        return
    base, method = callee.children[0], file.text(callee.children[-1])
    if layer_of(file, base) is None:
        return
    shown = file.text(base)
    if method not in LAYER_METHODS:
        allowed = _allowed(file)
        like = nearest(method, allowed)
        hint = f"did you mean {shown}:{like}(…)?" if like else f"it has {listing(allowed)}"
        if method in _READING:
            hint = f"one cell is read with {shown}(x, y)"
        file.error(callee, "layer", f"a layer has no method '{method}'", hint)
    elif method not in _allowed(file):
        message = f"{method} is the environment's: it works on the whole layer"
        hint = f"call it in function step(env) of environment.lua; one cell: {shown}:set(x, y, v)"
        if method == "around":
            message = "around is the environment's"
            hint = f"write {shown}(x, y) for each of the cells"
        file.error(callee, "layer", message, hint)
    elif callee.type == "dot_index_expression":
        write = f"write {shown}:{method}({_FORMS[method]})"
        file.error(callee, "layer", f"{method} is a method: it is called with a colon", write)
    else:
        form = _FORMS[method]
        wanted = 1 if method == "map" else len(form.split(",")) if form else 0
        if len(given) != wanted and not (open_ended and len(given) < wanted):
            message = f"{method} takes {wanted} argument{'s' if wanted != 1 else ''}"
            message += f", not {len(given)}"
            file.error(call, "call", message, f"write {shown}:{method}({form})")


def _allowed(file: AgentFile) -> frozenset[str]:
    return LAYER_METHODS if file.is_environment else LAYER_READS | LAYER_WRITES


def _inside(target: Node) -> list[Node]:
    """An index expression with those that it begins with."""
    found = []
    while "index" in target.type:
        found.append(target)
        target = target.children[0]
    return found


def _operand(file: AgentFile, node: Node) -> None:
    """``layer.grass > 3``."""
    if any(child.type in _NOT_OPERATORS for child in node.children):
        return
    for child in node.children:
        if layer_of(file, child) is not None:
            shown = file.text(child)
            message = f"{shown} is a whole layer, not a number"
            file.error(child, "layer", message, f"write {shown}(x, y), or {shown}:sum()")


def _cell(file: AgentFile, node: Node) -> None:
    """``layer.grass[x][y]``."""
    if layer_of(file, node.children[0]) is not None:
        shown = file.text(node.children[0])
        file.error(node, "layer", "a cell is read by a call", f"write {shown}(x, y)")
