"""What ends a simulation against its will, and what can still be asked of it."""

import msgspec
import pytest
from core_play import (
    EPOCH,
    RUN_TICKET,
    all_answer,
    created,
    opened,
    stepped,
)

from runtime.commands import (
    Failed,
    QueryAgents,
    QueryLog,
    QueryMetrics,
    RunSimulation,
)
from runtime.core.effects import (
    RefuseAnswer,
    ReleaseWorkers,
    ReplyTo,
)
from runtime.core.job import Loss
from runtime.core.lifecycle import Phase
from runtime.errors import UsageError
from runtime.protocol import (
    Close,
    Dumped,
    Fault,
    Refused,
)

pack = msgspec.msgpack.encode


def script(message, *order, tick=1, kind="script"):
    return Fault(kind, message, tick=tick, order=order)


def test_of_several_faults_the_first_in_agent_order_is_reported():
    sim = opened(workers=2, ticks=9)
    late, early = script("late", 1, 2, 2, 9, 1), script("early", 1, 1, 1, 3, 1)
    reply, release = all_answer(sim, stepped(0, 0, fault=late), stepped(1, 0, fault=early))
    info = reply.reply.simulation
    assert (reply.ticket, info.phase, info.stopped, info.tick) == (RUN_TICKET, "failed", "error", 0)
    assert (info.error, info.digest) == (early, "")
    assert release == ReleaseWorkers(kill=False)


def test_a_fault_of_a_metric_waits_for_the_close_when_agents_come_or_go():
    sim = opened(workers=2, ticks=9, metrics=True)
    fault = script("nil", 3, 1, 1, 1, 0, kind="metric")
    effects = all_answer(sim, stepped(0, 1, fault=fault), stepped(1, 1, changes=b"gone", removed=1))
    assert [type(e.order) for e in effects] == [Close, Close]


def test_a_fault_found_one_tick_late_leaves_the_simulation_before_the_tick_it_speaks_of():
    sim = opened(workers=2, ticks=9, metrics=True)
    all_answer(sim, *(stepped(w, 1, partials=b"p") for w in (0, 1)))
    fault = script("nil", 4, 1, 0, 0, 0, kind="metric")
    reply, _ = all_answer(sim, *(stepped(w, 1, fault=fault) for w in (0, 1)))
    assert reply.reply.simulation.tick == 0


def test_after_a_fault_metrics_and_log_can_be_read_and_nothing_else():
    sim = opened(workers=1, ticks=9, metrics=True)
    fault = script("no", 1, 1, 1, 1, 0, tick=3)
    answer = stepped(0, 2, fault=fault, rows=pack([(1, {"price": 1}), (2, {"price": 3})]),
                     logs=pack([(2, 2, 5, 1, "so far")]))  # fmt: skip
    all_answer(sim, answer)
    assert sim.metrics(QueryMetrics(sim=sim.name)).rows == [[1, 1], [2, 3]]
    assert sim.log(QueryLog(sim=sim.name)).rows == [[2, "seller", 5, "so far"]]
    with pytest.raises(UsageError, match="market-1 failed in tick 3: its agents are gone"):
        sim.query(9, QueryAgents(sim=sim.name, agent_type="buyer"), 0.0)
    with pytest.raises(UsageError, match=r"market-1 is failed \(tick 2\)"):
        sim.run(9, RunSimulation(sim=sim.name), 0.0)


def test_a_worker_that_dies_in_a_tick_is_reported_with_its_agent_and_all_are_ended():
    sim = opened(workers=2, ticks=9)
    all_answer(sim, stepped(0, 1), stepped(1, 1))
    all_answer(sim, stepped(0, 2))
    loss = Loss("worker", "was ended by signal 9 (SIGKILL)", 101, agent=6)
    reply, release = sim.worker_lost(1, loss, 5.0)
    fault = reply.reply.simulation.error
    assert fault.message == (
        "worker 1 (process 101) was ended by signal 9 (SIGKILL) in tick 2 while it ran agent 6 "
        "(seller); the simulation stands at the end of tick 1"
    )
    assert (fault.kind, fault.worker, fault.agent, fault.agent_type, fault.tick) == (
        "worker", 1, 6, "seller", 2,
    )  # fmt: skip
    assert release == ReleaseWorkers(kill=True)
    assert sim.phase is Phase.FAILED
    assert sim.worker_lost(0, loss, 6.0) == []


def test_a_granted_worker_that_hangs_is_reported_at_the_tick_of_its_crumb():
    sim = opened(workers=1, ticks=500)
    reply, _ = sim.worker_lost(0, Loss("deadline", "hangs", 100, agent=2, tick=70), 31.0)
    error = reply.reply.simulation.error
    assert (error.tick, error.message) == (
        70,
        "worker 0 (process 100) hangs in tick 70 while it ran agent 2 (buyer); "
        "the simulation stands at the end of tick 0",
    )


def test_a_worker_that_dies_while_nothing_runs_fails_the_simulation():
    sim = created(workers=2)
    (release,) = sim.worker_lost(0, Loss("worker", "ended with exit status 1", 100), 5.0)
    assert release == ReleaseWorkers(kill=True)
    assert sim.info(5.0).error.message == (
        "worker 0 (process 100) ended with exit status 1 while nothing ran; "
        "the simulation stands at the end of tick 0"
    )


def test_workers_are_overdue_when_the_deadline_of_their_round_is_over():
    sim = opened(workers=2, ticks=9)
    sim.handle(1, stepped(1, 1), [], 10.0)
    assert (sim.overdue(30.0), sim.overdue(30.5)) == ([], [0])
    assert sim.next_time() == min(30.0, 25.0)


def test_a_refused_order_is_an_internal_fault():
    sim = opened(workers=2, ticks=9)
    refused = Refused(worker=0, epoch=EPOCH, tick=-1, reason="Step before Load")
    reply, release = all_answer(sim, refused, stepped(1, 1))
    assert reply.reply.simulation.error.message == (
        "internal error in tick 1: worker 0 refused an order: Step before Load"
    )
    assert release == ReleaseWorkers(kill=True)


def test_an_until_that_the_workers_refuse_is_the_callers_error_and_changes_nothing():
    sim = opened(workers=2, ticks=9, until="prize > 3")
    refusals = [Refused(worker=w, epoch=EPOCH, reason="until: no metric prize") for w in (0, 1)]
    assert all_answer(sim, *refusals) == [
        ReplyTo(RUN_TICKET, Failed(kind="UsageError", message="until: no metric prize"))
    ]
    assert (sim.phase, sim.tick) == (Phase.READY, 0)


def test_answers_out_of_place_and_unreadable_rows_are_refused_and_change_nothing():
    sim = opened(workers=2, ticks=9, metrics=True)
    before = sim.info(0.0)
    bad = [
        stepped(0, 0),
        stepped(0, 2),
        stepped(0, 1, epoch=EPOCH - 1),
        Dumped(worker=0, epoch=EPOCH, tick=1),
        stepped(0, 1, out=[1]),
        stepped(0, 1, rows=b"\xc1"),
        stepped(0, 1, logs=pack([("x",)])),
        stepped(1, 1, rows=pack([(0, {"price": 1})])),
    ]
    effects = all_answer(sim, *bad)
    assert [type(e) for e in effects] == [RefuseAnswer] * len(bad)
    assert sim.info(0.0) == before
    assert len(all_answer(sim, stepped(0, 1), stepped(1, 1))) == 2
