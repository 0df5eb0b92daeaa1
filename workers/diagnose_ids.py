"""Other agents are ids here, numbers: ``nearest("wolf", 5).energy`` is what other frameworks have.

Lists of ids and places of two numbers are mistaken in the same way.
"""

from __future__ import annotations

from typing import Final

from workers.agent_file import AgentFile, api_name, is_handler
from workers.names import TAKES_ID
from workers.scope import Variable
from workers.syntax import Node, arguments

_IDS: Final = frozenset({"nearest", "at"})
"""Functions that give an id."""
_LISTS: Final = frozenset({"agents", "neighbors", "neighbors_of", "links", "links_in"})
"""Functions that give a list of ids."""
_PLACES: Final = {"position": "x, y", "offset": "dx, dy", "random_empty": "x, y"}
"""Functions that give a place as several numbers."""
_FROM_AT: Final = 2
_LENGTHS: Final = frozenset({"length", "len", "size", "count", "n"})


def diagnose_ids(file: AgentFile) -> None:
    """Report fields read from ids and from places, and lists walked without ipairs."""
    for node in file.tree.nodes:
        if node.type in ("dot_index_expression", "method_index_expression"):
            _index(file, node)
        elif node.type == "bracket_index_expression":
            _zero(file, node)
        elif node.type == "for_generic_clause":
            _walk(file, node)


def _call(file: AgentFile, node: Node | None) -> str:
    """The API function that ``node`` is a call of, or ''."""
    if node is None or node.type != "function_call":
        return ""
    name = api_name(file.tree, node)
    return name if name in file.api or name in ("ipairs", "pairs") else ""


def _index(file: AgentFile, index: Node) -> None:
    base, field = index.children[0], file.text(index.children[-1])
    shown = file.text(base)
    if is_id(file, base):
        published = field in file.features.published
        look = f'look({shown}, "{field}")'
        if index.type == "method_index_expression":
            hint = f'agents are told things: send({shown}, "{field}", {{…}})'
        elif published:
            hint = f"write {look}"
        elif field == "weight" and file.features.network:
            hint = f"a link's weight is link({shown})"
        elif field == "type":
            hint = f'choose by type: neighbors(r, "type"), at(x, y, "type"); or {look}, '
            hint += 'with publish = ["type"]'
        else:
            hint = f'write {look}, with publish = ["{field}"] in model.toml'
            hint += f"; to change it: send({shown}, kind, {{…}})"
        message = f"{shown} is an agent's id, a number: it has no field '{field}'"
        file.error(index, "id", message, hint)
        return
    name = _call(file, _source(base))
    if name in _LISTS and field in _LENGTHS and index.type == "dot_index_expression":
        file.error(index, "id", f"{name} gives a list, which has no field", f"write #{shown}")
    if name in _PLACES:
        names = _PLACES[name]
        if file.features.dimensions == 3:
            names += ", dz" if name == "offset" else ", z"
        message = f"{name} gives {len(names.split(','))} numbers, not a table"
        call = file.text(_source(base) or base)
        file.error(index, "id", message, f"write local {names} = {call}")


def _zero(file: AgentFile, index: Node) -> None:
    """``links()[0]``."""
    key = index.get("field")
    if key is not None and file.text(key) == "0" and _is_list(file, index.children[0]):
        shown = file.text(index.children[0])
        file.error(index, "id", "lists begin at 1: there is nothing at 0", f"write {shown}[1]")


def _source(node: Node) -> Node | None:
    """The expression that gave a value: of a local, what it was first given."""
    variable = node.var
    if isinstance(variable, Variable):
        if variable.writes or variable.loop is not None:
            return None
        return variable.value
    return node


def is_id(file: AgentFile, node: Node) -> bool:
    """Whether ``node`` is an agent's id for certain."""
    variable = node.var
    if isinstance(variable, Variable):
        if variable.writes:
            return False
        if variable.role == "parameter":
            owner = variable.function
            listed = owner.parameters
            return bool(
                is_handler(owner) and len(listed) > _FROM_AT and listed[_FROM_AT] is variable
            )
        if variable.loop is not None:
            walked = arguments(variable.loop) if _call(file, variable.loop) else []
            return variable.position == 1 and bool(walked) and _is_list(file, walked[0])
        return variable.value is not None and _gives_id(file, variable.value)
    return _gives_id(file, node)


def _gives_id(file: AgentFile, node: Node) -> bool:
    name = _call(file, node)
    if name == "choice":
        given = arguments(node)
        return bool(given) and _is_list(file, given[0])
    if node.type == "bracket_index_expression":
        return _is_list(file, node.children[0])
    return name in _IDS


def _is_list(file: AgentFile, node: Node) -> bool:
    return _call(file, _source(node)) in _LISTS


def _stands_for_an_agent(file: AgentFile, name: Node) -> bool:
    """Whether the variable is used as an id, and not to count."""
    return any(
        api_name(file.tree, use.node) in TAKES_ID
        and any(one.var is name.var for one in arguments(use.node)[:1])
        for use in file.scopes.calls
    )


def _walk(file: AgentFile, clause: Node) -> None:
    """``for id in neighbors(1) do``."""
    values = clause.child("expression_list")
    names = clause.child("variable_list")
    given = [one for one in values.children if one.type != ","] if values is not None else []
    if names is None or len(given) != 1:
        return
    last = file.text(names.children[-1])
    walked = arguments(given[0]) if _call(file, given[0]) in ("ipairs", "pairs") else []
    if len(names.children) == 1 and walked and _is_list(file, walked[0]):
        if not _stands_for_an_agent(file, names.children[0]):
            return
        message = f"{last} is a position in the list here, 1, 2, …, and no id"
        hint = f"write for _, {last} in ipairs({file.text(walked[0])}) do"
        file.warning(names, "id", message, hint)
        return
    if _call(file, given[0]) not in _LISTS:
        return
    shown = file.text(given[0])
    message = f"{api_name(file.tree, given[0])} gives a list, which is walked with ipairs"
    file.error(given[0], "id", message, f"write for _, {last} in ipairs({shown}) do")
