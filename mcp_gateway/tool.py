"""What a tool is, and what a call of it may use."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp_types import ToolAnnotations
from msgspec import Struct

from mcp_gateway import arguments, faults
from mcp_gateway.catalogue import Catalogue
from mcp_gateway.link import Link
from runtime.commands import Command, Failed, Reply
from runtime.errors import CoordinatorLost, GedankenError, UnknownSimulation

log = logging.getLogger(__name__)

A = TypeVar("A", bound=Struct)
R = TypeVar("R", bound=Reply)

MAX_WAIT_S: Final = 25.0
"""Longest time a call waits: clients give up after 60 s, some earlier."""
PULSE_S: Final = 0.5
"""A longer wait is made of waits of this length, with a progress notification between them."""
_NO_SUCH: Final = "status() lists the simulations, sim_create(model=…) makes one"
_LOST: Final = "status() shows whether a coordinator answers again; create simulations anew"
WAITING: Final = 200
"""Requests to the coordinator under way at once; more wait their turn."""


class Refusal(Exception):
    """A tool call that failed: ``str()`` says where, why and which call to make next."""


class Call:
    """One tool call under way: the coordinator, the models, and the caller's progress."""

    def __init__(
        self,
        link: Link,
        catalogue: Catalogue,
        context: Context[Any, Any],
        threads: anyio.CapacityLimiter,
    ) -> None:
        self.catalogue = catalogue
        self._link = link
        self._context = context
        self._threads = threads
        self._progress = -1.0

    async def ask(self, command: Command, reply: type[R], then: str = "") -> R:
        """Carry out a command in a thread; a cancelled call leaves the thread to its reply.

        Args:
            then: the call to make next when this one fails, unless the failure names one.

        Raises:
            Refusal: the command failed, with place, cause and next call.
        """
        try:
            answer = await anyio.to_thread.run_sync(
                self._link.request, command, abandon_on_cancel=True, limiter=self._threads
            )
        except UnknownSimulation as error:
            raise Refusal(faults.from_error(error, _NO_SUCH)) from error
        except CoordinatorLost as error:
            raise Refusal(faults.from_error(error, _LOST)) from error
        except GedankenError as error:
            raise Refusal(faults.from_error(error, then)) from error
        if isinstance(answer, Failed):
            raise Refusal(faults.from_reply(answer, then))
        if not isinstance(answer, reply):
            raise TypeError(f"{type(command).__name__} was answered with {type(answer).__name__}")
        return answer

    async def progress(self, done: float, total: float | None, message: str) -> None:
        """Tell a caller who asked for it how far the call is; must rise, so no news is not sent."""
        if done > self._progress:
            self._progress = done
            await self._context.report_progress(done, total, message)


@dataclass(frozen=True)
class Tool(Generic[A]):
    """One tool: its name, what the model reads of it, its arguments, and what it does."""

    name: str
    title: str
    description: str
    arguments: type[A]
    run: Callable[[Call, A], Awaitable[str]]
    read_only: bool = False
    destructive: bool = False

    async def __call__(self, call: Call, given: Mapping[str, Any]) -> str:
        """Check the arguments and carry the call out."""
        try:
            parsed = arguments.parse(self.name, self.arguments, given)
        except arguments.BadArguments as error:
            raise Refusal(str(error)) from None
        log.debug("%s %s", self.name, json.dumps(sorted(given)))
        return await self.run(call, parsed)

    @property
    def annotations(self) -> ToolAnnotations:
        """Hints for the host's consent dialogue; nothing here relies on them."""
        if self.read_only:
            return ToolAnnotations(read_only_hint=True, open_world_hint=False)
        return ToolAnnotations(destructive_hint=self.destructive, open_world_hint=False)
