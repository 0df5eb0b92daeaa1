"""What agents logged: the newest lines, in agent order, whatever the order they arrived in.

Where agents act one after another, they arrive from the only worker in the order in which they were
written, and that is kept.
"""

from __future__ import annotations

from typing import Final

import msgspec

from runtime.protocol import Fault

KEPT: Final = 10_000

_TURNS, _CLOSE = 1, 2
"""Phases of a fault's order in which agents act: turns, and creation at the close, after the
environment."""

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

    def __init__(self, *, sequential: bool = False) -> None:
        self._sequential = sequential
        self._lines: list[LogLine] = []
        self.total = 0
        """Lines ever logged."""

    def extend(self, lines: list[LogLine]) -> None:
        """Take in the lines of one answer."""
        self.total += len(lines)
        self._lines += lines
        if len(self._lines) > 2 * KEPT:
            self._cut()

    def end_at(self, fault: Fault) -> None:
        """Forget what agents logged after a fault of their tick, in agent order: how many of them
        had their turn before it was noticed depends on how they are spread over workers. When the
        environment acts as a tick closes, all of them had theirs."""
        order = fault.order
        if self._sequential or len(order) < 4 or order[0] not in (_TURNS, _CLOSE) or order[1]:
            return
        last = (order[2], order[3])
        if order[0] == _CLOSE and last == (0, 0):
            return
        kept = [line for line in self._lines if line[0] != fault.tick or line[1:3] <= last]
        self.total -= len(self._lines) - len(kept)
        self._lines = kept

    def newest(self, limit: int, contains: str) -> tuple[list[LogLine], int]:
        """The newest ``limit`` lines with ``contains`` in their text, oldest first; and how many of
        the kept ones there are."""
        self._cut()
        found = [line for line in self._lines if contains in line[4]] if contains else self._lines
        return found[-limit:], len(found)

    def _cut(self) -> None:
        if not self._sequential:
            self._lines.sort()
        del self._lines[:-KEPT]
