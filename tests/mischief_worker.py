"""A worker process that hosts nothing, answers everything, and does mischief when told to.

Run by a coordinator with ``--worker-module mischief_worker``. The parameters of the model tell it
what to do: ``mischief`` (a key of ``MISCHIEF``), ``at`` (the tick of the ``Step`` it is done at)
and ``who`` (the index of the worker that does it).
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import struct

import msgspec

from runtime import protocol as p
from runtime.transport import connect_worker

MODEL = {
    "model.toml": """
name = "mischief"
[parameters]
n = 8
mischief = "none"
at = 1
who = 0
[agents.thing]
count = "n"
""",
    "agents/thing.lua": "",
}


def hang(channel, answer):
    signal.pause()


def die(channel, answer):
    os._exit(3)


def stop_itself(channel, answer):
    os.kill(os.getpid(), signal.SIGSTOP)


def talk_nonsense(channel, answer):
    """Everything that must be refused; then the right answer."""
    replace = msgspec.structs.replace
    for frames in (
        [],
        [b""],
        [b"\xc1\xff\x00"],
        [b"\x93" * 5000],
        [p.encode(answer)[:-1]],
        [p.encode(p.Hello(protocol=1, language="x", capabilities=[], pid=1, token="no"))],
        [p.encode(replace(answer, epoch=answer.epoch + 1))],
        [p.encode(replace(answer, epoch=answer.epoch - 1))],
        [p.encode(replace(answer, tick=answer.tick + 1))],
        [p.encode(replace(answer, worker=answer.worker + 1))],
        [p.encode(replace(answer, out=[1]))],
        [p.encode(replace(answer, out=[-5])), b"mail"],
        [p.encode(replace(answer, rows=b"\xc1"))],
        [p.encode(p.Dumped(worker=answer.worker, epoch=answer.epoch, tick=answer.tick))],
        [b"x" * 10, *[b"y"] * 70_000],
    ):
        channel.send(frames or [b""])
    channel.send([p.encode(answer)])
    channel.send([p.encode(answer)])  # and once more: nobody asked for it
    return True


MISCHIEF = {
    "none": None,
    "other world": None,
    "hang": hang,
    "die": die,
    "stop": stop_itself,
    "nonsense": talk_nonsense,
}


class Pretence:
    """Answers as a host would whose agents do nothing."""

    def __init__(self) -> None:
        self.load: p.Load | None = None

    def answer(self, order: p.AnyOrder, index: int) -> tuple[p.Answer, list[bytes]]:
        sign = {"worker": index, "epoch": order.epoch}
        match order:
            case p.Check():
                counts = [int(order.parameters.get("n", 8))]
                return p.Checked(**sign, diagnostics=[], counts=counts, vm="none"), []
            case p.Load():
                self.load = order
                return p.Loaded(**sign, vm="none"), []
            case p.Step():
                mine = sum(w == index for w in self.load.placement)
                # A grant is never used up at once, so that a long run lasts.
                tick = min(order.tick + 999, order.last)
                return p.Stepped(**sign, tick=tick, agents=[mine], more=tick < order.last), []
            case p.Dump():
                digests = [bytes([shard % 256]) * 16 for shard in order.shards]
                # All have a copy of one environment; "other world": of another.
                parameters = self.load.parameters
                odd = parameters.get("mischief") == "other world" and parameters["who"] == index
                environment = bytes([odd]) * 16
                answer = p.Dumped(**sign, tick=order.tick, shards=order.shards)
                return answer, [*digests, environment]
            case p.Query():
                return p.Queried(**sign, tick=order.tick), [b"part"]
            case p.Combine():
                rows = msgspec.msgpack.encode([[len(order.partials)]])
                answer = p.Combined(**sign, tick=order.tick, columns=["parts"], rows=rows, total=1)
                return answer, []
            case p.Unload():
                self.load = None
                return p.Unloaded(**sign), []
        return p.Refused(**sign, reason=f"{type(order).__name__}?"), []


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("--connect", "--token", "--crumb", "--log-level"):
        parser.add_argument(option)
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    channel = connect_worker(options.connect)
    hello = p.Hello(
        protocol=1, language="none", capabilities=[], pid=os.getpid(), token=options.token
    )
    channel.send([p.encode(hello)])
    pretence, index = Pretence(), 0
    while True:
        order = p.decode_order(channel.recv()[0])
        if isinstance(order, p.Stop):
            return
        if isinstance(order, p.Welcome):
            index = order.worker
            continue
        answer, blobs = pretence.answer(order, index)
        if isinstance(order, p.Step) and pretence.load is not None:
            parameters = pretence.load.parameters
            mischief = MISCHIEF[str(parameters.get("mischief", "none"))]
            at, who = parameters.get("at", 1), parameters.get("who", 0)
            if mischief is not None and order.tick <= at <= order.last and index == who:
                with open(options.crumb, "r+b") as crumb:
                    crumb.write(struct.pack("<ii", 3, at))
                if mischief(channel, answer):
                    continue
        channel.send([p.encode(answer), *blobs])


if __name__ == "__main__":
    main()
