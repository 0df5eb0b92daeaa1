"""Which requests were carried out, by client key: what is sent again is answered from here."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec import Struct

KEPT: Final = 10_000
KEPT_BYTES: Final = 64 << 20


class Entry(Struct):
    """A request by its content, and the encoded response once there is one."""

    fingerprint: bytes
    ticket: int
    response: bytes | None = None


class Record:
    """The newest requests. A request that is still being carried out is never dropped."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0

    def find(self, key: str) -> Entry | None:
        """What is known of a key."""
        return self._entries.get(key)

    def open(self, key: str, fingerprint: bytes, ticket: int) -> None:
        """A new request is being carried out."""
        self._entries[key] = Entry(fingerprint, ticket)

    def close(self, key: str, response: bytes) -> None:
        """It was answered; the oldest answers may go."""
        entry = self._entries.get(key)
        if entry is None or entry.response is not None:
            return
        entry.response = response
        self._entries.move_to_end(key)
        self._bytes += len(response)
        while len(self._entries) > KEPT or self._bytes > KEPT_BYTES:
            oldest = next((k for k, e in self._entries.items() if e.response is not None), key)
            if oldest == key:
                return
            dropped = self._entries.pop(oldest).response
            self._bytes -= len(dropped or b"")
