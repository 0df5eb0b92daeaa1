"""One suite over both kinds of channel."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.transport import (
    MAX_FRAMES,
    MemoryListener,
    Oversized,
    Waiter,
    connect,
    connect_worker,
    listen,
)

LIMIT = 1000
PATIENCE_S = 10.0


class Memory:
    """A listener in memory and its channels."""

    def __init__(self, directory: Path) -> None:
        self.listener = MemoryListener(LIMIT)
        self.connect = self.listener.connect

    def next(self):
        return self.listener.receive()

    def close(self) -> None:
        self.listener.close()


class Zmq:
    """A listener over ZeroMQ and its channels."""

    def __init__(self, directory: Path) -> None:
        self.endpoint = f"ipc://{directory}/s"
        self.listener = listen(self.endpoint, LIMIT)
        self._waiter = Waiter([self.listener], [])
        self._channels = []

    def connect(self):
        self._channels.append(connect(self.endpoint))
        return self._channels[-1]

    def next(self):
        self._waiter.wait(PATIENCE_S)
        return self.listener.receive()

    def close(self) -> None:
        for channel in self._channels:
            channel.close()
        self.listener.close()


@pytest.fixture(params=[Memory, Zmq])
def ends(request, tmp_path_factory):
    made = request.param(tmp_path_factory.mktemp("t"))
    yield made
    made.close()


def test_a_message_arrives_with_all_its_frames(ends):
    channel = ends.connect()
    channel.send([b"header", b"", b"\x00" * 500])
    peer, frames = ends.next()
    assert frames == [b"header", b"", b"\x00" * 500]
    ends.listener.send(peer, [b"answer", b"blob"])
    assert channel.recv(PATIENCE_S) == [b"answer", b"blob"]


def test_messages_of_a_channel_arrive_in_the_order_sent(ends):
    channel = ends.connect()
    for n in range(50):
        channel.send([b"%d" % n])
    assert [ends.next()[1] for _ in range(50)] == [[b"%d" % n] for n in range(50)]


def test_an_answer_reaches_the_peer_it_is_for(ends):
    one, two = ends.connect(), ends.connect()
    one.send([b"one"])
    two.send([b"two"])
    for _ in range(2):
        peer, [name] = ends.next()
        ends.listener.send(peer, [name + b"!"])
    assert (one.recv(PATIENCE_S), two.recv(PATIENCE_S)) == ([b"one!"], [b"two!"])


def test_nothing_to_receive_is_none_at_once(ends):
    assert ends.listener.receive() is None


def test_a_channel_waits_no_longer_than_it_was_told(ends):
    with pytest.raises(TimeoutError, match=r"no message within 0\.01 s"):
        ends.connect().recv(0.01)


def test_a_message_to_a_peer_that_is_unknown_is_dropped(ends):
    ends.listener.send(b"nobody", [b"hello"])
    channel = ends.connect()
    channel.send([b"still here"])
    assert ends.next()[1] == [b"still here"]


@pytest.mark.parametrize(
    "frames", [[b"x" * (LIMIT + 1)], [b"h", b"x" * LIMIT], [b""] * (MAX_FRAMES + 1)]
)
def test_an_oversized_message_is_refused_whole_and_the_next_is_taken(ends, frames):
    channel = ends.connect()
    channel.send(frames)
    channel.send([b"small"])
    with pytest.raises(Oversized):
        ends.next()
    assert ends.next()[1] == [b"small"]


def test_what_was_sent_before_a_channel_closed_still_arrives(ends):
    channel = ends.connect()
    channel.send([b"last words"])
    channel.close()
    assert ends.next()[1] == [b"last words"]


def test_a_waiter_tells_which_descriptor_is_readable(tmp_path_factory, request):
    import os

    ends = Zmq(tmp_path_factory.mktemp("t"))
    request.addfinalizer(ends.close)
    readable, writable = os.pipe()
    waiter = Waiter([ends.listener], [readable])
    assert waiter.wait(0.0) == []
    os.write(writable, b"x")
    assert waiter.wait(PATIENCE_S) == [readable]
    os.close(readable)
    os.close(writable)


def test_a_channel_to_an_endpoint_that_is_bound_later_gets_through(tmp_path_factory, request):
    directory = tmp_path_factory.mktemp("t")
    early = connect_worker(f"ipc://{directory}/s")
    request.addfinalizer(early.close)
    early.send([b"early"])
    ends = Zmq(directory)
    request.addfinalizer(ends.close)
    assert ends.next()[1] == [b"early"]


def test_a_large_blob_can_be_sent_on_as_it_was_received(tmp_path_factory, request):
    directory = tmp_path_factory.mktemp("t")
    listener = listen(f"ipc://{directory}/s")
    request.addfinalizer(listener.close)
    channel = connect(f"ipc://{directory}/s")
    request.addfinalizer(channel.close)
    blob = bytes(range(256)) * 4096
    channel.send([b"header", blob, b"small"])
    Waiter([listener], []).wait(PATIENCE_S)
    peer, frames = listener.receive()
    listener.send(peer, frames)
    assert channel.recv(PATIENCE_S) == [b"header", blob, b"small"]
