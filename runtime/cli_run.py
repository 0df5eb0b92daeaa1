"""simctl run and check: a coordinator of their own for the time of the command."""

from __future__ import annotations

import csv
import shutil
import signal
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

import click
import msgspec

from runtime import library, report
from runtime.client import Client, embedded_coordinator
from runtime.commands import (
    CancelRun,
    CheckModel,
    CreateSimulation,
    QueryMetrics,
    RunSimulation,
    SimulationInfo,
    Status,
)
from runtime.errors import GedankenError, UsageError
from runtime.log import LEVELS
from runtime.protocol import Scalar

POLL_S: Final = 0.1
"""How often a run is asked how it stands: for the bar, and so that Ctrl-C is seen."""

model_argument = click.argument("model")
parameter_option = click.option(
    "-p",
    "--param",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a parameter (again for more).",
)
scenario_option = click.option(
    "--scenario",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file whose [parameters] are set; -p goes before it.",
)
vm_option = click.option(
    "--vm", type=click.Choice(["luajit21", "lua52"]), help="Lua machine (default: the fastest)."
)
log_option = click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="error",
    show_default=True,
    help="Log of coordinator and workers on stderr, JSON lines.",
)
format_option = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)


@click.command()
@model_argument
@parameter_option
@scenario_option
@click.option(
    "--ticks",
    type=click.IntRange(0, 2**53 - 1),
    default=None,
    help="How many ticks, at most (default: as the model says, else 100).",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**53 - 1), default=1, show_default=True, help="Random seed."
)
@click.option(
    "--workers",
    type=click.IntRange(0, 256),
    default=0,
    help="Worker processes (default: chosen from the number of agents).",
)
@click.option("--until", default="", metavar="EXPR", help="Stop when true: 'infected == 0'.")
@click.option(
    "--metrics-out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every tick's metrics to this CSV file.",
)
@vm_option
@format_option
@log_option
def run(
    model: str,
    assignments: tuple[str, ...],
    scenario: Path | None,
    ticks: int | None,
    seed: int,
    workers: int,
    until: str,
    metrics_out: Path | None,
    vm: str | None,
    form: str,
    log_level: str,
) -> int:
    """Run MODEL, a folder or a library name, and summarise it.

    Ends after --ticks, or earlier by --until or the model's [stop]. Ctrl-C ends the run at the next
    closed tick and reports what was done so far.
    """
    name, parameters = Path(model).name, {}
    try:
        name, files = library.read_model(model)
        parameters = read_parameters(files, assignments, scenario)
        require_writable(metrics_out)
        with interruptible() as interrupted, embedded_coordinator(log_level) as client:
            created = client.request(
                CreateSimulation(
                    name=name,
                    files=files,
                    parameters=parameters,
                    seed=seed,
                    workers=workers,
                    vm=vm or "",
                )
            ).simulation
            order = RunSimulation(sim=created.sim, ticks=ticks, until=until, wait_s=POLL_S)
            info = drive(client, created, order, interrupted, form == "text")
            unwritten = write_csv(client, info.sim, metrics_out) if metrics_out else None
    except GedankenError as error:
        if form == "json":
            click.echo(report.to_json(report.no_run_json(name, error, parameters)))
            return report.exit_status(error)
        raise
    if form == "json":
        value = report.run_json(info)
        if unwritten is not None and info.error is None:
            value["error"] = report.error_json(unwritten)
        click.echo(report.to_json(value))
    else:
        click.echo(report.run_text(info))
        if metrics_out is not None and unwritten is None:
            click.echo(f"  metrics   in {metrics_out}")
        if info.error is not None:
            click.echo(f"\n{report.fault_text(info.error)}", err=True)
    if unwritten is not None:
        click.echo(f"\n{report.error_text(unwritten)}", err=True)
    return report.EXIT.get(info.stopped, 0 if unwritten is None else 1)


@click.command()
@model_argument
@parameter_option
@scenario_option
@vm_option
@format_option
@log_option
def check(
    model: str,
    assignments: tuple[str, ...],
    scenario: Path | None,
    vm: str | None,
    form: str,
    log_level: str,
) -> int:
    """Check MODEL, a folder or a library name, and dry-run it for a few ticks.

    Names everything that does not fit at once: file and line, the line itself, why, and what to
    write instead.
    """
    name, files = library.read_model(model)
    parameters = read_parameters(files, assignments, scenario)
    with embedded_coordinator(log_level) as client:
        checked = client.request(
            CheckModel(name=name, files=files, parameters=parameters, vm=vm or "")
        )
    if form == "json":
        click.echo(report.to_json(report.check_json(checked)))
    else:
        click.echo(report.check_text(checked))
    return 0 if checked.ok else 2


# --- the run -----------------------------------------------------------------------------------


class MetricsUnwritten(GedankenError):
    """The file of --metrics-out could not be written, after the run."""


class Interrupted:
    """Whether Ctrl-C (or SIGTERM) came. A second one is not waited for."""

    def __init__(self) -> None:
        self.signal = 0

    def __bool__(self) -> bool:
        return self.signal != 0

    def note(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number


@contextmanager
def interruptible() -> Iterator[Interrupted]:
    """Note SIGINT and SIGTERM instead of being ended by them in the middle of a request."""
    interrupted = Interrupted()
    before = {number: signal.signal(number, interrupted.note) for number in STOP_SIGNALS}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def drive(
    client: Client,
    created: SimulationInfo,
    order: RunSimulation,
    interrupted: Interrupted,
    bar: bool,
) -> SimulationInfo:
    """Run a simulation to the end of its run, or to an interruption; show how far it is."""
    if created.phase == "failed":
        return created
    if interrupted:
        return msgspec.structs.replace(created, stopped="interrupted")
    show = bar and sys.stdout.isatty() and sys.stderr.isatty()
    info = client.request(order).simulation
    cancelled = False
    while info.phase == "running":
        if interrupted and not cancelled:
            client.request(CancelRun(sim=info.sim))
            cancelled = True
        if show:
            width = shutil.get_terminal_size().columns
            click.echo(
                f"\r\x1b[K{report.progress_bar(info, created.tick, width)}", err=True, nl=False
            )
        (info,) = client.request(Status(sim=info.sim, wait_s=POLL_S)).simulations
    if show:
        click.echo("\r\x1b[K", err=True, nl=False)
    return info


def write_csv(client: Client, sim: str, path: Path) -> GedankenError | None:
    """Every tick's metrics, a row a tick; an empty cell where there was no value. Gives the error
    where the file cannot be written: the run is done, and its summary must not be lost with it."""
    reply = client.request(QueryMetrics(sim=sim, points=0))
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(reply.columns)
            writer.writerows([csv_cell(value) for value in row] for row in reply.rows)
    except OSError as error:
        return MetricsUnwritten(
            f"the metrics could not be written to {path}: {error.strerror}",
            "the run itself is done; run it again with the same seed and another --metrics-out",
        )
    return None


def csv_cell(value: Scalar | None) -> Scalar | None:
    """A value in full precision; whole numbers without the .0 that Python writes."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def require_writable(path: Path | None) -> None:
    """A run of an hour must not end in a file that cannot be written."""
    if path is None:
        return
    try:
        path.open("a").close()
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None


# --- parameters --------------------------------------------------------------------------------


def read_parameters(
    files: Mapping[str, str], assignments: Sequence[str], scenario: Path | None
) -> dict[str, Scalar]:
    """The parameters that the scenario file and ``-p`` set, by name; the model checks them."""
    declared = declared_defaults(files)
    parameters = scenario_parameters(scenario) if scenario is not None else {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"-p takes NAME=VALUE, not {assignment!r}", "-p beta=0.3")
        parameters[name.strip()] = parse_value(text.strip(), declared.get(name.strip()))
    return parameters


def declared_defaults(files: Mapping[str, str]) -> dict[str, object]:
    """Defaults of model.toml as far as it can be read; the check reports what is wrong with it."""
    try:
        declared = tomllib.loads(files.get("model.toml", "")).get("parameters", {})
    except (ValueError, RecursionError):
        return {}
    if not isinstance(declared, dict):
        return {}
    return {
        name: entry.get("default") if isinstance(entry, dict) else entry
        for name, entry in declared.items()
    }


def parse_value(text: str, default: object) -> Scalar:
    """A value as typed in a shell; the parameter's default tells the text 1 from the number 1."""
    if isinstance(default, str):
        return text
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def scenario_parameters(path: Path) -> dict[str, Scalar]:
    """The values of a scenario's [parameters]: plain, or as a model declares them."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot read scenario {path}: {error}") from None
    unknown = sorted(content.keys() - {"name", "description", "parameters"})
    if unknown:
        raise UsageError(
            f"scenario {path} sets {', '.join(unknown)}; a scenario sets [parameters] alone",
            "change the model itself for the rest",
        )
    values = {}
    for name, entry in content.get("parameters", {}).items():
        value = entry.get("default") if isinstance(entry, dict) else entry
        if not isinstance(value, bool | int | float | str):
            raise UsageError(f"scenario {path}: parameter {name} has no plain value")
        values[name] = value
    return values
