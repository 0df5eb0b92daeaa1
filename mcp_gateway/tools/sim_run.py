"""sim_run: run a simulation on, wait a while, leave the rest to the background."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import anyio
from msgspec import Meta, Struct

from mcp_gateway import report
from mcp_gateway.tool import MAX_WAIT_S, Call, Refusal, Tool
from mcp_gateway.tools.waiting import ended, next_call
from runtime.commands import CancelRun, Reply, RunSimulation, SimulationReply

_FIRST_S = 0.25
"""The wait of the first request, which cannot be cancelled: only its reply says whether the run is
this call's to cancel."""
_CANCEL_S = 5.0
"""The run ends when the open tick has closed; nobody waits longer for a hung one."""


class Arguments(Struct, frozen=True):
    """See the descriptions."""

    sim: Annotated[str, Meta(description="simulation, as sim_create named it")]
    ticks: (
        Annotated[
            int,
            Meta(ge=0, lt=2**53, description="how many more, at most; else the model's, or 100"),
        ]
        | None
    ) = None
    until: Annotated[
        str,
        Meta(description="Lua expression over metrics, tick, parameters; ends the run when true"),
    ] = ""
    wait_s: Annotated[float, Meta(ge=0, le=MAX_WAIT_S, description="answer at the latest then")] = (
        20
    )


async def run(call: Call, args: Arguments) -> str:
    """Run; a cancelled call ends the run at the next closed tick."""
    with anyio.CancelScope(shield=True):
        reply = await call.ask(
            RunSimulation(
                sim=args.sim,
                ticks=args.ticks,
                until=args.until,
                wait_s=min(_FIRST_S, args.wait_s),
            ),
            SimulationReply,
            f'status(sim="{args.sim}") shows how it stands'
            + ("; guide(topic='metrics') what until may say" if args.until else ""),
        )
    try:
        info = await ended(call, reply.simulation, max(0.0, args.wait_s - _FIRST_S))
    except anyio.get_cancelled_exc_class():
        # Refused when the run ended in the meantime: then there is nothing to cancel.
        with anyio.move_on_after(_CANCEL_S, shield=True), suppress(Refusal):
            await call.ask(CancelRun(sim=args.sim), Reply)
        raise
    text = report.simulation(info, next_call(info))
    if report.broken(info):
        raise Refusal(text)
    return text


TOOL = Tool(
    name="sim_run",
    title="Run a simulation",
    description=(
        "Run a simulation on and summarise every metric: first, last, min, max, mean and course."
        " If it is not done after wait_s it goes on in the background (look with status)."
        " Cancelling this call ends the run and keeps the ticks done."
    ),
    arguments=Arguments,
    run=run,
)
