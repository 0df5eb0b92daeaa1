"""The numbers that a model must reproduce: ``models/NAME/expected.toml``.

    source = "where the numbers come from"

    [[number]]
    what = "final size, R0 = 2"
    parameters = { r0 = 2.0 }     # the others have their defaults
    ticks = 1000                  # at most; [stop] may end a run earlier
    metric = "ever"               # a metric, or "tick": the tick in which the run ended
    statistic = "last"            # of one run: "last", or "mean" over the ticks first .. ticks
    first = 0
    runs = 20                     # seeds 1 .. runs; the number is the mean of their statistics
    value = 0.7968
    tolerance = 0.01              # 0 if left out

Ticks in which the metric is null are left out. Several metrics of the same runs are written
``last = { ones = 8, twos = 16 }`` or ``mean = { zero = 0.414, gini = 0.58 }``, in the place of
``metric``, ``statistic`` and ``value``. A series has ``at = [ticks]`` and ``values`` in place of
``statistic`` and ``value``.

``major = 0.1`` leaves out the runs whose statistic is not above it; ``share_below = 0.1`` asks for
the share of runs whose statistic is not above it. A number that chance has no part in, or that must
not depend on who computes what, says ``exact = true``: its run is repeated on each of ``workers``
([1, 2, 3, 5] if left out; on one where the regime is sequential), and all rows and the digest must
be the same.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from examples import ROOT

MODELS = ROOT / "models"
NAMES = sorted(path.parent.name for path in MODELS.glob("*/model.toml"))

Column = Sequence[tuple[int, float]]
"""(tick, value) of a metric, without the ticks in which it is null."""


@dataclass(frozen=True)
class Number:
    """One ``[[number]]``, as described above. ``at`` is empty unless it is a series."""

    what: str
    metric: str
    ticks: int
    parameters: dict[str, Any]
    statistic: str = "last"
    first: int = 0
    runs: int = 1
    value: float = 0.0
    tolerance: float = 0.0
    major: float | None = None
    share_below: float | None = None
    exact: bool = False
    workers: tuple[int, ...] = (1, 2, 3, 5)
    at: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    @property
    def wanted(self) -> list[float]:
        return list(self.values) if self.at else [self.value]

    def of_run(self, column: Column) -> list[float]:
        """The statistic of one run, or the values of the series."""
        if self.at:
            found = dict(column)
            return [found[tick] for tick in self.at]
        if self.statistic == "last":
            return [column[-1][1]]
        return [fmean(value for tick, value in column if self.first <= tick <= self.ticks)]

    def of_runs(self, values: Sequence[list[float]]) -> list[float]:
        """The number that the statistics of all runs give."""
        return [self._combined(list(of_one)) for of_one in zip(*values, strict=True)]

    def _combined(self, values: list[float]) -> float:
        if self.share_below is not None:
            limit = self.share_below
            return fmean(value <= limit for value in values)
        if self.major is not None:
            values = [value for value in values if value > self.major]
        return fmean(values)


@dataclass(frozen=True)
class Group:
    """Numbers of one model that the same runs answer."""

    model: str
    numbers: tuple[Number, ...]

    def __str__(self) -> str:
        return f"{self.model}: {self.numbers[0].what}"

    @property
    def common(self) -> Number:
        """Has the parameters, ticks, runs and workers of all of them."""
        return self.numbers[0]


def source(model: str) -> str:
    """Where the model's numbers come from; empty when it has none."""
    path = MODELS / model / "expected.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))["source"] if path.exists() else ""


def read_numbers(path: Path) -> list[Number]:
    """The numbers of a file; empty when there is no file."""
    if not path.exists():
        return []
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["number"]
    return [number for entry in entries for number in _numbers_of(entry)]


def _numbers_of(entry: dict[str, Any]) -> list[Number]:
    given = {key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()}
    tables = {key: given.pop(key) for key in ("last", "mean") if key in given}
    several = [
        {"what": f"{entry['what']}: {metric}", "metric": metric, "statistic": key, "value": value}
        for key, table in tables.items()
        for metric, value in table.items()
    ]
    numbers = [Number(**{"parameters": {}, **given, **one}) for one in several or [{}]]
    for number in numbers:
        assert number.statistic in ("last", "mean"), number
        assert len(number.at) == len(number.values), number
        assert bool(number.at) + bool(several) + ("value" in entry) == 1, number
        assert not (number.exact and number.runs > 1), number
    return numbers


def groups(wanted: Callable[[Number], bool]) -> list[Group]:
    """The numbers that are ``wanted`` of all models, each group with its runs in common."""
    found: dict[tuple[str, str], list[Number]] = {}
    for model in NAMES:
        for number in filter(wanted, read_numbers(MODELS / model / "expected.toml")):
            runs = [number.parameters, number.ticks, number.runs, number.workers]
            found.setdefault((model, repr(runs)), []).append(number)
    return [Group(model, tuple(numbers)) for (model, _), numbers in found.items()]
