"""How one script uses the runtime: handlers, hooks, calls of the API, and habits from elsewhere."""

from __future__ import annotations

import re
from typing import Final

from workers.agent_file import AgentFile, Named, api_name, handler_kind, is_handler, literal
from workers.diagnose_state import stored_values
from workers.diagnose_values import diagnose_values
from workers.names import FOREIGN_FUNCTIONS, HOOKS
from workers.scope import Function, Variable
from workers.signatures import signature
from workers.syntax import Node, arguments, is_multi

_BODY_AT: Final = {"send": 2, "broadcast": 2, "after": 2, "ask": 2, "spawn": 1}
_DELAY_AT: Final = {"send": 3, "broadcast": 3, "after": 0}
_LITERALS: Final = ("number", "string", "true", "false", "function_definition")
_ARITHMETIC: Final = ("+", "-", "*", "/", "%", "//", "^")
_HANDLER_LIKE: Final = re.compile(r"(?:on_?|handle_?|receive_?)([A-Za-z]\w*)")
_NOT_ME: Final = frozenset({"msg", "message", "m", "from", "body", "sender", "data", "payload"})


def diagnose_usage(file: AgentFile) -> None:
    """Report calls and definitions that cannot do what they seem to."""
    _handlers(file)
    _hooks(file)
    _never_called(file)
    _calls(file)
    _varargs(file)
    _operators(file)
    _loops_from_zero(file)
    diagnose_values(file)


# --- definitions ----------------------------------------------------------------------------------


def _handlers(file: AgentFile) -> None:
    seen: dict[str, Node] = {}
    me = file.role.me
    for use in file.scopes.stores:
        target = use.node
        base = target.children[0]
        if base.type != "identifier" or base.var is not None or file.text(base) != "on":
            continue
        kind = handler_kind(file.tree, target)
        if target.type == "method_index_expression":
            name = file.text(target.children[-1])
            file.error(
                target, "handler", 
                f"a handler is written with a dot: its parameter {me} is {file.role.who}",
                f"write function on.{name}{file.role.handler}",
            )  # fmt: skip
        elif kind is None:
            file.error(
                target, "handler", 
                "a handler's kind must be written out, so that sends can be checked",
                f"write function on.kind{file.role.handler}",
            )  # fmt: skip
        elif not use.function.is_file:
            file.error(
                target, "handler", f"handler '{kind}' is defined inside a function",
                f"define handlers at file level, and choose inside them: if {me}.phase == … then",
            )  # fmt: skip
        elif kind in seen:
            line = file.tree.line(seen[kind].start)
            file.error(
                target, "handler", f"'{kind}' has a handler already, on line {line}",
                "join the two: the later one would replace the earlier",
            )  # fmt: skip
        else:
            seen[kind] = target
    for target, value in stored_values(file.scopes.stores):
        kind = handler_kind(file.tree, target)
        if kind is not None and value.type in (*_LITERALS[:-1], "table_constructor", "nil"):
            file.error(
                target, "handler", f"handler '{kind}' must be a function",
                f"write function on.{kind}{file.role.handler} … end",
            )  # fmt: skip
    _first_parameters(file)


def _first_parameters(file: AgentFile) -> None:
    """``function on.ping(msg)``: what is called ``msg`` there is the agent."""
    not_me = _NOT_ME | ({"self", "agent"} if file.is_environment else {"env", "environment"})
    for function in file.scopes.functions:
        is_hook = function.name in HOOKS and function.parent is not None and function.parent.is_file
        if not (is_hook or is_handler(function)) or not function.parameters:
            continue
        first = function.parameters[0]
        if first.name in not_me and first.node.type == "identifier":
            form = f"({file.role.me})" if is_hook else file.role.handler
            file.error(
                first.node, "handler",
                f"the first parameter of {function.name} is {file.role.who}, not '{first.name}'",
                f"write function {function.name}{form}",
            )  # fmt: skip


def _hooks(file: AgentFile) -> None:
    """``local function step`` and a second ``step``."""
    for variable in file.scopes.variables:
        value = variable.value
        if variable.name not in HOOKS or not variable.at_file_level or value is None:
            continue
        if value.type in ("function_declaration", "function_definition"):
            file.error(
                variable.node, "hook",
                f"a local {variable.name} is not seen by the runtime and never runs",
                f"remove local: function {variable.name}({file.role.me})",
            )  # fmt: skip
    for name, uses in file.scopes.globals_written(file.tree).items():
        at_file = [use for use in uses if use.function.is_file]
        if name in HOOKS and len(at_file) > 1:
            line = file.tree.line(at_file[0].node.start)
            file.error(
                at_file[1].node, "hook", f"{name} is defined already, on line {line}",
                "join the two: the later one would replace the earlier",
            )  # fmt: skip


def _never_called(file: AgentFile) -> None:
    """File-level functions that nobody calls; under some names people expect the runtime to."""
    read = {file.text(use.node) for use in file.scopes.reads}
    for function in file.scopes.functions:
        name = function.name
        if function.parent is None or not function.parent.is_file or not name.isidentifier():
            continue
        if name in read or name in HOOKS:
            continue
        node = _name_node(file, function)
        hook = FOREIGN_FUNCTIONS.get(name)
        handler = _HANDLER_LIKE.fullmatch(name)
        if hook is not None and hook not in file.hooks:
            file.error(
                node,
                "hook",
                f"nothing calls '{name}'",
                f"the runtime calls {hook}({file.role.me}): rename it",
            )
        elif handler is not None:
            kind = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", handler[1]).lower()
            file.warning(
                node, "hook", f"nothing calls '{name}'",
                f"a message of kind '{kind}' is handled by function on.{kind}{file.role.handler}",
            )  # fmt: skip
        elif not name.startswith("_"):
            file.warning(node, "unused", f"nothing calls '{name}'", "call it, or remove it")


def _name_node(file: AgentFile, function: Function) -> Node:
    name = function.node.get("name")
    if name is not None:
        return name
    for use in file.scopes.writes:
        if file.text(use.node) == function.name:
            return use.node
    return function.node.children[0]


# --- calls ----------------------------------------------------------------------------------------


def _calls(file: AgentFile) -> None:
    for use in file.scopes.calls:
        _same_line(file, use.node)
        name = api_name(file.tree, use.node)
        known = signature(name, file.features, file.role) if name in file.api else None
        if known is None:
            continue
        given, form = arguments(use.node), known.form
        open_ended = bool(given) and is_multi(given[-1])
        if len(given) > known.most or (len(given) < known.least and not open_ended):
            _count(file, use.node, name, given, form)
            continue
        if name in ("send", "broadcast", "after", "ask") and len(given) > 1:
            _kind(file, given[1], form)
        body_at = _BODY_AT.get(name, len(given))
        if body_at < len(given) and given[body_at].type in _LITERALS:
            shown = file.text(given[body_at])
            what = "fields is a table" if name == "spawn" else "a message's body is a table"
            file.error(given[body_at], "call", what, f"write {{value = {shown}}}, in {form}")
        delay_at = _DELAY_AT.get(name, len(given))
        if delay_at < len(given):
            _delay(file, given[delay_at], form)
    for named in file.records:
        _record(file, named)


def _same_line(file: AgentFile, call: Node) -> None:
    """A ``(`` on a line of its own: LuaJIT refuses it, Lua 5.2 takes it for a call."""
    callee, given = call.children[0], call.children[-1]
    if not given.children or given.children[0].type != "(":
        return
    if file.tree.line(callee.end) != file.tree.line(given.start):
        file.error(
            given.children[0], "syntax",
            "ambiguous syntax: is this a call of what stands on the line above?",
            "put the ( on the line of the function, or a ; before it",
        )  # fmt: skip


def _count(file: AgentFile, call: Node, name: str, given: list[Node], form: str) -> None:
    if name == "remove":
        message = "remove() takes no argument: an agent removes itself"
        hint = "write remove(); to remove another, send it a message whose handler calls remove()"
    elif name in ("tick", "message", "random_empty"):
        message, hint = f"{name}() takes no argument", f"write {form}"
    elif name == "spawn" and not file.features.space and len(given) > 2:
        message = "spawn is given a place, and this model has no space"
        hint = f"write {form}, or declare a space in [environment] of model.toml"
    else:
        message = f"{name} is called with {len(given)} argument{'s' if len(given) != 1 else ''}"
        hint = f"write {form}"
    file.error(call, "call", message, hint)


def _kind(file: AgentFile, node: Node, form: str) -> None:
    if node.type in ("number", "true", "false", "nil", "table_constructor"):
        hint = f'write {form}, with a text as kind: send(from, "offer", {{price = 3}})'
        file.error(node, "call", "a message's kind is a text", hint)


def _delay(file: AgentFile, node: Node, form: str) -> None:
    shown = file.text(node)
    if node.type in ("string", "table_constructor", "true", "false"):
        file.error(node, "call", "a delay is a whole number of ticks", f"write {form}")
    elif node.type in ("number", "unary_expression"):
        try:
            value = float(shown)
        except ValueError:
            return
        if value < 1 or value != int(value):
            file.error(
                node, "call", f"a delay is a whole number of ticks, 1 or more, not {shown}",
                "a message is never delivered in the tick in which it was sent",
            )  # fmt: skip


def _record(file: AgentFile, named: Named) -> None:
    if named.name is None:
        file.error(
            named.node, "record", "the name of record must be a text written out",
            'write record("price", x): columns are fixed before the run',
        )  # fmt: skip
    elif not re.fullmatch(r"[A-Za-z_]\w*", named.name):
        file.error(
            named.node, "record", f"'{named.name}' cannot name a recorded value",
            "use letters, digits and _, not beginning with a digit",
        )  # fmt: skip


def _varargs(file: AgentFile) -> None:
    for use in file.scopes.varargs:
        if use.function.is_file:
            file.error(
                use.node, "vararg", "a script has no arguments: ... stands in functions only", ""
            )


# --- expressions ----------------------------------------------------------------------------------


def _operators(file: AgentFile) -> None:
    for node in file.tree.nodes:
        if node.type != "binary_expression":
            continue
        left, operator, right = node.children
        if operator.type in _ARITHMETIC:
            for side in (left, right):
                value = literal(file.tree, side)
                if value is not None and not _numeric(value):
                    hint = "texts are joined with ..: " if operator.type == "+" else ""
                    hint += 'write "a" .. x' if operator.type == "+" else "compute with numbers"
                    file.error(
                        side,
                        "text",
                        f"{file.text(side)} is a text: {operator.type} is for numbers",
                        hint,
                    )
        elif operator.type in ("==", "~=") and left.children and left.children[0].type == "not":
            opposite = "~=" if operator.type == "==" else "=="
            inner, other = file.text(left.children[1]), file.text(right)
            file.warning(
                node, "not", f"this compares (not {inner}) with {other}",
                f"write {inner} {opposite} {other}, or not ({inner} {operator.type} {other})",
            )  # fmt: skip


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return bool(re.fullmatch(r"\s*0[xX][0-9a-fA-F]+\s*", text))
    return True


def _loops_from_zero(file: AgentFile) -> None:
    """``for i = 0, #t - 1`` whose body reads ``t[i]``: lists begin at 1."""
    for loop in file.tree.nodes:
        clause = loop.child("for_numeric_clause") if loop.type == "for_statement" else None
        if clause is None:
            continue
        start, end, name = clause.get("start"), clause.get("end"), clause.get("name")
        if start is None or end is None or name is None or file.text(start) != "0":
            continue
        length = re.fullmatch(r"#\s*([\w.]+)\s*-\s*1", file.text(end))
        variable = name.var
        if length is None or not isinstance(variable, Variable):
            continue
        for node in loop.walk():
            index = node.get("field") if node.type == "bracket_index_expression" else None
            if (
                index is not None
                and index.var is variable
                and file.text(node.children[0]) == length[1]
            ):
                file.warning(
                    clause, "zero", f"lists begin at 1: {length[1]}[0] is nil",
                    f"write for {variable.name} = 1, #{length[1]} do",
                )  # fmt: skip
                break
