"""A simulation as it stands, as text for a model to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mcp_gateway.faults import fault_lines
from mcp_gateway.render import assignments, cell, fit, one_line, spark, table
from runtime.commands import MetricSummary, SimulationInfo
from runtime.figures import number

_ENDINGS = {
    "ticks": "ran the ticks asked for",
    "until": "until became true",
    "stop": "the model's stop condition became true",
    "invariant": "an invariant broke",
    "interrupted": "cancelled; the ticks done are kept",
    "error": "ended on an error",
}


def running(info: SimulationInfo) -> bool:
    """Whether a run is under way."""
    return info.phase in ("running", "creating")


def broken(info: SimulationInfo) -> bool:
    """Whether the model failed: a fault, or an invariant that broke."""
    return info.phase == "failed" or info.error is not None or info.stopped == "invariant"


def over(info: SimulationInfo) -> bool:
    """Whether the model's own stop condition ended it for good."""
    return info.stopped == "stop" and not running(info)


def simulation(info: SimulationInfo, next_call: str = "") -> str:
    """The whole story of one simulation."""
    head = [_standing(info), *_error(info), *(f"note: {note}" for note in info.notes)]
    # Agents of a failed simulation are gone, and how many there were last is not known.
    if info.agents and info.phase != "failed":
        counted = ", ".join(f"{name} {n}" for name, n in info.agents.items())
        head.append(f"agents: {one_line(counted, 600)}")
    if info.messages.sent:
        m = info.messages
        head.append(f"messages: sent {m.sent}, delivered {m.delivered}, dead {m.dead}")
    body = metrics(info.metrics) if info.tick > 0 else _first_values(info.metrics)
    tail = [_setting(info)]
    if info.digest:
        tail.append(f"digest: {info.digest} (equal digests mean equal runs)")
    if info.log_lines:
        lines = f"{info.log_lines} line{'s'[info.log_lines == 1 :]}"
        tail.append(f'log: {lines}; query(sim="{info.sim}", what="log")')
    if next_call:
        tail.append(f"Next: {next_call}")
    return fit(head, body, lambda n: _metrics_left_out(info, n), tail)


def metrics(summaries: Mapping[str, MetricSummary]) -> list[str]:
    """A table of metrics with a sparkline each, or nothing."""
    if not summaries:
        return []
    rows: list[list[float | str | None]] = [
        [name, m.first, m.last, m.min, m.max, m.mean, spark(m.spark)]
        for name, m in summaries.items()
    ]
    return table(["metric", "first", "last", "min", "max", "mean", "course"], rows)


def _first_values(summaries: Mapping[str, MetricSummary]) -> list[str]:
    """The metrics of a world that was just created: one value each."""
    values = [f"{name} {cell(m.last)}" for name, m in summaries.items()]
    lines = [values[i : i + 8] for i in range(0, len(values), 8)]
    return [f"metrics: {', '.join(line)}" for line in lines]


def listing(infos: Sequence[SimulationInfo]) -> str:
    """All simulations, the newest last."""
    if not infos:
        return "no simulations. Next: sim_create(model=…); guide(topic='library') lists models"
    rows: list[list[float | str | None]] = [
        [
            i.sim,
            i.phase + (f" ({i.stopped})" if i.stopped and not running(i) else ""),
            i.tick,
            None if i.phase == "failed" else sum(i.agents.values()),
            i.workers,
            i.seed,
            one_line(assignments(i.parameters), 40),
        ]
        for i in reversed(infos)
    ]
    lines = table(["sim", "phase", "tick", "agents", "workers", "seed", "parameters"], rows)
    return fit(
        lines[:1],
        lines[1:],
        lambda n: f"… {n} older ones left out; remove(sim=…) those no longer needed",
        ["Next: status(sim=…) for one of them (newest first above)"],
    )


def _standing(info: SimulationInfo) -> str:
    if info.phase == "running":
        done = f"{info.sim} is running: tick {info.tick} of {info.target}"
        if info.ticks_per_s > 0 and info.target > info.tick:
            left = (info.target - info.tick) / info.ticks_per_s
            done += f", {number(round(info.ticks_per_s, 1))} ticks/s, about {left:.0f} s to go"
        return done
    if info.phase == "failed":
        return f"{info.sim} FAILED; it stands at tick {info.tick} and cannot run on"
    said = f"{info.sim} at tick {info.tick}: {_ENDINGS.get(info.stopped, info.phase)}"
    if over(info):
        said = f"{info.sim} ENDED at tick {info.tick}: {_ENDINGS.get(info.stopped, info.phase)}"
    if info.stopped_by:
        said += f" ({one_line(info.stopped_by, 160)})"
    if info.elapsed_s > 0 and info.tick > 0:
        said += f"; {info.elapsed_s:.3g} s, {info.ticks_per_s:.4g} ticks/s"
    return said


def _error(info: SimulationInfo) -> list[str]:
    return fault_lines(info.error) if info.error else []


def _setting(info: SimulationInfo) -> str:
    workers = f"{info.workers} worker{'s' if info.workers != 1 else ''}"
    parts = [f"model {info.model}", f"seed {info.seed}", info.activation, workers, info.vm]
    shown = assignments(info.parameters)
    return ", ".join(part for part in parts if part) + (
        f"; {one_line(shown, 400)}" if shown else ""
    )


def _metrics_left_out(info: SimulationInfo, count: int) -> str:
    return (
        f'… {count} metrics left out; query(sim="{info.sim}", what="metrics", names=[…]) gives them'
    )
