"""Environments, spaces and regimes over MCP: one gateway with real processes, a raw client."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from raw_mcp import STATELESS, Stdio
from test_worlds_process import LONG, MEADOW, TOO_LARGE

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def gateway() -> Iterator[Stdio]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    client = Stdio(STATELESS, [sys.executable, "-m", "mcp_gateway"], env)
    client.greet()
    yield client
    assert client.close() == 0


def said(client: Stdio, tool: str, **arguments: object) -> str:
    text, failed = client.call(tool, **arguments)
    assert not failed, text
    return text


def refused(client: Stdio, tool: str, **arguments: object) -> str:
    text, failed = client.call(tool, **arguments)
    assert failed, text
    assert "Traceback" not in text
    return text


def test_a_sequential_model_runs_on_one_worker_says_so_and_can_be_cancelled(gateway: Stdio) -> None:
    note = "activation 'uniform' runs on one worker: 3 were asked for"
    said(gateway, "model_write", model="meadow", files=MEADOW)
    parameters = {"regime": "uniform", **LONG}
    text = said(gateway, "sim_create", model="meadow", parameters=parameters, workers=3)
    assert note in text
    text = said(gateway, "sim_run", sim="meadow-1", ticks=1)
    assert note in text
    assert ", uniform, 1 worker, " in text
    assert "is running" in said(gateway, "sim_run", sim="meadow-1", ticks=10**9, wait_s=0)
    text = said(gateway, "status", sim="meadow-1", cancel=True)
    at = re.search(r"meadow-1 at tick (\d+): cancelled", text)
    assert at, text
    assert 1 <= int(at[1]) <= 4
    assert "simulation meadow-1 " not in said(gateway, "remove", sim="meadow-1")


def test_queries_and_until_over_mcp_look_at_the_environment_and_at_layers(gateway: Stdio) -> None:
    said(gateway, "model_write", model="meadow", files=MEADOW)
    said(gateway, "sim_create", model="meadow", workers=2)
    text = said(gateway, "sim_run", sim="meadow-1", ticks=50, until="layer.grass:min() >= 3")
    assert "meadow-1 at tick 3: until became true" in text
    text = said(
        gateway,
        "query",
        sim="meadow-1",
        type="cow",
        where="layer.grass(self.x, self.y) > env.days + 17 and self.y == 1",
        fields=["self.id", "layer.grass(self.x, self.y)", "env.twice(self.eaten)"],
    )
    assert re.search(r"^39 +21 +9$", text, re.MULTILINE)
    assert re.search(r"^40 +22 +9$", text, re.MULTILINE)
    text = refused(gateway, "query", sim="meadow-1", type="cow", where="layer.gras(1, 1) > 0")
    assert "there is no layer 'gras'" in text
    assert "did you mean layer.grass?" in text
    text = refused(gateway, "query", sim="meadow-1", type="cow", where="env.dys > 0")
    assert "attempt to compare number with nil" in text
    assert "or env none of that name" in text


def test_worlds_that_cannot_be_or_spend_their_fuel_are_told_with_line_and_cure(
    gateway: Stdio,
) -> None:
    toml, size = TOO_LARGE["cells"]
    files = {"model.toml": toml.replace("30000", "30"), "agents/a.lua": ""}
    said(gateway, "model_write", model="big", files=files)
    text = refused(gateway, "sim_create", model="big", parameters={"wide": 30000})
    assert re.search(rf"memory fault at tick 0: model\.toml:8: .*{size}", text)

    files = {**MEADOW, "environment.lua": MEADOW["environment.lua"] + "\n"}
    endless = "function step(env)\n  while tick() > 3 do env.days = 1 end\n"
    files["environment.lua"] = files["environment.lua"].replace("function step(env)\n", endless)
    files["model.toml"] = files["model.toml"].replace(
        "[environment]\n", "[environment]\nfuel = 9000\n"
    )
    said(gateway, "model_write", model="meadow", files=files)
    said(gateway, "sim_create", model="meadow", workers=2)
    text = refused(gateway, "sim_run", sim="meadow-1", ticks=10)
    assert "fuel fault at tick 4: environment.lua:6: spent all its fuel of 9000" in text
    assert "    the environment, in step" in text
    assert ">    6 |   while tick() > 3 do env.days = 1 end" in text
    assert "raise fuel in [environment] of model.toml" in text
