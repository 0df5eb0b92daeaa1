"""Turn a checked Lua source into what the VM runs, line numbers kept.

* A fuel check stands at every loop turn, at every function entry and before ``goto``: a debug hook
  would not be called inside JIT-compiled loops, and counted fuel runs out at the same place
  everywhere.
* Operators that the VMs lack or disagree on become calls: ``#`` ``^`` ``//`` ``..`` and the
  bit operators. (``x^2`` differs in the last bit between LuaJIT's compiled and interpreted code.)
* Sends whose kind and keys are written out become *column sends*: ``__S1(to, e1, e2)`` for the
  model's first *shape* (kind, keys), so that no body table is made.

A rewrite is a list of edits on the text, so that everything between them stays as it was written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from workers.syntax import (
    Node,
    Tree,
    arguments,
    from_bytes_text,
    is_multi,
    keyed_fields,
    lower_string,
    string_value,
)

FUEL: Final = " do local q=__Q.n-1 __Q.n=q if q<0 then __X() end end "

BINARY: Final = {
    "^": "P", "//": "D", "&": "BA", "|": "BO", "~": "BX", "<<": "SL", ">>": "SR",
}  # fmt: skip
"""Binary operator -> the run-time function ``__<name>`` that computes it."""
UNARY: Final = {"#": "L", "~": "BN"}

MAX_KEYS: Final = 16
"""A body with more keys is sent as a table."""
MAX_SHAPE_LOCALS: Final = 40
"""Shapes of one file that get a local each; LuaJIT allows 60 upvalues in a function."""

_SENDERS: Final = {"send": "S", "broadcast": "B", "after": "T"}
ONE_VALUED: Final = frozenset(
    {"ask", "look", "alive", "agents", "neighbors", "neighbors_of", "count_near", "nearest", "at"}
    | {"count_at", "distance", "links", "links_in", "link", "degree"}
)
"""API functions that give one value: returned, they are no tail calls, so that a fault has the line
that called."""

_KIND_AT: Final = 1
_TRAILING: Final = {"send": 1, "broadcast": 1, "after": 0}
"""Arguments that may follow the body (a delay)."""


@dataclass(frozen=True)
class Shape:
    """A message kind with the keys of its body, in source order."""

    kind: str
    keys: tuple[str, ...]


@dataclass
class Shapes:
    """The model's shapes in order of first appearance; numbered from 1."""

    order: list[Shape] = field(default_factory=list)
    _numbers: dict[Shape, int] = field(default_factory=dict)

    def number(self, shape: Shape) -> int:
        if shape not in self._numbers:
            self.order.append(shape)
            self._numbers[shape] = len(self.order)
        return self._numbers[shape]


_CLOSE, _OPEN, _REPLACE = 0, 1, 2


class Edits:
    """Insertions and replacements on one text, sorted when they are applied.

    At one offset, closing insertions come first (inner before outer), then opening ones
    (outer before inner), then the replacement of the text that begins there.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._edits: list[tuple[int, int, int, int, str]] = []

    def wrap(self, node: Node, before: str, after: str) -> None:
        self._edits.append((node.start, _OPEN, node.index, node.start, before))
        self._edits.append((node.end, _CLOSE, -node.index, node.end, after))

    def insert_close(self, node: Node, text: str) -> None:
        """Insert where the node ends, before what follows it there."""
        self._edits.append((node.end, _CLOSE, -node.index, node.end, text))

    def insert_before(self, node: Node, text: str) -> None:
        self._edits.append((node.start, _OPEN, node.index, node.start, text))

    def insert_after(self, node: Node, text: str) -> None:
        self._edits.append((node.end, _OPEN, node.index, node.end, text))

    def replace(self, start: int, end: int, text: str) -> None:
        """Replace a stretch; edits inside it are dropped, its line breaks are kept."""
        breaks = self._text.count("\n", start, end) - text.count("\n")
        self._edits.append((start, _REPLACE, 0, end, text + "\n" * breaks))

    def apply(self, start: int = 0, end: int | None = None) -> str:
        """The edited text between two offsets."""
        stop = len(self._text) if end is None else end
        pieces: list[str] = []
        at = start
        for position, _, _, until, text in sorted(self._edits):
            if position < at or until > stop:
                continue
            pieces.append(self._text[at:position])
            pieces.append(text)
            at = until
        pieces.append(self._text[at:stop])
        return "".join(pieces)


def lower_operators(
    tree: Tree, edits: Edits, nodes: list[Node], *, keep_frames: bool = False
) -> set[str]:
    """Edits for operators and strings among ``nodes``; returns the run-time names used.

    With ``keep_frames`` no operator becomes a tail call: ``return #x`` keeps its line in errors.
    """
    used: set[str] = set()
    for node in nodes:
        kind = node.type
        if kind == "binary_expression":
            left, operator, right = node.children
            if operator.type == "..":
                used.add("C")
                _lower_concat(node, left, operator, right, edits, keep_frames)
            elif operator.type in BINARY:
                name = BINARY[operator.type]
                used.add(name)
                before, after = _call_of(node, name, keep_frames)
                edits.wrap(node, before, after)
                edits.replace(operator.start, operator.end, ",")
        elif kind == "unary_expression":
            operator = node.children[0]
            if operator.type in UNARY:
                name = UNARY[operator.type]
                used.add(name)
                # Parentheses around the operand are not needed: one argument, extra ones ignored.
                before, after = _call_of(node, name, keep_frames)
                edits.replace(operator.start, operator.end, before)
                edits.insert_close(node, after)
        elif kind == "string":
            lowered = lower_string(tree.slice(node))
            if lowered is not None:
                edits.replace(node.start, node.end, lowered)
    return used


def _call_of(node: Node, name: str, keep_frames: bool) -> tuple[str, str]:
    """What stands before and after the operands when an operator becomes a call."""
    if keep_frames and _is_returned(node):
        return f"(__{name}(", "))"
    return f"__{name}(", ")"


def _is_returned(node: Node) -> bool:
    """Whether the node is all that a return statement gives: a call there would be a tail call."""
    values = node.parent
    return (
        values is not None
        and values.type == "expression_list"
        and len(values.children) == 1
        and values.parent is not None
        and values.parent.type == "return_statement"
    )


def _lower_concat(
    node: Node, left: Node, operator: Node, right: Node, edits: Edits, keep_frames: bool
) -> None:
    parent = node.parent
    inner = (
        parent is not None
        and parent.type == "binary_expression"
        and parent.children[1].type == ".."
        and parent.children[2] is node
    )
    if not inner:
        before, after = _call_of(node, "C", keep_frames)
        edits.wrap(node, before, after)
    edits.replace(operator.start, operator.end, ",")
    if is_multi(right):
        edits.wrap(right, "(", ")")


def rewrite_chunk(tree: Tree, shapes: Shapes | None) -> str:
    """The text to compile for one script; called with the run-time table as its argument.

    Without ``shapes`` sends stay as they are: those of the environment are too few to matter.
    """
    edits = Edits(tree.text)
    used = lower_operators(tree, edits, tree.nodes, keep_frames=True)
    senders: dict[tuple[str, int], int] = {}
    fuelled = False
    for node in tree.nodes:
        kind = node.type
        if kind in ("while_statement", "for_statement"):
            at = node.child("do")
            assert at is not None
            edits.insert_after(at, FUEL)
            fuelled = True
        elif kind == "repeat_statement":
            edits.insert_after(node.children[0], FUEL)
            fuelled = True
        elif kind == "parameters":
            edits.insert_after(node, FUEL)
            fuelled = True
        elif kind == "goto_statement":
            edits.insert_before(node, FUEL)
            fuelled = True
        elif kind == "attribute":
            edits.replace(node.start, node.end, "")
        elif kind == "function_call":
            callee = node.children[0]
            if (
                callee.type == "identifier"
                and callee.var is None
                and tree.slice(callee) in ONE_VALUED
                and _is_returned(node)
            ):
                edits.wrap(node, "(", ")")
            if is_append(tree, node):
                edits.replace(callee.start, callee.end, "__I")
                used.add("I")
            sender = column_send(tree, node) if shapes is not None else None
            if sender is not None and shapes is not None:
                letter, shape, kept = sender
                number = shapes.number(shape)
                rank = senders.setdefault((letter, number), len(senders))
                near = f"__{letter}{number}"
                far = f"__R.{letter}[{number}]"
                _lower_send(node, kept, near if rank < MAX_SHAPE_LOCALS else far, edits)
    header = _header(used, fuelled, list(senders)[:MAX_SHAPE_LOCALS])
    return from_bytes_text(header + edits.apply())


def _header(used: set[str], fuelled: bool, senders: list[tuple[str, int]]) -> str:
    names = [f"__{name}" for name in sorted(used)]
    values = [f"__R.{name}" for name in sorted(used)]
    if fuelled:
        names += ["__Q", "__X"]
        values += ["__R.Q", "__R.X"]
    for letter, number in senders:
        names.append(f"__{letter}{number}")
        values.append(f"__R.{letter}[{number}]")
    if not names:
        return "local __R=... "
    return f"local __R=... local {','.join(names)}={','.join(values)} "


def is_append(tree: Tree, call: Node) -> bool:
    """Whether the call is the library's ``table.insert``, written with two values."""
    callee = call.children[0]
    if callee.type != "dot_index_expression" or tree.slice(callee) != "table.insert":
        return False
    given = arguments(call)
    return callee.children[0].var is None and len(given) == 2 and not is_multi(given[1])


def column_send(tree: Tree, call: Node) -> tuple[str, Shape, list[Node]] | None:
    """(letter, shape, expressions kept as arguments) if the call can be a column send.

    It can when it calls the API function itself, kind and keys are literals, no key repeats, and no
    value is written as a table or function: those are copied or refused, with the whole body.
    """
    callee = call.children[0]
    if callee.type != "identifier" or callee.var is not None:
        return None
    name = tree.slice(callee)
    letter = _SENDERS.get(name)
    given = arguments(call)
    if letter is None or len(given) < 2 or call.children[1].children[0].type != "(":
        return None
    if given[_KIND_AT].type != "string" or is_multi(given[_KIND_AT]):
        return None
    rest = given[3:]
    if len(rest) > _TRAILING[name]:
        return None
    values: list[Node] = []
    keys: list[str] = []
    if len(given) > 2:
        if given[2].type != "table_constructor":
            return None
        for key, value in keyed_fields(tree, given[2]):
            if key is None or value.type in ("table_constructor", "function_definition"):
                return None
            keys.append(key)
            values.append(value)
    if len(keys) > MAX_KEYS or len(set(keys)) < len(keys):
        return None
    shape = Shape(string_value(tree.slice(given[_KIND_AT])), tuple(keys))
    return letter, shape, [given[0], *values, *rest]


def _lower_send(call: Node, kept: list[Node], sender: str, edits: Edits) -> None:
    callee = call.children[0]
    edits.replace(callee.start, callee.end, sender)
    for node in kept:
        if is_multi(node):
            edits.wrap(node, "(", ")")
    close = call.children[1].children[-1]
    for node, following in zip(kept, [*kept[1:], close], strict=True):
        edits.replace(node.end, following.start, "" if following is close else ",")
