"""The tools, in the order in which clients list them."""

from __future__ import annotations

from typing import Any, Final

from mcp_gateway.tool import Tool
from mcp_gateway.tools import (
    guide,
    model_write,
    query,
    remove,
    sim_create,
    sim_run,
    status,
)

TOOLS: Final[tuple[Tool[Any], ...]] = (
    guide.TOOL,
    model_write.TOOL,
    sim_create.TOOL,
    sim_run.TOOL,
    status.TOOL,
    query.TOOL,
    remove.TOOL,
)
