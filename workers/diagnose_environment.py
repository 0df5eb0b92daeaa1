"""environment.lua: what its queries are, and that they only read."""

from __future__ import annotations

import re
from typing import Final

from workers.agent_file import AgentFile, api_name, query_name, root_of
from workers.diagnose_state import stored_values
from workers.names import LAYER_WHOLE, LAYER_WRITES
from workers.origins import layer_of
from workers.scope import Function, Variable
from workers.syntax import Node

_ACTING: Final = frozenset({"send", "broadcast", "after", "spawn", "record"})
_QUERY: Final = re.compile(r"query\s*[.\[]")
_NOT_FUNCTIONS: Final = ("number", "string", "true", "false", "nil", "table_constructor")


def diagnose_environment(file: AgentFile) -> None:
    """Report definitions of queries that cannot be called, and queries that act."""
    _definitions(file)
    _parameters(file)
    _fields_called_like_queries(file)
    _acting(file)


def _definitions(file: AgentFile) -> None:
    seen: dict[str, Node] = {}
    for use in file.scopes.stores:
        target = use.node
        base = target.children[0]
        if base.type != "identifier" or base.var is not None or file.text(base) != "query":
            continue
        name = query_name(file.tree, target)
        if target.type == "method_index_expression":
            shown = file.text(target.children[-1])
            message = "a query is written with a dot: its parameter env is the environment"
            file.error(target, "query", message, f"write function query.{shown}(env, …)")
        elif name is None or not name.isidentifier():
            message = "a query's name must be written out, so that calls can be checked"
            file.error(target, "query", message, "write function query.name(env, …)")
        elif not use.function.is_file:
            message = f"query '{name}' is defined inside a function"
            file.error(target, "query", message, "define queries at file level")
        elif name in seen:
            message = f"there is a query '{name}' already, on line {_line(file, seen[name])}"
            hint = "rename one of them: the later one would replace the earlier"
            file.error(target, "query", message, hint)
        else:
            seen[name] = target
    for target, value in stored_values(file.scopes.stores):
        name = query_name(file.tree, target)
        if name is not None and value.type in _NOT_FUNCTIONS:
            message = f"query '{name}' must be a function"
            hint = f"write function query.{name}(env) … end; a value is a field: env.{name} = …"
            file.error(target, "query", message, hint)


def _line(file: AgentFile, node: Node) -> int:
    return file.tree.line(node.start)


def _parameters(file: AgentFile) -> None:
    for function in file.scopes.functions:
        if not _QUERY.match(function.name) or not function.parameters:
            continue
        first = function.parameters[0]
        if first.name in ("env", "_") or first.node.type != "identifier":
            continue
        others = ", ".join(one.name for one in function.parameters)
        message = f"the first parameter of {function.name} is the environment, not '{first.name}'"
        hint = f"write function {function.name}(env, {others}); agents leave env out"
        file.error(first.node, "query", message, hint)


def _fields_called_like_queries(file: AgentFile) -> None:
    for use in file.scopes.stores:
        target = use.node
        variable = target.children[0].var
        if target.type != "dot_index_expression" or not isinstance(variable, Variable):
            continue
        name = file.text(target.children[-1])
        if variable.name == "env" and variable.role == "parameter" and name in file.queries:
            line = _line(file, file.queries[name])
            message = f"'{name}' is a query (line {line}) and a field: env.{name} would be both"
            file.error(target, "clash", message, "rename one of them")


def _acting(file: AgentFile) -> None:
    """What a query itself does; what it calls is left to the run."""
    for use in file.scopes.calls:
        name = _query_around(use.function)
        if name is None:
            continue
        called = api_name(file.tree, use.node)
        callee = use.node.children[0]
        method = file.text(callee.children[-1]) if "index" in callee.type else ""
        changes = method in LAYER_WRITES | LAYER_WHOLE and layer_of(file, callee.children[0])
        if called in _ACTING or changes:
            _refuse(file, use.node, name, f"call {called or f'layer.{changes}:{method}'}")
    for use in file.scopes.stores:
        name = _query_around(use.function)
        variable = root_of(use.node).var
        if name is None or not isinstance(variable, Variable) or variable.role != "parameter":
            continue
        if _is_query(variable.function) and variable is variable.function.parameters[0]:
            _refuse(file, use.node, name, "assign to the environment")


def _is_query(function: Function) -> bool:
    return _QUERY.match(function.name) is not None


def _query_around(function: Function | None) -> str | None:
    """The name of the query that the function is, or is written in."""
    while function is not None:
        if _is_query(function):
            return function.name
        function = function.parent
    return None


def _refuse(file: AgentFile, node: Node, query: str, what: str) -> None:
    message = f"{query} only reads, as every query: it cannot {what}"
    hint = "do it in init, step or a handler of environment.lua, to which agents send"
    file.error(node, "query", message, hint)
