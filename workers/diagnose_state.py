"""What an agent or the environment may keep: outside ``self`` and ``env`` nothing may change once
the script is loaded.

All agents of a type share one script. A file-level variable that handlers change would leak from
one agent to the next, differ with the number of workers, and be missing in snapshots.
"""

from __future__ import annotations

from collections.abc import Iterable

from workers.agent_file import AgentFile, api_name, handler_kind, root_of
from workers.names import MUTATORS
from workers.scope import Function, Use, Variable
from workers.syntax import INDEX, Node, arguments


def diagnose_state(file: AgentFile) -> None:
    """Report writes to shared state, and what may not be kept in ``self``."""
    shared = _Shared(file)
    _assignments(file, shared)
    _stores(file, shared)
    _mutating_calls(file, shared)
    _constants(file)
    _functions_in_self(file)


class _Shared:
    """Knows which expressions lead to file-level values, and which functions run only at load."""

    def __init__(self, file: AgentFile) -> None:
        self.file = file
        self.defined = {
            name
            for name, uses in file.scopes.globals_written(file.tree).items()
            if name not in file.globals and any(use.function.is_file for use in uses)
        }
        self.load_only = self._load_only()

    def owner(self, node: Node) -> str | None:
        """The file-level variable that ``node`` is, or lies in; None where that is not certain."""
        while node.type in INDEX or node.type == "parenthesized_expression":
            node = node.children[1 if node.type == "parenthesized_expression" else 0]
        if node.type != "identifier":
            return None
        name = self.file.text(node)
        variable = node.var
        if not isinstance(variable, Variable):
            return name if name in self.defined else None
        if variable.at_file_level:
            return name
        if variable.writes:
            return None
        if variable.value is not None:
            return self.owner(variable.value)
        if variable.loop is not None and variable.position == 1:
            given = arguments(variable.loop) if variable.loop.type == "function_call" else []
            if api_name(self.file.tree, variable.loop) in ("pairs", "ipairs") and given:
                return self.owner(given[0])
        return None

    def runs_later(self, function: Function) -> bool:
        """Whether the function can run after the script has loaded."""
        at: Function | None = function
        while at is not None:
            if at in self.load_only:
                return False
            at = at.parent
        return not function.is_file

    def _load_only(self) -> set[Function]:
        """Functions that are only called while the file loads: table builders and the like."""
        scopes, file = self.file.scopes, self.file
        reads: dict[tuple[str, bool], list[Use]] = {}
        for use in scopes.reads:
            key = (file.text(use.node), isinstance(use.node.var, Variable))
            reads.setdefault(key, []).append(use)
        found: set[Function] = set()
        for function in scopes.functions:
            node = function.node
            if function.is_file or function.parent is None or not function.parent.is_file:
                continue
            if not function.name:
                parent = node.parent
                if parent is not None and parent.type in ("arguments", "parenthesized_expression"):
                    found.add(function)
                continue
            uses = reads.get((function.name, function.local), [])
            if function.name not in file.hooks and uses and all(u.function.is_file for u in uses):
                found.add(function)
        return found


def _assignments(file: AgentFile, shared: _Shared) -> None:
    for use in file.scopes.writes:
        variable, name = use.node.var, file.text(use.node)
        if use.function.is_file or not shared.runs_later(use.function):
            continue
        if isinstance(variable, Variable):
            if variable.at_file_level and not variable.constant:
                file.error(
                    use.node, "shared",
                    f"'{name}' is a file-level local{file.role.shared_by}: "
                    "it must not change after the script has loaded",
                    _cure(file, name),
                )  # fmt: skip
        elif name not in file.globals:
            file.error(
                use.node, "shared", f"'{name}' is assigned as a global inside a function",
                f"write local {name} = …, or keep it in {file.role.who}: {file.role.me}.{name} = …"
                if name not in shared.defined else _cure(file, name),
            )  # fmt: skip


def _cure(file: AgentFile, name: str) -> str:
    hint = f"keep it in {file.role.who}: {file.role.me}.{name} = …"
    common = "what is common to all belongs in [parameters]"
    return hint if file.is_environment else f"{hint}; {common}"


def _stores(file: AgentFile, shared: _Shared) -> None:
    for use in file.scopes.stores:
        target = use.node
        base = target.children[0]
        if _own_identity(file, target, base):
            name = file.text(target.children[-1])
            file.error(
                target, "identity", f"self.{name} is given by the runtime and cannot be assigned",
                f"use another field: self.my_{name} = …",
            )  # fmt: skip
            continue
        if handler_kind(file.tree, target) is not None:
            continue
        if not shared.runs_later(use.function):
            continue
        owner = shared.owner(base)
        if owner is not None:
            _report_mutation(file, target, owner, base)


def _own_identity(file: AgentFile, target: Node, base: Node) -> bool:
    variable = base.var
    return (
        base.type == "identifier"
        and isinstance(variable, Variable)
        and variable.name == "self"
        and not file.is_environment
        and variable.role == "parameter"
        and file.text(target.children[-1]) in ("id", "type")
        and target.type == "dot_index_expression"
    )


def _report_mutation(file: AgentFile, node: Node, owner: str, through: Node) -> None:
    written = file.text(through)
    via = "" if written.split(".")[0].split("[")[0] == owner else f" (through {written})"
    file.error(
        node, "shared",
        f"'{owner}' is a file-level table{file.role.shared_by}: "
        f"it must not change after the script has loaded{via}",
        f"make a table in init: {file.role.me}.{owner.lower()} = {{…}}, or copy it there",
    )  # fmt: skip


def _mutating_calls(file: AgentFile, shared: _Shared) -> None:
    for use in file.scopes.calls:
        callee = use.node.children[0]
        given = arguments(use.node)
        if not given or file.text(callee) not in MUTATORS:
            continue
        if root_of(callee).var is not None:
            continue
        if shared.runs_later(use.function):
            owner = shared.owner(given[0])
            if owner is not None:
                _report_mutation(file, use.node, owner, given[0])
        target = given[0]
        variable = target.var
        if file.text(callee) == "setmetatable" and isinstance(variable, Variable):
            _metatable_on_self(file, use.node, variable)


def _metatable_on_self(file: AgentFile, call: Node, variable: Variable) -> None:
    me = file.role.me
    if variable.name == me and variable.role == "parameter":
        file.error(
            call, "state", f"{file.role.who}'s state is plain data: {me} can have no metatable",
            f"write functions of the file: local function area({me}) … end",
        )  # fmt: skip


def _constants(file: AgentFile) -> None:
    for use in file.scopes.writes:
        variable = use.node.var
        if isinstance(variable, Variable) and variable.constant:
            line = file.tree.line(variable.node.start)
            file.error(
                use.node, "const",
                f"'{variable.name}' is <const> (line {line}): it cannot be assigned",
                "remove <const>, or use another name",
            )  # fmt: skip


def _functions_in_self(file: AgentFile) -> None:
    for target, value in stored_values(file.scopes.stores):
        base = target.children[0]
        variable = base.var
        if not isinstance(variable, Variable) or variable.name != file.role.me:
            continue
        if variable.role != "parameter":
            continue
        is_function = value.type == "function_definition"
        has_meta = value.type == "function_call" and api_name(file.tree, value) == "setmetatable"
        if is_function or has_meta:
            what = "a function" if is_function else "a table with a metatable"
            file.error(
                target, "state",
                f"{file.text(target)} cannot hold {what}: {file.role.who} keeps nil, booleans, "
                "numbers, texts and tables of these",
                "write a local function at the top of the file"
                + (", or function query.name(env, …) for agents" if file.is_environment else
                   ", and keep a name or number in self"),
            )  # fmt: skip


def stored_values(stores: Iterable[Use]) -> list[tuple[Node, Node]]:
    """(target, value) of the stores whose value stands beside them."""
    found: list[tuple[Node, Node]] = []
    for use in stores:
        names = use.node.parent
        statement = names.parent if names is not None else None
        if names is None or statement is None or statement.type != "assignment_statement":
            continue
        values = statement.child("expression_list")
        if values is None:
            continue
        targets = [node for node in names.children if node.type != ","]
        given = [node for node in values.children if node.type != ","]
        at = targets.index(use.node)
        if at < len(given):
            found.append((use.node, given[at]))
    return found
