"""sim_create and sim_run over MCP, warm: what a language model waits for a small question."""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator

import anyio
from mcp import StdioServerParameters, stdio_client
from mcp.client import Client
from mcp_types import TextContent

from bench.harness import CheckFailed, Options, Row, Target, require_equal

TICKS = 100


def run(options: Options) -> Iterator[Row]:
    """Wall seconds of both calls together; two rounds before make the server warm."""
    repeats = options.repeats or 7
    for agents in options.sizes(1_000):
        try:
            seconds, outcomes = anyio.run(_rounds, agents, repeats + 2)
        except ExceptionGroup as group:
            # The client's task groups wrap whatever is raised inside them.
            raise CheckFailed(f"over MCP: {_first(group)}") from group
        require_equal("different outcomes of one seed", len(outcomes), 1)
        del seconds[:2]
        yield Row(
            name="mcp",
            agents=agents,
            workers=1,
            checked=True,
            check="both results name the last tick; one digest",
            repeats=repeats,
            ticks=TICKS,
            value=statistics.median(seconds),
            unit="s",
            targets=(Target("value", "<=", 0.150),) if agents == 1_000 else (),
            notes={"lowest": min(seconds), "highest": max(seconds)},
        )


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The first error within nested groups."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


async def _rounds(agents: int, rounds: int) -> tuple[list[float], set[str]]:
    """The gateway as a child on stdio; seconds of each round, and every digest seen."""
    seconds, digests = [], set()
    with tempfile.TemporaryDirectory(prefix="gedanken-bench-") as home:
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "mcp_gateway"],
            env={**os.environ, "GEDANKEN_HOME": home},
        )
        async with Client(stdio_client(server)) as client:
            for _ in range(rounds):
                began = time.perf_counter()
                created = await _call(
                    client, "sim_create", {"model": "wealth", "parameters": {"people": agents}}
                )
                sim = _found(r"created (\S+)", created)
                ran = await _call(client, "sim_run", {"sim": sim, "ticks": TICKS})
                seconds.append(time.perf_counter() - began)
                require_equal("messages in the result", "messages: sent" in ran, True)
                digests.add(_found(r"digest: (\w+)", ran))
                await _call(client, "remove", {"sim": sim})
    return seconds, digests


async def _call(client: Client, tool: str, arguments: dict[str, object]) -> str:
    result = await client.call_tool(tool, arguments)
    text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    if result.is_error:
        raise CheckFailed(f"{tool}: {text}")
    return text


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise CheckFailed(f"no {pattern!r} in the result:\n{text}")
    return match.group(1)
