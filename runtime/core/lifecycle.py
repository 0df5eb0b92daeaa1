"""The life of a simulation, as a table. A pair that is not in it raises and changes nothing."""

from __future__ import annotations

from enum import Enum
from typing import Final

from runtime.errors import GedankenError


class Phase(Enum):
    """Where a simulation stands; the values are what clients see."""

    CREATING = "creating"
    """Checked, loaded, and tick 0 being closed."""
    READY = "ready"
    """At the end of a closed tick; a run may be opened."""
    RUNNING = "running"
    """A run is open."""
    ENDED = "ended"
    """The model's own end: its stop condition held, or an invariant broke. It can be queried."""
    FAILED = "failed"
    """A fault ended it. Its metrics and log can be read; its agents are gone."""


class Event(Enum):
    """What moves a simulation from phase to phase."""

    CREATED = "tick 0 closed"
    RUN_OPENED = "run opened"
    RUN_CLOSED = "ticks, until or cancel"
    MODEL_ENDED = "stop or invariant"
    FAULT = "fault"


TRANSITIONS: Final[dict[tuple[Phase, Event], Phase]] = {
    (Phase.CREATING, Event.CREATED): Phase.READY,
    (Phase.CREATING, Event.MODEL_ENDED): Phase.ENDED,
    (Phase.CREATING, Event.FAULT): Phase.FAILED,
    (Phase.READY, Event.RUN_OPENED): Phase.RUNNING,
    (Phase.READY, Event.FAULT): Phase.FAILED,
    (Phase.RUNNING, Event.RUN_CLOSED): Phase.READY,
    (Phase.RUNNING, Event.MODEL_ENDED): Phase.ENDED,
    (Phase.RUNNING, Event.FAULT): Phase.FAILED,
    (Phase.ENDED, Event.FAULT): Phase.FAILED,
}


class OutOfPlace(GedankenError):
    """An event that the phase does not allow: an error of this project."""


def advance(who: str, phase: Phase, event: Event) -> Phase:
    """The phase after ``event``."""
    try:
        return TRANSITIONS[phase, event]
    except KeyError:
        raise OutOfPlace(f"{who} is {phase.value}: '{event.value}' has no place there") from None


def diagram() -> str:
    """The table as a Mermaid state diagram, for ``docs/architecture.md``."""
    lines = ["stateDiagram-v2", "    [*] --> creating"]
    lines += [
        f"    {start.value} --> {end.value}: {event.value}"
        for (start, event), end in TRANSITIONS.items()
    ]
    return "\n".join(lines)
