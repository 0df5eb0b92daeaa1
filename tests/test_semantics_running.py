"""Placement, grants, endings, epochs and reuse of a worker (design 4.18–4.20)."""

from __future__ import annotations

from typing import Any

import msgpack
import msgspec
import pytest
from shares import Shares, in_large_stack, model
from test_semantics_same import crowd
from worlds import ON_EACH_VM, WORKERS, clean, everywhere, outcome, same_for
from written import written

from runtime import protocol as p
from workers.host import Host

COUNTER = "function step(self) self.n = self.n + 1 if param.at == tick() then error('now') end end"


def counting(**options: Any) -> p.ModelSpec:
    return model(
        {"a": COUNTER},
        state={"a": {"n": "0"}},
        parameters={"at": -1},
        metrics={"n": "sum(a, self.n)"},
        **options,
    )


def load(spec: p.ModelSpec, count: int, **options: Any) -> p.Load:
    settings: dict[str, Any] = {
        "epoch": 1, "worker": 0, "workers": 1, "model": spec, "seed": 1, "counts": [count],
        "parameters": {q.name: q.default for q in spec.parameters}, "shard_size": 1,
        "placement": [0] * count, **options,
    }  # fmt: skip
    return p.Load(**settings)


def test_4_18_shards_hold_consecutive_ids_and_newborns_go_where_the_orders_say() -> None:
    source = "function step(self) if tick() == 1 and self.id <= 10 then spawn('a') end end"

    def agents() -> list[list[int]]:
        world = Shares(model({"a": source}), [90], 3)
        first = [one.agents[0] for one in world.answers]
        world.run(1)
        assert world.placement == [s * 3 // 45 for s in range(45)] + [0, 1, 2, 0, 1]
        return [first, [one.agents[0] for one in world.answers]]

    # shards of two: 15 shards a worker, then five new ones in turn
    assert in_large_stack(agents) == [[30, 30, 30], [34, 34, 32]]


def test_4_18_wherever_newborns_are_placed_the_outcome_is_the_same() -> None:
    class Elsewhere(Shares):
        def _grow(self, spawned: int) -> list[int]:
            before = len(self.placement)
            super()._grow(spawned)
            new = [(7 * s + 1) % 2 * 2 for s in range(before, len(self.placement))]
            self.placement[before:] = new
            return new

    def run(kind: type[Shares]) -> Any:
        return clean(outcome(kind(crowd(), [60, 30], 3).run(15)))

    assert same_for([Shares, Elsewhere], run).tick == 15


def test_4_19_a_grant_is_answered_with_all_rows_at_the_last_tick() -> None:
    def run(vm: str) -> Any:
        host = Host()
        host.handle(load(counting(), 3, vm=vm), [])
        host.handle(p.Step(epoch=1, tick=0, last=0), [])
        answer, blobs = host.handle(p.Step(epoch=1, tick=1, last=500, grant_ms=60_000), [])
        assert isinstance(answer, p.Stepped)
        return answer.tick, answer.more, blobs, msgpack.unpackb(answer.rows)

    rows = [[t, {"n": 3 * t}] for t in range(1, 501)]
    assert same_for(ON_EACH_VM, run) == (500, False, [], rows)


def test_4_19_a_grant_that_is_over_is_answered_early_and_the_next_goes_on() -> None:
    def run(vm: str) -> Any:
        host = Host()
        host.handle(load(counting(), 3, vm=vm), [])
        host.handle(p.Step(epoch=1, tick=0, last=0), [])
        rows, first, answers = [], 1, 0
        while first <= 300:
            answer, _ = host.handle(p.Step(epoch=1, tick=first, last=300, grant_ms=0.0), [])
            assert isinstance(answer, p.Stepped)
            assert answer.more == (answer.tick < 300)
            rows += msgpack.unpackb(answer.rows)
            first, answers = answer.tick + 1, answers + 1
        assert answers > 5
        return rows

    assert same_for(ON_EACH_VM, run) == [[t, {"n": 3 * t}] for t in range(1, 301)]


def test_4_19_a_grant_ends_early_on_a_fault_with_the_rows_until_then() -> None:
    found = everywhere(counting(), [3], 100, parameters={"at": 37})
    assert found.fault is not None
    assert (found.tick, found.fault.tick, found.fault.agent) == (36, 37, 1)
    assert [tick for tick, _ in found.rows] == list(range(37))


ENDINGS = {
    # what holds in tick 5 besides the number of ticks: the ending that is reported
    (): "",
    ("until",): "until",
    ("stop",): "stop",
    ("until", "stop"): "stop",
    ("invariant", "until", "stop"): "invariant",
    ("error", "invariant", "until", "stop"): "error",
}


@pytest.mark.parametrize("causes", ENDINGS)
def test_4_19_endings_have_a_precedence_error_invariant_stop_until_ticks(
    causes: tuple[str, ...],
) -> None:
    spec = counting(
        stop="n >= 15" if "stop" in causes else "",
        invariants={"small": "n < 15"} if "invariant" in causes else {},
    )
    until = "n > 14 and tick == 5" if "until" in causes else ""
    at = 5 if "error" in causes else -1
    found = everywhere(spec, [3], 5 if not causes else 9, until=until, parameters={"at": at})
    expected = ENDINGS[causes]
    if expected == "error":
        assert (found.tick, found.ended, found.fault is not None) == (4, "", True)
        return
    assert (found.tick, found.ended) == (5, expected)
    assert (
        found.ended_by == {"": "", "until": until, "stop": "stop", "invariant": "small"}[expected]
    )
    assert (found.fault is not None) == (expected == "invariant")
    assert found.rows[-1] == (5, {"n": 15})


def test_4_19_stop_and_invariants_are_looked_at_in_tick_0_and_in_a_runs_last_tick() -> None:
    assert everywhere(counting(stop="n == 0"), [3], 9).tick == 0
    assert everywhere(counting(invariants={"some": "n > 0"}), [3], 9).ended == "invariant"
    assert everywhere(counting(), [3], 4, until="n == 12").ended == "until"


def test_4_19_an_ending_that_reads_a_thinned_metric_is_looked_at_in_its_ticks() -> None:
    spec = counting(stop="n > 6")
    thin = tuple(msgspec.structs.replace(metric, every=4) for metric in spec.metrics)
    found = everywhere(msgspec.structs.replace(spec, metrics=thin), [3], 9)
    # n is 9 in tick 3, but evaluated in ticks 0, 4 and 8
    assert (found.tick, found.ended) == (4, "stop")
    assert [row["n"] for _, row in found.rows] == [0, None, None, None, 12]


@pytest.mark.parametrize("until", ["seen > 1", "seen + 1 > 2", "mean(a, self.n, self.n > 1) > 1"])
def test_4_19_an_ending_that_compares_with_nothing_is_looked_at_when_there_is_something(
    until: str,
) -> None:
    source = "function step(self) self.n = tick() if tick() > 2 then record('seen', tick()) end end"
    spec = model({"a": source}, state={"a": {"n": "0"}})
    found = everywhere(spec, [3], 9, until=until)
    assert (found.tick, found.ended) == (2 if "mean" in until else 3, "until")
    found = everywhere(spec, [3], 9, until="tick.x > 1")
    assert found.fault is not None


def test_4_19_more_agents_than_fit_are_refused_before_they_are_made() -> None:
    order = load(counting(), 0, counts=[10**9], shard_size=10**9, memory_bytes=1 << 30)
    answer, _ = Host().handle(order, [])
    assert isinstance(answer, p.Loaded)
    assert answer.fault is not None
    assert answer.fault.message == (
        "1000000000 agents need at least 68664 MB a worker, and its limit is 1024 MB"
    )


def test_4_20_every_answer_carries_the_epoch_and_worker_of_its_order() -> None:
    def run(_: object) -> list[tuple[int, int, int]]:
        host = Host()
        orders = [
            load(counting(), 2, worker=3, epoch=7, workers=4, placement=[3, 0]),
            p.Step(epoch=7, tick=0, last=0), p.Step(epoch=8, tick=1, last=1),
            p.Dump(epoch=9, tick=1, shards=[0]), p.Query(epoch=10, tick=1, agent_type="a"),
            p.Unload(epoch=11), p.Step(epoch=12, tick=2, last=2),
        ]  # fmt: skip
        answers = [host.handle(order, [])[0] for order in orders]
        assert [type(a).__name__ for a in answers] == [
            "Loaded", "Stepped", "Stepped", "Dumped", "Queried", "Unloaded", "Refused",
        ]  # fmt: skip
        return [(a.epoch, a.worker, a.tick) for a in answers]  # type: ignore[union-attr]

    assert same_for([1], run) == [
        (7, 3, -1), (7, 3, 0), (8, 3, 1), (9, 3, 1), (10, 3, 1), (11, 3, -1), (12, 3, 1),
    ]  # fmt: skip


def test_4_20_an_order_out_of_place_is_refused_and_changes_nothing() -> None:
    def run(_: object) -> list[str]:
        host = Host()
        reasons = []
        for order in (
            p.Step(epoch=1, tick=0, last=0), p.Close(epoch=1, tick=0, changes=[]), p.Stop(epoch=1),
            load(model({"a": "function step(self"}), 1),
        ):  # fmt: skip
            answer, blobs = host.handle(order, [])
            assert isinstance(answer, p.Refused)
            assert blobs == []
            reasons.append(answer.reason)
        return reasons

    step, close, stop, broken = same_for([1], run)
    assert step == "Step before Load: no simulation is hosted here"
    assert close == "Close before Load: no simulation is hosted here"
    assert stop == "Stop is not an order for a host"
    assert broken.startswith("the model does not check: agents/a.lua:1:")


def test_4_20_a_worker_is_reused_for_another_simulation_and_keeps_nothing_of_the_last() -> None:
    def run(vm: str) -> bool:
        host, digests = Host(), []
        for spec, count in ((counting(), 9), (crowd(), 4), (counting(), 9)):
            counts = [count, 2] if len(spec.types) == 2 else [count]
            host.handle(load(spec, 0, counts=counts, placement=[0] * sum(counts), vm=vm), [])
            host.handle(p.Step(epoch=1, tick=0, last=6, grant_ms=60_000), [])
            order = p.Dump(epoch=1, tick=6, shards=list(range(sum(counts))), digest=True)
            digests.append(host.handle(order, [])[1])
            host.handle(p.Unload(epoch=1), [])
        return digests[0] == digests[2] != digests[1]

    assert same_for(ON_EACH_VM, run)


def test_4_20_a_check_beside_a_hosted_simulation_does_not_disturb_it() -> None:
    def run(_: object) -> bool:
        quiet = Shares(counting(), [5]).run(4)
        busy = Shares(counting(), [5]).run(2)
        check = p.Check(epoch=1, model=crowd(), parameters={}, dry_ticks=3)
        answer, _ = busy._hosts[0].handle(check, [])
        assert isinstance(answer, p.Checked)
        assert [d for d in answer.diagnostics if d.severity == "error"] == []
        return busy.run(4).digest() == quiet.digest()

    assert same_for(WORKERS[:1], run)


def test_a_failure_in_a_query_that_a_metric_calls_stands_where_the_query_is() -> None:
    toml = '[environment]\n[agents.a]\ncount = 4\n[metrics]\nm = "env.long()"\n'
    environment = "function query.long(env)\n  return #string.rep('x', 1e9)\nend\n"
    fault = everywhere(written(toml, a="", environment=environment), [4], 1).fault
    assert fault is not None
    assert (fault.kind, fault.handler, fault.tick) == ("metric", "m", 0)
    assert (fault.file, fault.line) == ("environment.lua", 2)
