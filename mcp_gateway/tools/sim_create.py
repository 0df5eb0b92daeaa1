"""sim_create: a simulation from a model's last good revision."""

from __future__ import annotations

from typing import Annotated

import anyio.to_thread
from msgspec import Meta, Struct

from mcp_gateway import report
from mcp_gateway.store import StoreError
from mcp_gateway.tool import Call, Refusal, Tool
from mcp_gateway.tools.waiting import next_call
from runtime.commands import CreateSimulation, SimulationReply
from runtime.protocol import Scalar


class Arguments(Struct, frozen=True):
    """See the descriptions."""

    model: Annotated[str, Meta(description="name of a model, yours or the library's")]
    parameters: Annotated[
        dict[str, Scalar], Meta(description="overrides of the model's parameters")
    ] = {}
    seed: Annotated[int, Meta(ge=0, lt=2**53)] = 1
    workers: Annotated[
        int, Meta(ge=0, le=256, description="processes; not given: chosen. Never changes results")
    ] = 0


async def run(call: Call, args: Arguments) -> str:
    """Create; the answer shows the world at tick 0."""
    try:
        source = await anyio.to_thread.run_sync(call.catalogue.runnable, args.model)
    except StoreError as error:
        raise Refusal(str(error)) from None
    reply = await call.ask(
        CreateSimulation(
            name=source.name,
            files=source.program,
            parameters=args.parameters,
            seed=args.seed,
            workers=args.workers,
        ),
        SimulationReply,
        f"sim_create with other parameters; guide(topic='models/{source.name}') shows them",
    )
    info = reply.simulation
    if report.broken(info):
        raise Refusal(report.simulation(info, f"model_write(model={source.name!r}, edits=[…])"))
    said = f"created {info.sim} from {source.name} ({source.origin})"
    if source.draft:
        said += (
            f". Its draft, revision {source.draft}, does not check and is not in it:"
            f" model_write(model={source.name!r}, edits=[…]) mends it"
        )
    following = f'sim_run(sim="{info.sim}")'
    text = report.simulation(info, next_call(info) if report.over(info) else following)
    return f"{said}\n{text}"


TOOL = Tool(
    name="sim_create",
    title="Create a simulation",
    description=(
        "Create a simulation (named like epidemic-1) from a model's last good revision. It stands"
        " at tick 0 and lives until remove or the end of the server. Same model, parameters and"
        " seed give the same run, whatever the number of workers."
    ),
    arguments=Arguments,
    run=run,
)
