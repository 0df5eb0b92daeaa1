"""Waiting for what other processes do: on a condition with a time limit, never for a time."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable

from runtime.client import Client
from runtime.commands import Status

PATIENCE_S = 20.0
_LOOK_S = 0.01


def still_living(pids: Iterable[int], limit_s: float = PATIENCE_S) -> list[int]:
    """Those that have not ended within the limit; returns as soon as all have."""
    until = time.monotonic() + limit_s
    return [pid for pid in pids if not _ends(pid, until)]


def _ends(pid: int, until: float) -> bool:
    try:
        life = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ended, _, _ = select.select([life], [], [], max(0.0, until - time.monotonic()))
    finally:
        os.close(life)
    return bool(ended)


def wait_for_tick(client: Client, sim: str, tick: int) -> None:
    """Until the running simulation has closed that tick; each look waits in the coordinator."""
    until = time.monotonic() + PATIENCE_S
    while client.request(Status(sim=sim, wait_s=_LOOK_S)).simulations[0].tick < tick:
        assert time.monotonic() < until, f"{sim} did not come to tick {tick}"
