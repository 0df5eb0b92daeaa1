"""The gateway as a host starts it: over stdio or HTTP, with a coordinator and workers."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from raw_mcp import HANDSHAKE, PATIENCE_S, STATELESS, Failure, Http, Raw, Stdio, params_of

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "mcp_gateway"]
RAW_ERAS = [HANDSHAKE, STATELESS]
SDK_ERAS = ["legacy", STATELESS]

MODEL = {
    "model.toml": """\
name = "ticker"
description = "Agents that count ticks and tell each other"

[parameters]
many = 100
work = 0

[agents.clock]
count = "many"

[metrics]
seen = "sum(clock, self.seen)"
""",
    "agents/clock.lua": """\
function init(self)
  self.seen = 0
end

function on.tick(self, msg)
  self.seen = self.seen + msg.by
end

function step(self)
  for i = 1, param.work do self.seen = self.seen + 0 end
  send(self.id, "tick", {by = 1})
  if self.id == 7 and tick() % 100 == 1 then log("tick", tick()) end
end
""",
}


@pytest.fixture
def env() -> dict[str, str]:
    """What a host would give: home and sockets are the test's own, as conftest.py made them."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


class Served:
    """A gateway that serves HTTP."""

    def __init__(self, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "--http", "127.0.0.1:0", "--log-level", "info"],
            env=env,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.url = ""
        for line in self.process.stderr:
            found = re.search(r"listening on (http://\S+?)\"", line)
            if found:
                self.url = found[1]
                break
        # Drained, or a full pipe would stop the server.
        self._drain = threading.Thread(target=self.process.stderr.read, daemon=True)
        self._drain.start()
        assert self.url, "the gateway ended before it listened"

    def close(self) -> int:
        """End it as a terminal or a service manager would."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE_S)
        self._drain.join(PATIENCE_S)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


@pytest.fixture
def served(env: dict[str, str]) -> Iterator[Served]:
    server = Served(env)
    yield server
    server.close()


def sdk(target: Any, era: str, test: Callable[[Client], Awaitable[None]]) -> None:
    """Run a test with the SDK's client; its own exceptions come out as they are."""
    failed: list[Exception] = []

    async def main() -> None:
        async with Client(target, mode=era) as client:
            try:
                await test(client)
            except Exception as error:
                failed.append(error)

    anyio.run(main)
    for error in failed:
        raise error


async def said(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    text: str = result.content[0].text
    assert not result.is_error, text
    assert len(text) / 4 <= 1500
    return text


async def the_story(client: Client) -> None:
    """Write, create on two workers, run, query, remove."""
    assert "revision 1 checks" in await said(client, "model_write", model="ticker", files=MODEL)
    assert "created ticker-1" in await said(client, "sim_create", model="ticker", workers=2)
    ran = await said(client, "sim_run", sim="ticker-1", ticks=50)
    assert "ticker-1 at tick 50" in ran
    assert "2 workers" in ran
    assert re.search(r"seen +0 +4900 ", ran)
    rows = await said(client, "query", sim="ticker-1", type="clock", aggregates=["max(self.seen)"])
    assert re.search(r"\b49\b", rows)
    assert "\n1 clock 7 | tick" in await said(client, "query", sim="ticker-1", what="log")
    await said(client, "remove", sim="ticker-1")
    await said(client, "remove", model="ticker")


# --- the SDK's client --------------------------------------------------------------------------


@pytest.mark.parametrize("era", SDK_ERAS)
def test_the_sdk_client_tells_the_whole_story_over_stdio(env: dict[str, str], era: str) -> None:
    sdk(StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=env), era, the_story)


@pytest.mark.parametrize("era", SDK_ERAS)
def test_the_sdk_client_tells_the_whole_story_over_http(served: Served, era: str) -> None:
    sdk(served.url, era, the_story)


@pytest.mark.parametrize("era", SDK_ERAS)
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_cancelling_sim_run_ends_the_run_and_keeps_its_ticks(
    env: dict[str, str], era: str, transport: str
) -> None:
    async def test(client: Client) -> None:
        await said(client, "model_write", model="ticker", files=MODEL)
        await said(client, "sim_create", model="ticker", workers=1)
        going = anyio.Event()

        async def hear(done: float, total: float | None, message: str | None) -> None:
            going.set()

        async def run() -> None:
            arguments = {"sim": "ticker-1", "ticks": 10**9}
            await client.call_tool("sim_run", arguments, progress_callback=hear)

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await going.wait()
            group.cancel_scope.cancel()
        shown = await said(client, "status", sim="ticker-1", wait_s=20)
        found = re.match(r"ticker-1 at tick (\d+): cancelled; the ticks done are kept", shown)
        assert found, shown
        assert int(found[1]) > 0
        assert f"at tick {int(found[1]) + 5}" in await said(
            client, "sim_run", sim="ticker-1", ticks=5
        )

    if transport == "stdio":
        sdk(StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=env), era, test)
    else:
        server = Served(env)
        try:
            sdk(server.url, era, test)
        finally:
            server.close()


# --- clients that are nobody's SDK -------------------------------------------------------------


def raw_story(client: Raw) -> None:
    hello = client.greet()
    assert "Gedanken runs agent-based simulations" in hello["instructions"]
    assert client.tools()[0]["name"] == "guide"
    assert client.call("guide")[1] is False
    broken = {**MODEL, "agents/clock.lua": MODEL["agents/clock.lua"].replace("msg.by", "msg.by)")}
    text, failed = client.call("model_write", model="ticker", files=broken)
    assert failed
    assert "agents/clock.lua:6" in text
    edit = {"file": "agents/clock.lua", "old": "msg.by)", "new": "msg.by"}
    text, failed = client.call("model_write", model="ticker", edits=[edit])
    assert not failed, text
    assert client.call("sim_create", model="ticker")[1] is False
    text, failed = client.call("sim_run", progress="p", sim="ticker-1", ticks=10**9, wait_s=1)
    assert text.startswith("ticker-1 is running")
    ticks = [note["params"]["progress"] for note in client.notes if "progress" in note["method"]]
    assert ticks == sorted(set(ticks))
    assert ticks
    assert "cancelled" in client.call("status", sim="ticker-1", cancel=True)[0]
    text, failed = client.call("sim_run", sim="ticker-1", tick=1)
    assert failed
    assert 'did you mean "ticks"?' in text
    with pytest.raises(Failure, match='did you mean "sim_run"') as raised:
        client.call("sim_rum")
    assert raised.value.code == -32602


@pytest.mark.parametrize("era", RAW_ERAS)
def test_a_client_written_with_the_standard_library_works_over_stdio(
    env: dict[str, str], era: str
) -> None:
    client = Stdio(era, COMMAND, env)
    try:
        raw_story(client)
    finally:
        assert client.close() == 0


@pytest.mark.parametrize("era", RAW_ERAS)
def test_a_client_written_with_the_standard_library_works_over_http(
    served: Served, era: str
) -> None:
    raw_story(Http(era, served.url))
    assert served.close() == 128 + signal.SIGTERM


@pytest.fixture(scope="session")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TypeScript SDK's client in a folder of its own, installed by npm once a session."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(Path(__file__).parent / "node_client.mjs", folder)
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "@modelcontextprotocol/client@2.4.0"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=180,
    )
    return folder / "node_client.mjs"


def node_steps() -> str:
    return json.dumps(
        [
            {"name": "model_write", "arguments": {"model": "ticker", "files": MODEL}},
            {"name": "sim_create", "arguments": {"model": "ticker", "workers": 2}},
            {"name": "sim_run", "arguments": {"sim": "ticker-1", "ticks": 50}},
            {"name": "sim_run", "arguments": {"sim": "ticker-1", "ticks": 10**9, "wait_s": 1}},
        ]
    )


def node_story(client: Path, era: str, target: str, env: dict[str, str]) -> None:
    done = subprocess.run(
        ["node", str(client), era, target],
        env={**env, "STEPS": node_steps()},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    guide, refused, written, created, ran, going = seen["answers"]
    assert "model_write" in guide["text"]
    assert refused["isError"]
    assert "revision 1 checks" in written["text"]
    assert "created ticker-1" in created["text"]
    assert "ticker-1 at tick 50" in ran["text"]
    assert "ticker-1 is running" in going["text"]
    assert seen["progress"] > 0
    assert 'did you mean "sim_run"' in seen["unknown"]
    assert "Gedanken" in seen["instructions"]


if shutil.which("node") and shutil.which("npm"):
    # On a machine without Node the raw clients above are the independent ones.

    @pytest.mark.parametrize("era", ["legacy", "auto"])
    def test_the_typescript_client_on_node_works_over_stdio(
        env: dict[str, str], node_client: Path, era: str
    ) -> None:
        target = {"command": COMMAND[0], "args": COMMAND[1:], "env": env}
        node_story(node_client, era, json.dumps(target), env)

    @pytest.mark.parametrize("era", ["legacy", "auto"])
    def test_the_typescript_client_on_node_works_over_http(
        env: dict[str, str], served: Served, node_client: Path, era: str
    ) -> None:
        node_story(node_client, era, served.url, env)


# --- who may come in ---------------------------------------------------------------------------


@pytest.mark.parametrize("era", RAW_ERAS)
def test_a_foreign_origin_or_host_is_refused(served: Served, era: str) -> None:
    statuses = {}
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"host": "evil.example"},
        {"origin": served.url.removesuffix("/mcp")},
        {},
    ):
        method = "server/discover" if era == STATELESS else "initialize"
        greeting = {
            "protocolVersion": era,
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        }
        params = params_of(era, {} if era == STATELESS else greeting, None)
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        status, _ = Http(era, served.url, headers).post(message)
        statuses[str(headers)] = status
    assert list(statuses.values()) == [403, 403, 421, 200, 200]


@pytest.mark.parametrize(
    "address", ["0.0.0.0:0", "192.0.2.1:80", "example.org:80", "[::]:0", "8931", "127.0.0.1:x"]
)
def test_any_address_but_a_loopback_one_is_refused(env: dict[str, str], address: str) -> None:
    done = subprocess.run(
        [*COMMAND, "--http", address], env=env, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 2
    assert "loopback" in done.stderr or "HOST:PORT" in done.stderr


def test_a_socket_that_nobody_serves_ends_the_gateway_with_a_message(
    env: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [*COMMAND, "--connect", str(tmp_path / "no.sock")],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "no coordinator serves" in done.stderr


# --- beginning and end -------------------------------------------------------------------------


def test_gateways_that_connect_share_a_coordinator_and_its_simulations(env: dict[str, str]) -> None:
    first = Stdio(STATELESS, COMMAND, env)
    first.greet()
    first.call("model_write", model="ticker", files=MODEL)
    first.call("sim_create", model="ticker")
    (socket,) = Path(env["XDG_RUNTIME_DIR"]).glob("*/*/clients.sock")
    second = Stdio(STATELESS, [*COMMAND, "--connect", str(socket)], env)
    second.greet()
    assert "ticker-1" in second.call("status")[0]
    assert second.close() == 0
    assert "ticker-1" in first.call("status")[0]
    assert first.close() == 0


@pytest.mark.parametrize("era", RAW_ERAS)
def test_a_client_that_goes_away_during_a_run_ends_the_gateway(
    env: dict[str, str], era: str
) -> None:
    client = Stdio(era, COMMAND, env)
    client.greet()
    client.call("model_write", model="ticker", files=MODEL)
    client.call("sim_create", model="ticker", workers=2)
    run = {"name": "sim_run", "arguments": {"sim": "ticker-1", "ticks": 10**9}}
    params = params_of(era, run, "p")
    client.send({"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": params})
    client.await_message(lambda message: message.get("method") == "notifications/progress")
    assert client.close() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_gateway_and_all_it_started(
    env: dict[str, str], number: signal.Signals
) -> None:
    client = Stdio(STATELESS, COMMAND, env)
    client.greet()
    client.call("model_write", model="ticker", files=MODEL)
    client.call("sim_create", model="ticker", workers=2)
    client.call("sim_run", sim="ticker-1", ticks=10**9, wait_s=0)
    client.process.send_signal(number)
    assert client.close() == 128 + number


def test_a_killed_gateway_leaves_no_process_behind(env: dict[str, str]) -> None:
    # The fixture of every process test looks for what is left; here nobody could clean up.
    client = Stdio(STATELESS, COMMAND, env)
    client.greet()
    client.call("model_write", model="ticker", files=MODEL)
    client.call("sim_create", model="ticker", workers=2)
    client.call("sim_run", sim="ticker-1", ticks=10**9, wait_s=0)
    client.process.kill()
    client.process.wait()
    for stream in (client.process.stdin, client.process.stdout):
        assert stream is not None
        stream.close()


def test_a_killed_coordinator_is_told_and_replaced(env: dict[str, str]) -> None:
    client = Stdio(STATELESS, COMMAND, env)
    client.greet()
    client.call("model_write", model="ticker", files=MODEL)
    client.call("sim_create", model="ticker", workers=2)
    (card,) = Path(env["XDG_RUNTIME_DIR"]).glob("*/*/coordinator.json")
    os.kill(json.loads(card.read_text())["pid"], signal.SIGKILL)
    text, failed = client.call("status")
    assert failed
    assert "its simulations are gone" in text
    assert client.call("status")[0].startswith("no simulations.")
    assert client.call("sim_create", model="ticker", workers=2)[1] is False
    assert client.close() == 0


def test_the_demonstration_goes_as_expected_and_leaves_nothing(env: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mcp_gateway.demo"],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agents/trader.lua:6" in done.stdout
    assert "same digest on 1 and 2 workers" in done.stdout
    assert len(done.stdout.splitlines()) <= 80
