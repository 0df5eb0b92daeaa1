"""``env``, ``layer`` and ``space`` in expressions: what they may be read for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from workers.expression_rules import Rules
from workers.features import Features
from workers.missing import lack_of
from workers.names import LAYER_METHODS, LAYER_READS, listing, nearest
from workers.syntax import Node, Tree, arguments, is_called


class Problem(NamedTuple):
    """Something wrong at ``node``."""

    node: Node
    message: str
    hint: str


def world_problem(
    tree: Tree,
    node: Node,
    rules: Rules,
    features: Features,
    queries: frozenset[str] | None,
    fields: frozenset[str] | None,
) -> Problem | None:
    """What is wrong with the ``env``, ``layer`` or ``space`` at ``node``, if anything.

    ``queries`` and ``fields`` are those of environment.lua; None: not known.
    """
    name = tree.slice(node)
    index = node.parent
    if index is None or index.children[0] is not node or not index.type.endswith("_expression"):
        index = None
    if name not in rules.world:
        return Problem(node, *_not_here(tree, name, rules, index, features))
    lack = lack_of(name, features)
    if lack is not None:
        return Problem(node, *lack)
    if index is None or "index" not in index.type:
        forms = {
            "env": "env.field, or env.name(...) for a query",
            "layer": f"layer.{features.layers[0] if features.layers else 'grass'}:sum()",
            "space": "space.width",
        }
        return Problem(node, f"{name} is a table, not a value", f"write {forms[name]}")
    if name == "env":
        return _environment(tree, index, queries, fields)
    return _layer(tree, index, features) if name == "layer" else space_member(tree, index, features)


def _not_here(
    tree: Tree, name: str, rules: Rules, index: Node | None, features: Features
) -> tuple[str, str]:
    member = tree.slice(index.children[-1]) if index is not None else ""
    if rules.cells:
        if name == "layer" and member in features.layers:
            return "a layer's step reads other layers at its own cell", f"write {member}"
        message = f"a layer's step does not see {name}"
        return message, "use a parameter; or write function step(env) of environment.lua instead"
    if rules.world:
        return f"{name} cannot be read here", "use parameters, or set the field in init(self)"
    message = f"{name} cannot be read here: this is evaluated before there is a world"
    if "i" in rules.names:
        return message, "use parameters and i, or call move_to in init(self)"
    return message, "use parameters, x, y and random()" if "x" in rules.names else "use parameters"


def _environment(
    tree: Tree, index: Node, queries: frozenset[str] | None, fields: frozenset[str] | None
) -> Problem | None:
    if index.type == "bracket_index_expression":
        return None
    name = tree.slice(index.children[-1])
    if index.type == "method_index_expression":
        return Problem(index, "a query is called with a dot", f"write env.{name}(...)")
    queries_known = queries is not None
    queries = queries or frozenset()
    called = is_called(index)
    if called and queries_known and name not in queries:
        return Problem(index, *no_query(name, queries))
    if not called and name in queries:
        message = f"{name} is a query of environment.lua and must be called"
        return Problem(index, message, f"write env.{name}(...)")
    if not called and fields is not None and name not in fields:
        return Problem(index, *no_field(name, fields | queries))
    return None


def no_field(name: str, known: Iterable[str]) -> tuple[str, str]:
    """Why ``env.name`` is nil. ``known``: fields and queries of environment.lua."""
    like = nearest(name, known)
    return (
        f"environment.lua sets no field '{name}': it is always nil",
        f"did you mean env.{like}?" if like else f"set env.{name} in function init(env) there",
    )


def no_query(name: str, queries: Iterable[str]) -> tuple[str, str]:
    """Why ``env.name(...)`` cannot be called."""
    like = nearest(name, queries)
    write = f"function query.{name}(env, ...) in environment.lua"
    return (
        f"environment.lua has no query '{name}'",
        f"did you mean env.{like}? Or write {write}"
        if like
        else f"queries: {listing(queries)}; another is written {write}",
    )


def no_layer(name: str, features: Features) -> tuple[str, str]:
    """Why there is no such layer."""
    like = nearest(name, features.layers)
    return (
        f"there is no layer '{name}'",
        f"did you mean layer.{like}?" if like else f"layers: {listing(features.layers)}",
    )


def _layer(tree: Tree, index: Node, features: Features) -> Problem | None:
    name = tree.slice(index.children[-1])
    if index.type == "bracket_index_expression":
        return Problem(index, "the layer must be written out here", "write layer.grass:sum()")
    if name not in features.layers:
        return Problem(index, *no_layer(name, features))
    outer = index.parent
    own = outer is not None and outer.children[0] is index
    if index.type == "method_index_expression":
        return Problem(index, f"{name} is no method", f"write layer.{name}(x, y)")
    if outer is not None and is_called(index):
        if len(arguments(outer)) != 2:
            message = f"layer.{name} is read at a place of two coordinates"
            return Problem(outer, message, f"write layer.{name}(x, y)")
        return None
    if own and outer is not None and "index" in outer.type:
        method = tree.slice(outer.children[-1])
        if outer.type == "method_index_expression" and method in LAYER_READS:
            return None
        if outer.type == "dot_index_expression" and method in LAYER_READS:
            message = f"{method} is a method of layers"
            return Problem(outer, message, f"write layer.{name}:{method}()")
        if method in LAYER_METHODS:
            message = f"an expression only reads: it cannot call {method}"
            return Problem(outer, message, f"layers can be read with {listing(LAYER_READS)}")
        like = nearest(method, LAYER_READS)
        return Problem(
            outer,
            f"a layer has no '{method}'",
            f"did you mean layer.{name}:{like}()?" if like else f"it has {listing(LAYER_READS)}",
        )
    return Problem(
        index,
        f"layer.{name} is a whole layer, not a value",
        f"write layer.{name}:sum(), or layer.{name}(x, y) for one cell",
    )


def space_member(tree: Tree, index: Node, features: Features) -> Problem | None:
    """What is wrong with a member of ``space``."""
    members = ["width", "height"] + (["depth"] if features.dimensions == 3 else [])
    name = tree.slice(index.children[-1])
    if index.type != "dot_index_expression" or name in members:
        return None
    like = nearest(name, members)
    hint = f"did you mean space.{like}?" if like else f"space has: {', '.join(members)}"
    if name == "depth":
        hint = "this space has two dimensions: width and height"
    return Problem(index, f"there is no space.{name}", hint)
