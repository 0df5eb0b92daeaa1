"""A coordinator for tests of the gateway: answers from memory, in this process, at once.

It knows one kind of model: any text with ``BROKEN`` in it does not check; a simulation goes forward
1 000 ticks each time somebody waits for it, so that a run of many ticks is a long one.
"""

from __future__ import annotations

import threading
from typing import Any

from msgspec.structs import replace

from runtime.commands import (
    AnyReply,
    CancelRun,
    CheckModel,
    Command,
    CreateSimulation,
    Done,
    MetricSummary,
    ModelChecked,
    ParameterInfo,
    QueryAgents,
    QueryLog,
    QueryMetrics,
    RemoveSimulation,
    RunSimulation,
    SimulationInfo,
    SimulationReply,
    Status,
    StatusReply,
    Table,
)
from runtime.errors import UnknownSimulation, UsageError
from runtime.protocol import Counts, Diagnostic, Fault

PACE = 1000


class StandIn:
    """The requests it got are in ``seen``, in order."""

    def __init__(self) -> None:
        self.seen: list[Command] = []
        self.simulations: dict[str, SimulationInfo] = {}
        self.table: Table | None = None
        self.fault: Fault | None = None
        self.waiting = threading.Event()
        """Set when somebody waits for a run: a test that cancels waits for this."""
        self.cancelled = threading.Event()
        """Set when a run was cancelled."""

    def request(self, command: Command) -> AnyReply:
        self.seen.append(command)
        return getattr(self, type(command).__name__)(command)

    def close(self) -> None:
        pass

    def CheckModel(self, command: CheckModel) -> AnyReply:
        found = [
            Diagnostic(
                severity="error",
                code="broken",
                message="this line is broken",
                file=path,
                line=text.count("\n", 0, text.index("BROKEN")) + 1,
                excerpt=next(line for line in text.split("\n") if "BROKEN" in line),
                hint="write it whole",
            )
            for path, text in command.files.items()
            if "BROKEN" in text
        ]
        return ModelChecked(
            ok=not found,
            diagnostics=found,
            name=command.name,
            agents={"person": 10},
            metrics=["ill"],
            parameters=[ParameterInfo(name="beta", default=0.3, min=0.0, max=1.0)],
            dry_ticks=command.dry_ticks,
        )

    def CreateSimulation(self, command: CreateSimulation) -> AnyReply:
        sim = f"{command.name}-{len(self.simulations) + 1}"
        self.simulations[sim] = SimulationInfo(
            sim=sim,
            model=command.name,
            phase="ready",
            tick=0,
            target=0,
            stopped="",
            parameters={"beta": 0.3, **command.parameters},
            seed=command.seed,
            activation="synchronous",
            workers=command.workers or 1,
            vm="luajit21",
            agents={"person": 10},
            messages=Counts(),
            metrics={"ill": MetricSummary(first=1, last=1, min=1, max=1, mean=1, spark=[1.0])},
            elapsed_s=0.0,
            ticks_per_s=0.0,
        )
        return SimulationReply(simulation=self.simulations[sim])

    def RunSimulation(self, command: RunSimulation) -> AnyReply:
        info = self._known(command.sim)
        if info.phase == "running":
            raise UsageError(f"{command.sim} is running already")
        ticks = 100 if command.ticks is None else command.ticks
        self._put(replace(info, phase="running", target=info.tick + ticks, stopped=""))
        return SimulationReply(simulation=self._forward(command.sim))

    def Status(self, command: Status) -> AnyReply:
        if not command.sim:
            return StatusReply(simulations=list(self.simulations.values()))
        self._known(command.sim)
        if command.wait_s:
            self.waiting.set()
            self._forward(command.sim)
        return StatusReply(simulations=[self.simulations[command.sim]])

    def CancelRun(self, command: CancelRun) -> AnyReply:
        info = self._known(command.sim)
        self._put(replace(info, phase="ended", stopped="interrupted"))
        self.cancelled.set()
        return Done()

    def RemoveSimulation(self, command: RemoveSimulation) -> AnyReply:
        self._known(command.sim)
        del self.simulations[command.sim]
        return Done()

    def QueryAgents(self, command: QueryAgents) -> AnyReply:
        info = self._known(command.sim)
        if command.agent_type not in info.agents:
            raise UsageError(f"{command.sim} has no agent type {command.agent_type!r}")
        return self._table(command)

    def QueryMetrics(self, command: QueryMetrics) -> AnyReply:
        self._known(command.sim)
        return self._table(command)

    def QueryLog(self, command: QueryLog) -> AnyReply:
        self._known(command.sim)
        return self._table(command)

    def _table(self, command: Any) -> AnyReply:
        assert self.table is not None
        cut = getattr(command, "limit", None) or len(self.table.rows)
        return replace(self.table, rows=self.table.rows[:cut])

    def _known(self, sim: str) -> SimulationInfo:
        if sim not in self.simulations:
            raise UnknownSimulation(f"there is no simulation {sim!r}")
        return self.simulations[sim]

    def _put(self, info: SimulationInfo) -> None:
        self.simulations[info.sim] = info

    def _forward(self, sim: str) -> SimulationInfo:
        info = self.simulations[sim]
        if info.phase == "running":
            tick = min(info.target, info.tick + PACE)
            over = tick == info.target
            info = replace(
                info,
                tick=tick,
                phase="ended" if over else "running",
                stopped="ticks" if over else "",
                digest="0" * 32 if over else "",
                ticks_per_s=1e5,
                elapsed_s=tick / 1e5,
            )
            if self.fault is not None:
                info = replace(info, phase="failed", stopped="error", error=self.fault)
            self._put(info)
        return info


FAULT = Fault(
    kind="script",
    message="attempt to index a nil value (field 'target')\x1b[2J",
    tick=12,
    agent=57,
    agent_type="person",
    file="agents/person.lua",
    line=14,
    handler="on.pay",
    handling="pay from 12",
    excerpt="  self.target.x = 1",
    hint="self.target is nil until a message sets it",
)
