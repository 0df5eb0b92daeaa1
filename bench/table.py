"""The table that people read."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from bench.harness import Row, Target

COLUMNS = {
    "ratio_to_bare_luajit": "bare",
    "ratio_to_naive": "naive",
    "ratio_to_naive_batched": "batched",
    "ratio_to_mesa": "Mesa",
    "ratio_to_one_worker": "1 worker",
}
"""Columns of ratios, with the heads under which they stand."""

WIDTHS = (10, 9, 3, 21, 16, 7, 8, 8, 7, 9)
HEADS = ("name", "agents", "w", "ns/agent-step", "value", *COLUMNS.values())

LEGEND = """\
ns/agent-step: median (lowest–highest). bare: our time / the bare LuaJIT loop's, small is good.
naive, batched, Mesa, 1 worker: their time / ours, large is good. Ratios are medians of ratios
within one round. Every row's result was checked."""


def heading() -> str:
    """Machine, commit and the names of the columns."""
    return f"{machine()}\n\n{_line(HEADS)}  figure to reach"


def line(row: Row) -> str:
    """One row, with its figures to reach and whether each was."""
    step = ""
    if row.ns_per_agent_step is not None:
        step = _number(row.ns_per_agent_step)
        step += f" ({_number(min(row.samples_ns))}–{_number(max(row.samples_ns))})"
    value = f"{_number(row.value)} {row.unit}" if row.value is not None else ""
    ratios = (getattr(row, column) for column in COLUMNS)
    cells = (
        row.name,
        f"{row.agents:,}".replace(",", " "),
        str(row.workers),
        step,
        value,
        *(f"{_number(ratio)} ×" if ratio is not None else "" for ratio in ratios),
    )
    verdicts = ", ".join(_verdict(target, met) for target, met in row.verdicts())
    return f"{_line(cells)}  {'; '.join(filter(None, (verdicts, row.remark)))}".rstrip()


def machine() -> str:
    """What the figures were made on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for entry in cpuinfo.read_text(encoding="utf-8").splitlines():
            if entry.startswith("model name"):
                model = entry.partition(":")[2].strip()
                break
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()},"
        f" load {load:.1f} at the start, commit {commit or 'unknown'}"
    )


def _verdict(target: Target, met: bool) -> str:
    head = COLUMNS.get(target.field, target.field.replace("_", " "))
    relation = {"<=": "≤", ">=": "≥"}[target.relation]
    return f"{head} {relation} {_number(target.bound)} {'✓' if met else '✗'}"


def _line(cells: tuple[str, ...]) -> str:
    first, *rest = (
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    )
    return " ".join([first, *rest])


def _number(value: float) -> str:
    """Three digits, or all of them before the point, in groups."""
    if value >= 10_000:
        return f"{value:,.0f}".replace(",", " ")
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"
