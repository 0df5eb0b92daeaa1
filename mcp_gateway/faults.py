"""Failures as text: where, what, why, what next. Texts of agents in them are data."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_gateway.render import clean, fit, one_line
from runtime.commands import Failed
from runtime.errors import GedankenError, ModelError, SimulationFault
from runtime.protocol import ENVIRONMENT, Diagnostic, Fault

_MESSAGE = 1_500
"""Characters of a fault's message: the rest is an agent's doing (``error(("x"):rep(1e6))``)."""


def from_error(error: GedankenError, then: str) -> str:
    """A failure that the client raised."""
    if isinstance(error, SimulationFault):
        return "\n".join([*fault_lines(error.fault), *_then(then)])
    if isinstance(error, ModelError):
        return checked(_head(str(error)), error.diagnostics, _then(then or error.hint))
    return _plain(str(error), error.hint, then)


def from_reply(reply: Failed, then: str) -> str:
    """A failure that came as a reply."""
    if reply.fault is not None:
        return "\n".join([*fault_lines(reply.fault), *_then(then)])
    if reply.diagnostics:
        return checked(_head(reply.message), reply.diagnostics, _then(then or reply.hint))
    return _plain(reply.message, reply.hint, then)


def _head(message: str) -> str:
    """Without the first diagnostic, with which it goes on: that follows in full."""
    return message.partition(": ")[0]


def checked(head: str, diagnostics: Sequence[Diagnostic], tail: Sequence[str] = ()) -> str:
    """A heading, then every diagnostic in the order of places."""
    lines = [line for diagnostic in diagnostics for line in diagnostic_lines(diagnostic)]
    return fit(
        [head],
        lines,
        lambda n: f"… {n} more lines left out; mend these first, then they are shown",
        tail,
    )


def diagnostic_lines(diagnostic: Diagnostic) -> list[str]:
    """One finding: place and reason, the line itself, the cure."""
    place = diagnostic.file + (f":{diagnostic.line}" if diagnostic.line else "")
    said = one_line(diagnostic.message, _MESSAGE)
    lines = [f"{place or 'model'}: {diagnostic.severity}: {said}"]
    lines += _excerpt(diagnostic.excerpt)
    if diagnostic.hint:
        lines.append(f"    cure: {one_line(diagnostic.hint, 600)}")
    return lines


def fault_lines(fault: Fault) -> list[str]:
    """A fault as a report of at most about thirty lines."""
    place = f"{fault.file}:{fault.line}: " if fault.file and fault.line else ""
    lines = [f"{fault.kind} fault at tick {fault.tick}: {place}{one_line(fault.message, _MESSAGE)}"]
    lines += _excerpt(fault.excerpt or "")
    who = []
    if fault.agent is not None:
        who.append(f"agent {fault.agent} ({fault.agent_type})")
    elif fault.agent_type == ENVIRONMENT:
        who.append("the environment")
    if fault.handler:
        who.append(f"in {fault.handler}")
    if fault.handling:
        who.append(f"handling {one_line(fault.handling, 300)}")
    if fault.worker is not None:
        who.append(f"on worker {fault.worker}")
    if who:
        lines.append(f"    {', '.join(who)}")
    if fault.locals:
        lines.append(f"    values (data): {one_line(fault.locals, 600)}")
    if fault.hint:
        lines.append(f"    cure: {one_line(fault.hint, 600)}")
    return lines


def _excerpt(text: str) -> list[str]:
    lines = clean(text).rstrip("\n").split("\n") if text else []
    return [f"    {line[:160]}" for line in lines[:9]]


def _plain(message: str, hint: str, then: str) -> str:
    # A hint that speaks of the command line helps nobody who has only these tools.
    hints = [one_line(hint, 600)] if hint and "simctl" not in hint else []
    return "\n".join([clean(message)[:_MESSAGE], *hints, *_then(then)])


def _then(text: str) -> list[str]:
    return [f"Next: {text}"] if text else []
