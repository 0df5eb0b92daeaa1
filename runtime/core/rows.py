"""Metrics over time, in memory: 9 bytes a value, summaries that cost only what is new."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from math import fsum, isfinite
from typing import Final

import msgspec

from runtime.commands import MetricSummary
from runtime.protocol import Scalar

SPARK: Final = 40
"""Values in a summary's spark line."""

Row = tuple[int, dict[str, float | None]]

_decode = msgspec.msgpack.Decoder(list[Row]).decode

_VALUE: Final = 0
_NIL: Final = 1
"""The metric was evaluated and had no value: a mean over nobody."""
_SKIPPED: Final = 2
"""The metric was not evaluated at this tick (``every``)."""


def read_rows(blob: bytes) -> list[Row]:
    """The rows of an answer.

    Raises:
        MALFORMED: (one of these) the worker sent something else.
    """
    return _decode(blob)


class _Exact:
    """A sum of finite floats as non-overlapping parts: what is added when cannot change it."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[float] = []

    def add(self, values: list[float]) -> None:
        rest = self._parts + values
        parts: list[float] = []
        try:
            while total := fsum(rest):
                parts.append(total)
                rest.append(-total)
        except OverflowError:
            parts = [sum(self._parts) + sum(values)]
        self._parts = parts

    def value(self) -> float:
        try:
            return fsum(self._parts)
        except (OverflowError, ValueError):
            return sum(self._parts)


class _Column:
    """One metric: a value and a flag per row of the table, and its summary so far."""

    __slots__ = (
        "count", "every", "first", "flags", "highest", "last", "lowest", "seen", "total", "values",
    )  # fmt: skip

    def __init__(self, rows: int, every: int) -> None:
        self.every = every
        self.values = array("d", bytes(8 * rows))
        self.flags = bytearray([_SKIPPED]) * rows
        self.seen = rows
        self.count = 0
        self.first: float | None = None
        self.last: float | None = None
        self.lowest = self.highest = 0.0
        self.total = _Exact()

    def append(self, value: float | None) -> None:
        self.values.append(0.0 if value is None else value)
        self.flags.append(_NIL if value is None else _VALUE)

    def skip(self) -> None:
        self.values.append(0.0)
        self.flags.append(_SKIPPED)

    def at(self, row: int) -> float | None:
        return None if self.flags[row] else self.values[row]

    def catch_up(self, ticks: Sequence[int]) -> None:
        """Take the rows since the last call into the summary."""
        seen, end = self.seen, len(self.values)
        if seen == end:
            return
        values, flags = self.values, self.flags
        present = (
            values[seen:]
            if not any(flags[seen:])
            else [v for v, f in zip(values[seen:], flags[seen:], strict=True) if not f]
        )
        finite = [v for v in present if isfinite(v)]
        if len(present) and self.first is None:
            self.first = present[0]
        newest = end - 1
        while newest >= seen and (flags[newest] == _SKIPPED or ticks[newest] % self.every):
            newest -= 1
        if newest >= seen:
            self.last = self.at(newest)
        if finite:
            low, high = min(finite), max(finite)
            self.lowest = min(self.lowest, low) if self.count else low
            self.highest = max(self.highest, high) if self.count else high
            self.count += len(finite)
            self.total.add(finite)
        self.seen = end


class MetricTable:
    """The rows of a simulation. ``last`` is the value of the newest evaluated tick, null where it
    had none; min, max and mean are over the finite values."""

    def __init__(self) -> None:
        self._ticks = array("q")
        self._columns: dict[str, _Column] = {}

    def __len__(self) -> int:
        return len(self._ticks)

    @property
    def names(self) -> list[str]:
        """The metrics, in the order in which they were declared."""
        return list(self._columns)

    def declare(self, names: Sequence[str], every: Mapping[str, int] | None = None) -> None:
        """The columns to come; those in ``every`` have a value only at multiples of that tick."""
        thinned = every or {}
        for name in names:
            if name not in self._columns:
                self._columns[name] = _Column(len(self._ticks), thinned.get(name, 1))

    def extend(self, rows: Sequence[Row]) -> None:
        """Append rows; their ticks rise."""
        columns = self._columns
        for tick, values in rows:
            if len(values) == len(columns) and values.keys() == columns.keys():
                for name, value in values.items():
                    columns[name].append(value)
            else:
                self.declare(list(values))
                for name, column in columns.items():
                    if name in values:
                        column.append(values[name])
                    else:
                        column.skip()
            self._ticks.append(tick)

    def summaries(self) -> dict[str, MetricSummary]:
        """A summary of every metric."""
        return {name: self._summary(column) for name, column in self._columns.items()}

    def _summary(self, column: _Column) -> MetricSummary:
        column.catch_up(self._ticks)
        some = column.count > 0
        return MetricSummary(
            first=column.first,
            last=column.last,
            min=column.lowest if some else None,
            max=column.highest if some else None,
            mean=column.total.value() / column.count if some else None,
            spark=[column.at(row) for row in spread(0, len(self._ticks), SPARK)],
        )

    def table(
        self, names: Sequence[str], first: int, last: int, points: int
    ) -> tuple[list[list[Scalar | None]], int]:
        """Rows ``[tick, value…]`` of ticks first … last, thinned to ``points`` (0: all of them, and
        the last always among them), and how many there are without thinning."""
        start = bisect_left(self._ticks, first)
        end = bisect_right(self._ticks, last)
        columns = [self._columns[name] for name in names]
        rows: list[list[Scalar | None]] = [
            [self._ticks[row], *(column.at(row) for column in columns)]
            for row in spread(start, end, points or end - start)
        ]
        return rows, max(0, end - start)


def spread(start: int, end: int, points: int) -> list[int]:
    """At most ``points`` of start … end - 1, evenly spaced; with two or more, both ends."""
    n = end - start
    if n <= points:
        return list(range(start, end))
    if points <= 1:
        return [end - 1] * points
    return [start + i * (n - 1) // (points - 1) for i in range(points)]
