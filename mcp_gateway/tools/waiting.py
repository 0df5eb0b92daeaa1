"""Waiting for a run to end, with progress; shared by sim_run and status."""

from __future__ import annotations

import anyio

from mcp_gateway import report
from mcp_gateway.tool import PULSE_S, Call
from runtime.commands import SimulationInfo, Status, StatusReply


async def ended(call: Call, info: SimulationInfo, wait_s: float) -> SimulationInfo:
    """The simulation when its run has ended, or after ``wait_s`` while it goes on."""
    until = anyio.current_time() + wait_s
    while report.running(info):
        await call.progress(info.tick, info.target, f"{info.sim}: tick {info.tick}")
        left = until - anyio.current_time()
        if left <= 0:
            break
        info = await look(call, info.sim, min(left, PULSE_S))
    return info


async def look(call: Call, sim: str, wait_s: float = 0.0) -> SimulationInfo:
    """One simulation as it stands; waits up to ``wait_s`` for its run to end."""
    reply = await call.ask(Status(sim=sim, wait_s=wait_s), StatusReply)
    return reply.simulations[0]


def next_call(info: SimulationInfo) -> str:
    """What a caller would do next with a simulation that stands so."""
    if info.phase == "running":
        return (
            f'it goes on in the background: status(sim="{info.sim}", wait_s=20) waits and shows it,'
            f' status(sim="{info.sim}", cancel=true) ends it and keeps the ticks done'
        )
    if report.broken(info):
        if info.error is not None and info.error.handler == "until":
            return (
                f'sim_create(model="{info.model}", …) and sim_run again with until mended;'
                " the model itself did not fail"
            )
        if info.stopped == "invariant":
            return (
                f'query(sim="{info.sim}", type=…) shows the agents as they stand, what="log" what'
                " they logged; then mend the model with model_write, sim_create and run again"
            )
        return (
            f"mend the model with model_write, then sim_create and run again;"
            f' query(sim="{info.sim}", what="log") shows what agents logged'
        )
    if report.over(info):
        return (
            f'query(sim="{info.sim}", what="agents"|"metrics"|"log", …); it runs no further:'
            f' sim_create(model="{info.model}", …) with another seed or other parameters'
        )
    return f'query(sim="{info.sim}", what="agents"|"metrics"|"log", …); sim_run goes on'
