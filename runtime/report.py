"""What simctl shows: replies turned into text for people and into JSON values for programs.

Pure: records in, strings or plain values out. Nothing here prints or asks a terminal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from runtime.commands import FORMAT, MetricSummary, ModelChecked, SimulationInfo, Table
from runtime.errors import GedankenError, ModelError, SimulationFault, UsageError
from runtime.figures import (
    grouped,
    number,
    of_plural,
    printable,
    seconds,
    sparkline,
    table,
)
from runtime.protocol import ENVIRONMENT, Diagnostic, Fault, Scalar

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

STOPPED: Final = {
    "ticks": "all ticks done",
    "until": "the --until expression became true",
    "stop": "the model's [stop] became true",
    "invariant": "an invariant broke",
    "interrupted": "interrupted",
    "error": "an error",
}
EXIT: Final = {"error": 1, "invariant": 1, "interrupted": 130}
"""Exit status by ``stopped``; 0 for the rest."""


# --- values ------------------------------------------------------------------------------------


def plain(value: object) -> Json:
    """A JSON value of records and containers; NaN and infinities become null, as JSON has none."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return plain(msgspec.to_builtins(value))


def to_json(value: object) -> str:
    """One line of JSON."""
    return msgspec.json.encode(plain(value)).decode()


# --- a run -------------------------------------------------------------------------------------


def run_json(info: SimulationInfo) -> dict[str, Json]:
    """The object that ``simctl run --format json`` prints."""
    return {
        "format": FORMAT,
        "sim": info.sim,
        "model": info.model,
        "parameters": plain(info.parameters),
        "seed": info.seed,
        "activation": info.activation,
        "workers": info.workers,
        "vm": info.vm,
        "tick": info.tick,
        "stopped": info.stopped,
        "stopped_by": info.stopped_by or None,
        "digest": info.digest or None,
        "agents": plain(info.agents),
        "messages": {
            "sent": info.messages.sent,
            "delivered": info.messages.delivered,
            "dead": info.messages.dead,
        },
        "metrics": {name: metric_json(metric) for name, metric in info.metrics.items()},
        "elapsed_s": plain(round(info.elapsed_s, 6)),
        "ticks_per_s": plain(round(info.ticks_per_s, 3)),
        "error": None if info.error is None else fault_json(info.error),
        "notes": plain(info.notes),
    }


def metric_json(metric: MetricSummary) -> Json:
    return plain({name: getattr(metric, name) for name in ("first", "last", "min", "max", "mean")})


def fault_json(fault: Fault) -> dict[str, Json]:
    """The ``error`` object: where, why, and what to try."""
    return {
        "kind": fault.kind,
        "message": fault.message,
        "file": fault.file,
        "line": fault.line,
        "agent": fault.agent,
        "agent_type": fault.agent_type,
        "tick": fault.tick,
        "excerpt": fault.excerpt,
        "hint": fault.hint,
        "handler": fault.handler,
        "handling": fault.handling,
        "worker": fault.worker,
    }


def no_run_json(
    model: str | None, error: GedankenError, parameters: Mapping[str, Scalar]
) -> dict[str, Json]:
    """The same object where there was no run: the model does not check, or the usage is wrong."""
    diagnostics = error.diagnostics if isinstance(error, ModelError) else []
    return {
        **dict.fromkeys(
            ("seed", "activation", "workers", "vm", "tick", "stopped_by", "digest", "elapsed_s")
        ),
        "format": FORMAT,
        "model": model,
        "parameters": plain(parameters),
        "stopped": "error",
        "agents": {},
        "messages": {"sent": 0, "delivered": 0, "dead": 0},
        "metrics": {},
        "ticks_per_s": None,
        "error": error_json(error),
        "notes": [],
        "diagnostics": plain(diagnostics),
    }


def error_json(error: GedankenError) -> dict[str, Json]:
    """The ``error`` object of any error; of several findings the first gives the place."""
    if isinstance(error, SimulationFault):
        return fault_json(error.fault)
    found = error.diagnostics if isinstance(error, ModelError) else []
    first = next((one for one in found if one.severity == "error"), None)
    if first is not None:
        fault = Fault(
            kind="check",
            message=first.message,
            file=first.file or None,
            line=first.line or None,
            excerpt=first.excerpt or None,
            hint=first.hint or None,
        )
    else:
        fault = Fault(kind=error_kind(error), message=str(error), hint=error.hint or None)
    return {**fault_json(fault), "tick": None}


def error_kind(error: GedankenError) -> str:
    """``usage`` of UsageError, ``unknown_model`` of UnknownModel."""
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def exit_status(error: GedankenError) -> int:
    """2 where the caller or the model's text is to be changed, 1 where something ran and failed."""
    return 2 if isinstance(error, UsageError | ModelError) else 1


def run_text(info: SimulationInfo) -> str:
    """The summary of a run for people."""
    ended = STOPPED.get(info.stopped, info.stopped or info.phase)
    if info.stopped_by and info.stopped in ("until", "stop", "invariant"):
        ended = f"{ended}: {info.stopped_by}"
    lines = [
        f"{info.sim}  tick {grouped(info.tick)}, ended: {ended}",
        f"  {of_plural(info.workers, 'worker')}, {info.vm}, {info.activation}, seed {info.seed}"
        + "".join(f", {name}={number(value)}" for name, value in info.parameters.items()),
    ]
    lines += indented(f"note: {note}" for note in info.notes)
    if info.metrics:
        lines += ["", *indented(metric_table(info.metrics))]
    lines.append("")
    agents = ", ".join(f"{grouped(count)} {name}" for name, count in info.agents.items())
    lines.append(f"  agents    {agents or 'none'}")
    sent, delivered, dead = info.messages.sent, info.messages.delivered, info.messages.dead
    lines.append(
        f"  messages  {grouped(sent)} sent, {grouped(delivered)} delivered, {grouped(dead)} dead"
    )
    if info.digest:
        lines.append(f"  digest    {info.digest}")
    speed = f", {grouped(round(info.ticks_per_s))} ticks/s" if info.ticks_per_s else ""
    lines.append(f"  took      {seconds(info.elapsed_s)}{speed}")
    if info.log_lines:
        lines.append(f"  log       {of_plural(info.log_lines, 'line')}")
    return "\n".join(lines)


def metric_table(metrics: Mapping[str, MetricSummary]) -> list[str]:
    header = ("metric", "first", "last", "min", "max", "mean", "")
    rows = [
        (name, *(number(x) for x in (m.first, m.last, m.min, m.max, m.mean)), sparkline(m.spark))
        for name, m in metrics.items()
    ]
    # The sparkline is padded here: set right like the numbers, lines of unequal length would not
    # start at one place.
    width = max((len(row[-1]) for row in rows), default=0)
    return table(header, [(*row[:-1], row[-1].ljust(width)) for row in rows])


def progress_bar(info: SimulationInfo, start: int, width: int) -> str:
    """One line of less than ``width`` characters; ``start`` is the tick that the run started at.

    What a narrow terminal has no room for is left out: first the speed, then the time left.
    """
    share = min(1.0, max(0.0, (info.tick - start) / max(1, info.target - start)))
    text = f" {share:4.0%}  tick {grouped(info.tick)} of {grouped(info.target)}"
    texts = [text]
    if info.ticks_per_s > 0:
        left = f"  {seconds(max(0, info.target - info.tick) / info.ticks_per_s)} left"
        speed = f"  {grouped(round(info.ticks_per_s))} ticks/s"
        texts = [text + speed + left, text + left, text]
    for text in texts:
        room = min(30, width - len(info.sim) - len(text) - 2)
        if room >= 10:
            done = round(share * room)
            return f"{info.sim} {'█' * done}{'░' * (room - done)}{text}"
    return f"{info.sim}{texts[-1]}"[: max(0, width - 1)]


# --- errors ------------------------------------------------------------------------------------


def fault_text(fault: Fault) -> str:
    """A fault for people: what, where, the line itself, and what to try."""
    who = ""
    if fault.agent is not None:
        who = f", agent {fault.agent}" + (f" ({fault.agent_type})" if fault.agent_type else "")
    elif fault.agent_type == ENVIRONMENT:
        who = ", the environment"
    elif fault.worker is not None:
        who = f", worker {fault.worker}"
    during = f" in {fault.handler}" if fault.handler else ""
    place = f"{fault.file}:{fault.line}: " if fault.file and fault.line else ""
    lines = [f"error: {fault.kind} at tick {fault.tick}{who}{during}"]
    lines += indented((place + fault.message).splitlines())
    if fault.excerpt:
        lines += excerpt_lines(fault.excerpt, fault.line or 0)
    if fault.handling:
        lines += indented([f"handling: {fault.handling}"])
    if fault.locals:
        lines += indented([f"locals: {fault.locals}"])
    if fault.hint:
        lines += indented([f"try: {fault.hint}"])
    return printable("\n".join(lines))


def error_text(error: GedankenError) -> str:
    """Any error of this project for people."""
    if isinstance(error, SimulationFault):
        return fault_text(error.fault)
    if isinstance(error, ModelError) and error.diagnostics:
        return f"{diagnostics_text(error.diagnostics)}\n\nerror: {error}"
    text = f"error: {error}"
    return printable(f"{text}\n  try: {error.hint}" if error.hint else text)


def diagnostics_text(diagnostics: Sequence[Diagnostic]) -> str:
    """Findings of the front end, one paragraph each, in the order given."""
    return "\n\n".join(diagnostic_text(one) for one in diagnostics)


def diagnostic_text(found: Diagnostic) -> str:
    place = found.file + (f":{found.line}" if found.line else "")
    lines = [f"{place}: {found.severity}: {found.message}" if place else found.message]
    if found.excerpt:
        lines += excerpt_lines(found.excerpt, found.line)
    if found.hint:
        lines += indented([f"try: {found.hint}"])
    return printable("\n".join(lines))


def excerpt_lines(excerpt: str, line: int) -> list[str]:
    """The source line with its number; an excerpt of several lines brings its own numbers."""
    parts = excerpt.expandtabs(4).splitlines()
    if len(parts) == 1 and line and "|" not in parts[0][:12]:
        return [f"  {line:5} | {parts[0]}"]
    return indented(parts)


def indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}".rstrip() for line in lines]


# --- other replies -----------------------------------------------------------------------------


def check_text(checked: ModelChecked) -> str:
    """The outcome of ``simctl check``."""
    errors = sum(one.severity == "error" for one in checked.diagnostics)
    warnings = len(checked.diagnostics) - errors
    found = [of_plural(errors, "error")] if errors else []
    found += [of_plural(warnings, "warning")] if warnings else []
    parts = [diagnostics_text(checked.diagnostics)] if checked.diagnostics else []
    summary = f"{checked.name}: {'checks' if checked.ok else 'does not check'}"
    if found:
        summary += f" ({', '.join(found)})"
    lines = [summary]
    if checked.ok:
        agents = ", ".join(
            name if count < 0 else f"{grouped(count)} {name}"
            for name, count in checked.agents.items()
        )
        lines.append(f"  agents      {agents or 'none'}")
        lines.append(f"  activation  {checked.activation}")
        if checked.parameters:
            texts = (f"{one.name}={number(one.default)}" for one in checked.parameters)
            lines.append(f"  parameters  {', '.join(texts)}")
        if checked.metrics:
            lines.append(f"  metrics     {', '.join(checked.metrics)}")
        lines.append(f"  dry run     {of_plural(checked.dry_ticks, 'tick')}")
    return "\n\n".join([*parts, "\n".join(lines)])


def check_json(checked: ModelChecked) -> dict[str, Json]:
    """The object that ``simctl check --format json`` prints."""
    fields = ("name", "description", "ok", "activation", "parameters", "agents", "metrics")
    return {
        "format": FORMAT,
        **{name: plain(getattr(checked, name)) for name in fields},
        "dry_ticks": checked.dry_ticks,
        "diagnostics": plain(checked.diagnostics),
    }


def status_text(simulations: Sequence[SimulationInfo]) -> str:
    """A line a simulation."""
    if not simulations:
        return "no simulations"
    header = ("simulation", "phase", "tick", "target", "agents", "workers", "ticks/s")
    rows = [
        (
            info.sim,
            info.phase + (f" ({info.stopped})" if info.stopped and info.phase != "running" else ""),
            grouped(info.tick),
            grouped(info.target),
            grouped(sum(info.agents.values())),
            str(info.workers),
            grouped(round(info.ticks_per_s)),
        )
        for info in simulations
    ]
    return "\n".join(table(header, rows, left=(0, 1)))


def rows_text(reply: Table) -> str:
    """A query's table, with what was left out."""
    if not reply.columns and not reply.rows:
        return f"no rows (tick {reply.tick})"
    rows = [[number(cell) for cell in row] for row in reply.rows]
    lines = table(reply.columns, rows, left=())
    left_out = reply.total - len(reply.rows)
    if left_out > 0:
        lines.append(f"{grouped(left_out)} of {of_plural(reply.total, 'row')} left out")
    return "\n".join(lines)
