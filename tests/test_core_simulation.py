"""A simulation, message by message: what it is told and everything it then asks for."""

from itertools import permutations

import msgspec
import pytest
from core_play import (
    CREATE_TICKET,
    EPOCH,
    RUN_TICKET,
    all_answer,
    created,
    dumped,
    model,
    opened,
    simulation,
    stepped,
)

from runtime.commands import (
    Failed,
    QueryAgents,
    QueryLog,
    QueryMetrics,
    RunSimulation,
    SimulationReply,
    Table,
)
from runtime.core.digest import digest_of
from runtime.core.effects import (
    Forget,
    NeedWorkers,
    RefuseAnswer,
    ReleaseWorkers,
    ReplyTo,
    SendOrder,
)
from runtime.core.job import Loss
from runtime.core.lifecycle import Phase
from runtime.errors import UsageError
from runtime.protocol import (
    Check,
    Checked,
    Close,
    Closed,
    Combine,
    Combined,
    Counts,
    Diagnostic,
    Dump,
    Dumped,
    Fault,
    Load,
    Loaded,
    Queried,
    Query,
    Refused,
    Settle,
    Settled,
    Step,
)

pack = msgspec.msgpack.encode


def step_order(tick, last=None, **fields):
    return Step(epoch=EPOCH, tick=tick, last=tick if last is None else last, **fields)


def replies(effects):
    return [e for e in effects if isinstance(e, ReplyTo)]


# --- creation ------------------------------------------------------------------------------------


def test_creation_checks_on_one_worker_then_loads_all_then_runs_tick_0():
    sim = simulation(workers=2)
    assert sim.start() == [NeedWorkers(1)]
    check = Check(epoch=EPOCH, model=model(), parameters={"n": 4})
    assert sim.workers_ready([100], 0.0) == [SendOrder(0, check)]
    checked = Checked(worker=0, epoch=EPOCH, diagnostics=[], counts=[4, 4])
    assert all_answer(sim, checked) == [NeedWorkers(2)]

    def load(worker):
        return Load(
            epoch=EPOCH,
            worker=worker,
            workers=2,
            model=model(),
            parameters={"n": 4},
            seed=5,
            counts=[4, 4],
            shard_size=1,
            placement=[0, 0, 0, 0, 1, 1, 1, 1],
            memory_bytes=2 << 30,
        )

    assert sim.workers_ready([100, 101], 0.0) == [
        SendOrder(0, load(0), []),
        SendOrder(1, load(1), []),
    ]
    loaded = [Loaded(worker=w, epoch=EPOCH, vm="lua52") for w in (0, 1)]
    assert all_answer(sim, *loaded) == [SendOrder(0, step_order(0)), SendOrder(1, step_order(0))]
    (reply,) = all_answer(sim, stepped(0, 0), stepped(1, 0))
    info = reply.reply.simulation
    assert reply.ticket == CREATE_TICKET
    assert (info.phase, info.tick, info.vm, info.workers) == ("ready", 0, "lua52", 2)
    assert (info.agents, info.pids) == ({"buyer": 4, "seller": 4}, [100, 101])
    assert info.parameters == {"n": 4}


def test_a_model_that_does_not_check_is_refused_with_every_diagnostic_and_frees_the_worker():
    sim = simulation(workers=2)
    sim.start()
    sim.workers_ready([100], 0.0)
    found = [
        Diagnostic("error", "x", "second", "agents/b.lua", 9, "", "do it"),
        Diagnostic("error", "x", "first", "agents/a.lua", 3, "", "do that"),
    ]
    effects = all_answer(sim, Checked(worker=0, epoch=EPOCH, diagnostics=found))
    assert effects == [
        ReplyTo(
            CREATE_TICKET,
            Failed(
                kind="ModelError",
                message="model market does not check: agents/a.lua:3: first (and 1 more)",
                hint="do that",
                diagnostics=[found[1], found[0]],
            ),
        ),
        ReleaseWorkers(kill=False),
        Forget(),
    ]


def test_a_fault_in_tick_0_is_the_reply_to_create_and_nothing_stays():
    sim = simulation(workers=1)
    sim.start()
    sim.workers_ready([100], 0.0)
    all_answer(sim, Checked(worker=0, epoch=EPOCH, diagnostics=[], counts=[4, 4]))
    all_answer(sim, Loaded(worker=0, epoch=EPOCH))
    fault = Fault("script", "init: no", hint="mend it", order=(1, 1, 1, 1, 0))
    assert all_answer(sim, stepped(0, 0, fault=fault)) == [
        ReplyTo(
            CREATE_TICKET,
            Failed(kind="SimulationFault", message="init: no", hint="mend it", fault=fault),
        ),
        ReleaseWorkers(kill=False),
        Forget(),
    ]


def test_a_worker_that_dies_during_creation_is_named_in_the_reply():
    sim = simulation(workers=1)
    sim.start()
    sim.workers_ready([100], 0.0)
    reply, *rest = sim.worker_lost(0, Loss("worker", "ended with exit status 3", 100), 1.0)
    assert (reply.ticket, reply.reply.kind) == (CREATE_TICKET, "WorkerLost")
    assert reply.reply.message == "worker 0 (process 100) ended with exit status 3 in tick 0"
    assert rest == [ReleaseWorkers(kill=True), Forget()]


# --- ticks behind a barrier ----------------------------------------------------------------------


def test_a_tick_is_one_round_when_nobody_comes_or_goes():
    sim = opened(workers=2, ticks=3)
    assert all_answer(sim, stepped(0, 1)) == []
    assert all_answer(sim, stepped(1, 1)) == [
        SendOrder(0, step_order(2)),
        SendOrder(1, step_order(2)),
    ]
    assert sim.tick == 1


def test_batches_are_forwarded_unopened_in_the_order_of_the_workers_they_come_from():
    sim = opened(workers=3, ticks=3)
    for worker, out, blobs in [
        (2, [0, 1], [b"2>0", b"2>1"]),
        (0, [1], [b"0>1"]),
        (1, [0, 2], [b"1>0", b"1>2"]),
    ]:
        effects = sim.handle(worker, stepped(worker, 1, out=out), blobs, 0.0)
    assert effects == [
        SendOrder(0, step_order(2, sources=[1, 2]), [b"1>0", b"2>0"]),
        SendOrder(1, step_order(2, sources=[0, 2]), [b"0>1", b"2>1"]),
        SendOrder(2, step_order(2, sources=[1]), [b"1>2"]),
    ]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_in_which_answers_arrive_changes_nothing(order):
    """Rounds with mail, agents that come and go, metrics and log lines; only the order differs."""
    answers = {
        w: (
            stepped(
                w,
                1,
                out=[(w + 1) % 3],
                changes=b"c%d" % w,
                spawned=w,
                partials=b"p",
                logs=pack([(1, 1, w, 1, f"line of {w}")]),
                rows=pack([(0, {"price": 2.0})]) if w == 0 else b"",
                counts=Counts(w, 1, 0),
            ),
            [b"mail %d" % w],
        )
        for w in range(3)
    }
    closed = {
        w: (
            Closed(worker=w, epoch=EPOCH, tick=1, out=[(w + 2) % 3], agents=[w, 1]),
            [b"late %d" % w],
        )
        for w in range(3)
    }

    def play(arrival):
        sim = opened(workers=3, ticks=3, metrics=True)
        sent = []
        for answered in (answers, closed):
            for worker in arrival:
                sent.append(sim.handle(worker, *answered[worker], 0.0))
        return (
            [effects for effects in sent if effects],
            sim.info(0.0),
            sim.log(QueryLog(sim=sim.name)),
        )

    assert play(order) == play((0, 1, 2))


def test_spawns_and_removals_close_the_tick_in_a_second_round():
    sim = opened(workers=2, ticks=3)
    sim.handle(0, stepped(0, 1, changes=b"born", spawned=2, out=[1]), [b"mail"], 0.0)
    assert sim.handle(1, stepped(1, 1, agents=[1, 1]), [], 0.0) == [
        SendOrder(0, Close(epoch=EPOCH, tick=1, changes=[b"born", b""], placement=[1, 1]), []),
        SendOrder(
            1,
            Close(epoch=EPOCH, tick=1, changes=[b"born", b""], placement=[1, 1], sources=[0]),
            [b"mail"],
        ),
    ]
    assert sim.tick == 0
    sim.handle(0, Closed(worker=0, epoch=EPOCH, tick=1, agents=[2, 2], out=[1]), [b"hi"], 0.0)
    last = Closed(worker=1, epoch=EPOCH, tick=1, agents=[3, 3])
    assert sim.handle(1, last, [], 0.0) == [
        SendOrder(0, step_order(2), []),
        SendOrder(1, step_order(2, sources=[0]), [b"hi"]),
    ]
    assert sim.info(0.0).agents == {"buyer": 5, "seller": 5}


def test_partials_of_a_tick_travel_with_the_next_and_those_of_the_last_are_settled():
    sim = opened(workers=2, ticks=2, metrics=True)
    assert all_answer(sim, *(stepped(w, 1, partials=b"p%d" % w) for w in (0, 1))) == [
        SendOrder(w, step_order(2, partials=[b"p0", b"p1"])) for w in (0, 1)
    ]
    row = pack([(1, {"price": 1.5})])
    assert all_answer(
        sim, stepped(0, 2, partials=b"q0", rows=row), stepped(1, 2, partials=b"q1")
    ) == [SendOrder(w, Settle(epoch=EPOCH, tick=2, partials=[b"q0", b"q1"])) for w in (0, 1)]
    row = pack([(2, {"price": 2.5})])
    settled = [
        Settled(worker=0, epoch=EPOCH, tick=2, rows=row),
        Settled(worker=1, epoch=EPOCH, tick=2),
    ]
    effects = all_answer(sim, *settled)
    assert [e.order.__class__ for e in effects] == [Dump, Dump]
    assert sim.metrics(QueryMetrics(sim=sim.name)) == Table(
        columns=["tick", "price"], rows=[[1, 1.5], [2, 2.5]], total=2, tick=2
    )


def test_a_run_ends_with_a_digest_over_every_shard_in_order():
    sim = opened(workers=2, ticks=1)
    effects = sim.handle(0, stepped(0, 1, out=[1]), [b"mail"], 1.0)
    effects = sim.handle(1, stepped(1, 1), [], 2.0)
    assert effects == [
        SendOrder(0, Dump(epoch=EPOCH, tick=1, shards=[0, 1, 2, 3], digest=True), []),
        SendOrder(
            1, Dump(epoch=EPOCH, tick=1, shards=[4, 5, 6, 7], digest=True, sources=[0]), [b"mail"]
        ),
    ]
    for answer, blobs in reversed(dumped(effects, 1)):
        effects = sim.handle(answer.worker, answer, blobs, 9.0)
    (reply,) = effects
    info = reply.reply.simulation
    assert reply.ticket == RUN_TICKET
    assert info.digest == digest_of([bytes([s]) * 16 for s in range(8)], next_id=9)
    assert (info.phase, info.tick, info.stopped) == ("ready", 1, "ticks")
    assert (info.elapsed_s, info.ticks_per_s) == (2.0, 0.5), "the digest is not timed"
    # What the digest took in is delivered: the next run starts without it.
    assert sim.run(3, RunSimulation(sim=sim.name, ticks=1), 9.0) == [
        SendOrder(0, step_order(2)),
        SendOrder(1, step_order(2)),
    ]


def test_an_ending_found_in_the_tick_before_leaves_the_open_tick_unrun():
    sim = opened(workers=2, ticks=9, until="price > 3", metrics=True)
    all_answer(sim, *(stepped(w, 1, partials=b"p") for w in (0, 1)))
    ended = {"ended": "until", "ended_tick": 1, "ended_by": "price > 3"}
    effects = all_answer(sim, *(stepped(w, 1, **ended) for w in (0, 1)))
    assert [e.order.tick for e in effects] == [1, 1]
    for answer, blobs in dumped(effects, 1):
        effects = sim.handle(answer.worker, answer, blobs, 0.0)
    info = effects[0].reply.simulation
    assert (info.phase, info.tick, info.stopped, info.stopped_by) == (
        "ready", 1, "until", "price > 3",
    )  # fmt: skip


def test_workers_that_disagree_on_the_end_are_an_internal_fault():
    sim = opened(workers=2, ticks=9, metrics=True)
    all_answer(sim, *(stepped(w, 1, partials=b"p") for w in (0, 1)))
    reply, release = all_answer(sim, stepped(0, 1, ended="stop", ended_tick=1), stepped(1, 2))
    assert reply.reply.simulation.error.kind == "internal"
    assert release == ReleaseWorkers(kill=True)


def test_a_broken_invariant_ends_the_simulation_at_its_tick_and_leaves_it_readable():
    sim = opened(workers=2, ticks=9, metrics=True)
    all_answer(sim, *(stepped(w, 1, partials=b"p") for w in (0, 1)))
    fault = Fault("invariant", "money == 5", tick=1, order=(4, 1, 0, 0, 0))
    ended = {"ended": "invariant", "ended_tick": 1, "ended_by": "money", "fault": fault}
    effects = all_answer(sim, *(stepped(w, 1, **ended) for w in (0, 1)))
    for answer, blobs in dumped(effects, 1):
        effects = sim.handle(answer.worker, answer, blobs, 0.0)
    info = effects[0].reply.simulation
    assert (info.phase, info.stopped, info.error, info.tick) == ("ended", "invariant", fault, 1)
    assert info.digest


# --- faults --------------------------------------------------------------------------------------


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


# --- grants --------------------------------------------------------------------------------------


def test_one_worker_is_granted_all_ticks_and_again_when_it_stops_for_time():
    sim = created(workers=1)
    effects = sim.run(RUN_TICKET, RunSimulation(sim=sim.name, ticks=500), 0.0)
    assert effects == [SendOrder(0, step_order(1, 500))]
    assert all_answer(sim, stepped(0, 200, more=True)) == [SendOrder(0, step_order(201, 500))]
    effects = all_answer(sim, stepped(0, 500, spawned=3))
    assert effects == [
        SendOrder(0, Dump(epoch=EPOCH, tick=500, shards=list(range(11)), digest=True), [])
    ]


def test_a_granted_worker_that_stops_without_a_word_is_an_internal_fault():
    sim = opened(workers=1, ticks=500)
    reply, _ = all_answer(sim, stepped(0, 200))
    assert reply.reply.simulation.error.kind == "internal"


def test_a_model_that_stopped_by_itself_is_not_run_on():
    sim = opened(workers=1, ticks=500, metrics=True)
    ended = stepped(0, 200, ended="stop", ended_tick=200, ended_by="price == 0")
    for answer, blobs in dumped(all_answer(sim, ended), 200):
        effects = sim.handle(0, answer, blobs, 0.0)
    info = effects[0].reply.simulation
    assert (info.phase, info.stopped, info.stopped_by) == ("ended", "stop", "price == 0")
    (again,) = sim.run(9, RunSimulation(sim=sim.name, ticks=5), 0.0)
    assert again == ReplyTo(9, SimulationReply(simulation=info))


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
