"""What the core asks the shell to do. The shell carries effects out in the order of the list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from runtime.commands import AnyReply
from runtime.protocol import AnyOrder

Ticket: TypeAlias = int
"""A client's request that waits for its reply; the shell knows whose it is."""


class SendOrder(Struct, frozen=True):
    """Send an order to a worker of this job. An order that goes to several workers in a row is one
    object, so that the shell encodes it once."""

    worker: int
    order: AnyOrder
    blobs: Sequence[bytes] = ()


class NeedWorkers(Struct, frozen=True):
    """Bring the job's workers up to ``count`` and then call ``workers_ready``."""

    count: int


class ReleaseWorkers(Struct, frozen=True):
    """The job's workers are free: back to the pool, or with ``kill`` ended and reaped."""

    kill: bool


class ReplyTo(Struct, frozen=True):
    """Answer a client."""

    ticket: Ticket
    reply: AnyReply


class Forget(Struct, frozen=True):
    """The job is over: drop it. Always the last effect of its list."""


class RefuseAnswer(Struct, frozen=True):
    """A worker's answer was out of place and changed nothing: count it and log it."""

    worker: int
    reason: str


Effect: TypeAlias = SendOrder | NeedWorkers | ReleaseWorkers | ReplyTo | Forget | RefuseAnswer
