"""Numbers, durations, sparklines and tables as text, for simctl and the gateway alike. Pure."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from runtime.protocol import Scalar

SPARKS: Final = "▁▂▃▄▅▆▇█"
KEPT: Final = {"\n": "\n", "\t": "    "}
"""Control characters that ``printable`` lets through, and as what."""


def number(value: Scalar | None) -> str:
    """Whole numbers below 10^15 in full, others with six digits, '-' where there is none."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.6g}"


def grouped(value: int) -> str:
    """1 200 000, with no-break spaces: readable, and one word for whoever copies it."""
    return f"{value:,}".replace(",", "\u00a0")


def seconds(value: float) -> str:
    """A duration as a person says it."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.2f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def sparkline(values: Sequence[float | None]) -> str:
    """One character a value, scaled from the least to the greatest; a blank where there is none."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    top = len(SPARKS) - 1
    marks = []
    for value in values:
        if value is None or not math.isfinite(value):
            marks.append(" ")
        elif high == low:
            marks.append(SPARKS[0])
        else:
            # Halves first: high - low may overflow where both are finite.
            share = (value / 2 - low / 2) / (high / 2 - low / 2)
            marks.append(SPARKS[min(top, int(share * (top + 1)))])
    return "".join(marks)


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = (0,)
) -> list[str]:
    """Lines of a table, columns as wide as need be; columns in ``left`` (from 0) are set left."""
    cells = [[printable(cell).replace("\n", "\\n") for cell in row] for row in (header, *rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    lines = []
    for row in cells:
        parts = [
            cell.ljust(width) if k in left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    return lines


def printable(text: str) -> str:
    """Text of a model on a terminal: control characters shown, never obeyed; tabs as spaces."""
    if text.isprintable():
        return text
    # To Python no space but U+0020 is printable; ``grouped`` writes U+00A0.
    return "".join(
        char
        if char.isprintable() or unicodedata.category(char) == "Zs"
        else KEPT.get(char) or ascii(char)[1:-1]
        for char in text
    )


def of_plural(count: int, noun: str) -> str:
    """1 worker, 2 workers."""
    return f"{grouped(count)} {noun}" + ("" if count == 1 else "s")
