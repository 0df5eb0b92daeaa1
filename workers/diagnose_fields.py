"""Fields of agents that are read and that nothing ever sets: misspelt, or another framework's."""

from __future__ import annotations

import re
from typing import Final

from runtime.protocol import ModelSpec
from workers.agent_file import AgentFile, is_handler, literal
from workers.findings import Findings
from workers.names import HOOKS, PLACE_FIELDS, VALUES, nearest
from workers.scope import Function, Variable
from workers.syntax import arguments, is_called

_READ: Final = re.compile(r"\bself\.([A-Za-z_]\w*)")
_TEXT: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
_GIVEN: Final = frozenset({"id", "type", "parent"})
_WRITERS: Final = frozenset({"rawset", "setmetatable"})
_INSTEAD: Final = {
    "neighbors": "neighbors(r)", "neighbours": "neighbors(r)", "links": "links()",
    "degree": "degree()", "tick": "tick()", "env": "env",
}  # fmt: skip
"""Fields of other frameworks -> what to write, where the model has it."""


def fields_given(file: AgentFile, scripts: list[AgentFile]) -> set[str] | None:
    """The fields that the type's agents may have; None where the text does not show them all."""
    known = {field.name for field in file.spec.state} | _GIVEN
    if not all(one.whole for one in scripts):
        return None
    if any(file.text(use.node) in _WRITERS for use in file.scopes.reads):
        return None
    for use in file.scopes.stores:
        target = use.node
        if target.type == "bracket_index_expression":
            key = literal(file.tree, target.get("field"))
            if key is None and _may_be_self(target.children[0].var):
                return None
            known |= {key} if key is not None else set()
        else:
            known.add(file.text(target.children[-1]))
    for other in scripts:
        for spawned in other.spawned:
            if spawned.agent_type not in (file.spec.name, None):
                continue
            given = arguments(spawned.call)
            if len(given) > 1 and given[1].type != "table_constructor":
                return None
            known |= set(spawned.fields)
    return known


def _may_be_self(variable: object) -> bool:
    """A parameter, or a local that was given another variable."""
    if not isinstance(variable, Variable):
        return False
    value = variable.value
    return variable.role == "parameter" or (value is not None and value.type == "identifier")


def diagnose_fields(file: AgentFile, scripts: list[AgentFile], model: ModelSpec) -> None:
    """Report the first place where such a field is read."""
    known = fields_given(file, scripts)
    if known is None:
        return
    made = _keys_written(file)
    reported: set[str] = set()
    for node in file.tree.nodes:
        if node.type != "dot_index_expression":
            continue
        base = node.children[0]
        variable = base.var
        if not isinstance(variable, Variable) or variable.name != "self":
            continue
        name = file.text(node.children[-1])
        if is_called(node) or variable.role != "parameter" or name in known | reported:
            continue
        if name in made and not _is_called_with_agent(variable.function):
            continue
        reported.add(name)
        message = f"nothing gives a {file.spec.name} a field '{name}': it is always nil"
        file.warning(node, "unset", message, _cure(file, name, known, model))


def _keys_written(file: AgentFile) -> set[str]:
    """The keys of all table constructors."""
    names = [node.get("name") for node in file.tree.nodes if node.type == "field"]
    return {file.text(name) for name in names if name is not None}


def _is_called_with_agent(function: Function) -> bool:
    """Whether the runtime calls the function: what others call ``self`` may be any table."""
    return function.name in HOOKS or is_handler(function)


def _cure(file: AgentFile, name: str, known: set[str], model: ModelSpec) -> str:
    features = file.features
    if name in PLACE_FIELDS and features.space:
        return f"write local {'x, y, z' if features.dimensions == 3 else 'x, y'} = position()"
    if any(name == parameter.name for parameter in model.parameters):
        return f"a parameter is param.{name}"
    like = nearest(name, known - _GIVEN)
    if like is not None:
        return f"did you mean self.{like}?"
    call = _INSTEAD.get(name, "")
    if call.split("(")[0] in file.api:
        return f"write {call}"
    if name in file.api - VALUES:
        return f"{name} is a function: write {name}(…)"
    return f"set it in state of [agents.{file.spec.name}] in model.toml, or in init"


def diagnose_expressions(
    model: ModelSpec, files: list[AgentFile], scripts: list[AgentFile], toml: Findings
) -> None:
    """The same in metrics, stop and invariants: a field that no type has."""
    given = [fields_given(file, scripts) for file in files]
    known: set[str] = set()
    for one in given:
        if one is None:
            return
        known |= one
    lines = toml.text.split("\n")
    stop = (model.stop,) if model.stop is not None else ()
    for spec in (*model.metrics, *stop, *model.invariants):
        for name in dict.fromkeys(_READ.findall(_TEXT.sub("''", spec.text))):
            if name in known:
                continue
            source = lines[spec.line - 1] if 0 < spec.line <= len(lines) else ""
            like = nearest(name, known - _GIVEN)
            toml.at(
                spec.line, max(0, source.find(f"self.{name}")), len(f"self.{name}"), "unset",
                f"nothing gives an agent a field '{name}': it is always nil",
                f"did you mean self.{like}?" if like else "set it in state or init of the type",
                "warning",
            )  # fmt: skip
