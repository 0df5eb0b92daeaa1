"""Values that are not what they seem: what a call gives, and what counts as true.

All of this runs, and means something else than it says to those who know other languages.
"""

from __future__ import annotations

from typing import Final

from workers.agent_file import AgentFile, api_name
from workers.names import LAYER_READS, MOVES
from workers.origins import layer_of
from workers.scope import Variable
from workers.signatures import OF_ONESELF
from workers.syntax import Node, arguments

_NOTHING: Final = {
    "spawn": "give it all in fields; the newborn's init can send to self.parent",
    "send": "the answer comes as a message: function on.answer(self, msg, from)",
    "broadcast": "answers come as messages: function on.answer(self, msg, from)",
    "after": "the message comes to on.kind(self, msg, from)",
    "remove": "the agent goes when the tick closes; return ends the function",
    "record": "the metric has the name that is recorded",
    "log": 'it writes a line for query(what="log"); the logarithm is math.log(x)',
}
"""Functions that return nothing, and what to do instead of using what they return."""
_MOVED: Final = (
    "moves happen when the tick closes: test before, or let on.blocked(self, msg) tell "
    'of a taken cell; with activation = "random" a move returns true or false'
)
_STATEMENTS: Final = ("block", "chunk", "return_statement")
_WRAPPERS: Final = ("parenthesized_expression", "expression_list")
_CONDITIONS: Final = ("if_statement", "elseif_statement", "while_statement", "repeat_statement")
_NUMBERS: Final = frozenset(
    {"count_near", "count_at", "degree", "distance", "random", "normal", "exponential", "poisson"}
    | {"tick"}
)
"""Functions that always give a number."""
_COMPARED: Final = ("<", "<=", ">", ">=")
_MAYBE: Final = ("nearest", "at")


def diagnose_values(file: AgentFile) -> None:
    """Report results of calls that give none, numbers as conditions, and the like."""
    for use in file.scopes.calls:
        name = api_name(file.tree, use.node)
        callee = use.node.children[0]
        # A call that goes on in the next line is refused as ambiguous already.
        same_line = file.tree.line(callee.end) == file.tree.line(use.node.children[-1].start)
        if name in file.api and same_line:
            _result(file, use.node, name)
            _perhaps_nobody(file, use.node, name)
    for node in file.tree.nodes:
        if node.type in _CONDITIONS:
            condition = node.get("condition")
            if condition is not None:
                _condition(file, condition)
        elif node.type == "unary_expression" and node.children[0].type == "not":
            _truth(file, node.children[1], "==")
        elif node.type == "binary_expression":
            _chance(file, node)


def _result(file: AgentFile, call: Node, name: str) -> None:
    """``local child = spawn(…)``."""
    hint = _NOTHING.get(name, "").replace("(self, msg, from)", file.role.handler)
    if name in MOVES and file.features.regimes == ("synchronous",):
        hint = _MOVED
    parent = call.parent
    while parent is not None and parent.type in _WRAPPERS:
        parent = parent.parent
    if hint and parent is not None and parent.type not in _STATEMENTS:
        file.warning(call, "result", f"{name} returns nothing: its value here is nil", hint)


def _perhaps_nobody(file: AgentFile, call: Node, name: str) -> None:
    """``position(nearest("wolf", 5))``: where nobody is near, the caller's own place."""
    given = arguments(call)
    if name not in OF_ONESELF or len(given) != 1 or given[0].type != "function_call":
        return
    inner = api_name(file.tree, given[0])
    if inner in _MAYBE and inner in file.api:
        shown = file.text(given[0])
        message = f"{inner} gives nil where there is nobody, and {name}(nil) speaks of oneself"
        hint = f"write local id = {shown}, and if id then … {name}(id)"
        file.warning(call, "nobody", message, hint)


# --- numbers in conditions ------------------------------------------------------------------------


def _condition(file: AgentFile, node: Node) -> None:
    while node.type == "parenthesized_expression":
        node = node.children[1]
    if node.type == "binary_expression" and node.children[1].type in ("and", "or"):
        _condition(file, node.children[0])
        _condition(file, node.children[2])
        return
    _truth(file, node, "~=")


def _truth(file: AgentFile, node: Node, operator: str) -> None:
    """``if count_near(1) then``: 0 is true in Lua."""
    while node.type == "parenthesized_expression":
        node = node.children[1]
    if not _is_number(file, node):
        return
    shown = file.text(node)
    message = f"{shown} is a number, and every number is true in a condition, 0 too"
    file.warning(node, "truth", message, f"write {shown} {operator} 0")


def _is_number(file: AgentFile, node: Node) -> bool:
    """Whether the value is a number for certain."""
    variable = node.var
    if isinstance(variable, Variable):
        if variable.writes or variable.loop is not None or variable.value is None:
            return False
        node = variable.value
    if node.type == "unary_expression":
        return node.children[0].type == "#"
    if node.type != "function_call":
        return False
    name, given = api_name(file.tree, node), arguments(node)
    if name in file.api:
        return name in _NUMBERS or (name == "empty_cells" and not given)
    callee = node.children[0]
    if layer_of(file, callee) is not None:
        return True
    method = callee.type == "method_index_expression"
    return (
        method
        and file.text(callee.children[-1]) in LAYER_READS
        and layer_of(file, callee.children[0]) is not None
    )


def _chance(file: AgentFile, node: Node) -> None:
    """``random(100) < 0.5``, which never holds."""
    left, operator, right = node.children
    if operator.type not in _COMPARED:
        return
    for drawn, bound in ((left, right), (right, left)):
        if drawn.type != "function_call" or api_name(file.tree, drawn) != "random":
            continue
        if len(arguments(drawn)) == 1 and bound.type == "number" and _is_share(file.text(bound)):
            shown = file.text(drawn)
            message = f"{shown} is a whole number, 1 or more: {file.text(node)} never changes"
            file.warning(node, "chance", message, f"write random() {operator.type} …")


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False
