"""What agents logged: the newest lines, in agent order, whatever the order they arrived in."""

from __future__ import annotations

from typing import Final

import msgspec

KEPT: Final = 10_000

LogLine = tuple[int, int, int, int, str]
"""(tick, agent type, agent, sequence, text)"""

_decode = msgspec.msgpack.Decoder(list[LogLine]).decode


def read_lines(blob: bytes) -> list[LogLine]:
    """The log lines of an answer.

    Raises:
        MALFORMED: (one of these) the worker sent something else.
    """
    return _decode(blob)


class LogLines:
    """The newest ``KEPT`` lines. Exact for any arrival: cutting keeps the newest of what came so
    far, and what is cut is older than as many lines as are kept."""

    def __init__(self) -> None:
        self._lines: list[LogLine] = []
        self.total = 0
        """Lines ever logged."""

    def extend(self, lines: list[LogLine]) -> None:
        """Take in the lines of one answer."""
        self.total += len(lines)
        self._lines += lines
        if len(self._lines) > 2 * KEPT:
            self._cut()

    def newest(self, limit: int, contains: str) -> tuple[list[LogLine], int]:
        """The newest ``limit`` lines with ``contains`` in their text, oldest first; and how many of
        the kept ones there are."""
        self._cut()
        found = [line for line in self._lines if contains in line[4]] if contains else self._lines
        return found[-limit:], len(found)

    def _cut(self) -> None:
        self._lines.sort()
        del self._lines[:-KEPT]
