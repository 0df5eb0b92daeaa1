"""``python -m mcp_gateway``: serve MCP over stdio, or over HTTP on a loopback address."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType

import anyio

from mcp_gateway import embedded, http, logs
from mcp_gateway.catalogue import Catalogue, shipped_models
from mcp_gateway.link import Link
from mcp_gateway.server import Gateway
from mcp_gateway.store import ModelStore
from runtime import library
from runtime.errors import GedankenError

log = logging.getLogger("mcp_gateway")


def parser() -> argparse.ArgumentParser:
    """The options; ``simctl mcp`` hands its own on."""
    options = argparse.ArgumentParser(prog="python -m mcp_gateway", description=__doc__)
    options.add_argument("--http", metavar="HOST:PORT", help="serve HTTP there instead of stdio")
    options.add_argument(
        "--connect", metavar="SOCKET", help="use the coordinator there instead of one of its own"
    )
    options.add_argument(
        "--log-level", default="warning", choices=["debug", "info", "warning", "error"]
    )
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the client closes stdin (stdio), or a signal comes. Gives the exit status."""
    options = parser().parse_args(argv)
    logs.to_stderr(options.log_level)
    try:
        address = http.parse_address(options.http) if options.http else None
        bound = http.listen(*address) if address else None
    except (http.BadAddress, OSError) as error:
        print(f"--http {options.http}: {error}", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        _end_on_signals(stack)
        try:
            connect = stack.enter_context(embedded.coordinator(options.connect, options.log_level))
        except GedankenError as error:
            print(f"{error}\n{error.hint}".rstrip(), file=sys.stderr)
            return 1
        link = Link(connect)
        stack.callback(link.close)
        catalogue = Catalogue(ModelStore(library.home()), shipped_models())
        gateway = Gateway(link, catalogue)
        if bound is None:
            anyio.run(gateway.run_stdio_async)
        else:
            anyio.run(http.serve, gateway, bound)
    return 0


def _end_on_signals(stack: ExitStack) -> None:
    """End by SIGINT and SIGTERM with the coordinator and its files gone, status 128 + signal.

    Not by an exception: the thread that reads stdin cannot be interrupted, and would be waited for.
    """

    def end(number: int, frame: FrameType | None) -> None:
        try:
            stack.close()
        finally:
            os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


if __name__ == "__main__":
    sys.exit(main())
