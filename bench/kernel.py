"""``python -m bench.kernel NAME [--agents N…] [--workers W] [--ticks T] [--vm VM]``.

The kernel alone, for tuning: runs the host in this process, without coordinator, sockets and
digests, and answers in a second or two. Times are those of the processor, which neighbours on the
machine disturb least. With several workers their shares run one after another, and the slowest
share of each tick counts, as it would if every one had a core to itself.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.sources import LIBRARY, OWN, read_files
from runtime import protocol as p
from runtime.core.placement import initial_placement, shard_size_for, shards_for
from runtime.model import apply_parameters, read_model
from runtime.protocol import Scalar
from workers.host import Host

Parameters = Callable[[int], dict[str, Scalar]]
"""The parameters that give so many agents."""


def _number(name: str) -> Parameters:
    return lambda agents: {name: agents}


def _large(_: int) -> dict[str, Scalar]:
    return {"size": "large"}


MODELS: dict[str, tuple[Path, Parameters]] = {
    "ring": (LIBRARY / "ring", _number("n")),
    "gossip": (LIBRARY / "gossip", _number("n")),
    "coin": (LIBRARY / "wealth", _number("people")),
    "sir": (LIBRARY / "epidemic", _number("n")),
    "empty": (OWN / "empty", _number("n")),
    "compute": (OWN / "compute", _number("n")),
    "fields": (OWN / "fields", _number("n")),
    "schelling": (LIBRARY / "schelling", _large),
    "wolf_sheep": (LIBRARY / "wolf_sheep", _large),
    "flocking": (LIBRARY / "flocking", _large),
    "sandpile": (LIBRARY / "sandpile", _number("grains")),
    "life": (OWN / "life", lambda agents: {"side": max(3, int(agents**0.5))}),
    "movers": (OWN / "movers", _number("n")),
    "crowd": (
        OWN / "crowd",
        lambda agents: {"n": agents, "side": max(3, int((5 * agents) ** 0.5))},
    ),
}
STEPS = 4_000_000
"""Agent-steps per sample."""


TRACES = Path(__file__).with_name("traces.lua").read_bytes()


class Share:
    """One worker's share, in this process, with the batches that wait for it."""

    def __init__(self, load: p.Load) -> None:
        self.host = Host()
        self.sources: list[int] = []
        self.blobs: list[bytes] = []
        answer, _ = self.host.handle(load, [])
        if not isinstance(answer, p.Loaded) or answer.fault:
            raise RuntimeError(f"Load: {answer}")

    def watch_traces(self) -> Callable[[], bytes]:
        """What gives a report of what the JIT compiler gave up on from now on."""
        kernel = self.host._kernel
        if kernel is None or not kernel.vm.startswith("luajit"):
            raise RuntimeError("traces are LuaJIT's")
        # Not a function of the kernel: the product has no use for it.
        report: Callable[[], bytes] = kernel._lua.execute(TRACES)
        return report

    def step(self, tick: int, last: int) -> tuple[float, p.Stepped, list[bytes]]:
        """Seconds, answer and outgoing batches of ``tick`` to ``last``."""
        return self._timed(
            p.Step(epoch=1, tick=tick, last=last, sources=self._sources(), grant_ms=1e9)
        )

    def close(self, tick: int, changes: list[bytes]) -> tuple[float, p.Stepped, list[bytes]]:
        """The same of the second round of ``tick``, with the changes of every share."""
        return self._timed(p.Close(epoch=1, tick=tick, changes=changes, sources=self._sources()))

    def _timed(self, order: p.Step | p.Close) -> tuple[float, p.Stepped, list[bytes]]:
        blobs, self.blobs = self.blobs, []
        began = time.thread_time()
        answer, out = self.host.handle(order, blobs)
        seconds = time.thread_time() - began
        if not isinstance(answer, p.Stepped) or answer.fault:
            raise RuntimeError(f"{order}: {answer}")
        return seconds, answer, out

    def _sources(self) -> list[int]:
        sources, self.sources = self.sources, []
        return sources


class Kernel:
    """A simulation on one or more shares."""

    def __init__(self, name: str, agents: int, workers: int, watched: bool, vm: str) -> None:
        folder, sized = MODELS[name]
        model, findings = read_model(name, read_files(folder, watched))
        if model is None:
            raise RuntimeError(f"{folder}: {findings}")
        parameters, found = apply_parameters(model, sized(agents))
        checked, _ = Host().handle(
            p.Check(epoch=1, model=model, parameters=parameters, dry_ticks=0), []
        )
        if found or not isinstance(checked, p.Checked) or checked.diagnostics:
            raise RuntimeError(f"{folder}: {found} {checked}")
        self.tick, self.agents = 0, sum(checked.counts)
        size = shard_size_for(self.agents)
        placement = initial_placement(shards_for(self.agents + 1, size), workers)
        self.shares = [
            Share(
                p.Load(
                    epoch=1,
                    worker=worker,
                    workers=workers,
                    model=model,
                    parameters=parameters,
                    seed=1,
                    counts=checked.counts,
                    shard_size=size,
                    placement=placement,
                    vm=vm,
                    activation=model.regime(parameters),
                )
            )
            for worker in range(workers)
        ]
        self._round(0)

    def advance(self, ticks: int) -> float:
        """Runs ``ticks`` ticks; the seconds of the slowest share of each, summed."""
        first, self.tick = self.tick + 1, self.tick + ticks
        if len(self.shares) == 1:
            return self.shares[0].step(first, self.tick)[0]
        return sum(self._round(tick) for tick in range(first, self.tick + 1))

    def _round(self, tick: int) -> float:
        seconds, changes = self._all([share.step(tick, tick) for share in self.shares])
        if any(changes):
            seconds += self._all([share.close(tick, changes) for share in self.shares])[0]
        return seconds

    def _all(
        self, answers: list[tuple[float, p.Stepped, list[bytes]]]
    ) -> tuple[float, list[bytes]]:
        """Hands the batches on; the seconds of the slowest share, and the changes of each."""
        if any(answer.spawned for _, answer, _ in answers):
            raise RuntimeError("agents that are born need a coordinator to place them")
        for source, (_, answer, blobs) in enumerate(answers):
            for worker, blob in zip(answer.out, blobs, strict=True):
                self.shares[worker].sources.append(source)
                self.shares[worker].blobs.append(blob)
        return max(seconds for seconds, _, _ in answers), [
            answer.changes for _, answer, _ in answers
        ]


def run(args: argparse.Namespace) -> None:
    """Prints one line per size."""
    for agents in args.agents:
        began = time.perf_counter()
        kernel = Kernel(args.name, agents, args.workers, args.watched, args.vm)
        agents = kernel.agents
        made = time.perf_counter() - began
        ticks = args.ticks or max(4, STEPS // agents)
        report = kernel.shares[0].watch_traces() if args.traces else None
        kernel.advance(max(1, ticks // 4))
        times = sorted(kernel.advance(ticks) / ticks for _ in range(args.repeats))
        low, middle, high = (
            seconds / agents * 1e9 for seconds in (times[0], times[len(times) // 2], times[-1])
        )
        print(
            f"{args.name:<10} {agents:>9} agents {args.workers} w"
            f"  {middle:7.1f} ns/agent-step ({low:.1f}-{high:.1f})"
            f"  {1e9 / (middle * agents):11,.0f} ticks/s  made in {made:.3f} s",
            flush=True,
        )
        if report is not None:
            print(report().decode())


def main() -> None:
    """Reads the options; runs in a thread with a large stack, as the worker does: scripts can
    overflow the usual one inside the VM."""
    options = argparse.ArgumentParser(prog="python -m bench.kernel", description=__doc__)
    options.add_argument("name", choices=MODELS)
    options.add_argument("--agents", nargs="+", type=int, default=[10_000])
    options.add_argument("--workers", type=int, default=1)
    options.add_argument("--ticks", type=int, default=0, help="per sample (default: by size)")
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--vm", default="", help="luajit21 | lua52")
    options.add_argument("--watched", action="store_true", help="with metrics and invariants")
    options.add_argument("--traces", action="store_true", help="what the JIT gave up on, where")
    args = options.parse_args()
    if args.watched and args.workers > 1:
        options.error("--watched takes one worker: the merging of metrics is the coordinator's")
    threading.stack_size(256 * 1024 * 1024)
    thread = threading.Thread(target=run, args=(args,))
    thread.start()
    thread.join()


if __name__ == "__main__":
    main()
