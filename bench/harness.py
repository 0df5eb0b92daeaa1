"""What every benchmark shares: rows, samples taken in turn, ratios within one run, checks."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol


class CheckFailed(Exception):
    """A benchmark did not compute what it should have; its times mean nothing."""


def require_equal(what: str, found: object, expected: object) -> None:
    """Raises:
    CheckFailed: the result of what was timed is not the expected one.
    """
    if found != expected:
        raise CheckFailed(f"{what}: found {found}, expected {expected}")


@dataclass(frozen=True)
class Options:
    """What the caller asked for; None stands for each benchmark's own choice."""

    agents: tuple[int, ...] | None = None
    workers: tuple[int, ...] | None = None
    repeats: int | None = None

    def sizes(self, *default: int) -> tuple[int, ...]:
        return self.agents or default

    def teams(self, *default: int) -> tuple[int, ...]:
        return self.workers or default


@dataclass(frozen=True)
class Target:
    """A figure to reach: ``field`` of the row, at most or at least ``bound``."""

    field: str
    relation: str
    bound: float

    def met(self, value: float) -> bool:
        return value <= self.bound if self.relation == "<=" else value >= self.bound


@dataclass(frozen=True)
class Row:
    """One line of the table and one object of the JSON; None where a column does not apply.

    Times are medians over ``repeats``. ``ratio_to_bare_luajit`` is our time over the bare loop's
    (small is good); all other ratios are the other's time over ours (large is good).
    """

    name: str
    agents: int
    workers: int
    checked: bool
    check: str
    repeats: int
    ticks: int | None = None
    samples_ns: tuple[float, ...] = ()
    """ns per agent-step, of each repeat."""
    value: float | None = None
    unit: str | None = None
    ratio_to_bare_luajit: float | None = None
    ratio_to_naive: float | None = None
    ratio_to_naive_batched: float | None = None
    ratio_to_mesa: float | None = None
    ratio_to_one_worker: float | None = None
    targets: tuple[Target, ...] = ()
    remark: str = ""
    """What the table says at the end of the line: populations, for instance."""
    notes: Mapping[str, float] = field(default_factory=dict)

    @property
    def ns_per_agent_step(self) -> float | None:
        return statistics.median(self.samples_ns) if self.samples_ns else None

    def verdicts(self) -> list[tuple[Target, bool]]:
        """Every target whose figure was measured, and whether it was met."""
        found = []
        for target in self.targets:
            value = getattr(self, target.field)
            if value is not None:
                found.append((target, target.met(value)))
        return found

    def as_json(self) -> dict[str, Any]:
        record = asdict(self)
        record["ns_per_agent_step"] = self.ns_per_agent_step
        record["targets"] = [
            {"field": target.field, "relation": target.relation, "bound": target.bound, "met": met}
            for target, met in self.verdicts()
        ]
        return record


class Contestant(Protocol):
    """Anything that runs a workload: the runtime or a yardstick."""

    def advance(self, ticks: int) -> float:
        """Runs ``ticks`` ticks; the seconds they took."""


Workload = Callable[["Options"], Iterator[Row]]
Sample = Callable[[], float]


def in_turn(repeats: int, contestants: Mapping[str, Sample]) -> dict[str, list[float]]:
    """Samples of every contestant, one after another in each round, so that whatever slows the
    machine for a while slows them alike."""
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, sample in contestants.items():
            samples[name].append(sample())
    return samples


def per_step(contestant: Contestant, ticks: int, agents: int) -> Sample:
    """A sample of ``ticks`` ticks, in ns per agent-step."""
    return lambda: contestant.advance(ticks) / ticks / agents * 1e9


def warm_up(ticks: int) -> int:
    """Ticks to run before a sample of ``ticks``, in which the JIT compiles what it will."""
    return max(2, ticks // 4)


def ratio(numerator: Sequence[float] | None, denominator: Sequence[float] | None) -> float | None:
    """Median of the ratios of samples taken in the same round; None when either is missing."""
    if not numerator or not denominator:
        return None
    return statistics.median(a / b for a, b in zip(numerator, denominator, strict=True))
