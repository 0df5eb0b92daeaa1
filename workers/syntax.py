"""Lua source as a tree of small nodes, and what single tokens mean.

tree-sitter parses; its tree is copied once into plain Python nodes, because every later pass walks
the nodes several times and each look at a tree-sitter node costs as much as the copy.

Offsets are byte offsets. Sources are handled as text in which one character is one byte
(``to_bytes_text``), so that offsets and slices agree whatever the file contains.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from typing import Final

import tree_sitter
import tree_sitter_lua

MAX_DEPTH: Final = 180
"""Deepest nesting accepted: LuaJIT's own limit is 200, and passes here recurse."""

INDEX: Final = ("dot_index_expression", "bracket_index_expression")
OPERANDS: Final = ("binary_expression", "unary_expression")

_PARSER: Final = tree_sitter.Parser(tree_sitter.Language(tree_sitter_lua.language()))


def to_bytes_text(source: str) -> str:
    """The source with one character per UTF-8 byte."""
    return source.encode("utf-8", "surrogatepass").decode("latin-1")


def from_bytes_text(text: str) -> str:
    """The reverse of ``to_bytes_text``, for what is shown or compiled."""
    return text.encode("latin-1").decode("utf-8", "replace")


class Node:
    """A node of the tree; ``index`` numbers nodes in pre-order, ``field`` is its role in its
    parent.

    Anonymous nodes (keywords, operators, brackets) are children too; comments are not.
    ``var`` is filled by ``scope.resolve`` on identifiers that name a variable.
    """

    __slots__ = ("children", "end", "field", "index", "parent", "start", "type", "var")

    def __init__(self, kind: str, start: int, end: int, field: str | None, index: int) -> None:
        self.type = kind
        self.start = start
        self.end = end
        self.field = field
        self.index = index
        self.children: list[Node] = []
        self.parent: Node | None = None
        self.var: object | None = None

    def get(self, field: str) -> Node | None:
        """The first child in that role."""
        for child in self.children:
            if child.field == field:
                return child
        return None

    def child(self, kind: str) -> Node | None:
        """The first child of that type."""
        for child in self.children:
            if child.type == kind:
                return child
        return None

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in pre-order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))


class Tree:
    """A parsed source: ``nodes`` in pre-order; ``broken`` if the parser had to recover, at
    ``errors`` or inside a string."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.nodes: list[Node] = []
        self.errors: list[Node] = []
        self.depth = 0
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        parsed = _PARSER.parse(text.encode("latin-1"))
        self.broken = parsed.root_node.has_error
        self.root = self._copy(parsed)

    def slice(self, node: Node) -> str:
        return self.text[node.start : node.end]

    def line(self, offset: int) -> int:
        """1-based line of an offset."""
        return bisect.bisect_right(self._line_starts, offset)

    def column(self, offset: int) -> int:
        """0-based column, in bytes, of an offset."""
        return offset - self._line_starts[self.line(offset) - 1]

    def _copy(self, parsed: tree_sitter.Tree) -> Node:
        cursor = parsed.walk()
        nodes = self.nodes
        parent: Node | None = None
        depth = 0
        while True:
            raw = cursor.node
            assert raw is not None
            kind = raw.type
            if kind not in ("comment", "hash_bang_line"):
                node = Node(kind, raw.start_byte, raw.end_byte, cursor.field_name, len(nodes))
                nodes.append(node)
                if parent is not None:
                    node.parent = parent
                    parent.children.append(node)
                if kind == "ERROR" or raw.is_missing:
                    self.errors.append(node)
                if kind != "string" and cursor.goto_first_child():
                    parent = node
                    depth += 1
                    self.depth = max(self.depth, depth)
                    continue
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent():
                    return nodes[0]
                assert parent is not None
                parent = parent.parent
                depth -= 1


def parse(text: str) -> Tree:
    """Parse a source in the one-character-per-byte form."""
    return Tree(text)


# --- tokens ---------------------------------------------------------------------------------------

STRING: Final = (
    r"\[(?P<s>=*)\[.*?\](?P=s)\]"
    r"|\"(?:\\z\s*|\\.|[^\"\\\n])*\"|'(?:\\z\s*|\\.|[^'\\\n])*'"
)
"""Pattern (with ``re.DOTALL``) of a string token."""

_ESCAPES: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", '"': '"', "'": "'", "\n": "\n",
}  # fmt: skip
_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u\{([0-9a-fA-F]+)\}|z\s*|(\d{1,3})|(.))", re.DOTALL
)
_LONG: Final = re.compile(r"\[(=*)\[\n?(.*)\]\1\]", re.DOTALL)
_UNICODE: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u\{([0-9a-fA-F]{1,8})\}")


def _utf8(hexadecimal: str) -> str:
    code = int(hexadecimal, 16)
    return chr(code).encode("utf-8", "surrogatepass").decode("latin-1") if code < 0x110000 else "?"


def _unescape(match: re.Match[str]) -> str:
    hexadecimal, point, decimal, simple = match.groups()
    if hexadecimal:
        return chr(int(hexadecimal, 16))
    if point:
        return _utf8(point)
    if decimal:
        return chr(int(decimal) % 256)
    return _ESCAPES.get(simple, simple) if simple else ""


def string_value(token: str) -> str:
    """The value of a string token, as text (not in the one-character-per-byte form)."""
    if token[0] == "[":
        match = _LONG.fullmatch(token)
        return from_bytes_text(match.group(2) if match else token)
    body = token[1:-1]
    return from_bytes_text(_ESCAPE.sub(_unescape, body) if "\\" in body else body)


def lower_string(token: str) -> str | None:
    r"""The token with ``\u{...}`` (not in Lua 5.2) spelt as bytes, or None if it has none."""
    if "\\u{" not in token or token[0] == "[":
        return None

    def spell(match: re.Match[str]) -> str:
        return match.group(1) + "".join(f"\\{ord(byte):03d}" for byte in _utf8(match.group(2)))

    return _UNICODE.sub(spell, token)


# --- the shapes of calls and names that several passes ask for ------------------------------------


def is_called(node: Node) -> bool:
    """Whether the node is what a call calls: ``f`` of ``f(x)``."""
    parent = node.parent
    return parent is not None and parent.type == "function_call" and parent.children[0] is node


def arguments(call: Node) -> list[Node]:
    """The argument expressions of a ``function_call``."""
    holder = call.get("arguments")
    if holder is None:
        return []
    return [node for node in holder.children if node.type not in ("(", ")", ",")]


def is_multi(node: Node) -> bool:
    """Whether the expression may give any number of values when it stands last in a list."""
    return node.type in ("function_call", "vararg_expression")


def keyed_fields(tree: Tree, table: Node) -> list[tuple[str | None, Node]]:
    """(key, value) of each field of a constructor; key None where it is positional or computed."""
    found: list[tuple[str | None, Node]] = []
    for field in table.children:
        if field.type != "field":
            continue
        name, value = field.get("name"), field.get("value")
        assert value is not None
        key: str | None = None
        if name is not None and field.children[0].type != "[":
            key = tree.slice(name)
        elif name is not None and name.type == "string":
            key = string_value(tree.slice(name))
        found.append((key, value))
    return found
