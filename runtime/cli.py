"""simctl: the group of its commands, and how it ends.

Commands live in modules of their own, imported when called: ``simctl run`` of a small model must
not pay for what ``serve`` needs. Exit status: 0 done; 1 the run ended on a fault or a broken
invariant, or the machine failed; 2 wrong usage, or a model that does not check; 130 interrupted.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NamedTuple

import click

from runtime import report
from runtime.commands import SUBCOMMANDS
from runtime.errors import GedankenError, UsageError


class Place(NamedTuple):
    """Where a command is: ``attribute`` of ``module``; ``summary`` is its line in the list."""

    module: str
    attribute: str
    summary: str


def first_clause(docstring: str) -> str:
    """What fits a list: 'Agents of a type.' of 'Agents of a type: filter, fields, …'."""
    return re.split(r"[.:;(]", docstring)[0].replace("``", "").strip() + "."


PLACES: Final[dict[str, Place]] = {
    "run": Place("runtime.cli_run", "run", "Run a model and summarise it."),
    "check": Place("runtime.cli_run", "check", "Check a model and dry-run it for a few ticks."),
    "new": Place("runtime.cli_library", "new", "Write a small working model to start from."),
    "models": Place("runtime.cli_library", "models", "List the models of the library."),
    "mcp": Place("runtime.cli_library", "mcp", "Serve the Model Context Protocol."),
    "serve": Place("runtime.cli_remote", "serve", "Run a coordinator that others find."),
    "ps": Place("runtime.cli_remote", "ps", "List running coordinators and their simulations."),
    **{
        name: Place("runtime.cli_remote", name, first_clause(command.__doc__ or ""))
        for name, command in SUBCOMMANDS.items()
    },
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = PLACES.get(cmd_name)
        if place is None:
            return None
        command = getattr(import_module(place.module), place.attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands from ``PLACES``: asking each for its help would import them all."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in PLACES.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gedanken", prog_name="simctl")
def simctl() -> None:
    """Thought experiments that run: simulate agents written in Lua.

    Try: simctl models, simctl run wealth, simctl new market.
    """


def main() -> None:
    """The console script: run, and end with the exit status."""
    sys.exit(call(sys.argv[1:]))


def call(arguments: Sequence[str]) -> int:
    """Carry out a command line; every error becomes a message and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A sparkline must not end a run on a terminal that knows no Unicode.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        status = simctl.main(list(arguments), prog_name="simctl", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        if wants_json(arguments):
            refused = UsageError(error.format_message(), "simctl COMMAND --help lists the options")
            click.echo(report.to_json(report.no_run_json(None, refused, {})))
        error.show()
        return 2
    except GedankenError as error:
        if wants_json(arguments):
            click.echo(report.to_json(report.no_run_json(None, error, {})))
        click.echo(report.error_text(error), err=True)
        return report.exit_status(error)
    except (click.Abort, KeyboardInterrupt):
        # Before the run, or the second Ctrl-C: the first is waited for, and reported in full.
        if wants_json(arguments):
            value = report.no_run_json(None, GedankenError("ended at once, by Ctrl-C"), {})
            click.echo(report.to_json({**value, "stopped": "interrupted"}))
        return 130
    except BrokenPipeError:
        # The reader went away (`simctl run x | head -1`). Python flushes stdout once more at
        # exit; with nowhere to write that must not become a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status if isinstance(status, int) else 0


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line that may not even parse asks for JSON."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=False)
    return any(one == "--format=json" or (one, two) == ("--format", "json") for one, two in pairs)


if __name__ == "__main__":
    main()
