"""How one script uses what its model declares: types, published fields, the environment, layers."""

from __future__ import annotations

from typing import Final

from runtime.protocol import ModelSpec
from workers.agent_file import AgentFile, api_name, literal
from workers.diagnose_layers import diagnose_layers
from workers.diagnose_mail import type_name
from workers.diagnose_state import stored_values
from workers.diagnose_worlds import diagnose_worlds
from workers.expression_world import no_field, no_query, space_member
from workers.names import MUTATORS, TAKES_ID, listing, nearest
from workers.origins import fields_set, layer_of, origin
from workers.scope import Use
from workers.signatures import Signature, signature
from workers.syntax import OPERANDS, Node, arguments, is_called

_MAIL: Final = frozenset({"send", "ask"})
"""Their recipients are looked at by ``diagnose_mail``."""
_FROM_ONESELF: Final = frozenset({"neighbors", "count_near"})
TELL: Final = (
    'tell it: send("environment", "kind", {…}), and let function on.kind(env, msg) of '
    "environment.lua assign it"
)


def diagnose_features(file: AgentFile, model: ModelSpec, script: AgentFile | None) -> None:
    """Report wrong names of types, fields, layers and queries, and writes to what is read-only.

    ``script`` is environment.lua, None without one.
    """
    types = [agent.name for agent in model.types]
    for use in file.scopes.calls:
        name = api_name(file.tree, use.node)
        known = signature(name, file.features, file.role) if name in file.api else None
        if known is not None:
            _arguments(file, use.node, name, known, types)
    diagnose_layers(file)
    diagnose_worlds(file, model)
    _read_only(file)
    _kept(file)
    fields = fields_set(script) if script is not None else None
    for use in file.scopes.reads:
        if use.node.var is not None:
            continue
        name = file.text(use.node)
        index = use.node.parent
        if index is None or index.children[0] is not use.node or "index" not in index.type:
            continue
        if name == "space" and file.features.space:
            _space(file, index)
        elif name == "env" and script is not None and not file.is_environment:
            _environment(file, index, set(script.queries), fields, script.whole)


def _space(file: AgentFile, index: Node) -> None:
    problem = space_member(file.tree, index, file.features)
    if problem is not None:
        file.error(problem.node, "unknown", problem.message, problem.hint)
    elif is_called(index):
        shown = file.text(index).replace(":", ".")
        file.error(index, "call", f"{shown} is a number, not a function", f"write {shown}")


def _arguments(file: AgentFile, call: Node, name: str, known: Signature, types: list[str]) -> None:
    given = arguments(call)
    if not known.least <= len(given) <= known.most:
        return
    if name in TAKES_ID - _MAIL and given and file.text(given[0]) == "self":
        hint = f"write {known.form}, with self.id for oneself"
        file.error(given[0], "call", "self is the agent's table, not its id", hint)
    if name in _FROM_ONESELF and given and file.text(given[0]) in ("self", "self.id"):
        hint = f"write {known.form}; around another place: neighbors_of(x, y, r, type)"
        file.error(given[0], "call", f"{name} looks from one's own place: r comes first", hint)
        return
    if name == "look" and literal(file.tree, given[0]) in file.features.published:
        shown = f"look({file.text(given[1])}, {file.text(given[0])})"
        file.error(call, "call", "look takes the id first, then the field", f"write {shown}")
        return
    if known.radius_at == 0 and literal(file.tree, given[0]) in types:
        hint = f"write {known.form}"
        file.error(given[0], "call", "the radius comes first, then the type", hint)
        return
    if 0 <= known.type_at < len(given):
        wanted = given[known.type_at]
        if not type_name(file, wanted, known.form, types, known.any_type):
            return
    if name == "count_near" and len(given) == 3:
        message = "count_near compares a field with a value, and the value is missing"
        file.error(call, "call", message, f"write {known.form}")
    if 0 <= known.field_at < len(given):
        _published(file, given[known.field_at], known.form)
    if 0 <= known.radius_at < len(given):
        _radius(file, given[known.radius_at], known.form)


def _published(file: AgentFile, node: Node, form: str) -> None:
    name = literal(file.tree, node)
    published = file.features.published
    if name is None and node.type in ("number", "true", "false", "nil", "table_constructor"):
        file.error(node, "field", "a published field's name is a text", f"write {form}")
    if name is None or name in published:
        return
    like = nearest(name, published)
    publish = f'add it to publish in model.toml: publish = ["{name}"]'
    if like is not None:
        hint = f"did you mean '{like}'? Or {publish}"
    else:
        hint = f"published: {listing(published)}; else {publish}"
    file.error(node, "field", f"no agent type publishes a field '{name}'", hint)


def _radius(file: AgentFile, node: Node, form: str) -> None:
    shown = file.text(node)
    negative = node.type == "unary_expression" and shown.startswith("-")
    if node.type == "string" or (negative and node.children[-1].type == "number"):
        file.error(node, "call", f"r is a radius, 0 or more, not {shown}", f"write {form}")


# --- the environment, read by agents --------------------------------------------------------------


def _environment(
    file: AgentFile, index: Node, queries: set[str], fields: set[str] | None, whole: bool
) -> None:
    if index.type == "bracket_index_expression":
        return
    name = file.text(index.children[-1])
    parent = index.parent
    if index.type == "method_index_expression":
        file.error(index, "query", "a query is called with a dot", f"write env.{name}(…)")
        return
    called = is_called(index)
    if called and name not in queries and whole:
        message, hint = no_query(name, queries)
        if name in (fields or ()):
            hint = f"it is a field: write env.{name}, without ()"
        file.error(index, "query", message, hint)
    elif not called and name in queries:
        used = parent is not None and (
            parent.type in OPERANDS or ("index" in parent.type and parent.children[0] is index)
        )
        if used:
            message = f"env.{name} is a query, and is not called here"
            file.error(index, "query", message, f"write env.{name}(…)")
    elif not called and fields is not None and name not in fields and not _is_stored(file, index):
        file.warning(index, "field", *no_field(name, fields | queries))


def _is_stored(file: AgentFile, index: Node) -> bool:
    return any(use.node is index for use in file.scopes.stores)


# --- what a script cannot change ------------------------------------------------------------------


def _read_only(file: AgentFile) -> None:
    for use in file.scopes.stores:
        _stored(file, use)
    for use in file.scopes.calls:
        callee = use.node.children[0]
        given = arguments(use.node)
        if given and file.text(callee) in MUTATORS and callee.var is None:
            came_from = origin(file, given[0])
            if came_from == "env" and not file.is_environment and file.features.script:
                _written(file, use.node)


def _stored(file: AgentFile, use: Use) -> None:
    target = use.node
    came_from = origin(file, target.children[0])
    if came_from == "env" and not file.is_environment and file.features.script:
        _written(file, target)
    elif came_from == "space" and file.features.space:
        hint = "set it in [environment] of model.toml"
        file.error(target, "read-only", "the size of the space is fixed", hint)
    elif came_from == "layer" and file.features.layers:
        name = next(iter(file.features.layers))
        hint = f"one cell is changed with layer.{name}:set(x, y, v) or layer.{name}:add(x, y, v)"
        file.error(target, "read-only", "layers are not assigned to", hint)


def _kept(file: AgentFile) -> None:
    """``self.world = env``: what the runtime gives to read is no data to keep."""
    for target, value in stored_values(file.scopes.stores):
        base = target.children[0]
        if file.text(base) != file.role.me or base.var is None:
            continue
        name = file.text(value) if value.type == "identifier" and value.var is None else ""
        layer = layer_of(file, value)
        if layer is None and name not in file.api:
            continue
        shown = file.text(target)
        what = f"layer.{layer}" if layer is not None else name
        hint = f"use {what} itself where it is needed: every script has it"
        file.error(target, "state", f"{shown} cannot hold {what}: it is no data", hint)


def _written(file: AgentFile, node: Node) -> None:
    file.error(node, "read-only", "agents cannot write to the environment", TELL)
