"""Frames between processes; the only file that imports zmq.

Three ends: a *listener* serves many peers and tells them apart; a *channel* leads to one listener;
both exist over ZeroMQ and in memory, and behave alike. A message is a list of frames, the first a
header, the rest blobs.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Sequence
from typing import Final, Protocol

import zmq

from runtime.protocol import MAX_BLOB

Frames = list[bytes]

PATIENCE_MS: Final = 2
"""How long ``ZmqListener.receive`` waits where it may."""
_LARGE: Final = 1 << 16
"""Bytes from which on a received blob is a view of ZeroMQ's own memory, and is sent without a copy:
a batch of a megabyte is forwarded while every worker waits for it."""
MAX_FRAMES: Final = 1 << 16
MAX_AHEAD: Final = 16
"""Messages of one peer that a listener takes in ahead of ``receive``; the rest wait at the peer.
Nothing is lost by that, and a peer that floods fills its own memory, not the listener's."""
_LINGER_MS: Final = 500
"""How long a closing socket still sends: the reply to Shutdown must arrive."""


class Oversized(Exception):
    """A message larger than the receiver takes; it was dropped whole."""

    def __init__(self, peer: bytes, size: int) -> None:
        super().__init__(f"a message of {size} bytes")
        self.peer = peer


class Listener(Protocol):
    """The serving end."""

    def receive(self) -> tuple[bytes, Frames] | None:
        """The next message and the peer it is from, or None at once when there is none.

        Raises:
            Oversized: the next message is too large; the one after it can be received.
        """

    def send(self, peer: bytes, frames: Sequence[bytes]) -> None:
        """Send to a peer; a message to one that is gone is dropped."""

    def close(self) -> None:
        """Stop serving. What was sent is still delivered."""


class Channel(Protocol):
    """The end that leads to one listener."""

    def recv(self, timeout_s: float | None = None) -> Frames:
        """The next message, in the order sent; blocks.

        Raises:
            TimeoutError: none came within ``timeout_s`` seconds.
        """

    def send(self, frames: Sequence[bytes]) -> None:
        """Send a message; returns at once."""

    def close(self) -> None:
        """Leave. What was sent is still delivered."""


# --- ZeroMQ ------------------------------------------------------------------------------------


def _send(socket: zmq.Socket[bytes], frames: Sequence[bytes]) -> None:
    """Like ``send_multipart``, whose checks of every frame cost as much as sending a small one."""
    last = len(frames) - 1
    for i, frame in enumerate(frames):
        socket.send(frame, zmq.SNDMORE if i < last else 0, len(frame) < _LARGE)


def _received(socket: zmq.Socket[bytes]) -> Frames:
    """Like ``recv_multipart``, with less of a way around for the usual single frame."""
    frames = [socket.recv()]
    while socket.getsockopt(zmq.RCVMORE):
        frames.append(socket.recv())
    return frames


class ZmqListener:
    """A ROUTER socket bound to an endpoint."""

    def __init__(self, endpoint: str, max_bytes: int = MAX_BLOB, max_unread: int = 0) -> None:
        self._max_bytes = max_bytes
        self.socket = _socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.RCVHWM, MAX_AHEAD)
        self.socket.setsockopt(zmq.SNDHWM, max_unread)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_BLOB)
        self.socket.setsockopt(zmq.RCVTIMEO, PATIENCE_MS)
        self.socket.bind(endpoint)

    def receive(self, wait: bool = False) -> tuple[bytes, Frames] | None:
        """As ``Listener`` says; with ``wait`` up to ``PATIENCE_MS`` for a message to come."""
        recv = self.socket.recv
        try:
            peer = recv(0 if wait else zmq.NOBLOCK)
        except zmq.Again:
            return None
        frames = [recv()]
        size = len(frames[0])
        more = self.socket.getsockopt
        while more(zmq.RCVMORE):
            frame = recv(copy=False)
            size += len(frame)
            # A view is as good as bytes wherever a blob goes: sent, encoded, joined.
            frames.append(frame.bytes if len(frame) < _LARGE else frame.buffer)  # type: ignore[arg-type]
        if size > self._max_bytes or len(frames) > MAX_FRAMES:
            raise Oversized(peer, size)
        return peer, frames

    def send(self, peer: bytes, frames: Sequence[bytes]) -> None:
        self.socket.send(peer, zmq.SNDMORE)
        _send(self.socket, frames)

    def close(self) -> None:
        self.socket.close(_LINGER_MS)


class ZmqChannel:
    """A DEALER socket connected to a listener's endpoint."""

    def __init__(self, endpoint: str) -> None:
        self._socket = _socket(zmq.DEALER)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_BLOB)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 10)
        self._socket.connect(endpoint)

    def recv(self, timeout_s: float | None = None) -> Frames:
        if timeout_s is not None and not self._socket.poll(max(0, int(timeout_s * 1000))):
            raise TimeoutError(f"no message within {timeout_s} s")
        frames = [self._socket.recv()]
        while self._socket.getsockopt(zmq.RCVMORE):
            frames.append(self._socket.recv())
        return frames

    def recv_or_end(self, timeout_s: float, ended: int | None) -> Frames | None:
        """Like ``recv``; None when descriptor ``ended`` becomes readable before a message came."""
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        if ended is not None:
            poller.register(ended, zmq.POLLIN)
        ready = dict(poller.poll(max(0, int(timeout_s * 1000))))
        if self._socket in ready:
            return self.recv()
        if ready:
            return None
        raise TimeoutError(f"no message within {timeout_s} s")

    def send(self, frames: Sequence[bytes]) -> None:
        _send(self._socket, frames)

    def close(self) -> None:
        self._socket.close(_LINGER_MS)


def listen(endpoint: str, max_bytes: int = MAX_BLOB, max_unread: int = 0) -> ZmqListener:
    """Serve an endpoint; messages above ``max_bytes`` are refused. To a peer that leaves
    ``max_unread`` messages unread no more are sent; 0: no limit."""
    return ZmqListener(endpoint, max_bytes, max_unread)


def connect(endpoint: str) -> ZmqChannel:
    """A client's channel to a coordinator."""
    return ZmqChannel(endpoint)


def connect_worker(endpoint: str) -> ZmqChannel:
    """A worker's channel to its coordinator."""
    return ZmqChannel(endpoint)


class Waiter:
    """Waits for the first of several listeners and file descriptors."""

    def __init__(self, listeners: Sequence[ZmqListener], descriptors: Sequence[int]) -> None:
        self._poller = zmq.Poller()
        for listener in listeners:
            self._poller.register(listener.socket, zmq.POLLIN)
        for descriptor in descriptors:
            self._poller.register(descriptor, zmq.POLLIN)

    def wait(self, timeout_s: float | None) -> list[object]:
        """The descriptors and sockets that are readable; none of them after ``timeout_s``."""
        milliseconds = None if timeout_s is None else max(0, int(timeout_s * 1000) + 1)
        return [ready for ready, _ in self._poller.poll(milliseconds)]


class _Context:
    """One ZeroMQ context a process: made at first use, and again after a fork."""

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._pid = 0

    def get(self) -> zmq.Context[zmq.Socket[bytes]]:
        if self._context is None or self._pid != os.getpid():
            self._context = zmq.Context()
            self._pid = os.getpid()
        return self._context


_context = _Context()


def _socket(kind: int) -> zmq.Socket[bytes]:
    socket = _context.get().socket(kind)
    # No limit to the queue: a batch that is dropped at a high-water mark would end a simulation.
    # Listeners set their own.
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.RCVHWM, 0)
    socket.setsockopt(zmq.LINGER, _LINGER_MS)
    return socket


# --- in memory ---------------------------------------------------------------------------------


class MemoryListener:
    """A listener whose peers live in this process."""

    def __init__(self, max_bytes: int = MAX_BLOB) -> None:
        self._max_bytes = max_bytes
        self._arrived: queue.SimpleQueue[tuple[bytes, Frames]] = queue.SimpleQueue()
        self._peers: dict[bytes, MemoryChannel] = {}
        self._next = 0

    def connect(self) -> MemoryChannel:
        """A new peer."""
        self._next += 1
        name = self._next.to_bytes(5, "big")
        self._peers[name] = MemoryChannel(name, self._arrived)
        return self._peers[name]

    def receive(self) -> tuple[bytes, Frames] | None:
        try:
            peer, frames = self._arrived.get_nowait()
        except queue.Empty:
            return None
        size = sum(map(len, frames))
        if size > self._max_bytes or len(frames) > MAX_FRAMES:
            raise Oversized(peer, size)
        return peer, frames

    def send(self, peer: bytes, frames: Sequence[bytes]) -> None:
        channel = self._peers.get(peer)
        if channel is not None:
            channel.arrived.put(list(frames))

    def close(self) -> None:
        self._peers.clear()


class MemoryChannel:
    """A channel within this process; safe to use from another thread."""

    def __init__(self, name: bytes, out: queue.SimpleQueue[tuple[bytes, Frames]]) -> None:
        self.arrived: queue.SimpleQueue[Frames] = queue.SimpleQueue()
        self._name = name
        self._out = out

    def recv(self, timeout_s: float | None = None) -> Frames:
        try:
            return self.arrived.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError(f"no message within {timeout_s} s") from None

    def send(self, frames: Sequence[bytes]) -> None:
        self._out.put((self._name, list(frames)))

    def close(self) -> None:
        """Nothing to give back."""
