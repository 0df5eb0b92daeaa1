"""``make demo``: an MCP client writes a model, runs it on two worker processes, and asks about it.

The client is the SDK's, over stdio, as a host would start the server; whatever is not as expected
ends the demonstration with a message and status 1. Nothing is left behind.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import textwrap
from typing import Any, Final

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types import TextContent

from runtime.interpreter import module_command, module_environment

WIDTH: Final = 110
PATIENCE_S: Final = 120.0

MODEL_TOML: Final = """\
name = "coins"
description = "Everybody gives a coin to somebody, again and again"

[parameters]
traders = { default = 1000, min = 2 }
start = { default = 5, min = 0, description = "coins of each trader" }

[agents.trader]
count = "traders"

[metrics]
gini = "gini(trader, self.coins)"
poor = "share(trader, self.coins == 0)"
richest = "max(trader, self.coins)"

[invariants]
coins = "sum(trader, self.coins) + mail('coin', msg.amount) == start * traders"
"""

TRADER_LUA: Final = """\
function init(self)
  self.coins = param.start
end

function on.coin(self, msg)
  self.coins += msg.amount
end

function step(self)
  if self.coins > 0 then
    self.coins = self.coins - 1
    send(choice(agents("trader")), "coin", {amount = 1})
  end
end
"""


class Surprise(Exception):
    """An answer was not as the demonstration expects."""


class Narrator:
    """Calls tools and shows what was said, both ways."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def __call__(
        self, tool: str, expect: str, fails: bool = False, brief: bool = False, **given: Any
    ) -> str:
        """The answer's text; ``brief`` shows its first line alone.

        Raises:
            Surprise: no match for ``expect``, or it failed when it should not, or the reverse.
        """
        print(f"▶ {tool}({', '.join(_argument(k, v) for k, v in given.items())})")
        result = await self._client.call_tool(tool, given)
        text = "\n".join(c.text for c in result.content if isinstance(c, TextContent))
        mark = "✗" if result.is_error else " "
        for line in text.splitlines()[: 1 if brief else None]:
            print(f"{mark} {textwrap.shorten(line, WIDTH) if len(line) > WIDTH else line}")
        if bool(result.is_error) != fails:
            raise Surprise(f"{tool} {'failed' if result.is_error else 'did not fail'}")
        if not re.search(expect, text):
            raise Surprise(f"{tool}: nothing like {expect!r} in the answer")
        return text


def _argument(name: str, value: Any) -> str:
    if name == "files":
        sizes = (f"{path}: {len(text)} characters" for path, text in value.items())
        return f"files={{{', '.join(sizes)}}}"
    return f"{name}={json.dumps(value, ensure_ascii=False)}"


async def tell(client: Client) -> None:
    """The demonstration itself."""
    call = Narrator(client)
    tools = [tool.name for tool in (await client.list_tools()).tools]
    print(f"connected by MCP {client.protocol_version}; tools: {', '.join(tools)}")

    print("\n--- 1. Write a model. Line 6 of its script has a mistake.")
    await call(
        "model_write",
        r"agents/trader\.lua:6",
        fails=True,
        model="coins",
        files={"model.toml": MODEL_TOML, "agents/trader.lua": TRADER_LUA},
    )
    print("\n--- 2. Mend that one line.")
    edit = {
        "file": "agents/trader.lua",
        "old": "self.coins += msg.amount",
        "new": "self.coins = self.coins + msg.amount",
    }
    await call("model_write", r"coins: revision 2 checks", model="coins", edits=[edit])

    print("\n--- 3. Create it on two worker processes, and run it.")
    await call("sim_create", r"created coins-1 .*\n.*tick 0", model="coins", workers=2)
    two = await call("sim_run", r"poor +0 +0\.\d+ (.|\n)*2 workers", sim="coins-1", ticks=300)

    print("\n--- 4. Ask: the richest, and how the poor differ; then the course of the metrics.")
    await call(
        "query",
        r"1000 agents of type trader",
        sim="coins-1",
        type="trader",
        fields=["self.id", "self.coins"],
        order="self.coins",
        descending=True,
        limit=3,
    )
    await call(
        "query",
        r"true",
        sim="coins-1",
        type="trader",
        group="self.coins == 0",
        aggregates=["count()", "mean(self.coins)"],
    )
    await call("query", r"300 ", sim="coins-1", what="metrics", names=["gini", "poor"], limit=5)

    print("\n--- 5. The same run on one worker must give the same digest.")
    await call("sim_create", r"1 worker,", brief=True, model="coins", workers=1)
    one = await call("sim_run", r"coins-2 at tick 300", brief=True, sim="coins-2", ticks=300)
    if _digest(one) != _digest(two):
        raise Surprise("the digests of one and two workers differ")
    print(f"  same digest on 1 and 2 workers: {_digest(one)}")

    for sim in ("coins-1", "coins-2"):
        await call("remove", r"removed", sim=sim)


def _digest(text: str) -> str:
    found = re.search(r"digest: ([0-9a-f]{32})", text)
    if found is None:
        raise Surprise("there is no digest in the answer")
    return found[1]


async def main() -> int:
    """Start the server as a host would, in a home of its own; gives the exit status."""
    with tempfile.TemporaryDirectory(prefix="gedanken-demo-") as home:
        server = StdioServerParameters(
            command=sys.executable,
            args=module_command("mcp_gateway"),
            env={**module_environment(), "GEDANKEN_HOME": home},
        )
        surprise: Surprise | None = None
        with anyio.fail_after(PATIENCE_S):
            async with Client(server) as client:
                try:
                    await tell(client)
                except Surprise as caught:
                    # Told outside: leaving the client's task groups would wrap it.
                    surprise = caught
    if surprise is not None:
        print(f"\nNOT AS EXPECTED: {surprise}", file=sys.stderr)
        return 1
    print("\nAll as expected. Next: README.md, or `simctl run epidemic --workers 2`.")
    return 0


if __name__ == "__main__":
    sys.exit(anyio.run(main))
