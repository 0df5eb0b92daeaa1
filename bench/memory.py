"""Memory of processes, as Linux tells it in /proc."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def resident(pid: int) -> int:
    """Bytes that the process has in memory now."""
    return _field(pid, "VmRSS")


def peak(pids: Iterable[int]) -> int:
    """Sum of the most bytes each process ever had in memory: no less than the true peak."""
    return sum(_field(pid, "VmHWM") for pid in pids)


def _field(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        key, _, rest = line.partition(":")
        if key == name:
            return int(rest.split()[0]) * 1024
    raise LookupError(f"/proc/{pid}/status has no {name}")
