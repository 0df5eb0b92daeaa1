"""status: how simulations stand; wait for one; cancel its run."""

from __future__ import annotations

from typing import Annotated

import anyio
from msgspec import Meta, Struct

from mcp_gateway import report
from mcp_gateway.tool import MAX_WAIT_S, Call, Refusal, Tool
from mcp_gateway.tools.waiting import ended, look, next_call
from runtime.commands import CancelRun, Reply, Status, StatusReply

_CANCEL_S = 5.0
"""Longest wait for the open tick to close."""


class Arguments(Struct, frozen=True):
    """See the descriptions."""

    sim: Annotated[str, Meta(description="not given: list all")] = ""
    wait_s: Annotated[
        float, Meta(ge=0, le=MAX_WAIT_S, description="wait so long for its run to end")
    ] = 0
    cancel: Annotated[bool, Meta(description="end its run; the ticks done are kept")] = False


async def run(call: Call, args: Arguments) -> str:
    """List, show, wait, or cancel."""
    if not args.sim:
        if args.cancel or args.wait_s:
            raise Refusal(
                "status: cancel and wait_s need sim. Next: status() lists the simulations"
            )
        reply = await call.ask(Status(), StatusReply)
        return report.listing(reply.simulations)
    info = await look(call, args.sim)
    if args.cancel and report.running(info):
        # The answer comes when the open tick has closed, which a hung script delays.
        with anyio.move_on_after(_CANCEL_S):
            await call.ask(CancelRun(sim=args.sim), Reply)
        info = await look(call, args.sim, args.wait_s)
    elif args.wait_s:
        info = await ended(call, info, args.wait_s)
    # A simulation that failed is still a question answered: status itself did not fail.
    return report.simulation(info, next_call(info))


TOOL = Tool(
    name="status",
    title="Look at simulations",
    description="List simulations, or show one, wait for its run to end, or cancel its run.",
    arguments=Arguments,
    run=run,
)
