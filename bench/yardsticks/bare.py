"""Runs the bare LuaJIT loops of ``bare.lua`` in this process, each in a Lua state of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lupa import luajit21  # the plain VM: the yardstick must not come with the runtime's own set-up

from bench.harness import Sample, require_equal, warm_up

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


def fresh_samples(
    workload: str,
    agents: int,
    ticks: int,
    expected: Callable[[int], float],
    arguments: Sequence[float] = (),
) -> Sample:
    """ns per agent-step, each time in a Lua state made for it, as for the runtime. ``expected``
    tells what ``result`` must be after so many ticks."""

    def sample() -> float:
        bare = Bare(workload, agents, *arguments)
        warm = warm_up(ticks)
        bare.advance(warm)
        seconds = bare.advance(ticks)
        require_equal(f"bare {workload}", bare.result(), expected(warm + ticks))
        return seconds / ticks / agents * 1e9

    return sample
