"""Idioms that people and models bring from other languages, found in the text itself.

They are looked for before parsing, because most are syntax errors: each is reported with its Lua form
and replaced, at the same length, by something that parses, so that one ``!=`` does not hide the rest of the
file from the other checks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from workers.syntax import TRIVIA_AND_STRINGS


@dataclass(frozen=True)
class Idiom:
    """A stretch of text that is not Lua: ``message`` says why, ``hint`` what to write."""

    start: int
    end: int
    message: str
    hint: str


_TOKEN: Final = re.compile(
    rf"(?P<skip>{TRIVIA_AND_STRINGS})"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<number>0[xX][\w.]*|\.?\d(?:[eE][+-]?\d+|[\w.])*)"
    r"|(?P<op>===|!==|\.\.\.|\.\.=|\*\*=?|<<=|>>=|//=|\|\|=|&&=|\?\?=?"
    r"|[-+*/%^&|]=|\+\+|&&|\|\||!=|=>|->|<>|::|==|~=|<=|>=|<<|>>|//|\.\.|[^\s\w])",
    re.DOTALL,
)

_NUMBER: Final = re.compile(
    r"0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?\d+)?"
    r"|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
)

_ASSIGNING: Final = {
    "+=": "+", "-=": "-", "*=": "*", "/=": "/", "%=": "%", "^=": "^", "..=": "..", "|=": "|",
    "&=": "&", "<<=": "<<", ">>=": ">>", "//=": "//", "**=": "^", "||=": "or", "&&=": "and",
    "??=": "or",
}  # fmt: skip

_OPERATORS: Final = {
    "!=": ("!= is not Lua", "write ~=", "~="),
    "!==": ("!== is not Lua", "write ~=", " ~="),
    "===": ("=== is not Lua", "write ==", " =="),
    "<>": ("<> is not Lua", "write ~=", "~="),
    "&&": ("&& is not Lua", "write and", "=="),
    "||": ("|| is not Lua", "write or", "=="),
    "??": ("?? is not Lua", "write a or b", "=="),
    "**": ("** is not Lua", "write a^b", " ^"),
}
"""Operator -> why, what to write, and a binary operator of the same length to parse instead."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def _tokens(text: str) -> list[_Token]:
    return [
        _Token(match.lastgroup or "", match.group(match.lastgroup or 0), match.start(), match.end())
        for match in _TOKEN.finditer(text)
        if match.lastgroup not in ("skip", "c", "s")
    ]


@dataclass(frozen=True)
class Scan:
    """``repaired`` has the length and line breaks of the text; ``declared`` are names that a foreign
    declaration (``let x``) was meant to declare."""

    idioms: list[Idiom]
    repaired: str
    declared: frozenset[str]


def scan(text: str) -> Scan:
    """Find the foreign idioms of a text (one character per byte) and repair what can be."""
    return Scan([], text, frozenset())
