"""Answers as compact text: cells, tables, sparklines, and the budget every answer keeps to.

Nothing here knows the SDK or the coordinator. A token is taken as four characters.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from runtime import figures
from runtime.figures import number

DEFAULT_BUDGET: Final = 5_600
"""Characters of an answer unless the caller asked for more: about 1 400 tokens."""
HARD_BUDGET: Final = 40_000
"""Characters of an answer whatever was asked: hosts cut or spill above about 45 000."""
CELL: Final = 60
"""Longest text in a table's cell."""
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def clean(text: str) -> str:
    """Without control, bidirectional, zero-width and unassigned characters; lines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in _INVISIBLE)


def one_line(text: str, limit: int = CELL) -> str:
    """Text of unknown origin on one line, cut to ``limit`` characters with an ellipsis."""
    flat = clean(text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t"))
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def cell(value: float | str | None) -> str:
    """One value of a table."""
    if value is None:
        return "null"
    return one_line(value) if isinstance(value, str) else number(value)


def table(columns: Sequence[str], rows: Sequence[Sequence[float | str | None]]) -> list[str]:
    """Lines of a table: a heading, then the rows; numbers to the right, texts to the left."""
    texts = [[cell(value) for value in row] for row in rows]
    heads = [one_line(column) for column in columns]
    left = [i for i in range(len(heads)) if any(isinstance(row[i], str) for row in rows)]
    return figures.table(heads, texts, left)


def spark(values: Iterable[float | None], width: int = 16) -> str:
    """At most ``width`` bars; a space where there is no value; '' for a flat line."""
    points = list(values)
    if len(points) > width:
        last = len(points) - 1
        points = [points[round(i * last / (width - 1))] for i in range(width)]
    finite = [v for v in points if v is not None and math.isfinite(v)]
    # A flat line says nothing that first and last do not.
    return figures.sparkline(points) if len(set(finite)) > 1 else ""


def assignments(values: dict[str, float | str | bool]) -> str:
    """``beta=0.3 rule='reed_frost'``; '' for none."""
    return " ".join(
        f"{name}={value!r}" if isinstance(value, str) else f"{name}={number(value)}"
        for name, value in values.items()
    )


def fit(
    head: Sequence[str],
    body: Sequence[str],
    left_out: Callable[[int], str],
    tail: Sequence[str] = (),
    budget: int = DEFAULT_BUDGET,
    missing: int = 0,
    *,
    keep_last: bool = False,
) -> str:
    """Head, as many lines of the body as the budget holds, and the tail.

    Args:
        left_out: says that so many lines are not shown, and how to get them.
        missing: lines that exist beyond ``body``.
        keep_last: what does not fit is cut from the front, and said there.
    """
    room = budget - sum(len(line) + 1 for line in [*head, *tail])
    if missing == 0 and sum(len(line) + 1 for line in body) <= room:
        return "\n".join([*head, *body, *tail])
    room -= len(left_out(len(body) + missing)) + 1
    kept: list[str] = []
    for line in reversed(body) if keep_last else body:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    note = left_out(len(body) - len(kept) + missing)
    middle = [note, *reversed(kept)] if keep_last else [*kept, note]
    return "\n".join([*head, *middle, *tail])


def bounded(text: str, budget: int = HARD_BUDGET) -> str:
    """The last guard of every answer: cleaned, and cut where no renderer had cut before."""
    plain = clean(text)
    if len(plain) <= budget:
        return plain
    return plain[: budget - 60] + f"\n… {len(plain) - budget + 60} more characters left out"
