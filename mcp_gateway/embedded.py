"""The coordinator that the gateway speaks to: one of its own, or one that runs already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from mcp_gateway.link import Requester
from runtime.client import Client, embedded_coordinator


@contextmanager
def coordinator(socket: str | None, log_level: str) -> Iterator[Callable[[], Requester]]:
    """What opens a connection. Without a socket a coordinator is started, which ends with the
    block, or with this process however that ends.

    Raises:
        CoordinatorLost: none serves there, or none could be started.
    """
    if socket is not None:
        Client(socket).close()
        yield partial(Client, socket)
        return
    with embedded_coordinator(log_level=log_level) as client:
        yield partial(Client, client.endpoint)
