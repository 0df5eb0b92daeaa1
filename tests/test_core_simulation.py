"""A simulation's rounds, message by message: what it is told and everything it then asks for."""

from itertools import permutations

import msgspec
import pytest
from core_play import (
    CREATE_TICKET,
    ENVIRONMENT,
    EPOCH,
    RUN_TICKET,
    all_answer,
    created,
    dumped,
    model,
    opened,
    simulation,
    step_order,
    stepped,
)

from runtime.commands import (
    Failed,
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
    ReleaseWorkers,
    ReplyTo,
    SendOrder,
)
from runtime.core.job import Loss
from runtime.protocol import (
    Check,
    Checked,
    Close,
    Closed,
    Counts,
    Diagnostic,
    Dump,
    Fault,
    Load,
    Loaded,
    Settle,
    Settled,
)

pack = msgspec.msgpack.encode


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


@pytest.mark.parametrize(
    ("workers", "notes"),
    [(0, []), (1, []), (3, ["activation 'random' runs on one worker: 3 were asked for"])],
)
def test_a_sequential_regime_runs_on_one_worker_and_says_so_when_more_were_asked_for(
    workers, notes
):
    sim = simulation(workers, activation="random")
    sim.start()
    sim.workers_ready([100], 0.0)
    checked = Checked(worker=0, epoch=EPOCH, diagnostics=[], counts=[40_000, 4])
    (effect,) = all_answer(sim, checked)
    assert isinstance(effect.order, Load)
    assert (effect.order.workers, effect.order.activation) == (1, "random")
    all_answer(sim, Loaded(worker=0, epoch=EPOCH, vm="luajit21"))
    (reply,) = all_answer(sim, stepped(0, 0))
    info = reply.reply.simulation
    assert (info.workers, info.activation, info.notes) == (1, "random", notes)


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
    assert info.digest == digest_of([bytes([s]) * 16 for s in range(8)], ENVIRONMENT, next_id=9)
    assert (info.phase, info.tick, info.stopped) == ("ready", 1, "ticks")
    assert (info.elapsed_s, info.ticks_per_s) == (2.0, 0.5), "the digest is not timed"
    # What the digest took in is delivered: the next run starts without it.
    assert sim.run(3, RunSimulation(sim=sim.name, ticks=1), 9.0) == [
        SendOrder(0, step_order(2)),
        SendOrder(1, step_order(2)),
    ]


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ([b"other environment"[:16]], "the workers' copies of the environment differ"),
        ([], "the workers did not give a digest of every part"),
        ([b"short"], "the workers did not give a digest of every part"),
    ],
)
def test_workers_whose_environments_differ_are_an_internal_fault(last, message):
    sim = opened(workers=2, ticks=1)
    first, (answer, blobs) = dumped(all_answer(sim, stepped(0, 1), stepped(1, 1)), 1)
    sim.handle(0, *first, 1.0)
    reply, release = sim.handle(1, answer, [*blobs[:-1], *last], 1.0)
    info = reply.reply.simulation
    assert info.error.message == f"internal error in tick 1: {message}"
    assert info.digest == ""
    assert release == ReleaseWorkers(kill=True)


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
