"""Every error that crosses a module, split by who must act.

GedankenError
├── UsageError            the caller: an argument, a command that does not fit the moment
│   ├── UnknownSimulation     no simulation of that name
│   └── UnknownModel          no such folder or library model
├── ModelError            the model's author: it does not check; carries the diagnostics
├── SimulationFault       the model's author: a running simulation failed; carries the fault
├── ProtocolError         the peer: an answer or a frame out of place
├── WorkerLost            the machine: a worker died, hung or could not start
└── CoordinatorLost       the operator: no coordinator, or it went away
"""

from __future__ import annotations

from typing import Final

from runtime.protocol import Diagnostic, Fault


class GedankenError(Exception):
    """Base of all. ``str()`` is complete: what, where, why; ``hint`` says what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(GedankenError):
    """The caller's argument or command does not fit."""


class UnknownSimulation(UsageError):
    """No simulation has that name."""


class UnknownModel(UsageError):
    """No folder or library model has that name."""


class ModelError(GedankenError):
    """The model does not check."""

    def __init__(self, message: str, diagnostics: list[Diagnostic], hint: str = "") -> None:
        super().__init__(message, hint)
        self.diagnostics = diagnostics


class SimulationFault(GedankenError):
    """A simulation stands at the end of its last closed tick, with an error."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message, fault.hint or "")
        self.fault = fault


class ProtocolError(GedankenError):
    """A message that the protocol does not allow here."""


class WorkerLost(GedankenError):
    """A worker process died, hung, or could not be started."""


class CoordinatorLost(GedankenError):
    """The coordinator cannot be reached, or went away during a request."""


_WIDEST: Final = 100
"""Longest source line shown; longer ones are cut around the place."""


def excerpt(line_text: str, line: int, column: int, width: int) -> str:
    """A place as it is shown: ``12 | code`` and a line of carets below.

    Column and width count characters, from 0; a ``line`` of 0 shows no number.
    """
    text = line_text.replace("\t", " ").rstrip()
    if len(text) > _WIDEST:
        first = max(0, min(column - 20, len(text) - _WIDEST))
        text = text[first : first + _WIDEST]
        column -= first
    column = max(0, min(column, len(text)))
    width = max(1, min(width, len(text) - column))
    number = f"{line or '':>4} | "
    return f"{number}{text}\n{' ' * (len(number) - 2)}| {' ' * column}{'^' * width}"
