"""Log lines of this project's processes: one JSON object a line, on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Final, TypeAlias

LEVELS: Final = ("debug", "info", "warning", "error")

Field: TypeAlias = str | int | float | bool | list[str] | list[int] | None


class Log:
    """Writes lines of a level and above. ``process`` says who writes: coordinator, worker."""

    def __init__(self, process: str, level: str = "warning") -> None:
        self._process = process
        self._least = LEVELS.index(level)

    def write(self, level: str, event: str, **fields: Field) -> None:
        """One line. ``event`` is a fixed phrase; what varies goes into the fields."""
        if LEVELS.index(level) < self._least:
            return
        line = {
            "time": round(time.time(), 3),
            "level": level,
            "process": self._process,
            "pid": os.getpid(),
            "event": event,
            **fields,
        }
        # A reader of the log that went away must not end a simulation.
        try:
            sys.stderr.write(json.dumps(line, ensure_ascii=True) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            self._least = len(LEVELS)
