"""Streamable HTTP on a loopback address."""

from __future__ import annotations

import ipaddress
import logging
import socket
from typing import Final

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings

from mcp_gateway.server import Gateway

log = logging.getLogger(__name__)

PATH: Final = "/mcp"
MAX_BODY: Final = 2 * 1024 * 1024
"""Bytes of one request: a model's files have at most 1 MiB."""
MAX_SESSIONS: Final = 64
IDLE_S: Final = 1800.0
"""A session (2025-11-25 and older) not used for so long is ended."""


class BadAddress(ValueError):
    """Not HOST:PORT, or not a loopback address."""


def parse_address(text: str) -> tuple[str, int]:
    """``127.0.0.1:8931``, ``localhost:0``, ``[::1]:8931`` to host and port.

    Raises:
        BadAddress: whoever may reach the server may run programs on this machine's processors, and
            there is no authentication yet; so only loopback is served.
    """
    host, colon, port = text.rpartition(":")
    host = host.strip("[]")
    if not colon or not port.isdecimal() or int(port) > 65535 or not host:
        raise BadAddress(f"{text!r} is not HOST:PORT; for example 127.0.0.1:8931")
    if host != "localhost":
        try:
            loopback = ipaddress.ip_address(host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise BadAddress(
                f"{host!r} is not a loopback address; the gateway serves only 127.0.0.1, ::1 and"
                " localhost, because it asks nobody for a password"
            )
    return host, int(port)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, made before the server starts, so that port 0 has a number to tell."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(address)
    # Connections from now on wait until the server accepts them.
    bound.listen(128)
    return bound


async def serve(gateway: Gateway, bound: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    host, port = bound.getsockname()[:2]
    names = [f"[{host}]" if ":" in host else host, "localhost", "127.0.0.1", "[::1]"]
    hosts = [form for name in names for form in (name, f"{name}:{port}")]
    app = gateway.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=MAX_BODY,
        max_sessions=MAX_SESSIONS,
        session_idle_timeout=IDLE_S,
        host=host,
        transport_security=TransportSecuritySettings(
            allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts]
        ),
    )
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=2
    )
    log.info("listening on http://%s:%d%s", names[0], port, PATH)
    await uvicorn.Server(config).serve(sockets=[bound])
