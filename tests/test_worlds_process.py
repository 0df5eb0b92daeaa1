"""Environments, spaces, layers and networks on real processes: the library's, and small ones that
are refused, killed, told lies, or run out of fuel or memory."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mischief_worker import MODEL as MISCHIEF
from waiting import PATIENCE_S, still_living, wait_for_tick

from runtime import library
from runtime.client import Client, embedded_coordinator, find_coordinators
from runtime.commands import (
    CancelRun,
    CreateSimulation,
    QueryAgents,
    RemoveSimulation,
    RunSimulation,
    Status,
)
from runtime.errors import SimulationFault, UsageError

pytestmark = pytest.mark.process

MODELS = Path(__file__).parents[1] / "models"
FOREVER = 2**52

MEADOW = {
    "model.toml": """
name = "meadow"
[parameters]
wide = 20
cows = { default = 40, max = 200 }
regime = { default = "synchronous", choices = ["synchronous", "uniform"] }
work = 0
[environment]
space = { kind = "grid", width = "wide", height = 10 }
[environment.layers]
grass = { init = "x", step = "v + 1" }
[agents.cow]
count = "cows"
place = "grid"
publish = ["eaten"]
state = { eaten = "0", x = "(i - 1) % wide", y = "math.floor((i - 1) / wide)" }
[metrics]
eaten = "sum(cow, self.eaten)"
grass = "layer.grass:sum()"
days = "env.days"
""",
    "environment.lua": """
function init(env)
  env.days, env.list = 0, {}
end
function step(env)
  env.days = env.days + 1
end
function query.twice(env, x)
  return 2 * x + env.days
end
""",
    "agents/cow.lua": """
function step(self)
  for i = 1, param.work do self.eaten = self.eaten + 0 end
  self.eaten = self.eaten + 1
end
""",
}
MEADOW["model.toml"] = 'activation = { parameter = "regime" }\n' + MEADOW["model.toml"]


def simctl(*arguments: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "runtime.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "Traceback" not in done.stderr
    return done


def run_json(*arguments: object) -> tuple[int, dict]:
    """Exit status and the one object on stdout."""
    done = simctl("run", *arguments, "--format", "json")
    return done.returncode, json.loads(done.stdout)


def folder(path: Path, files: dict[str, str]) -> Path:
    """A model's files on disk."""
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def create(client, files, workers=1, **parameters):
    command = CreateSimulation(name="m", files=files, workers=workers, parameters=parameters)
    return client.request(command).simulation


def run(client, sim, ticks=20, until="", wait_s=PATIENCE_S):
    order = RunSimulation(sim=sim, ticks=ticks, until=until, wait_s=wait_s)
    return client.request(order).simulation


def status(client, sim, wait_s=0.0):
    return client.request(Status(sim=sim, wait_s=wait_s)).simulations[0]


# --- the library ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "metric", "value"),
    [
        (["sandpile", "-p", "grains=10000", "--workers", 3], "topplings", 1830917),
        (["spatial_pd", "--ticks", 100], "cooperators", 2620),
    ],
)
def test_simctl_run_gives_the_known_number_of_a_library_model(arguments, metric, value):
    exit_status, result = run_json(*arguments)
    assert (exit_status, result["error"]) == (0, None)
    assert result["metrics"][metric]["last"] == value


def test_simctl_run_of_a_sequential_model_names_its_regime_and_its_one_worker():
    exit_status, result = run_json("wolf_sheep", "-p", "size=large", "--workers", 3)
    assert (exit_status, result["activation"], result["workers"]) == (0, "by_type", 1)
    note = "activation 'by_type' runs on one worker: 3 were asked for"
    assert result["notes"] == [note]
    assert result["metrics"]["sheep"]["first"] == 1000
    shown = simctl("run", "wolf_sheep", "--ticks", 2, "--workers", 3).stdout
    assert re.search("1 worker, .*, by_type, seed 1", shown)
    assert f"note: {note}" in shown


def test_simctl_models_lists_every_folder_of_the_library_with_its_regime():
    listed = json.loads(simctl("models", "--format", "json").stdout)["models"]
    folders = {path.parent.name for path in MODELS.glob("*/model.toml")}
    assert {one["name"] for one in listed} == folders
    regimes = {one["name"]: one["activation"] for one in listed}
    assert (regimes["wolf_sheep"], regimes["sandpile"]) == ("by_type: sheep, wolf", "synchronous")
    assert regimes["spatial_pd"] == "regime: synchronous, random, uniform"
    assert [name for name, regime in regimes.items() if not regime] == []


WORLDS = {
    "commons": {},
    "forest_fire": {"side": 60},
    "labour": {"households": 200},
    "small_world": {"nodes": 150},
    "spatial_pd": {"side": 40, "start": "random"},
    "vicsek": {"birds": 300},
}


def test_worlds_of_the_library_have_one_digest_on_1_2_and_3_processes():
    with embedded_coordinator() as client:
        for model, parameters in WORLDS.items():
            files = library.read_model(str(MODELS / model))[1]
            ends = []
            for workers in (1, 2, 3):
                info = create(client, files, workers, **parameters)
                assert info.workers == workers
                ends.append(run(client, info.sim))
                client.request(RemoveSimulation(sim=info.sim))
            assert ends[0].digest
            seen = {(end.tick, end.digest, repr(end.metrics), end.messages) for end in ends}
            assert len(seen) == 1, model


# --- workers that die, lie, or reach a limit -----------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_with_an_environment_that_is_killed_harms_no_other_simulation(workers):
    with embedded_coordinator() as client:
        other = create(client, MEADOW, 2)
        run(client, other.sim, FOREVER, wait_s=0)
        info = create(client, MEADOW, workers)
        run(client, info.sim, FOREVER, wait_s=0)
        wait_for_tick(client, info.sim, 10)
        os.kill(info.pids[-1], signal.SIGKILL)
        info = status(client, info.sim, PATIENCE_S)
        assert (info.phase, info.stopped, info.error.kind) == ("failed", "error", "worker")
        assert "was ended by signal 9 (SIGKILL)" in info.error.message
        assert still_living(info.pids) == []
        wait_for_tick(client, other.sim, status(client, other.sim).tick + 1)
        end = client.request(CancelRun(sim=other.sim)).simulation
        again = run(client, create(client, MEADOW, 1).sim, end.tick)
        assert (again.tick, again.digest) == (end.tick, end.digest)


@pytest.mark.parametrize("who", [0, 2])
def test_a_worker_whose_copy_of_the_environment_differs_is_found_out(who, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with embedded_coordinator(worker_module="mischief_worker") as client:
        sim = create(client, MISCHIEF, 3, mischief="other world", who=who).sim
        info = run(client, sim)
        assert (info.phase, info.digest, info.error.kind) == ("failed", "", "internal")
        assert "the workers' copies of the environment differ" in info.error.message
        assert still_living(info.pids) == []


SMALL = (
    'name = "m"\nmemory_mb = 64\n[agents.a]\ncount = 10\n[parameters]\nwide = 3000\n[environment]\n'
)
GRID = SMALL + 'space = { kind = "grid", width = "wide", height = "wide" }\n'
TOO_LARGE = {
    "cells": (GRID.replace("3000", "30000"), r"900000000 cells, about \d+ MB on every worker"),
    "layers": (GRID + "layers = { heat = 0 }\n", r"needs about \d+ MB .* limit is 64 MB"),
    "layers of a continuous space": (
        SMALL + 'space = { kind = "continuous", width = "wide * 1e3", height = 4e3 }\n'
        "layers = { heat = 0 }\n",
        r"would have 12000000000 cells each; at most 10000000",
    ),
    "links": (
        SMALL.replace("10\n", "6000\n") + 'network = { kind = "complete" }\n',
        "the network does not fit into a worker's 64 MB",
    ),
}


def test_worlds_too_large_for_memory_are_refused_with_their_size_and_what_to_change():
    with embedded_coordinator() as client:
        for what, (toml, said) in TOO_LARGE.items():
            with pytest.raises(SimulationFault) as refused:
                create(client, {"model.toml": toml, "agents/a.lua": ""})
            fault = refused.value.fault
            assert re.search(said, fault.message), what
            assert (fault.kind, fault.file, fault.tick) == ("memory", "model.toml", 0), what
            assert "memory_mb" in fault.message + fault.hint, what
        assert run(client, create(client, MEADOW).sim, 1).tick == 1


def test_simctl_shows_why_a_space_is_too_large(tmp_path):
    toml, said = TOO_LARGE["cells"]
    done = simctl("run", folder(tmp_path, {"model.toml": toml, "agents/a.lua": ""}))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(rf"memory at tick 0\n  model\.toml:8: .*{said}", done.stderr)
    exit_status, result = run_json(tmp_path)
    assert (exit_status, result["error"]["kind"], result["error"]["line"]) == (1, "memory", 8)


GROWING = {
    "model.toml": 'name = "m"\nmemory_mb = 48\n[agents.a]\ncount = 4\n[environment]\n',
    "environment.lua": """
function init(env)
  env.list = {}
end
function step(env)
  for i = 1, 50000 do env.list[#env.list + 1] = {i, "x" .. i} end
end
""",
    "agents/a.lua": "",
}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_environment_that_grows_to_the_memory_limit_is_a_fault_and_no_crash(workers):
    with embedded_coordinator() as client:
        other = create(client, MEADOW).sim
        info = create(client, GROWING, workers)
        info = run(client, info.sim, FOREVER)
        assert (info.phase, info.stopped, info.error.kind) == ("failed", "error", "memory")
        assert "reached its memory limit" in info.error.message
        assert "memory_mb" in info.error.hint
        assert 0 < info.tick < info.error.tick
        assert run(client, other, 3).tick == 3


def test_an_environment_out_of_fuel_is_shown_with_its_line_and_what_to_try(tmp_path):
    files = {
        "model.toml": 'name = "m"\n[agents.a]\ncount = 2\n[environment]\nfuel = 50_000\n',
        "environment.lua": "function on.go(env, msg)\n  while true do env.n = 1 end\nend\n",
        "agents/a.lua": 'function step(self)\n  send("environment", "go", {a = 1})\nend\n',
    }
    done = simctl("run", folder(tmp_path, files))
    assert done.returncode == 1
    assert "error: fuel at tick 1, the environment in on.go\n" in done.stderr
    assert "environment.lua:2: spent all its fuel of 50000" in done.stderr
    assert "  >    2 |   while true do env.n = 1 end\n" in done.stderr
    assert "handling: go {a=1} from agent 1\n" in done.stderr
    assert "raise fuel in [environment] of model.toml" in done.stderr


# --- expressions and queries ---------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_until_may_look_at_the_environment_and_at_layers(workers):
    with embedded_coordinator() as client:
        sim = create(client, MEADOW, workers).sim
        assert run(client, sim, 50, "env.days >= 3").tick == 3
        at_4 = sum(x + 4 for x in range(20)) * 10
        assert run(client, sim, 50, f"layer.grass:sum() >= {at_4}").tick == 4
        info = run(client, sim, 50, "env.twice(space.width) == 46 and layer.grass(3, 2) == 9")
        assert (info.tick, info.stopped) == (6, "until")
        with pytest.raises(UsageError, match=r"there is no layer 'gras'.*did you mean layer.grass"):
            run(client, sim, 5, "layer.gras:sum() > 0")
        assert run(client, sim, 1).tick == 7


@pytest.mark.parametrize("workers", [1, 2])
def test_queries_may_look_at_the_environment_the_space_and_layers(workers):
    with embedded_coordinator() as client:
        sim = create(client, MEADOW, workers).sim
        run(client, sim, 5)
        table = client.request(
            QueryAgents(
                sim=sim,
                agent_type="cow",
                where="layer.grass(self.x, self.y) > env.days + 17 and self.y == 1",
                fields=["self.id", "layer.grass(self.x, self.y)", "env.twice(self.eaten)"],
                order="self.id",
            )
        )
        assert table.rows == [[39, 23, 15], [40, 24, 15]]
        table = client.request(
            QueryAgents(
                sim=sim,
                agent_type="cow",
                group="self.x < space.width / 2",
                aggregates=["count()", "sum(layer.grass(self.x, self.y))"],
            )
        )
        assert table.rows == [[False, 20, 20, 390], [True, 20, 20, 190]]
        with pytest.raises(UsageError, match=r"layer\.grass\(x, y\): x is"):
            client.request(QueryAgents(sim=sim, agent_type="cow", where="layer.grass(0/0, 1) > 0"))
        assert run(client, sim, 1).tick == 6


# --- long ticks ----------------------------------------------------------------------------------


LONG = {"cows": 200, "work": 900_000}
"""Ticks of more than a grant's 50 ms."""


@pytest.mark.parametrize("regime", ["uniform", "synchronous"])
def test_status_queries_and_cancel_are_served_within_a_tick_however_long_ticks_are(regime):
    with embedded_coordinator() as client:
        sim = create(client, MEADOW, 1, regime=regime, **LONG).sim
        assert run(client, sim, 1).elapsed_s > 0.06, "these ticks are not long"
        run(client, sim, FOREVER, wait_s=0)
        now = status(client, sim)
        assert (now.phase, now.target) == ("running", FOREVER + 1)
        table = client.request(QueryAgents(sim=sim, agent_type="cow", limit=1))
        assert now.tick <= table.tick <= now.tick + 2
        end = client.request(CancelRun(sim=sim)).simulation
        assert (end.phase, end.stopped, len(end.digest)) == ("ready", "interrupted", 32)
        assert table.tick <= end.tick <= table.tick + 2


def test_ctrl_c_ends_a_run_of_long_sequential_ticks_at_the_next_that_is_closed(tmp_path):
    model = folder(tmp_path, MEADOW)
    command = [sys.executable, "-m", "runtime.cli", "run", model, "--ticks", FOREVER]
    command += [f"-p{name}={value}" for name, value in LONG.items()]
    command += ["-p", "regime=uniform", "--format", "json"]
    with subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches a whole group, workers included
    ) as running:
        try:
            seen = first_closed(running)
            os.killpg(running.pid, signal.SIGINT)
            stdout, stderr = running.communicate(timeout=PATIENCE_S)
        finally:
            running.kill()
    value = json.loads(stdout)
    assert (running.returncode, value["stopped"], stderr) == (130, "interrupted", "")
    assert seen <= value["tick"] <= seen + 3
    assert value["metrics"]["eaten"]["last"] == 200 * value["tick"]
    assert value["metrics"]["days"]["last"] == value["tick"]


def first_closed(running: subprocess.Popen[str]) -> int:
    """The tick in which its simulation is first seen to run."""
    until = time.monotonic() + PATIENCE_S
    while still_living([running.pid], 0.01):
        assert time.monotonic() < until, "no tick was closed"
        for endpoint in find_coordinators():
            with Client(endpoint) as client:
                for one in client.request(Status()).simulations:
                    if one.tick > 0:
                        return one.tick
    pytest.fail(f"the run ended: {running.communicate()}")
