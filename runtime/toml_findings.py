"""What is wrong in a model.toml, with the line and the words of the place.

tomllib gives values without their lines, so keys are looked for in the text once more.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final, TypeGuard

from runtime.errors import excerpt
from runtime.protocol import Diagnostic

FILE: Final = "model.toml"
MAX_EXACT: Final = 2**53
"""Beyond it not every whole number is a double, and Lua's numbers are doubles."""

_KEYWORDS: Final = frozenset(
    {"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if"}
    | {"in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"}
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Keys = tuple[str, ...]
"""Keys from the top of the document: ("agents", "trader", "count")."""

_DEEPEST: Final = 8
"""Keys inside keys that are told apart; a model.toml needs four."""

# Possessive, and with a group for words that are no key, so that no text is gone over twice.
_PART: Final = r"""(?:[A-Za-z0-9_-]++|"(?:\\.|[^"\\\n])*+"|'[^'\n]*+')"""
_KEY: Final = rf"{_PART}(?:\s*+\.\s*+{_PART})*+"
_TOKEN: Final = re.compile(
    rf'(?P<text>"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\')'
    rf"|(?P<comment>#[^\n]*)"
    rf"|^[ \t]*\[\[?[ \t]*(?P<table>{_KEY})[ \t]*\]\]?"
    rf"|(?P<key>{_KEY})[ \t]*=(?!=)"
    rf"""|(?P<string>"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
    rf"|(?P<open>[{{\[])|(?P<close>[}}\]])|(?P<other>{_KEY})",
    re.DOTALL | re.MULTILINE,
)

_CHAIN: Final = re.compile(
    r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}"""
)


def too_deep(toml: str) -> int:
    """The line of a key of so many parts (``a.b.c…``) that reading it would take time and memory
    by the square of its length; 0: there is none."""
    found = _CHAIN.search(toml)
    return toml.count("\n", 0, found.start()) + 1 if found else 0


def _parts(key: str) -> Keys:
    return tuple(part.strip("\"'") for part in re.findall(_PART, key))


def key_lines(toml: str) -> dict[Keys, int]:
    """The line of every table header and key of valid TOML; for findings, so a guess is good
    enough."""
    lines: dict[Keys, int] = {}
    table: Keys = ()
    nested: list[Keys] = []
    latest: Keys = ()
    line, seen = 1, 0
    for match in _TOKEN.finditer(toml):
        start = match.start(match.lastgroup or 0)
        line += toml.count("\n", seen, start)
        seen = start
        kind = match.lastgroup
        if kind == "table" and not nested:
            table = latest = _parts(match["table"])[:_DEEPEST]
            for size in range(len(table), 0, -1):
                lines.setdefault(table[:size], line)
        elif kind == "key":
            latest = ((nested[-1] if nested else table) + _parts(match["key"]))[:_DEEPEST]
            for size in range(len(latest), 0, -1):
                lines.setdefault(latest[:size], line)
        elif kind == "open":
            nested.append(latest)
        elif kind == "close" and nested:
            nested.pop()
    return lines


def nearest(name: str, names: Iterable[str]) -> str | None:
    found = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.6)
    return found[0] if found else None


def shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def sort_of(value: object) -> str:
    """What a TOML value is, in words."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    for kind, words in ((str, "a text"), (list, "a list"), (dict, "a table")):
        if isinstance(value, kind):
            return words
    return "a date or time"


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


class TomlFindings:
    """Collects findings about one model.toml."""

    def __init__(self, toml: str) -> None:
        self.toml = toml
        self.text_lines = toml.split("\n")
        self.found: list[Diagnostic] = []

    @cached_property
    def lines(self) -> dict[Keys, int]:
        """As ``key_lines``, looked for when needed: of text that is no TOML they never are."""
        return key_lines(self.toml)

    def line(self, path: Keys) -> int:
        """The key's line, or that of the nearest table around it."""
        for size in range(len(path), 0, -1):
            if path[:size] in self.lines:
                return self.lines[path[:size]]
        return 0

    def report(
        self, path: Keys, code: str, message: str, hint: str = "", severity: str = "error"
    ) -> None:
        line = self.line(path)
        text = self.text_lines[line - 1] if line else ""
        word = next((part for part in reversed(path) if part in text), "")
        self.add(line, word, code, message, hint, severity)

    def add(
        self, line: int, word: str, code: str, message: str, hint: str, severity: str = "error"
    ) -> None:
        picture = ""
        if line:
            text = self.text_lines[line - 1]
            at = text.find(word) if word else -1
            bare = len(text) - len(text.lstrip())
            picture = (
                excerpt(text, line, at, len(word)) if at >= 0 else excerpt(text, line, bare, 200)
            )
        self.found.append(
            Diagnostic(
                severity=severity,
                code=code,
                message=message,
                file=FILE,
                line=line,
                excerpt=picture,
                hint=hint,
            )
        )

    def unknown(self, path: Keys, known: Iterable[str], where: str) -> None:
        names = list(known)
        near = nearest(path[-1], names)
        listed = f"known: {', '.join(names)}"
        hint = f"did you mean {near}? ({listed})" if near else listed
        self.report(path, "key", f"unknown key '{path[-1]}' {where}", hint)

    def wrong(self, path: Keys, value: object, wanted: str, hint: str = "") -> None:
        self.report(path, "type", f"{'.'.join(path)} must be {wanted}, not {sort_of(value)}", hint)

    def table(self, document: Mapping[str, Any], key: str) -> dict[str, Any]:
        value = document.get(key, {})
        if isinstance(value, dict):
            return value
        self.wrong((key,), value, "a table", f"write a line [{key}] and the entries below it")
        return {}

    def text(self, document: Mapping[str, Any], path: Keys, default: str = "") -> str:
        value = document.get(path[-1], default)
        if isinstance(value, str):
            return value
        self.wrong(path, value, "a text", f'write {path[-1]} = "…"')
        return default

    def boolean(self, document: Mapping[str, Any], path: Keys, default: bool) -> bool:
        value = document.get(path[-1], default)
        if isinstance(value, bool):
            return value
        self.wrong(path, value, "true or false", f"write {path[-1]} = {shown(default)}")
        return default

    def whole(self, document: Mapping[str, Any], path: Keys, default: int, least: int) -> int:
        """A whole number; ``document`` is the table that ``path`` ends in."""
        value = document.get(path[-1], default)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_EXACT:
            return value
        self.report(
            path,
            "type",
            f"{path[-1]} must be a whole number, {least} or more, not {shown(value)}",
        )
        return default

    def is_name(self, path: Keys, what: str) -> bool:
        name = path[-1]
        if name in _KEYWORDS:
            self.report(
                path, "name", f"'{name}' is a word of Lua and cannot name {what}", "rename it"
            )
            return False
        if not _NAME.fullmatch(name):
            self.report(
                path,
                "name",
                f"'{name}' cannot name {what}: expressions must be able to use it",
                "use letters, digits and _, not beginning with a digit",
            )
            return False
        return True

    def expression(self, path: Keys, value: object) -> str | None:
        """An expression's text; a bare number or boolean stands for itself."""
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return shown(value)
        if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
            return repr(value)
        self.wrong(path, value, "an expression in quotes", f'write {path[-1]} = "…"')
        return None

    def syntax(self, said: str) -> None:
        """A TOML syntax error; the commonest cause is an expression without quotes."""
        place = re.search(r" \(at line (\d+), column (\d+)\)$", said)
        reason = re.sub(r" \(at .*\)$", "", said)
        line = int(place[1]) if place else len(self.text_lines)
        text = self.text_lines[line - 1] if line <= len(self.text_lines) else ""
        hint = "see TOML 1.0: key = value, texts in quotes"
        if reason == "Invalid value":
            value = text[int(place[2]) - 1 :].split("#")[0].strip() if place else ""
            plain = {
                "True": "true",
                "False": "false",
                "None": "no key at all",
                "null": "no key at all",
            }
            word = re.match(r"\w*", value)
            if word and word[0] in plain:
                hint = f"TOML writes {plain[word[0]]}"
            elif value and '"' not in value:
                hint = f'texts and expressions need quotes: "{value}"'
            else:
                hint = "texts and expressions need quotes; inner texts use single ones: \"'buy'\""
        elif "mutable" in reason or "overwrite" in reason or "twice" in reason:
            hint = "each table and key may stand once"
        self.add(line, "", "toml", f"{FILE} is not valid TOML: {reason}", hint)
