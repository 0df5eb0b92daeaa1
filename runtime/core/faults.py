"""Which fault ends a tick, and the words for those of the machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from runtime.core.barrier import Arrived
from runtime.core.job import Loss
from runtime.protocol import Dumped, Fault, Loaded, Queried, Stepped

EVALUATION: Final = 3
"""First number of a fault's order from metrics on: phases 1 and 2 belong to turns and creation."""
OF_THE_MACHINE: Final = frozenset({"worker", "deadline", "internal"})
"""Kinds that say nothing about the model."""
_POISONED: Final = OF_THE_MACHINE | {"memory"}
"""After these a worker process is not used again."""


class Faulted(Exception):
    """Ends a flow: the tick failed."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def poisons(fault: Fault) -> bool:
    """Whether the worker processes must be ended after it."""
    return fault.kind in _POISONED


def first_fault(arrived: Iterable[Arrived], *, evaluated: bool = True) -> Fault | None:
    """The fault to report of a round: the smallest in agent order, on whatever worker it was.

    Without ``evaluated``, faults of metrics are passed over: the tick still needs its close, which
    evaluates them again. The breach of an invariant is an ending, not a fault of the tick.
    """
    worst: Fault | None = None
    for answer, _ in arrived:
        assert isinstance(answer, Stepped | Loaded | Dumped | Queried)
        fault = answer.fault
        if fault is None or (isinstance(answer, Stepped) and answer.ended):
            continue
        if not evaluated and fault.order and fault.order[0] == EVALUATION:
            continue
        if worst is None or fault.order < worst.order:
            worst = fault
    return worst


def lost_worker(
    worker: int, loss: Loss, closed: int, running: bool, agent_type: str | None
) -> Fault:
    """The fault of the machine in words; ``closed`` is the last tick known to be closed. A worker
    that was granted many ticks may have come further: its crumb tells."""
    tick = max(loss.tick, closed + 1) if running else max(closed, 0)
    who = f"agent {loss.agent}" + (f" ({agent_type})" if agent_type else "")
    doing = f"in tick {tick}" if running else "while nothing ran"
    if loss.agent:
        doing += f" while it ran {who}"
    stands = f"; the simulation stands at the end of tick {closed}" if closed >= 0 else ""
    return Fault(
        kind=loss.kind,
        message=f"worker {worker} (process {loss.pid}) {loss.how} {doing}{stands}",
        tick=tick,
        agent=loss.agent or None,
        agent_type=agent_type if loss.agent else None,
        worker=worker,
        hint=_HINTS.get(loss.kind),
    )


_HINTS: Final = {
    "worker": "a run repeats exactly: create it again with the same seed and run it to that tick; "
    "if the process was ended for want of memory, use fewer agents or set memory_mb in model.toml",
    "deadline": "if a tick may take that long, start the coordinator with a larger --deadline",
}


def internal(message: str, tick: int) -> Fault:
    """Something that this project promises not to happen."""
    return Fault(
        kind="internal",
        message=f"internal error in tick {tick}: {message}",
        tick=tick,
        hint="this is a bug of Gedanken; the workers' stderr says more",
    )
