"""simctl: its parameters and words without processes, and whole command lines with real ones."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import pytest
from waiting import still_living

from runtime import cli, cli_remote, cli_run, library
from runtime.client import Client, find_coordinators
from runtime.commands import SUBCOMMANDS, CreateSimulation, RunSimulation, Status
from runtime.errors import UsageError

MODEL_TOML = """
name = "coin"
[parameters]
count = { default = 3, min = 1, max = 10 }
share = { default = 0.5 }
fast = { default = false }
rule = { default = "frost", choices = ["frost", "1"] }
"""
FILES = {"model.toml": MODEL_TOML}
README = Path(__file__).parents[1] / "README.md"


# --- parameters --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("count=7", {"count": 7}),
        ("count = 1_000", {"count": 1000}),
        ("share=1e-3", {"share": 0.001}),
        ("share=-1", {"share": -1}),
        ("share=.5", {"share": 0.5}),
        ("fast=true", {"fast": True}),
        ("rule=1", {"rule": "1"}),
        ("rule=", {"rule": ""}),
        ("rule=a=b", {"rule": "a=b"}),
        ("count=many", {"count": "many"}),
        ("count=[1]", {"count": "[1]"}),
        ("count=1\nshare=2", {"count": "1\nshare=2"}),
        ("unknown=2", {"unknown": 2}),
    ],
)
def test_a_typed_value_has_the_type_that_the_parameter_has(text, values):
    assert cli_run.read_parameters(FILES, [text], None) == values


@pytest.mark.parametrize("text", ["count", "=3", ""])
def test_an_assignment_without_name_or_value_is_refused_with_the_form(text):
    with pytest.raises(UsageError, match="NAME=VALUE"):
        cli_run.read_parameters(FILES, [text], None)


def test_a_scenario_sets_parameters_and_p_goes_before_it(tmp_path):
    scenario = tmp_path / "fast.toml"
    scenario.write_text("[parameters]\ncount = 2\nshare = { default = 0.1 }\n")
    assert cli_run.read_parameters(FILES, ["count=9"], scenario) == {"count": 9, "share": 0.1}


def test_a_scenario_that_sets_more_than_parameters_is_refused_by_name(tmp_path):
    scenario = tmp_path / "odd.toml"
    scenario.write_text("[agents.x]\ncount = 2\n")
    with pytest.raises(UsageError, match="sets agents"):
        cli_run.read_parameters(FILES, [], scenario)


def test_a_broken_model_toml_is_left_to_the_check():
    assert cli_run.read_parameters({"model.toml": "= ="}, ["a=1"], None) == {"a": 1}


# --- command lines without a coordinator -------------------------------------------------------


def test_every_command_has_help_that_fits_its_line_in_the_list(capsys):
    assert cli.call(["--help"]) == 0
    listed = capsys.readouterr().out
    for name in cli.PLACES:
        assert f"  {name} " in listed
        # mcp hands even --help on: it would become the gateway here.
        assert name == "mcp" or cli.call([name, "--help"]) == 0


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_a_subcommand_has_a_parameter_for_each_field_of_its_command(name):
    command = cli.simctl.get_command(click.Context(cli.simctl), name)
    own = {"socket", "form"}
    assert {p.name for p in command.params} - own == set(SUBCOMMANDS[name].__struct_fields__)


def test_a_derived_option_keeps_the_range_and_the_help_of_its_field():
    options = {p.name: p for p in cli_remote.query.params}
    assert (options["limit"].type.min, options["limit"].type.max) == (1, 100_000)
    assert options["where"].help == "Lua expression over self: self.cash > 10"
    assert options["fields"].opts == ["--fields", "--field"]
    assert [p.name for p in cli_remote.query.params if isinstance(p, click.Argument)] == [
        "sim",
        "agent_type",
    ]


def test_without_a_command_the_commands_are_listed(capsys):
    assert cli.call([]) == 2
    assert "Run a model and summarise it." in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "wealth", "--tiks", "3"],
        ["run", "wealth", "--ticks", "-1"],
        ["run", "no-such-model"],
        ["run", "wealth", "-p", "agents"],
        ["check", "no-such-model"],
        ["new", "Not A Name"],
        ["frobnicate"],
    ],
)
def test_wrong_usage_ends_with_2_and_a_message_and_no_traceback(arguments, capsys):
    assert cli.call(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "rror: " in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--format", "json"],
        ["run", "wealth", "--format=json", "--ticks", "x"],
        ["run", "no-such-model", "--format", "json"],
        ["check", "no-such-model", "--format", "json"],
    ],
)
def test_json_is_one_object_also_when_the_usage_is_wrong(arguments, capsys):
    assert cli.call(arguments) == 2
    value = json.loads(capsys.readouterr().out)
    assert value["stopped"] == "error"
    assert value["error"]["message"]


def test_new_refuses_a_folder_that_is_there(tmp_path, capsys):
    (tmp_path / "market").mkdir()
    assert cli.call(["new", str(tmp_path / "market")]) == 2
    assert "exists already" in capsys.readouterr().err


def test_models_lists_the_library_with_the_regime_of_each(capsys):
    assert cli.call(["models"]) == 0
    listed = capsys.readouterr().out
    assert [name for name in ("wealth", "epidemic", "ring", "gossip") if name not in listed] == []
    assert cli.call(["models", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)["models"]
    assert {m["name"] for m in listed} >= {"wealth"}
    assert [m["name"] for m in listed if not m["activation"]] == []


# --- with real processes -----------------------------------------------------------------------


def simctl(*arguments, timeout=100, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "runtime.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        **options,
    )


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts `simctl ARGUMENTS` and goes on; whatever still runs is ended with the test."""
    with ExitStack() as started:

        def start(*arguments: object) -> subprocess.Popen:
            running = subprocess.Popen(
                [sys.executable, "-m", "runtime.cli", *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,  # Ctrl-C reaches a whole group, workers included
            )
            started.enter_context(running)
            started.callback(running.kill)
            return running

        yield start


def run_json(*arguments) -> tuple[int, dict]:
    """Exit status and the one object on stdout."""
    done = simctl("run", *arguments, "--format", "json")
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def write_model(folder: Path, toml: str, **scripts: str) -> Path:
    (folder / "agents").mkdir(parents=True)
    (folder / "model.toml").write_text(toml)
    for name, text in scripts.items():
        (folder / "agents" / f"{name}.lua").write_text(text)
    return folder


@pytest.fixture
def counter(tmp_path) -> Path:
    """Three agents that count ticks up; `total` is 3 times the tick."""
    return write_model(
        tmp_path / "counter",
        'name = "counter"\n'
        "[parameters]\nagents = { default = 3, min = 1 }\nbreak_at = { default = -1 }\n"
        "[agents.one]\ncount = 'agents'\n"
        "[metrics]\ntotal = 'sum(one, self.n)'\n"
        "[invariants]\nsmall = 'total < 3000'\n",
        one="function init(self)\n  self.n = 0\nend\n\n"
        "function step(self)\n  self.n = self.n + 1\n"
        "  if tick() == param.break_at then\n    self.n = self.nothing.there\n  end\nend\n",
    )


@pytest.mark.process
def test_importing_simctl_loads_no_socket_vm_or_gateway():
    code = (
        "import sys, runtime.cli; "
        "print(sorted({'zmq', 'lupa', 'mcp', 'asyncio', 'tree_sitter'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.process
def test_run_ends_after_its_ticks_with_0(counter):
    status, value = run_json(counter, "--ticks", 10, "--seed", 5, "-p", "agents=4")
    assert status == 0
    assert value["metrics"] == {"total": {"first": 0, "last": 40, "min": 0, "max": 40, "mean": 20}}
    assert (value["tick"], value["stopped"], value["error"]) == (10, "ticks", None)
    assert (value["model"], value["seed"], value["agents"]) == ("counter", 5, {"one": 4})
    assert value["parameters"] == {"agents": 4, "break_at": -1}
    assert len(value["digest"]) == 32
    assert value["messages"] == {"sent": 0, "delivered": 0, "dead": 0}


@pytest.mark.process
def test_a_sequential_regime_chosen_with_p_runs_on_one_worker_and_says_so(counter):
    toml = counter / "model.toml"
    regime = 'regime = { default = "synchronous", choices = ["synchronous", "random"] }\n'
    text = toml.read_text().replace("[parameters]\n", f"[parameters]\n{regime}")
    toml.write_text('activation = { parameter = "regime" }\n' + text)
    note = "activation 'random' runs on one worker: 2 were asked for"
    asked = (counter, "--ticks", 5, "-p", "regime=random", "--workers", 2)
    _, value = run_json(*asked)
    assert (value["activation"], value["workers"], value["notes"]) == ("random", 1, [note])
    shown = simctl("run", *asked).stdout
    assert re.search("1 worker, .*, random, seed 1, regime=random", shown)
    assert f"note: {note}" in shown
    _, value = run_json(counter, "--ticks", 5, "--workers", 2)
    assert (value["activation"], value["workers"], value["notes"]) == ("synchronous", 2, [])


@pytest.mark.process
def test_the_digest_does_not_depend_on_the_number_of_workers(counter):
    digests = {run_json(counter, "--workers", w)[1]["digest"] for w in (1, 2, 3)}
    assert len(digests) == 1


@pytest.mark.process
def test_until_ends_a_run_with_0(counter):
    status, value = run_json(counter, "--until", "total >= 12")
    assert (status, value["stopped"], value["tick"]) == (0, "until", 4)


@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 2])
def test_an_until_that_is_no_expression_is_wrong_usage(counter, workers):
    done = simctl("run", counter, "--until", "totl >= 12", "--workers", workers)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown name 'totl'" in done.stderr
    assert "total" in done.stderr


@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_invariant_ends_a_run_with_1(counter, workers):
    status, value = run_json(counter, "--ticks", 2000, "--workers", workers)
    assert (status, value["stopped"], value["tick"]) == (1, "invariant", 1000)
    assert value["stopped_by"] == "small"
    assert value["error"]["kind"] == "invariant"


@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 2])
def test_a_fault_ends_a_run_with_1_and_the_place(counter, workers):
    status, value = run_json(counter, "-p", "break_at=7", "--workers", workers)
    error = value["error"]
    assert (status, value["stopped"], value["tick"], value["digest"]) == (1, "error", 6, None)
    assert (error["kind"], error["tick"], error["agent"], error["agent_type"]) == (
        "script",
        7,
        1,
        "one",
    )
    assert (error["file"], error["line"]) == ("agents/one.lua", 8)
    assert "self.nothing.there" in error["excerpt"]
    assert error["message"]


@pytest.mark.process
def test_a_model_that_ends_at_its_creation_has_a_digest(tmp_path):
    toml = 'name = "still"\n[agents.one]\ncount = 3\n[metrics]\nn = "count(one)"\n'
    folder = write_model(tmp_path / "still", toml + "[stop]\nwhen = 'n == 3'\n", one="")
    status, value = run_json(folder)
    assert (status, value["stopped"], value["tick"], len(value["digest"])) == (0, "stop", 0, 32)


@pytest.mark.process
def test_a_fault_of_creation_ends_with_1_and_the_place(tmp_path):
    folder = write_model(
        tmp_path / "stillborn",
        'name = "stillborn"\n[agents.one]\ncount = 3\n',
        one="function init(self)\n  self.x.y = 1\nend\n",
    )
    status, value = run_json(folder)
    error = value["error"]
    assert (status, value["stopped"], value["digest"]) == (1, "error", None)
    assert (error["kind"], error["file"], error["line"]) == ("script", "agents/one.lua", 2)
    assert (error["tick"], error["agent"], error["handler"]) == (0, 1, "init")


@pytest.mark.process
def test_a_fault_is_shown_to_people_with_line_and_without_traceback(counter):
    done = simctl("run", counter, "-p", "break_at=7")
    assert done.returncode == 1
    assert "agents/one.lua:8: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "tick 6, ended: an error" in done.stdout


@pytest.mark.process
def test_a_model_that_does_not_check_ends_with_2_and_all_findings(tmp_path):
    folder = write_model(
        tmp_path / "bad",
        'name = "bad"\n[agents.one]\ncount = 1\ncolour = 3\n',
        one="function step(self)\n  if self.a != 1 then\n    continue\n  end\nend\n",
    )
    status, value = run_json(folder)
    assert (status, value["stopped"], value["error"]["kind"]) == (2, "error", "check")
    places = {(d["file"], d["line"]) for d in value["diagnostics"] if d["severity"] == "error"}
    assert places >= {("model.toml", 4), ("agents/one.lua", 2), ("agents/one.lua", 3)}

    done = simctl("check", folder)
    assert done.returncode == 2
    assert "agents/one.lua:2: error: " in done.stdout
    assert "bad: does not check" in done.stdout


@pytest.mark.process
def test_a_parameter_out_of_range_ends_with_2_and_its_name(counter):
    done = simctl("run", counter, "-p", "agents=0")
    assert done.returncode == 2
    assert "agents" in done.stderr


@pytest.mark.process
def test_check_of_a_good_model_ends_with_0(counter):
    done = simctl("check", counter, "--format", "json")
    value = json.loads(done.stdout)
    assert (done.returncode, value["ok"], value["agents"]) == (0, True, {"one": 3})
    assert [p["name"] for p in value["parameters"]] == ["agents", "break_at"]


@pytest.mark.process
def test_every_tick_is_in_the_csv_file(counter, tmp_path):
    out = tmp_path / "metrics.csv"
    assert simctl("run", counter, "--ticks", 50, "--metrics-out", out).returncode == 0
    with out.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["tick", "total"]
    assert [[float(cell) for cell in row] for row in rows[1:]] == [
        [tick, 3 * tick] for tick in range(51)
    ]


@pytest.mark.process
def test_a_run_whose_metrics_cannot_be_written_still_shows_its_result(counter):
    status, value = run_json(counter, "--ticks", 5, "--metrics-out", "/dev/full")
    assert (status, value["stopped"], value["tick"], len(value["digest"])) == (1, "ticks", 5, 32)
    assert value["error"]["message"] == (
        "the metrics could not be written to /dev/full: No space left on device"
    )


@pytest.mark.process
def test_text_in_a_pipe_has_a_summary_and_no_bar(counter):
    done = simctl("run", counter, "--ticks", 20)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "\r" not in done.stdout
    assert "ended: all ticks done" in done.stdout
    assert "▁" in done.stdout
    assert "digest" in done.stdout


@pytest.fixture
def endless(tmp_path) -> Path:
    """A hundred agents that count ticks up for ever."""
    return write_model(
        tmp_path / "endless",
        'name = "endless"\n[agents.one]\ncount = 100\n[metrics]\ntotal = "sum(one, self.n)"\n',
        one="function init(self)\n  self.n = 0\nend\n\n"
        "function step(self)\n  self.n = self.n + 1\nend\n",
    )


@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_ends_with_130_and_what_was_done_so_far(
    endless, start, tmp_path, workers
):
    out = tmp_path / "endless.csv"
    options = ["--ticks", 10**9, "--workers", workers, "--format", "json", "--metrics-out", out]
    running = start("run", endless, *options)
    wait_until_it_runs(running)
    os.killpg(running.pid, signal.SIGINT)
    stdout, stderr = running.communicate(timeout=60)
    value = json.loads(stdout)
    assert (running.returncode, value["stopped"], value["error"]) == (130, "interrupted", None)
    assert value["tick"] > 0
    assert value["metrics"]["total"]["last"] == 100 * value["tick"]
    assert len(value["digest"]) == 32
    assert stderr == ""
    assert out.read_text().splitlines()[-1] == f"{value['tick']},{100 * value['tick']}"


def wait_until_it_runs(running: subprocess.Popen) -> None:
    """Until its simulation has closed a tick; fails when the process ends first."""
    until = time.monotonic() + 60
    while still_living([running.pid], 0.01):
        assert time.monotonic() < until, "no tick closed in a minute"
        for endpoint in find_coordinators():
            with Client(endpoint) as client:
                if any(one.tick > 0 for one in client.request(Status()).simulations):
                    return
    pytest.fail(f"the run ended: {running.communicate()}")


@pytest.mark.process
def test_on_a_terminal_a_bar_shows_the_way_and_ctrl_c_ends_the_run(endless):
    master, slave = os.openpty()
    terminal = os.ttyname(slave)
    # The shell's own opening of the terminal makes it the new session's: so that a typed Ctrl-C is
    # a signal for the whole group, as it is for a person.
    script = 'exec "$@" <"$0" >"$0" 2>&1'
    command = [sys.executable, "-m", "runtime.cli", "run", str(endless), "--ticks", "1000000000"]
    with subprocess.Popen(["sh", "-c", script, terminal, *command], start_new_session=True) as run:
        shown = read_terminal(master, b" left")
        os.close(slave)
        os.write(master, b"\x03")
        shown += read_terminal(master, None)
        os.close(master)
    text = shown.decode()
    assert run.returncode == 130
    assert "endless-1 ░░░░" in text
    assert "ended: interrupted" in text
    assert "Traceback" not in text


def read_terminal(master: int, wanted: bytes | None) -> bytes:
    """What is shown until ``wanted`` appears, or to the end."""
    shown = b""
    while wanted is None or wanted not in shown:
        try:
            part = os.read(master, 4096)
        except OSError:  # Linux says so when the last process has left the terminal
            part = b""
        if not part:
            assert wanted is None, f"ended without {wanted!r}: {shown.decode()}"
            break
        shown += part
    return shown


@pytest.mark.process
def test_new_writes_a_model_that_checks_without_warning_and_runs(tmp_path):
    assert simctl("new", "market", cwd=tmp_path, env=with_path()).returncode == 0
    checked = json.loads(
        simctl("check", "market", "--format", "json", cwd=tmp_path, env=with_path()).stdout
    )
    assert (checked["ok"], checked["diagnostics"]) == (True, [])
    status, value = run_json(tmp_path / "market", "--ticks", 500)
    assert (status, value["stopped"], value["metrics"]["knowing"]["last"]) == (0, "stop", 200)


def with_path() -> dict[str, str]:
    """The environment of a call from another folder: the project is found as if installed."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


# --- README.md ---------------------------------------------------------------------------------


def readme(pattern: str) -> str | tuple[str, ...]:
    """The groups of the only place in README.md that fits."""
    (found,) = re.findall(pattern, README.read_text(encoding="utf-8"), re.DOTALL)
    return found


@pytest.mark.process
def test_the_run_that_the_readme_shows_is_what_simctl_shows():
    command, shown = readme(r"\$ simctl (run [^\n]*)\n(.*?)  took")
    done = simctl(*command.split())
    assert done.stdout.replace("\u00a0", " ").split("  took")[0] == shown


@pytest.mark.process
def test_the_model_in_the_readme_checks_and_its_mistake_is_shown_as_there(tmp_path):
    script = readme(r"```lua model=coins[^\n]*\n(.*?)```")
    folder = write_model(
        tmp_path / "coins", readme(r"```toml model=coins[^\n]*\n(.*?)```"), person=script
    )
    checked = json.loads(simctl("check", folder, "--format", "json").stdout)
    assert (checked["ok"], checked["diagnostics"]) == (True, [])

    mistaken = script.replace("self.coins = self.coins + 1", "self.coins += 1")
    (folder / "agents" / "person.lua").write_text(mistaken)
    assert simctl("check", folder).stdout == readme(r"\$ simctl check coins\n(.*?)```")


# --- a coordinator that others find ------------------------------------------------------------


@pytest.fixture
def served(start) -> subprocess.Popen:
    """`simctl serve`, ready."""
    serving = start("serve", "--log-level", "warning")
    assert serving.stdout.readline().startswith("ready ipc://")
    return serving


@pytest.mark.process
def test_served_simulations_answer_the_derived_subcommands(served, counter, capsys):
    def shown(*arguments: str) -> str:
        assert cli.call(arguments) == 0
        return capsys.readouterr().out

    name, files = library.read_model(str(counter))
    (endpoint,) = find_coordinators()
    with Client(endpoint) as client:
        client.request(CreateSimulation(name=name, files=files))
        client.request(RunSimulation(sim="counter-1", ticks=5))

    assert shown("ps").splitlines()[0] == f"coordinator {served.pid}  {endpoint}"
    listed = shown("status").splitlines()
    assert listed[0].split() == [
        "simulation",
        "phase",
        "tick",
        "target",
        "agents",
        "workers",
        "ticks/s",
    ]
    assert listed[1].split()[:6] == ["counter-1", "ready", "(ticks)", "5", "5", "3"]
    (status,) = json.loads(shown("status", "counter-1", "--format", "json"))["simulations"]
    assert (status["sim"], status["tick"]) == ("counter-1", 5)

    query = ["query", "counter-1", "one", "--field", "self.id", "--field", "self.n"]
    table = json.loads(shown(*query, "--where", "self.id > 1", "--format", "json"))
    assert (table["rows"], table["total"]) == ([[2, 5], [3, 5]], 2)
    assert shown(*query, "--limit", "1").splitlines()[-1] == "2 of 3 rows left out"
    assert shown("metrics", "counter-1", "--points", "0").splitlines()[-1].split() == ["5", "15"]
    assert shown("log", "counter-1").startswith("tick")

    assert shown("remove", "counter-1") == "done\n"
    assert cli.call(["status", "counter-1"]) == 2
    assert "counter-1" in capsys.readouterr().err
    assert shown("shutdown") == "done\n"
    assert served.wait(timeout=30) == 0
    assert served.stderr.read() == ""


@pytest.mark.process
def test_without_a_coordinator_a_subcommand_says_how_to_start_one(capsys):
    assert cli.call(["status"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: no coordinator is running",
        "  try: simctl serve starts one; so does an MCP client's gateway",
    ]
    assert cli.call(["status", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "coordinator_lost"


@pytest.mark.process
def test_mcp_becomes_the_gateway_and_hands_its_arguments_on():
    done = simctl("mcp", "--help")
    assert done.returncode == 0
    assert "--http" in done.stdout
