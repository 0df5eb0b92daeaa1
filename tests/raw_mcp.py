"""Two MCP clients written with the standard library alone: nobody's SDK between test and wire.

``era`` is ``2025-11-25`` (initialize handshake, on HTTP a session) or ``2026-07-28`` (stateless:
each request carries its version in ``_meta``, on HTTP also in headers).
"""

from __future__ import annotations

import http.client
import json
import queue
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

HANDSHAKE = "2025-11-25"
STATELESS = "2026-07-28"
ME = {"name": "raw", "version": "1"}
PATIENCE_S = 60.0

Message = dict[str, Any]


class Failure(Exception):
    """A JSON-RPC error."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error["message"])
        self.code = error["code"]


def params_of(era: str, params: Mapping[str, Any], progress: str | None) -> Message:
    """The parameters with what the era wants in ``_meta``."""
    meta: Message = {}
    if progress is not None:
        meta["progressToken"] = progress
    if era == STATELESS:
        meta["io.modelcontextprotocol/protocolVersion"] = era
        meta["io.modelcontextprotocol/clientInfo"] = ME
        meta["io.modelcontextprotocol/clientCapabilities"] = {}
    return {**params, **({"_meta": meta} if meta else {})}


class Raw(ABC):
    """What both transports share: numbers of requests, the greeting, tools."""

    def __init__(self, era: str) -> None:
        self.era = era
        self.notes: list[Message] = []
        """Notifications received."""
        self._number = 0

    def greet(self) -> Message:
        """Handshake or discovery; gives the server's description of itself."""
        if self.era == STATELESS:
            return self.ask("server/discover", {})
        said = self.ask(
            "initialize", {"protocolVersion": self.era, "capabilities": {}, "clientInfo": ME}
        )
        self.tell("notifications/initialized", {})
        return said

    def tools(self) -> list[Message]:
        listed: list[Message] = self.ask("tools/list", {})["tools"]
        return listed

    def call(self, tool: str, progress: str | None = None, **arguments: Any) -> tuple[str, bool]:
        """A tool's text, and whether it is an error."""
        said = self.ask("tools/call", {"name": tool, "arguments": arguments}, progress)
        (content,) = said["content"]
        return content["text"], said.get("isError", False)

    def ask(self, method: str, params: Mapping[str, Any], progress: str | None = None) -> Message:
        self._number += 1
        request = {
            "jsonrpc": "2.0",
            "id": self._number,
            "method": method,
            "params": params_of(self.era, params, progress),
        }
        answer = self.exchange(request)
        if "error" in answer:
            raise Failure(answer["error"])
        result: Message = answer["result"]
        return result

    @abstractmethod
    def tell(self, method: str, params: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def exchange(self, request: Message) -> Message: ...


class Stdio(Raw):
    """JSON lines over a server's pipes."""

    def __init__(self, era: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        super().__init__(era)
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def send(self, message: Message) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": dict(params)})

    def exchange(self, request: Message) -> Message:
        self.send(request)
        return self.await_message(lambda m: m.get("id") == request["id"])

    def await_message(self, wanted: Callable[[Message], bool]) -> Message:
        """The next message that is wanted; notifications before it go to ``notes``."""
        while True:
            message = json.loads(self._lines.get(timeout=PATIENCE_S))
            if wanted(message):
                found: Message = message
                return found
            if "id" not in message:
                self.notes.append(message)

    def close(self) -> int:
        """Close the server's stdin, which is how a host ends it; gives its exit status."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        status = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self.process.stdout.close()
        return status


class Http(Raw):
    """One POST a message; answers as JSON or as an event stream."""

    def __init__(self, era: str, url: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(era)
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path
        self._extra = dict(headers or {})
        self._session: str | None = None

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        status, _ = self.post({"jsonrpc": "2.0", "method": method, "params": dict(params)})
        assert status == 202

    def exchange(self, request: Message) -> Message:
        status, messages = self.post(request)
        for message in messages:
            if message.get("id") == request["id"]:
                return message
            self.notes.append(message)
        raise AssertionError(f"HTTP {status} without an answer")

    def post(self, message: Message) -> tuple[int, list[Message]]:
        """The HTTP status, and the messages of the body."""
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            **self._extra,
        }
        if self._session is not None:
            headers["mcp-session-id"] = self._session
        if self.era == STATELESS:
            headers["mcp-method"] = message["method"]
            if message["method"] == "tools/call":
                headers["mcp-name"] = message["params"]["name"]
        if self.era == STATELESS or message["method"] != "initialize":
            headers["mcp-protocol-version"] = self.era
        connection = http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE_S)
        try:
            connection.request("POST", self._path, json.dumps(message), headers)
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        self._session = response.headers.get("mcp-session-id", self._session)
        kind = response.headers.get("content-type", "")
        if kind.startswith("text/event-stream"):
            data = [line[5:] for line in body.splitlines() if line.startswith("data:")]
            return response.status, [json.loads(text) for text in data if text.strip()]
        return response.status, [json.loads(body)] if body and kind.startswith(
            "application/json"
        ) else []
