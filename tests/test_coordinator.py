"""Real coordinator and worker processes. The workers host nothing (``mischief_worker``): what is
shown here is what becomes of processes, sockets and files. That nothing is left behind is checked
after every test, by ``conftest``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from mischief_worker import MODEL
from waiting import PATIENCE_S, still_living, wait_for_tick

from runtime import private
from runtime.client import Client, embedded_coordinator, find_coordinators
from runtime.commands import (
    CancelRun,
    CreateSimulation,
    Done,
    Failed,
    QueryAgents,
    RemoveSimulation,
    Request,
    RunSimulation,
    Shutdown,
    Status,
    decode_response,
    encode_request,
)
from runtime.errors import CoordinatorLost, UnknownSimulation, UsageError, WorkerLost
from runtime.transport import connect

pytestmark = pytest.mark.process

FOREVER = 2**52


@pytest.fixture(autouse=True)
def mischief_can_be_imported(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@contextmanager
def coordinator(**options):
    with embedded_coordinator(worker_module="mischief_worker", **options) as client:
        yield client


def create(client, workers=2, **parameters):
    command = CreateSimulation(name="mischief", files=MODEL, workers=workers, parameters=parameters)
    return client.request(command).simulation


def run(client, sim, ticks=20, wait_s=PATIENCE_S):
    return client.request(RunSimulation(sim=sim, ticks=ticks, wait_s=wait_s)).simulation


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


# --- simulations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_simulation_runs_to_its_last_tick_on_processes_of_its_own(workers):
    with coordinator() as client:
        info = create(client, workers)
        assert (info.sim, info.phase, info.workers) == ("mischief-1", "ready", workers)
        assert len({pid for pid in info.pids if alive(pid)}) == workers
        info = run(client, info.sim)
        assert (info.phase, info.tick, info.stopped) == ("ready", 20, "ticks")
        info = run(client, info.sim, 5)
        assert (info.tick, info.target) == (25, 25)


def test_several_simulations_run_at_once_each_with_workers_of_its_own():
    with coordinator() as client:
        infos = [create(client, 2) for _ in range(3)]
        for info in infos:
            assert run(client, info.sim, FOREVER, wait_s=0).phase == "running"
        standing = client.request(Status()).simulations
        assert [info.sim for info in standing] == ["mischief-1", "mischief-2", "mischief-3"]
        assert len({pid for info in standing for pid in info.pids}) == 6
        for info in standing:
            wait_for_tick(client, info.sim, info.tick + 1)
        done = [client.request(CancelRun(sim=info.sim)).simulation for info in infos]
        assert {(i.phase, i.stopped) for i in done} == {("ready", "interrupted")}


def test_a_client_that_waits_holds_up_no_other():
    with coordinator() as client, Client(client.endpoint) as other:
        sim = create(client, 2).sim
        run(client, sim, FOREVER, wait_s=0)
        replies = []
        waiting = threading.Thread(
            target=lambda: replies.append(other.request(Status(sim=sim, wait_s=PATIENCE_S)))
        )
        waiting.start()
        assert client.request(Status(sim=sim)).simulations[0].phase == "running"
        client.request(CancelRun(sim=sim))
        waiting.join(PATIENCE_S)
        assert [reply.simulations[0].stopped for reply in replies] == ["interrupted"]


def test_a_wait_ends_in_time_while_the_run_goes_on():
    with coordinator() as client:
        sim = create(client, 2).sim
        began = time.monotonic()
        assert run(client, sim, FOREVER, wait_s=0.2).phase == "running"
        assert client.request(Status(sim=sim, wait_s=0.2)).simulations[0].phase == "running"
        assert 0.4 <= time.monotonic() - began < PATIENCE_S / 2
        client.request(RemoveSimulation(sim=sim))


def test_queries_are_answered_between_the_ticks_of_a_run():
    with coordinator() as client:
        sim = create(client, 2).sim
        run(client, sim, FOREVER, wait_s=0)
        table = client.request(QueryAgents(sim=sim, agent_type="thing"))
        assert (table.columns, table.rows, table.total) == (["parts"], [[2]], 1)
        assert client.request(CancelRun(sim=sim)).simulation.stopped == "interrupted"


def test_workers_of_a_removed_simulation_serve_the_next():
    with coordinator() as client:
        first = create(client, 2)
        client.request(RemoveSimulation(sim=first.sim))
        second = create(client, 2)
        assert second.sim == "mischief-2"
        assert set(second.pids) == set(first.pids)
        with pytest.raises(UnknownSimulation, match="no simulation is called 'mischief-1'"):
            run(client, first.sim)


def test_the_workers_of_a_busy_simulation_are_ended_when_it_is_removed():
    with coordinator() as client:
        info = create(client, 2)
        run(client, info.sim, FOREVER, wait_s=0)
        client.request(RemoveSimulation(sim=info.sim))
        assert still_living(info.pids) == []


# --- workers that die, hang, lie -----------------------------------------------------------------


def failed_run(client, sim, ticks=20):
    info = run(client, sim, ticks)
    assert (info.phase, info.stopped) == ("failed", "error")
    assert still_living(info.pids) == []
    return info


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_killed_in_a_run_ends_it_with_a_report_and_harms_no_other(workers):
    with coordinator() as client:
        other = create(client, 2)
        run(client, other.sim, FOREVER, wait_s=0)
        info = create(client, workers)
        run(client, info.sim, FOREVER, wait_s=0)
        os.kill(info.pids[-1], signal.SIGKILL)
        (info,) = client.request(Status(sim=info.sim, wait_s=PATIENCE_S)).simulations
        assert (info.phase, info.stopped, info.error.kind) == ("failed", "error", "worker")
        assert info.error.worker == workers - 1
        assert f"(process {info.pids[-1]}) was ended by signal 9 (SIGKILL)" in info.error.message
        assert still_living(info.pids) == []
        tick = client.request(Status(sim=other.sim)).simulations[0].tick
        wait_for_tick(client, other.sim, tick + 1)


def test_a_worker_that_exits_is_reported_with_its_status_and_the_agent_it_was_running():
    with coordinator() as client:
        sim = create(client, 2, mischief="die", at=5, who=1).sim
        error = failed_run(client, sim).error
        assert (error.kind, error.worker, error.agent, error.agent_type, error.tick) == (
            "worker", 1, 3, "thing", 5,
        )  # fmt: skip
        assert "ended with exit status 3 in tick 5 while it ran agent 3 (thing)" in error.message


@pytest.mark.parametrize("mischief", ["hang", "stop"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_hangs_is_ended_at_the_deadline(mischief, workers):
    with coordinator(deadline_s=0.5) as client:
        sim = create(client, workers, mischief=mischief, at=7).sim
        error = failed_run(client, sim).error
        assert (error.kind, error.worker, error.agent) == ("deadline", 0, 3)
        assert "did not answer for 0.5 s and was ended" in error.message


def test_a_worker_stopped_from_outside_is_ended_at_the_deadline():
    with coordinator(deadline_s=0.5) as client:
        info = create(client, 2)
        run(client, info.sim, FOREVER, wait_s=0)
        os.kill(info.pids[1], signal.SIGSTOP)
        (info,) = client.request(Status(sim=info.sim, wait_s=PATIENCE_S)).simulations
        assert (info.error.kind, info.error.worker) == ("deadline", 1)
        assert still_living(info.pids) == []


def test_every_answer_out_of_place_is_refused_and_logged_and_changes_nothing(capfd):
    with coordinator() as client:
        honest = run(client, create(client, 2).sim)
        sim = create(client, 2, mischief="nonsense", at=5, who=1).sim
        lied_to = run(client, sim)
        assert (lied_to.phase, lied_to.tick, lied_to.stopped) == ("ready", 20, "ticks")
        assert (lied_to.agents, lied_to.digest) == (honest.agents, honest.digest)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert {line["event"] for line in lines} == {"refused"}
    assert max(line["refused"] for line in lines) == len(lines) == 16


def test_a_stranger_at_the_workers_socket_is_refused():
    with coordinator() as client:
        sim = create(client, 2).sim
        stranger = connect(client.endpoint.replace("clients", "workers"))
        stranger.send([b"\xc1"])
        stranger.send([b"\x93\xa7Refused\x00\xa1\xff"])
        stranger.send([b"\x93\xa7Stepped\xdd\xff\xff\xff\xff"])
        stranger.send([encode_request(Request("k", Shutdown()))])
        stranger.close()
        assert run(client, sim).stopped == "ticks"


@pytest.mark.parametrize("socket", ["workers", "clients"])
def test_a_flood_of_nonsense_changes_nothing_and_does_not_stay_in_memory(socket):
    with coordinator(log_level="error") as client:
        sim = create(client, 2).sim
        before = resident_mb(client.pid)
        flood = connect(client.endpoint.replace("clients", socket))
        for _ in range(1000):
            flood.send([b"\x91" * 200_000])
        assert run(client, sim).stopped == "ticks"
        assert resident_mb(client.pid) < before + 64
        flood.close()


def resident_mb(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_workers_that_cannot_start_are_an_error_that_says_so():
    with embedded_coordinator(worker_module="no_such_module", log_level="error") as client:
        with pytest.raises(WorkerLost, match="ended with exit status 1 before it was ready"):
            create(client, 2)
        assert client.request(Status()).simulations == []


# --- clients -------------------------------------------------------------------------------------


def test_a_request_sent_again_is_answered_from_the_record():
    with coordinator() as client:
        command = CreateSimulation(name="mischief", files=MODEL, workers=1)
        replies = []
        for _ in range(2):
            channel = connect(client.endpoint)
            channel.send([encode_request(Request("the-key", command))])
            replies.append(decode_response(channel.recv(PATIENCE_S)[0]))
            channel.close()
        assert replies[0] == replies[1]
        assert len(client.request(Status()).simulations) == 1


def test_a_request_sent_again_while_it_is_carried_out_is_answered_with_it():
    with coordinator() as client:
        sim = create(client, 1).sim
        channels = [connect(client.endpoint) for _ in range(2)]
        for channel in channels:
            channel.send([encode_request(Request("run", RunSimulation(sim=sim, ticks=9)))])
        first, second = (decode_response(c.recv(PATIENCE_S)[0]) for c in channels)
        for channel in channels:
            channel.close()
        assert first == second
        assert first.reply.simulation.tick == 9


def test_a_key_cannot_be_used_for_two_requests():
    with coordinator() as client:
        channel = connect(client.endpoint)
        for sim in ("a", "b"):
            channel.send([encode_request(Request("k", CancelRun(sim=sim)))])
        replies = [decode_response(channel.recv(PATIENCE_S)[0]).reply for _ in range(2)]
        channel.close()
        assert [(r.kind, r.message) for r in replies] == [
            ("UnknownSimulation", "no simulation is called 'a'"),
            ("UsageError", "key k was used for another request"),
        ]


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"\xc1"],
        [b"\x91" * 5000],
        [b"\xdd\xff\xff\xff\xff"],
        [b"\x81\xa3key\xa1\xff"],
        [b"a", b"b"],
        [msgspec.msgpack.encode({"key": "k", "command": {"type": "Fly"}})],
        [msgspec.msgpack.encode({"key": "k", "command": {"type": "Status", "more": 1}})],
        [msgspec.msgpack.encode({"key": "k", "command": {"type": "Status"}, "format": 9})],
    ],
)
def test_what_is_no_request_is_refused_with_a_reason(frames):
    with coordinator() as client:
        channel = connect(client.endpoint)
        channel.send(frames)
        reply = decode_response(channel.recv(PATIENCE_S)[0]).reply
        channel.close()
        assert isinstance(reply, Failed)
        assert reply.kind == "UsageError"
        assert client.request(Status()).simulations == []


def test_a_name_that_cannot_be_a_models_is_refused():
    with (
        coordinator() as client,
        pytest.raises(UsageError, match=r"'\.\./x' cannot be a model's name"),
    ):
        client.request(CreateSimulation(name="../x", files=MODEL))


def test_running_coordinators_are_found():
    assert find_coordinators() == []
    with coordinator() as one, coordinator() as two:
        assert sorted(find_coordinators()) == sorted([one.endpoint, two.endpoint])
    assert find_coordinators() == []


# --- the end of a coordinator --------------------------------------------------------------------


def started(*options, **popen):
    """A coordinator process of nobody's, and its endpoint."""
    command = [sys.executable, "-m", "runtime.coordinator", "--worker-module", "mischief_worker"]
    environment = {**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}:{os.getcwd()}"}
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, env=environment, text=True, **popen
    )
    return process, process.stdout.readline().removeprefix("ready ").strip()


def ended(process):
    status = process.wait(PATIENCE_S)
    process.stdout.close()
    return status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_coordinator_in_order(number):
    process, endpoint = started()
    with Client(endpoint) as client:
        info = create(client, 2)
        run(client, info.sim, FOREVER, wait_s=0)
        process.send_signal(number)
        assert ended(process) == 0
    assert not any(map(alive, info.pids))


def test_shutdown_is_answered_and_ends_everything():
    process, endpoint = started()
    with Client(endpoint) as client, Client(endpoint) as other:
        info = create(client, 2)
        run(client, info.sim, FOREVER, wait_s=0)
        caught = []

        def wait():
            try:
                other.request(Status(sim=info.sim, wait_s=PATIENCE_S))
            except CoordinatorLost as error:
                caught.append(str(error))

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert client.request(Shutdown()) == Done()
        waiting.join(PATIENCE_S)
        assert len(caught) == 1, "who waited was told"
        with pytest.raises(CoordinatorLost):
            client.request(Status())
    assert ended(process) == 0
    assert not any(map(alive, info.pids))


def test_a_coordinator_killed_takes_its_workers_along_and_its_client_hears_of_it_at_once():
    with coordinator() as client:
        info = create(client, 2)
        threading.Timer(0.1, os.kill, (client.pid, signal.SIGKILL)).start()
        began = time.monotonic()
        with pytest.raises(CoordinatorLost, match="ended during RunSimulation"):
            run(client, info.sim, FOREVER)
        assert time.monotonic() - began < 5
    assert still_living(info.pids) == []


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_a_worker_that_is_just_starting_ends_with_its_coordinator(after_s):
    """Real workers here: they take a while to be able to notice."""
    with embedded_coordinator() as client:
        threading.Timer(after_s, os.kill, (client.pid, signal.SIGKILL)).start()
        assert still_living([client.pid]) == []


def test_a_coordinator_that_is_stopped_is_taken_for_lost_and_nothing_of_it_stays():
    with coordinator() as client:
        info = create(client, 2)
        os.kill(client.pid, signal.SIGSTOP)
        with (
            Client(client.endpoint, silence_s=0.3) as other,
            pytest.raises(CoordinatorLost, match=r"has not answered for 0.3 s, during Status"),
        ):
            other.request(Status())
    assert still_living(info.pids) == []


def test_a_coordinator_that_was_stopped_takes_no_worker_for_hung():
    with coordinator(deadline_s=0.5) as client:
        sim = create(client, 2).sim
        assert run(client, sim, FOREVER, wait_s=0).phase == "running"
        impatient = Client(client.endpoint, silence_s=2.0)
        os.kill(client.pid, signal.SIGSTOP)
        with pytest.raises(CoordinatorLost):
            impatient.request(Status(sim=sim, wait_s=PATIENCE_S))
        os.kill(client.pid, signal.SIGCONT)
        impatient.close()
        info = client.request(CancelRun(sim=sim)).simulation
        assert (info.phase, info.stopped) == ("ready", "interrupted")


def test_what_a_killed_coordinator_left_is_swept_by_the_next():
    process, endpoint = started()
    with Client(endpoint) as client:
        info = create(client, 2)
        process.kill()
        ended(process)
    left = Path(endpoint.removeprefix("ipc://")).parent
    assert left.is_dir()
    with pytest.raises(CoordinatorLost, match="is gone"):
        Client(endpoint)
    assert still_living(info.pids) == []
    with coordinator():
        assert not left.exists()


def test_a_coordinator_ends_with_its_owner_however_that_ends():
    script = (
        "import os, signal, sys\n"
        "from runtime.client import embedded_coordinator\n"
        "with embedded_coordinator() as client:\n"
        "    print(client.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL
    assert still_living([int(done.stdout)]) == []


def test_ctrl_c_in_the_middle_of_a_run_leaves_nothing():
    seen = []

    def interrupted_run():
        with coordinator() as client:
            seen.extend(create(client, 2).pids)
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            run(client, "mischief-1", FOREVER)

    with pytest.raises(KeyboardInterrupt):
        interrupted_run()
    assert len(seen) == 2
    assert not any(map(alive, seen))


# --- the private directory -----------------------------------------------------------------------


def test_the_private_directory_and_all_in_it_are_for_the_owner_alone():
    with coordinator() as client:
        create(client, 1)
        directory = Path(client.endpoint.removeprefix("ipc://")).parent
        assert directory.stat().st_mode & 0o777 == 0o700
        assert directory.parent.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_others_may_enter_is_refused():
    root = Path(os.environ["XDG_RUNTIME_DIR"]) / "gedanken"
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    with pytest.raises(UsageError, match=r"others may enter .* \(mode 0755\)"):
        find_coordinators()
    root.chmod(0o700)


def test_a_directory_with_something_in_it_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    tmp_path.chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-m", "runtime.coordinator", "--dir", str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 2
    assert "is not empty: thesis.txt" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_directory_held_by_another_coordinator_is_refused():
    process, endpoint = started()
    directory = Path(endpoint.removeprefix("ipc://")).parent
    other, said = started("--dir", str(directory), stderr=subprocess.PIPE)
    assert said == ""
    assert ended(other) == 2
    assert "a coordinator runs in" in other.stderr.read()
    other.stderr.close()
    process.terminate()
    assert ended(process) == 0


def test_a_socket_path_that_is_too_long_is_refused_with_advice():
    with pytest.raises(UsageError, match="is longer than 100 bytes"):
        private.endpoint_of(Path("/tmp") / ("x" * 100), private.CLIENTS)
