"""One model on every number of workers and on both VMs: what comes out must be one thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from shares import Shares, in_large_stack

from runtime import protocol as p

VMS = ("luajit21", "lua52")
WORKERS = (1, 2, 3, 5)
EVERYWHERE = (*((workers, "luajit21") for workers in WORKERS), (1, "lua52"), (3, "lua52"))

ON_EACH_VM = VMS
ON_LUAJIT = tuple((workers, "luajit21") for workers in WORKERS)
"""For the words of an error, which the VMs choose differently."""


@dataclass(frozen=True)
class Outcome:
    """Everything that a run shows. ``states``: id -> (type, state, pending mail)."""

    tick: int
    ended: str
    ended_by: str
    digest: str
    states: Mapping[int, tuple[str, Mapping[str, Any], Sequence[Any]]]
    rows: Sequence[tuple[int, Mapping[str, float | None]]]
    counts: tuple[int, int, int]
    logs: Sequence[Sequence[Any]]
    fault: p.Fault | None

    def state(self, id_: int) -> Mapping[str, Any]:
        """An agent's fields, without id and type."""
        return self.states[id_][1]

    def field(self, name: str) -> list[Any]:
        """One field of all agents, by id."""
        return [state.get(name) for _, state, _ in self.states.values()]

    def lines(self) -> list[tuple[int, int, str]]:
        """The log in order, as (tick, agent, text)."""
        return [(tick, id_, text) for tick, _, id_, _, text in self.logs]


def outcome(world: Shares) -> Outcome:
    """What ``world`` shows now; after a fault it has neither digest nor states."""
    counts = world.counts()
    fault = world.fault
    return Outcome(
        tick=world.tick,
        ended=world.ended,
        ended_by=world.ended_by,
        digest=world.digest() if fault is None else "",
        states=world.states() if fault is None else {},
        rows=list(world.rows),
        counts=(counts.sent, counts.delivered, counts.dead) if fault is None else (0, 0, 0),
        logs=sorted(world.logs, key=lambda line: line[:4]) if fault is None else [],
        fault=msgspec.structs.replace(fault, worker=None) if fault is not None else None,
    )


def same_for(places: Iterable[Any], run: Callable[[Any], Any]) -> Any:
    """The result of ``run`` for every place, which must be one; repr tells -0 from 0."""

    def all_of_them() -> Any:
        first: Any = None
        first_place: Any = None
        for place in places:
            found = run(place)
            if first is None:
                first, first_place = found, place
            else:
                assert repr(found) == repr(first), f"{place} differs from {first_place}"
        return first

    return in_large_stack(all_of_them)


def everywhere(
    spec: p.ModelSpec,
    counts: Sequence[int],
    ticks: int,
    *,
    until: str = "",
    places: Iterable[tuple[int, str]] = EVERYWHERE,
    **options: Any,
) -> Outcome:
    """The outcome of ``ticks`` ticks, found equal for every number of workers on every VM."""

    def run(place: tuple[int, str]) -> Outcome:
        workers, vm = place
        return outcome(Shares(spec, counts, workers, vm=vm, **options).run(ticks, until))

    found: Outcome = same_for(places, run)
    return found


def clean(found: Outcome) -> Outcome:
    """``found``, which must have no fault."""
    assert found.fault is None, found.fault
    return found
