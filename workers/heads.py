"""The head of a kernel's answer, as main.lua writes it, on its way to a protocol answer."""

from __future__ import annotations

from typing import Any, TypeVar

import msgpack
import msgspec

from runtime.protocol import Counts, Fault, Stepped

Kind = TypeVar("Kind", bound=Stepped)


class Head(msgspec.Struct, array_like=True):
    """Fields in the order of main.lua's array. ``rows`` are ``row_count`` msgpack rows end to end.

    ``fault`` and ``more`` are not the kernel's: the host fills them.
    """

    tick: int
    out: list[int] = []
    changes: bytes = b""
    spawned: int = 0
    removed: int = 0
    partials: bytes = b""
    row_count: int = 0
    rows: bytes = b""
    logs: bytes = b""
    counts: Counts = Counts()
    agents: list[int] = []
    ended: str = ""
    ended_tick: int = -1
    ended_by: str = ""
    caught: dict[str, Any] | None = None
    fault: Fault | None = None
    more: bool = False

    def answer(self, kind: type[Kind], worker: int, epoch: int) -> Kind:
        """As ``Stepped`` or one of its kin."""
        return kind(
            worker=worker,
            epoch=epoch,
            tick=self.tick,
            out=self.out,
            changes=self.changes,
            spawned=self.spawned,
            removed=self.removed,
            partials=self.partials,
            rows=_array(self.row_count, self.rows) if self.row_count else b"",
            logs=self.logs,
            counts=self.counts,
            agents=self.agents,
            ended=self.ended,
            ended_tick=self.ended_tick,
            ended_by=self.ended_by,
            fault=self.fault,
            more=self.more,
        )


decode_head = msgspec.msgpack.Decoder(Head).decode


def batches_of(result: Any) -> list[bytes]:
    """What follows the head in a kernel's result; a head alone is not a tuple."""
    return list(result[1:]) if isinstance(result, tuple) else []


def pack(value: object) -> bytes:
    """msgpack for the kernel."""
    packed = msgpack.packb(value)
    assert isinstance(packed, bytes)
    return packed


def _array(count: int, elements: bytes) -> bytes:
    header = msgpack.Packer().pack_array_header(count)
    assert isinstance(header, bytes)
    return header + elements
