"""The way to the coordinator: blocking clients, lent to the threads that wait on them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from runtime.commands import AnyReply, Command
from runtime.errors import CoordinatorLost


class Requester(Protocol):
    """One connection to a coordinator; used by one thread at a time (``runtime.client.Client``)."""

    def request(self, command: Command) -> AnyReply:
        """Carry out a command; blocks until the reply is there."""

    def close(self) -> None:
        """Give the connection back; a request under way in another thread may fail."""


class Link:
    """Connections to one coordinator. Any thread may ask; each request has a connection to itself,
    so that a long wait (``Status`` with ``wait_s``) holds up nobody else."""

    def __init__(self, connect: Callable[[], Requester]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._idle: list[Requester] = []
        self._closed = False

    def request(self, command: Command) -> AnyReply:
        """Carry out one command.

        Raises:
            GedankenError: as the client raises it.
        """
        with self._lock:
            if self._closed:
                raise CoordinatorLost("the gateway is closing")
            client = self._idle.pop() if self._idle else None
        if client is None:
            client = self._connect()
        try:
            reply = client.request(command)
        except CoordinatorLost:
            client.close()
            # The idle ones lead to the same coordinator, and would fail one after the other.
            self._close_idle()
            raise
        except BaseException:
            self._give_back(client)
            raise
        self._give_back(client)
        return reply

    def close(self) -> None:
        """Close every idle connection; those in use are closed when their request ends."""
        with self._lock:
            self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()

    def _give_back(self, client: Requester) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(client)
                return
        client.close()
