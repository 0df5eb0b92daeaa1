"""An edge list: CSV with the columns from, to and, if wanted, weight."""

from __future__ import annotations

import math
from typing import Final

from workers.findings import Findings
from workers.syntax import from_bytes_text, to_bytes_text

_MOST: Final = 10
"""Lines reported; a file that is wrong in one way is so in every line."""
_FORM: Final = "a line holds from,to or from,to,weight: 1,2 or 1,2,0.5"
_LARGEST: Final = 2**31 - 1


class _Bad(Exception):
    """``column`` and ``width`` of what is wrong in the line, and what to write instead."""

    def __init__(self, message: str, hint: str, column: int = 0, width: int = 0) -> None:
        super().__init__(message)
        self.message, self.hint, self.column, self.width = message, hint, column, width


def read_edges(text: str, file: str) -> tuple[list[float], Findings]:
    """(from, to, weight of every link in a row, what is wrong). Indices count from 1 within the
    agents that are linked; whether there are so many is for the run to tell. An empty text is that
    of a file that is not there, which has been said."""
    findings = Findings(file, to_bytes_text(text))
    edges: list[float] = []
    bad = 0
    columns = 0
    for number, line in enumerate(findings.text.removeprefix("\xef\xbb\xbf").split("\n"), 1):
        if not line.strip():
            continue
        if number == 1 and _is_header(line):
            continue
        try:
            link = _plain(line) or _link(line)
            if columns and len(link) != columns:
                message = f"this line has {len(link)} columns, those above have {columns}"
                raise _Bad(message, "give every line a weight, or none")
        except _Bad as error:
            bad += 1
            if bad <= _MOST:
                width = error.width or max(1, len(line.rstrip()))
                findings.at(number, error.column, width, "edges", error.message, error.hint)
            continue
        columns = len(link)
        edges += link if columns == 3 else [*link, 1]
    if bad > _MOST:
        findings.at(0, 0, 1, "edges", f"{bad - _MOST} more lines of {file} are wrong", _FORM)
    if text and not edges and not bad:
        findings.at(1, 0, 1, "edges", f"{file} holds no links", _FORM)
    return edges, findings


def _is_header(line: str) -> bool:
    """Words, not numbers: ``from,to,weight``."""
    cells = [cell.strip().strip('"') for cell in line.split(",")]
    return len(cells) > 1 and all(cell[:1].isalpha() for cell in cells)


def _plain(line: str) -> list[float] | None:
    """A line of an edge list as most are, without reporting: there may be a million of them."""
    cells = line.split(",")
    if "_" in line or not 2 <= len(cells) <= 3:
        return None
    try:
        link: list[float] = [int(cells[0]), int(cells[1]), *map(float, cells[2:])]
    except ValueError:
        return None
    sound = 1 <= link[0] <= _LARGEST and 1 <= link[1] <= _LARGEST and link[0] != link[1]
    return link if sound and math.isfinite(link[-1]) else None


def _link(line: str) -> list[float]:
    cells = line.split(",")
    if not 2 <= len(cells) <= 3:
        other = next((mark for mark in ";\t " if len(line.strip().split(mark)) in (2, 3)), "")
        names = {";": "semicolons", "\t": "tabs", " ": "spaces"}
        if len(cells) == 1 and other:
            raise _Bad(f"the columns are divided by {names[other]}", f"use commas: {_FORM}")
        raise _Bad(f"this line has {len(cells)} column{'s' if len(cells) > 1 else ''}", _FORM)
    starts = [sum(len(one) + 1 for one in cells[:at]) for at in range(len(cells))]
    link: list[float] = []
    for at, (cell, start) in enumerate(zip(cells, starts, strict=True)):
        shown = cell.strip()
        place = (start + len(cell) - len(cell.lstrip()), max(1, len(shown)))
        try:
            value = float(shown if "_" not in shown else "")
        except ValueError:
            message = f"'{from_bytes_text(shown)}' is not a number"
            raise _Bad(message, _FORM, *place) from None
        if at == 2:
            if not math.isfinite(value):
                raise _Bad("a weight is a finite number", _FORM, *place)
        elif value != int(value) if math.isfinite(value) else True:
            raise _Bad(f"'{shown}' is not a whole number", "indices are 1, 2, 3 …", *place)
        elif not 1 <= value <= _LARGEST:
            hint = "the first agent is 1: add 1 to every index" if value == 0 else _FORM
            raise _Bad(f"index {shown}: indices count from 1", hint, *place)
        link.append(value if at == 2 else int(value))
    if link[0] == link[1]:
        message = f"this links agent {link[0]} with itself"
        raise _Bad(message, "remove the line: a link has two ends")
    return link
