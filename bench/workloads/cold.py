"""`simctl run` of a small model from nothing: interpreter, coordinator, worker, run, report."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from bench.harness import CheckFailed, Options, Row, Target, require_equal
from bench.sources import LIBRARY

TICKS = 100


def run(options: Options) -> Iterator[Row]:
    """Wall seconds of the whole command; the first, which reads files from disk, is not counted."""
    for agents in options.sizes(100):
        digests = set()
        seconds = []
        for _ in range((options.repeats or 5) + 1):
            took, digest = _once(agents)
            seconds.append(took)
            digests.add(digest)
        require_equal("digests of one command", len(digests), 1)
        del seconds[0]
        yield Row(
            name="cold",
            agents=agents,
            workers=1,
            checked=True,
            check="all ticks run; one digest",
            repeats=len(seconds),
            ticks=TICKS,
            value=statistics.median(seconds),
            unit="s",
            targets=(Target("value", "<=", 0.8),),
            notes={"lowest": min(seconds), "highest": max(seconds)},
        )


def _once(agents: int) -> tuple[float, str]:
    command = [sys.executable, "-m", "runtime.cli", "run", str(LIBRARY / "wealth")]
    command += ["-p", f"people={agents}", "--ticks", str(TICKS), "--format", "json"]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise CheckFailed(f"simctl run: exit {done.returncode}: {done.stderr}")
    result = json.loads(done.stdout)
    require_equal("last tick", result["tick"], TICKS)
    return took, str(result["digest"])
