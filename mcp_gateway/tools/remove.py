"""remove: forget a simulation, or delete a model written over MCP."""

from __future__ import annotations

from typing import Annotated

import anyio.to_thread
from msgspec import Meta, Struct

from mcp_gateway.store import StoreError
from mcp_gateway.tool import Call, Refusal, Tool
from runtime.commands import RemoveSimulation, Reply


class Arguments(Struct, frozen=True):
    """See the descriptions."""

    sim: Annotated[str, Meta(description="the simulation to forget")] = ""
    model: Annotated[
        str, Meta(description="or: the model of yours to delete, revisions and all")
    ] = ""


async def run(call: Call, args: Arguments) -> str:
    """Remove exactly one thing."""
    if bool(args.sim) == bool(args.model):
        raise Refusal(
            "remove: give sim or model, one of them. Next: status() lists the simulations"
        )
    if args.sim:
        await call.ask(RemoveSimulation(sim=args.sim), Reply)
        return f"removed {args.sim}; its worker processes are free"
    try:
        if not await anyio.to_thread.run_sync(call.catalogue.store.remove, args.model):
            if args.model in call.catalogue.library:
                raise Refusal(f"{args.model} is a library model and cannot be removed")
            raise call.catalogue.unknown(args.model)
    except StoreError as error:
        raise Refusal(str(error)) from None
    return f"deleted model {args.model}; simulations made from it are not touched"


TOOL = Tool(
    name="remove",
    title="Remove",
    description="Forget a simulation (frees its memory and processes), or delete a model of yours.",
    arguments=Arguments,
    run=run,
    destructive=True,
)
