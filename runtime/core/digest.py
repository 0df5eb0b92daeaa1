"""The digest of a simulation at a closed tick: equal digests, equal runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

SIZE: Final = 16


def digest_of(shards: Sequence[bytes], environment: bytes, next_id: int) -> str:
    """Hex of BLAKE2b-128 over the shards' digests in order, the environment's, the id counter.

    ``shards``: one digest of 16 bytes per shard. ``environment``: the digest of what every worker
    holds alike (environment, space, layers, network, published fields), 16 zero bytes without one.
    """
    whole = blake2b(b"".join(shards), digest_size=SIZE)
    whole.update(environment)
    whole.update(next_id.to_bytes(8, "little"))
    return whole.hexdigest()


def in_shard_order(dumps: Mapping[int, bytes], shards: int) -> list[bytes] | None:
    """The shards' digests by number, or None when one is missing or not a digest."""
    ordered = [dumps.get(s, b"") for s in range(shards)]
    if len(dumps) != shards or any(len(d) != SIZE for d in ordered):
        return None
    return ordered
