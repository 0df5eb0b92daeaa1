"""Runs the bare LuaJIT loops of ``bare.lua`` in this process, each in a Lua state of its own."""

from __future__ import annotations

import time
from pathlib import Path

from lupa import luajit21  # the plain VM: the yardstick must not come with the runtime's own set-up

SOURCE = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")


class Bare:
    """One bare loop. ``arguments`` are those of the workload in ``bare.lua`` after n."""

    def __init__(self, workload: str, agents: int, *arguments: float) -> None:
        self._lua = luajit21.LuaRuntime(register_eval=False, register_builtins=False)
        make = self._lua.execute(SOURCE)[workload]
        self._advance, self._result = make(agents, *arguments)

    def advance(self, ticks: int) -> float:
        """Runs ``ticks`` ticks; the seconds they took."""
        began = time.perf_counter()
        self._advance(ticks)
        return time.perf_counter() - began

    def result(self) -> float:
        """What was done, as ``bare.lua`` says for each workload."""
        return float(self._result())
