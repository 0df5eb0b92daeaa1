"""simctl serve, ps, and the subcommands that are commands to a running coordinator.

The latter are derived from ``commands.SUBCOMMANDS``: a field without default, and ``sim``, is an
argument; the others are options. Types, ranges and help come from the record's own annotations.
"""

from __future__ import annotations

import inspect
from typing import Any

import click
import msgspec
import msgspec.inspect as shapes

from runtime import report
from runtime.client import Client, find_coordinators
from runtime.commands import (
    FORMAT,
    SUBCOMMANDS,
    AnyReply,
    Command,
    Done,
    SimulationReply,
    Status,
    StatusReply,
    Table,
)
from runtime.errors import CoordinatorLost, UsageError
from runtime.interpreter import become
from runtime.log import LEVELS

format_option = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
socket_option = click.option(
    "--socket", default=None, metavar="PATH", help="Coordinator's socket (default: the one found)."
)


def connect(socket: str | None) -> Client:
    """A client of the coordinator at ``socket``, or of the only one that runs."""
    if socket is not None:
        return Client(socket)
    found = find_coordinators()
    if not found:
        raise CoordinatorLost(
            "no coordinator is running", "simctl serve starts one; so does an MCP client's gateway"
        )
    if len(found) > 1:
        raise UsageError(
            "several coordinators are running: " + ", ".join(str(one) for one in found),
            "--socket PATH names the one you mean; simctl ps shows what each of them runs",
        )
    return Client(found[0])


# --- derived subcommands -----------------------------------------------------------------------


def derive(name: str, command: type[Command]) -> click.Command:
    """The click command for a record of ``runtime.commands``."""
    shape = shapes.type_info(command)
    assert isinstance(shape, shapes.StructType)

    def call(socket: str | None, form: str, **values: object) -> None:
        given = {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}
        with connect(socket) as client:
            reply = client.request(msgspec.convert(given, command))
        if form == "json":
            click.echo(report.to_json({"format": FORMAT, **msgspec.to_builtins(reply)}))
        else:
            click.echo(reply_text(reply))

    built = click.Command(
        name,
        params=[parameter(field) for field in shape.fields],
        callback=call,
        help=inspect.cleandoc(command.__doc__ or "").replace("``", ""),
    )
    return format_option(socket_option(built))


def parameter(field: shapes.Field) -> click.Parameter:
    """The click parameter for a field of a command."""
    shape, text = field.type, ""
    if isinstance(shape, shapes.Metadata):
        text = str((shape.extra_json_schema or {}).get("description", ""))
        shape = shape.type
    if field.required:
        return click.Argument([field.name], type=click_type(shape))
    if field.name == "sim":
        # Simulations are named the same way everywhere, also where naming one is optional.
        return click.Argument([field.name], type=click_type(shape), default=field.default)
    option = "--" + field.name.replace("_", "-")
    if isinstance(shape, shapes.ListType):
        # One value each time: --field self.cash --field self.age.
        names = [field.name, option, option.removesuffix("s")]
        return click.Option(names, type=click_type(shape.item_type), multiple=True, help=text)
    if isinstance(shape, shapes.BoolType):
        return click.Option([field.name, option], is_flag=True, default=field.default, help=text)
    return click.Option(
        [field.name, option],
        type=click_type(shape),
        default=field.default,
        show_default=field.default not in ("", None),
        help=text,
    )


def click_type(shape: shapes.Type) -> click.ParamType[Any]:
    """The click type with the same range."""
    match shape:
        case shapes.StrType():
            return click.STRING
        case shapes.IntType(gt=None, lt=lt):
            top = shape.le if lt is None else lt - 1
            return click.IntRange(shape.ge, top)
        case shapes.FloatType():
            return click.FloatRange(
                min=shape.ge if shape.gt is None else shape.gt,
                max=shape.le if shape.lt is None else shape.lt,
                min_open=shape.gt is not None,
                max_open=shape.lt is not None,
            )
    raise TypeError(f"no option can be derived from {shape}: give runtime.cli_remote a case for it")


def reply_text(reply: AnyReply) -> str:
    """A reply for people."""
    match reply:
        case Table():
            return report.rows_text(reply)
        case StatusReply():
            return report.status_text(reply.simulations)
        case SimulationReply():
            return report.run_text(reply.simulation)
        case Done():
            return "done"
    return report.to_json(reply)


status, cancel, remove, query, metrics, log, shutdown = (
    derive(name, command) for name, command in SUBCOMMANDS.items()
)


# --- serve, ps ---------------------------------------------------------------------------------


@click.command()
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
@click.option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="A worker that does not answer for so long is ended (default: 30).",
)
def serve(log_level: str, deadline: float | None) -> None:
    """Run a coordinator in the foreground that ps, status, query… and gateways find.

    Says on its first line where it listens. Ctrl-C ends it and its workers.
    """
    arguments = ["--log-level", log_level]
    if deadline is not None:
        arguments += ["--deadline", str(deadline)]
    become("runtime.coordinator", arguments)


@click.command()
@format_option
def ps(form: str) -> None:
    """List running coordinators and the simulations in each."""
    standing: list[StatusReply] = []
    for endpoint in find_coordinators():
        try:
            with Client(endpoint) as client:
                standing.append(client.request(Status()))
        except CoordinatorLost:
            continue  # it ended between being found and being asked
    if form == "json":
        click.echo(report.to_json({"format": FORMAT, "coordinators": standing}))
        return
    if not standing:
        click.echo("no coordinator is running")
    for one in standing:
        click.echo(f"coordinator {one.pid}  {one.socket}")
        click.echo("\n".join(report.indented(report.status_text(one.simulations).splitlines())))
