"""What clients of a simulation are answered, and when: waits, cancels, queries."""

import msgspec
import pytest
from core_play import (
    EPOCH,
    RUN_TICKET,
    all_answer,
    created,
    dumped,
    opened,
    replies,
    step_order,
    stepped,
)

from runtime.commands import (
    Failed,
    QueryAgents,
    QueryMetrics,
    RunSimulation,
    SimulationReply,
    Table,
)
from runtime.core.effects import (
    Forget,
    ReleaseWorkers,
    ReplyTo,
    SendOrder,
)
from runtime.core.job import Loss
from runtime.errors import UsageError
from runtime.protocol import (
    Combine,
    Combined,
    Fault,
    Queried,
    Query,
    Refused,
)

pack = msgspec.msgpack.encode


# --- clients that wait ---------------------------------------------------------------------------


def test_a_run_is_answered_after_its_wait_and_goes_on():
    sim = created(workers=2)
    sim.run(RUN_TICKET, RunSimulation(sim=sim.name, ticks=9, wait_s=2.0), 1.0)
    assert sim.next_time() == 3.0
    assert sim.expire(2.9) == []
    (reply,) = sim.expire(3.0)
    info = reply.reply.simulation
    assert (reply.ticket, info.phase, info.target, info.elapsed_s) == (
        RUN_TICKET,
        "running",
        9,
        2.0,
    )
    assert len(all_answer(sim, stepped(0, 1), stepped(1, 1))) == 2


def test_a_run_that_nobody_waits_for_is_answered_at_once():
    sim = created(workers=1)
    step, reply = sim.run(RUN_TICKET, RunSimulation(sim=sim.name, ticks=9, wait_s=0.0), 1.0)
    assert step == SendOrder(0, step_order(1, 9))
    assert reply.reply.simulation.phase == "running"


def test_everybody_who_waits_is_answered_when_the_run_ends():
    sim = opened(workers=1, ticks=9)
    assert sim.wait(11, 5.0, 0.0)
    assert sim.wait(12, 0.0, 0.0) is False
    for answer, blobs in dumped(all_answer(sim, stepped(0, 9)), 9):
        effects = sim.handle(0, answer, blobs, 0.0)
    assert [e.ticket for e in effects] == [RUN_TICKET, 11]
    assert sim.wait(13, 5.0, 0.0) is False, "nothing to wait for any more"


def test_cancel_ends_the_run_at_the_next_closed_tick():
    sim = opened(workers=2, ticks=9)
    assert sim.cancel(20, 0.0) == []
    effects = all_answer(sim, stepped(0, 1), stepped(1, 1))
    for answer, blobs in dumped(effects, 1):
        effects = sim.handle(answer.worker, answer, blobs, 0.0)
    assert [e.ticket for e in effects] == [RUN_TICKET, 20]
    info = effects[0].reply.simulation
    assert (info.phase, info.tick, info.stopped) == ("ready", 1, "interrupted")


def test_cancel_of_a_simulation_at_rest_is_answered_at_once():
    sim = created(workers=1)
    (reply,) = sim.cancel(20, 0.0)
    assert (reply.ticket, reply.reply.simulation.phase) == (20, "ready")


def test_a_run_of_a_running_simulation_is_refused():
    sim = opened(workers=1, ticks=9)
    with pytest.raises(UsageError) as caught:
        sim.run(9, RunSimulation(sim=sim.name), 0.0)
    assert str(caught.value) == (
        "market-1 is running (tick 0); a run can be opened only when it stands still"
    )


def test_removing_a_busy_simulation_ends_its_workers_and_answers_who_waits():
    sim = opened(workers=2, ticks=9)
    gone = Failed(kind="UnknownSimulation", message="market-1 was removed meanwhile")
    assert sim.remove(0.0) == [ReplyTo(RUN_TICKET, gone), ReleaseWorkers(kill=True), Forget()]


def test_removing_a_simulation_at_rest_gives_its_workers_back():
    assert created(workers=2).remove(0.0) == [ReleaseWorkers(kill=False), Forget()]


# --- queries -------------------------------------------------------------------------------------

QUERY = QueryAgents(sim="market-1", agent_type="buyer", fields=["self.cash"])


def query_order(tick, **fields):
    return Query(epoch=EPOCH, tick=tick, agent_type="buyer", fields=["self.cash"], **fields)


def test_a_query_is_mapped_on_every_worker_and_reduced_on_the_first():
    sim = created(workers=2)
    order = query_order(0)
    assert sim.query(30, QUERY, 0.0) == [SendOrder(w, order, []) for w in (0, 1)]
    sim.handle(1, Queried(worker=1, epoch=EPOCH, tick=0), [b"one"], 0.0)
    assert sim.handle(0, Queried(worker=0, epoch=EPOCH, tick=0), [b"zero"], 0.0) == [
        SendOrder(0, Combine(epoch=EPOCH, tick=0, query=order, partials=[b"zero", b"one"]))
    ]
    combined = Combined(
        worker=0, epoch=EPOCH, tick=0, columns=["cash"], rows=pack([[1.5], [None]]), total=7
    )
    assert all_answer(sim, combined) == [
        ReplyTo(30, Table(columns=["cash"], rows=[[1.5], [None]], total=7, tick=0))
    ]


def test_a_query_during_a_run_is_answered_between_ticks_and_takes_the_mail_along():
    sim = opened(workers=2, ticks=9)
    assert sim.query(30, QUERY, 0.0) == []
    sim.handle(0, stepped(0, 1, out=[1]), [b"mail"], 0.0)
    assert sim.handle(1, stepped(1, 1), [], 0.0) == [
        SendOrder(0, query_order(1), []),
        SendOrder(1, query_order(1, sources=[0]), [b"mail"]),
    ]
    all_answer(sim, *(Queried(worker=w, epoch=EPOCH, tick=1) for w in (0, 1)))
    reply, *steps = all_answer(sim, Combined(worker=0, epoch=EPOCH, tick=1, rows=pack([])))
    assert reply.ticket == 30
    assert steps == [SendOrder(w, step_order(2)) for w in (0, 1)]


def test_an_expression_that_the_workers_refuse_is_the_callers_error():
    sim = created(workers=1)
    sim.query(30, QUERY, 0.0)
    assert all_answer(sim, Refused(worker=0, epoch=EPOCH, reason="fields: no")) == [
        ReplyTo(30, Failed(kind="UsageError", message="fields: no"))
    ]
    sim.query(31, QUERY, 0.0)
    fault = Fault("metric", "self.cash is nil", hint="say which")
    assert all_answer(sim, Queried(worker=0, epoch=EPOCH, tick=0, fault=fault)) == [
        ReplyTo(
            31, Failed(kind="UsageError", message="self.cash is nil", hint="say which", fault=fault)
        )
    ]


def test_a_run_opened_during_a_query_begins_after_it():
    sim = created(workers=1)
    sim.query(30, QUERY, 0.0)
    assert sim.run(RUN_TICKET, RunSimulation(sim=sim.name, ticks=5), 0.0) == []
    refused = Refused(worker=0, epoch=EPOCH, reason="no")
    assert [type(e) for e in all_answer(sim, refused)] == [ReplyTo, SendOrder]


def test_queries_that_wait_are_answered_when_the_simulation_fails():
    sim = opened(workers=2, ticks=9)
    sim.query(30, QUERY, 0.0)
    effects = sim.worker_lost(0, Loss("worker", "ended", 100), 0.0)
    assert [(e.ticket, e.reply.__class__) for e in replies(effects)] == [
        (30, Failed),
        (RUN_TICKET, SimulationReply),
    ]


def test_a_type_or_metric_that_is_not_there_is_refused_with_those_that_are():
    sim = created(workers=1)
    with pytest.raises(UsageError) as caught:
        sim.query(30, QueryAgents(sim=sim.name, agent_type="bank"), 0.0)
    assert (str(caught.value), caught.value.hint) == (
        "market-1 has no agent type 'bank'", "one of: buyer, seller",
    )  # fmt: skip
    with pytest.raises(UsageError, match="market-1 has no metric 'gdp'"):
        sim.metrics(QueryMetrics(sim=sim.name, names=["gdp"]))
