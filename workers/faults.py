"""Faults as reports: what the kernel caught, with the source's excerpt and what to try."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from runtime.protocol import ENVIRONMENT, Fault, Load, ModelSpec

_BYTES_OF_ID: Final = 8
"""What every worker keeps of every agent."""
_BYTES_OF_AGENT: Final = 64
"""The least that a worker keeps of an agent of its own: an empty table and its places."""

_HINTS: Final = {
    "fuel": "look for a loop that never ends; if the work is real, spread it over ticks or "
    "raise fuel at the top of model.toml",
    "memory": "let agents keep less, run fewer agents, or make the space smaller; the limit is "
    "memory_mb at the top of model.toml",
    "internal": "this is a bug of the runtime, not of the model: please report it with the model",
    "limit": "spread the work over ticks or over agents; docs/lua-api.md lists the limits",
    "invariant": "query the agents at this tick, and look for what creates or loses the quantity; "
    "mail under way counts through mail(kind, expression)",
}

_TEXT_HINTS: Final = (
    (
        "and this space has whole numbers",
        "cells are whole numbers: math.floor(x); on a bounded grid keep inside with "
        "math.max(0, math.min(space.width - 1, x)), or write torus = true",
    ),
    (
        "and this space has coordinates",
        "keep inside: x from 0 to below space.width, y to below space.height; or write "
        "torus = true",
    ),
    (
        "is not on the space",
        'give its type place = "random" in model.toml, or call move_to first',
    ),
    (
        "no agent has the id nil",
        "nearest and at may find nobody: test `if id then` first",
    ),
    (
        "attempt to index a number value",
        "this is a number: an id is no table; look(id, field) reads what an agent publishes, and "
        "position() gives x and y as two values",
    ),
    (
        "attempt to index",
        "the value before the dot or bracket is nil here: set it in init, or test it first",
    ),
    (
        "attempt to call",
        "no such function here: check the name, and that helpers are defined above",
    ),
    (
        "attempt to perform arithmetic",
        "one operand has no number: set the field in init, or use (x or 0)",
    ),
    (
        "with nil",
        "one side is nil here: set the field in init, or use (x or 0)",
    ),
    ("attempt to compare", "both sides must be of one type: convert with tonumber or tostring"),
    ("attempt to concatenate", "wrap the value in tostring(...)"),
    (
        "agents may keep nil",
        "keep data only in self: functions belong in the file, tables with metatables in local "
        "variables",
    ),
    ("stack overflow", "a function calls itself without an end: check its stopping condition"),
)


class KernelFailure(Exception):
    """A call into Lua failed outside the kernel's own error handling."""

    def __init__(self, call: str, error: Exception) -> None:
        super().__init__(f"{call}: {error}")
        self.error = error


def fault_of_failure(failure: KernelFailure, tick: int, worker: int, agent: int) -> Fault:
    """The report when the state itself gave up, while it ran ``agent`` (0: none)."""
    text = _text(failure.error)
    memory = "Memory" in type(failure.error).__name__ or "not enough memory" in text
    return Fault(
        kind="memory" if memory else "internal",
        message=f"worker {worker} reached its memory limit"
        if memory
        else f"the kernel failed: {text}",
        tick=tick,
        agent=agent or None,
        hint=_HINTS["memory" if memory else "internal"],
        worker=worker,
        order=(9, 0, 0, 0, 0),
    )


def fault_from(caught: dict[str, Any], model: ModelSpec) -> Fault:
    """The kernel's record as a fault with excerpt and hint."""
    values = {name: value for name, value in caught.items() if value is not None}
    values["order"] = tuple(values.get("order", ()))
    for name in ("message", "locals", "handling"):
        if name in values:
            values[name] = _clean(str(values[name]))
    fault = Fault(**values)
    excerpt = _excerpt(model, fault.file, fault.line)
    hint = _hint(fault)
    return Fault(**{**values, "excerpt": excerpt, "hint": hint})


def too_many_agents(load: Load) -> Fault | None:
    """Said before they are made: a worker would fill its memory first, for minutes."""
    total = sum(load.counts)
    least = total * _BYTES_OF_ID + total // load.workers * _BYTES_OF_AGENT
    if least <= load.memory_bytes or not load.memory_bytes:
        return None
    return Fault(
        kind="memory",
        message=f"{total} agents need at least {least >> 20} MB a worker, and its limit is "
        f"{load.memory_bytes >> 20} MB",
        tick=0,
        hint=_HINTS["memory"],
        order=(9, 0, 0, 0, 0),
    )


def of_query(fault: Fault | None) -> Fault | None:
    """A query's fault names the part of the query and the agent: nothing of the model is broken."""
    if fault is None or fault.kind != "metric":
        return fault
    where = f"{fault.handler}: " if fault.handler else ""
    who = f"for agent {fault.agent}: " if fault.agent else ""
    hint = fault.hint
    if "nil" in fault.message:
        hint = "not every agent has the field, or env none of that name: "
        hint += "write (self.x or 0), or select self.x ~= nil; "
        hint += "fields left out show what agents have"
    return msgspec.structs.replace(fault, message=f"{where}{who}{fault.message}", hint=hint)


def _excerpt(model: ModelSpec, file: str | None, line: int | None) -> str | None:
    if not file or not line:
        return None
    source = model.toml if file == "model.toml" else ""
    if model.environment is not None and file == model.environment.file:
        source = model.environment.source
    for agent_type in model.types:
        if agent_type.file == file:
            source = agent_type.source
    lines = source.split("\n")
    if not 1 <= line <= len(lines):
        return None
    first, last = max(1, line - 1), min(len(lines), line + 1)
    return "\n".join(
        f"{'>' if n == line else ' '} {n:4d} | {_clean(lines[n - 1])[:160]}"
        for n in range(first, last + 1)
    )


def _hint(fault: Fault) -> str | None:
    if fault.kind == "fuel" and fault.agent_type == ENVIRONMENT:
        return (
            "look for a loop that never ends; if the work is real, use the layers' whole-layer "
            "operations, or raise fuel in [environment] of model.toml"
        )
    if fault.kind in _HINTS:
        return _HINTS[fault.kind]
    for fragment, hint in _TEXT_HINTS:
        if fragment in fault.message:
            return hint
    if fault.kind == "metric" and fault.agent is not None:
        return (
            "give every agent the field in init, or write (self.x or 0), or add a condition as "
            "third argument"
        )
    return None


def _text(error: Exception) -> str:
    raw = error.args[0] if error.args else error
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)


def _clean(text: str) -> str:
    """Control characters made visible: reports are read on terminals and by language models."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
