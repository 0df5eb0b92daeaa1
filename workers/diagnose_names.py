"""Names of one script: undeclared, misspelt, foreign, or the runtime's own."""

from __future__ import annotations

import re
from typing import Final

from runtime.protocol import ModelSpec
from workers.agent_file import AgentFile, literal, root_of
from workers.diagnose_ids import is_id
from workers.missing import why_missing
from workers.names import (
    AGGREGATES,
    API,
    FOREIGN_FUNCTIONS,
    FOREIGN_GLOBALS,
    FOREIGN_MEMBERS,
    HOOKS,
    LAYER_METHODS,
    LIBRARIES,
    VALUES,
    listing,
    nearest,
)
from workers.scope import Use, Variable
from workers.syntax import OPERANDS, Node, arguments, is_called

_RESERVED: Final = re.compile(r"__[A-Z]")
_USAGE: Final = {
    "tick": "tick()", "random": "random()", "agents": 'agents("type")', "message": "message()",
    "choice": "choice(list)", "normal": "normal(mean, sd)", "remove": "remove()",
    "position": "position()", "links": "links()", "degree": "degree()",
    "empty_cells": "empty_cells()",
}  # fmt: skip


def diagnose_names(file: AgentFile, model: ModelSpec, shared: set[str]) -> None:
    """Report every name that means nothing here, or something else than it seems. ``shared``: the
    fields of the environment."""
    _undeclared(file, model, shared)
    _reserved(file)
    _members(file, model)
    _redefined(file)
    _functions_as_values(file)
    _methods(file)


def _undeclared(file: AgentFile, model: ModelSpec, shared: set[str]) -> None:
    defined = set(file.scopes.globals_written(file.tree)) | file.declared
    known = file.globals
    uses: dict[str, list[Use]] = {}
    for use in file.scopes.reads:
        name = file.text(use.node)
        if use.node.var is None and name not in defined and name not in known:
            uses.setdefault(name, []).append(use)
    for name, listed in uses.items():
        if _RESERVED.match(name):
            continue
        code, message, hint = _why_undeclared(file, model, name, listed[0], defined, shared)
        lines = sorted({file.tree.line(use.node.start) for use in listed[1:]})
        lines = [line for line in lines if line != file.tree.line(listed[0].node.start)]
        if lines:
            shown = ", ".join(map(str, lines[:6])) + (", …" if len(lines) > 6 else "")
            message += f" (also on line{'s' if len(lines) > 1 else ''} {shown})"
        node = listed[0].node
        file.error(node if name in API else _whole(node), code, message, hint)


def _whole(node: Node) -> Node:
    """``os.time`` rather than ``os``, where the name is followed by a field."""
    parent = node.parent
    if parent is not None and parent.type == "dot_index_expression" and parent.children[0] is node:
        return parent
    return node


def _why_undeclared(
    file: AgentFile, model: ModelSpec, name: str, use: Use, defined: set[str], shared: set[str]
) -> tuple[str, str, str]:
    """(code, message, hint)."""
    undeclared = f"undeclared global '{name}'"
    if any(name == parameter.name for parameter in model.parameters):
        return "undeclared", undeclared, f"a parameter is param.{name}"
    me = file.role.me
    fields = {
        file.text(store.node.children[-1])
        for store in file.scopes.stores
        if store.node.type == "dot_index_expression" and file.text(store.node.children[0]) == me
    } | {field.name for field in file.spec.state}
    if name in fields:
        return "undeclared", undeclared, f"{file.role.who}'s own field is {me}.{name}"
    missing = why_missing(name, file.role, file.features)
    if missing is not None:
        why, cure = missing
        return "feature", why, cure.replace('"heading"', _second_argument(file, use, '"heading"'))
    if name in file.features.layers:
        return "undeclared", undeclared, f"a layer is read with layer.{name}(x, y)"
    if name in shared and not file.is_environment:
        return "undeclared", undeclared, f"the environment's field is env.{name}"
    if name in FOREIGN_GLOBALS:
        message, hint = FOREIGN_GLOBALS[name]
        return "undeclared", message, hint.replace("(self, msg, from)", file.role.handler)
    parent = use.node.parent
    if name == "f" and parent is not None and parent.type == "function_call":
        given = parent.child("arguments")
        if given is not None and given.children[0].type == "string":
            return (
                "undeclared",
                'f"…" is not Lua',
                'write "a " .. x, or string.format("a %d", x)',
            )
    if any(name == agent.name for agent in model.types):
        return "undeclared", undeclared, f'an agent type is named in quotes: "{name}"'
    if name in AGGREGATES:
        return "undeclared", *_aggregate(file, name)
    return "undeclared", *_alike(file, name, use, defined)


def _aggregate(file: AgentFile, name: str) -> tuple[str, str]:
    """``count("sheep")``, which is for expressions of model.toml."""
    message = f"{name} is an aggregate: it stands in metrics and queries, not in scripts"
    if name == "count":
        return message, 'write #agents("type")'
    what = "look(id, field)" if "look" in file.api else "what agents send"
    return message, f'loop: for _, id in ipairs(agents("type")) do …, over {what}'


def _second_argument(file: AgentFile, use: Use, default: str) -> str:
    """The field of ``look(id, "field")`` as written, in double quotes."""
    call = use.node.parent
    given = arguments(call) if call is not None and call.type == "function_call" else []
    name = literal(file.tree, given[1]) if len(given) > 1 else None
    return f'"{name}"' if name is not None and file.text(use.node) == "look" else default


def _alike(file: AgentFile, name: str, use: Use, defined: set[str]) -> tuple[str, str]:
    locals_ = {variable.name for variable in file.scopes.variables}
    like = nearest(name, file.globals | defined | locals_)
    called = is_called(use.node)
    message = f"{'unknown function' if called else 'undeclared global'} '{name}'"
    if like is not None:
        form = " (a local of another function or block)" if like == name else ""
        return message, f"did you mean {like}?{form}"
    other = nearest(name, API) if called else None
    missing = why_missing(other, file.role, file.features) if other is not None else None
    if missing is not None:
        return message, f"did you mean {other}? {missing[0]}: {missing[1]}"
    if called:
        return message, f"the runtime gives: {listing(file.api - VALUES, 40)}"
    return message, f"declare it (local {name} = …), or keep it in {file.role.me}.{name}"


def _reserved(file: AgentFile) -> None:
    nodes = [use.node for use in (*file.scopes.reads, *file.scopes.writes)]
    nodes += [variable.node for variable in file.scopes.variables]
    for node in nodes:
        if node.type == "identifier" and _RESERVED.match(file.text(node)):
            file.error(
                node, "reserved", f"names like {file.text(node)} belong to the runtime",
                "rename it: names do not begin with __ and a capital",
            )  # fmt: skip
    for variable in file.scopes.variables:
        # In Lua 5.2 a local of this name would take the place of the globals.
        if file.text(variable.node) == "_ENV":
            why, cure = FOREIGN_GLOBALS["_ENV"]
            file.error(variable.node, "reserved", why, cure)
    for node in file.tree.nodes:
        # LuaJIT takes it for a name where no statement can stand; Lua 5.2 does not.
        if node.type == "identifier" and file.tree.slice(node) == "goto":
            file.error(
                node, "reserved", "goto is a word of Lua and cannot be a name",
                'rename it, or write ["goto"]',
            )  # fmt: skip


def _members(file: AgentFile, model: ModelSpec) -> None:
    parameters = {parameter.name for parameter in model.parameters}
    for use in file.scopes.reads:
        node, name = use.node, file.text(use.node)
        index = node.parent
        if node.var is not None or index is None or index.children[0] is not node:
            continue
        member = _member(file, index)
        if member is None:
            continue
        if name == "param" and member not in parameters:
            like = nearest(member, parameters)
            file.error(
                index, "parameter", f"there is no parameter '{member}'",
                f"did you mean param.{like}?" if like
                else f"parameters: {listing(parameters)}; declare it in [parameters] of model.toml",
            )  # fmt: skip
        elif name in LIBRARIES and member not in LIBRARIES[name]:
            full = f"{name}.{member}"
            like = nearest(member, LIBRARIES[name])
            message, hint = FOREIGN_MEMBERS.get(
                full,
                (
                    f"there is no {full}",
                    f"did you mean {name}.{like}?" if like
                    else f"{name} has: {listing(LIBRARIES[name], 30)}",
                ),
            )  # fmt: skip
            file.error(index, "unknown", message, hint)


def _member(file: AgentFile, index: Node) -> str | None:
    if index.type == "dot_index_expression":
        return file.text(index.children[-1])
    if index.type == "bracket_index_expression":
        return literal(file.tree, index.get("field"))
    return None


def _redefined(file: AgentFile) -> None:
    known = file.globals | {"env", "on", "query"}
    for use in file.scopes.writes:
        name = file.text(use.node)
        if use.node.var is not None or name not in known:
            continue
        hook = FOREIGN_FUNCTIONS.get(name)
        if hook and use.function.is_file:
            hint = f"the function the runtime calls is {hook}({file.role.me})"
        else:
            hint = f"rename it, or make it local: local my_{name} = …"
        if name == "env" and not file.is_environment:
            hint += '; the environment is changed by send("environment", kind, body)'
        file.error(
            use.node, "redefined", f"'{name}' is the runtime's and cannot be redefined", hint
        )
    for use in file.scopes.stores:
        base = use.node.children[0]
        if base.type != "identifier" or base.var is not None:
            continue
        name = file.text(base)
        if name in LIBRARIES:
            file.error(
                use.node, "redefined", f"the {name} library is read-only",
                "write a local function at the top of the file",
            )  # fmt: skip
        elif name == "param":
            file.error(
                use.node, "redefined", "parameters are read-only while the model runs",
                f"keep what changes in {file.role.me}",
            )  # fmt: skip
    _shadows(file)


def _shadows(file: AgentFile) -> None:
    """A local that hides a function and is then called all the same: ``local tick = tick()``."""
    known = file.globals | HOOKS
    for use in file.scopes.calls:
        callee = use.node.children[0]
        variable = callee.var
        if not isinstance(variable, Variable) or variable.name not in known:
            continue
        value = variable.value
        if value is None or variable.writes:
            continue
        own = value.type == "function_call" and file.text(value.children[0]) == variable.name
        if own or value.type in ("number", "string", "table_constructor", "true", "false", "nil"):
            line = file.tree.line(variable.node.start)
            file.error(
                callee, "shadowed",
                f"'{variable.name}' is a local value here (line {line}), no longer the function",
                f"rename the local: local now = {variable.name}()" if own else "rename the local",
            )  # fmt: skip


def _functions_as_values(file: AgentFile) -> None:
    """``tick % 10`` computes with the function; ``agents.wolf`` indexes it."""
    functions = file.api - VALUES
    for use in file.scopes.reads:
        node, name = use.node, file.text(use.node)
        parent = node.parent
        if node.var is not None or name not in functions or parent is None:
            continue
        operand = parent.type in OPERANDS and parent.children[-2].type not in (
            "==",
            "~=",
            "and",
            "or",
        )
        operand = operand and parent.children[0].type not in ("not",)
        indexed = parent.children[0] is node and parent.type.endswith("index_expression")
        if operand or indexed:
            form = _USAGE.get(name, f"{name}(…)")
            file.error(
                node, "call", f"{name} is a function, and is not called here", f"write {form}"
            )


_LIST_HINTS: Final = {
    "push": "write list[#list + 1] = x", "append": "write list[#list + 1] = x",
    "add": "write list[#list + 1] = x", "insert": "write table.insert(list, x)",
    "pop": "write table.remove(list)", "remove": "write table.remove(list, i)",
    "sort": "write table.sort(list)", "concat": "write table.concat(list)",
    "join": "write table.concat(list, separator)", "length": "write #list",
    "size": "write #list", "count": "write #list",
}  # fmt: skip


def _methods(file: AgentFile) -> None:
    """Method calls on values that cannot have the method.

    State, messages and parameters carry no functions, and every script is one file: so a method
    that no field of this file defines exists on strings alone.
    """
    stored = {file.text(node.children[-1]) for node in (use.node for use in file.scopes.stores)}
    keys = {
        file.text(name)
        for node in file.tree.nodes
        if node.type == "field" and (name := node.get("name")) is not None
    }
    defined_functions = {function.name for function in file.scopes.functions}
    for use in file.scopes.calls:
        callee = use.node.children[0]
        if callee.type == "method_index_expression":
            method = file.text(callee.children[-1])
            if method in LIBRARIES["string"] or method in stored or method in keys:
                continue
            base = root_of(callee)
            if base.var is None and file.text(base) in ("layer", "env", "space", "query", "on"):
                continue
            if (file.features.layers and method in LAYER_METHODS) or is_id(
                file, callee.children[0]
            ):
                continue
            owner = file.text(callee.children[0])
        elif (
            callee.type == "dot_index_expression"
            and file.text(callee.children[0]) == file.role.me
            and callee.children[0].var is not None
        ):
            method, owner = file.text(callee.children[-1]), file.role.me
            if method in stored or method in keys:
                continue
        else:
            continue
        if owner in LIBRARIES or (owner in FOREIGN_GLOBALS and owner not in ("self", "msg")):
            continue
        given = ", ".join(file.text(one) for one in arguments(use.node))
        if owner in ("self", "msg", file.role.me):
            if method in file.api:
                hint = f"{method} is a function of its own: write {method}({given})"
            elif method in defined_functions:
                hint = f"write {method}({', '.join(filter(None, (owner, given)))})"
            elif method in FOREIGN_GLOBALS and (method != "move" or file.features.space):
                hint = FOREIGN_GLOBALS[method][1]
            else:
                hint = f"write local function {method}({owner}, …), and call {method}({owner}, …)"
            message = f"{owner} has no functions, only data: nothing can be called as {owner}"
            message += f"{':' if callee.type.startswith('method') else '.'}{method}"
        else:
            message = f"nothing here has a method '{method}'"
            hint = _LIST_HINTS.get(method, "")
            if not hint and method in file.api:
                hint = f"{method} is a function of its own: write {method}({given})"
            hint = hint or FOREIGN_MEMBERS.get(f"string.{method}", ("", ""))[1]
            like = nearest(method, LIBRARIES["string"])
            hint = hint or (f"did you mean {like}?" if like else f"write {method}({owner}, …)")
        file.error(callee, "method", message, hint)
