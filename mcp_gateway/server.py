"""The MCP server: the SDK's, with this project's own checking, wording and errors.

``MCPServer`` is used for transports, sessions and both protocol eras. Its public ``list_tools`` and
``call_tool`` are overridden, because its own drop unknown arguments in silence, answer an unknown
tool with a result instead of the error that the specification asks for, and show the wording of
pydantic.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from importlib import metadata
from typing import Any, Final

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, TextContent
from mcp_types import Tool as ToolDefinition

from mcp_gateway.arguments import did_you_mean, schema
from mcp_gateway.catalogue import Catalogue
from mcp_gateway.instructions import INSTRUCTIONS
from mcp_gateway.link import Link
from mcp_gateway.render import bounded
from mcp_gateway.tool import WAITING, Call, Refusal, Tool
from mcp_gateway.tools import TOOLS

log = logging.getLogger(__name__)


class Gateway(MCPServer[dict[str, Any]]):
    """An MCP server over one coordinator and one collection of models."""

    def __init__(
        self,
        link: Link,
        catalogue: Catalogue,
        tools: Sequence[Tool[Any]] = TOOLS,
        log_level: Any = "WARNING",
    ) -> None:
        super().__init__(
            name="gedanken",
            title="Gedanken",
            version=_version(),
            instructions=INSTRUCTIONS,
            log_level=log_level,
            subscriptions=False,
        )
        self._link = link
        self._catalogue = catalogue
        self._own: Final = {tool.name: tool for tool in tools}
        self._definitions = [definition(tool) for tool in tools]
        self._threads = anyio.CapacityLimiter(WAITING)

    async def list_tools(self) -> list[ToolDefinition]:
        """The tools in their fixed order."""
        return self._definitions

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult:
        """Carry out one call; every failure but an unknown tool is a result the model reads."""
        tool = self._own.get(name)
        if tool is None:
            raise MCPError(
                code=INVALID_PARAMS,
                message=f"there is no tool {name!r}{did_you_mean(name, self._own)}"
                f" Tools: {', '.join(self._own)}",
            )
        assert context is not None, "a tool is called by the server, which has a context"
        call = Call(self._link, self._catalogue, context, self._threads)
        try:
            return _result(await tool(call, arguments), failed=False)
        except Refusal as refusal:
            return _result(str(refusal), failed=True)
        except MCPError:
            raise
        except Exception:
            # Its text may hold paths or agents' text: that belongs in the log, not in the answer.
            number = secrets.token_hex(4)
            log.exception("error %s in %s", number, name)
            return _result(
                f"{name}: internal error {number}; the server's log (stderr) tells more."
                " Next: status() shows whether the coordinator answers",
                failed=True,
            )


def definition(tool: Tool[Any]) -> ToolDefinition:
    """What tools/list says of a tool. No output schema: some hosts would then drop the text."""
    return ToolDefinition(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=schema(tool.arguments),
        annotations=tool.annotations,
    )


def _result(text: str, *, failed: bool) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=bounded(text))], is_error=failed)


def _version() -> str:
    try:
        return metadata.version("gedanken")
    except metadata.PackageNotFoundError:
        # Run from a checkout that is not installed.
        return "0"
