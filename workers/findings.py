"""Collect what the front end finds, with the source line and a caret under the place."""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.errors import excerpt
from runtime.protocol import Diagnostic
from workers.syntax import Node, Tree, from_bytes_text


@dataclass
class Findings:
    """The findings of one file. ``text`` is in the one-character-per-byte form."""

    file: str
    text: str
    found: list[Diagnostic] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lines = self.text.split("\n")
        self._placed: list[tuple[int, int]] = []
        self._seen: set[tuple[int, int, str]] = set()

    def at(
        self,
        line: int,
        column: int,
        width: int,
        code: str,
        message: str,
        hint: str = "",
        severity: str = "error",
    ) -> None:
        """Add a finding; a second one of the same code at the same place is dropped."""
        if (line, column, code) in self._seen:
            return
        self._seen.add((line, column, code))
        # Line 0 is the one line of a text that is no file: a query, an until expression.
        source = self._lines[max(line, 1) - 1] if line <= len(self._lines) else ""
        before = from_bytes_text(source[:column])
        shown = from_bytes_text(source[column : column + width])
        picture = excerpt(from_bytes_text(source), line, len(before), len(shown))
        self._placed.append((line, column))
        self.found.append(
            Diagnostic(
                severity=severity,
                code=code,
                message=message,
                file=self.file,
                line=line,
                excerpt=picture,
                hint=hint,
            )
        )

    def error(self, tree: Tree, node: Node, code: str, message: str, hint: str = "") -> None:
        self._node(tree, node, code, message, hint, "error")

    def warning(self, tree: Tree, node: Node, code: str, message: str, hint: str = "") -> None:
        self._node(tree, node, code, message, hint, "warning")

    def _node(
        self, tree: Tree, node: Node, code: str, message: str, hint: str, severity: str
    ) -> None:
        line, column = tree.line(node.start), tree.column(node.start)
        self.at(line, column, node.end - node.start, code, message, hint, severity)

    def sorted(self) -> list[Diagnostic]:
        """By line, then column; findings of one place in the order they were made."""
        order = sorted(range(len(self.found)), key=lambda i: self._placed[i])
        return [self.found[i] for i in order]
