"""The coordinator that the gateway speaks to: one of its own, or one that runs already."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from mcp_gateway.link import Requester
from runtime.client import Client, embedded_coordinator
from runtime.errors import CoordinatorLost

log = logging.getLogger(__name__)


class Own:
    """A coordinator of the gateway's own. One that died is replaced at the next connection: its
    simulations are gone, which the request it died in has told, but the server goes on."""

    def __init__(self, log_level: str) -> None:
        self._log_level = log_level
        self._lock = threading.Lock()
        self._running = ExitStack()
        self._endpoint = self._start()

    def connect(self) -> Client:
        """A connection, from any thread.

        Raises:
            CoordinatorLost: it died and another one could not be started.
        """
        with self._lock:
            try:
                return Client(self._endpoint)
            except CoordinatorLost as error:
                log.warning("starting another coordinator: %s", error)
                self._running.close()
                self._endpoint = self._start()
                return Client(self._endpoint)

    def close(self) -> None:
        """End it, with all it started."""
        self._running.close()

    def _start(self) -> str:
        client = self._running.enter_context(embedded_coordinator(log_level=self._log_level))
        return client.endpoint


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
    with closing(Own(log_level)) as own:
        yield own.connect
