"""Shards dumped and loaded: what was restored goes on as before (design 4.16, 4.17)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from shares import Shares, in_large_stack, model
from test_semantics_same import crowd
from worlds import Outcome, clean, outcome, same_for

from runtime import protocol as p
from workers.host import Host

MOVES = (
    (1, "luajit21", 3, "lua52"),
    (2, "luajit21", 1, "luajit21"),
    (3, "lua52", 5, "luajit21"),
    (5, "luajit21", 2, "lua52"),
)


def through_a_restore(spec: p.ModelSpec, counts: list[int], at: int, last: int) -> Outcome:
    """The outcome at ``last``, equal with and without a dump and restore at the end of tick ``at``.

    Dead letters are left out: a dump holds mail to the living.
    """

    def without_dead(found: Outcome) -> Outcome:
        return replace(found, counts=(*found.counts[:2], 0))

    def run(move: tuple[int, str, int, str] | None) -> Outcome:
        if move is None:
            return without_dead(outcome(Shares(spec, counts).run(last)))
        workers, vm, more, other = move
        world = Shares(spec, counts, workers, vm=vm).run(at)
        digest = world.digest()
        fork = world.restored(more, other)
        assert fork.fault is None, fork.fault
        assert fork.digest() == digest
        before = outcome(world)
        after = outcome(fork.run(last))
        assert outcome(world.run(last)).digest == after.digest
        return replace(
            after,
            rows=[*before.rows, *after.rows],
            logs=[*before.logs, *after.logs],
            counts=(before.counts[0] + after.counts[0], before.counts[1] + after.counts[1], 0),
        )

    found: Outcome = same_for((None, *MOVES), run)
    return clean(found)


@pytest.mark.parametrize("at", [0, 1, 7])
def test_4_17_a_restored_crowd_goes_on_identically_on_any_number_of_workers(at: int) -> None:
    def run(move: tuple[int, str, int, str] | None) -> Any:
        if move is None:
            whole = outcome(Shares(crowd(), [60, 30], seed=4).run(12))
            return whole.digest, [row for row in whole.rows if row[0] > at]
        workers, vm, more, other = move
        world = Shares(crowd(), [60, 30], workers, vm=vm, seed=4).run(at)
        fork = outcome(world.restored(more, other).run(12))
        assert outcome(world.run(12)).digest == fork.digest
        return fork.digest, fork.rows

    digest, rows = same_for((None, *MOVES), run)
    assert (len(digest), len(rows)) == (32, 12 - at)


def test_4_16_identity_and_cycles_within_an_agent_survive() -> None:
    source = """
        function init(self)
          self.items = {{n = 1}, {n = 2}, {n = 3}}
          self.best = self.items[3]
          self.loop = {name = "loop"}
          self.loop.again = {self.loop}
          self.me = self
          self.twice = {self.items, self.items}
        end
        function step(self)
          self.best.n = self.best.n + 10
          self.found = table.concat({
            tostring(self.items[3] == self.best), self.items[3].n,
            tostring(self.loop.again[1] == self.loop), tostring(self.me == self),
            self.me.id, self.me.type, tostring(rawequal(self.twice[1], self.items)),
            tostring(self.items[1] == self.items[2]),
          }, " ")
        end
    """
    spec = model({"a": source})

    def run(move: tuple[int, str, int, str]) -> tuple[list[Any], bool]:
        world = Shares(spec, [3], move[0], vm=move[1]).run(2)
        again = world.restored(move[2], move[3]).run(3).restored(move[0], move[1]).run(5)
        assert again.fault is None, again.fault
        columns, rows, total = again.query(
            p.Query(epoch=1, tick=5, agent_type="a", fields=["self.found"])
        )
        assert (columns, total) == (["id", "found"], 3)
        return rows, again.digest() == world.run(5).digest()

    assert same_for(MOVES, run) == (
        [[i, f"true 53 true true {i} a true false"] for i in (1, 2, 3)],
        True,
    )


def test_4_16_every_value_that_an_agent_may_keep_survives_bit_by_bit() -> None:
    source = """
        function init(self)
          self.nan, self.inf, self.ninf, self.minus = 0 / 0, 1 / 0, -1 / 0, -0.0
          self.small, self.edge, self.over = 5e-324, 2^53, 2^53 + 2
          self.negative, self.third = -2^53, 1 / 3
          self.yes, self.no, self.text, self.bytes = true, false, "é", "\\0\\255"
          self.holes, self.empty, self.deep = {1, nil, 3, [-1] = "m", [0.5] = "h"}, {}, {{{{{}}}}}
          self.keys = {[true] = 1, [false] = 2, [1] = 3, ["1"] = 4, ["\\255"] = 5}
          self.long = string.rep("x", 70000)
          self.many = {} for n = 1, 70000 do self.many[n] = n % 3 end
        end
        function step(self)
          self.seen = {tostring(self.nan), 1 / self.minus, self.inf == -self.ninf, #self.many}
        end
    """
    found = through_a_restore(model({"a": source}), [2], 0, 1)
    assert found.state(2)["seen"] == ["nan", float("-inf"), True, 70000]


def test_4_17_mail_under_way_with_delays_and_broadcasts_is_part_of_the_state() -> None:
    source = """
        function on.note(self, msg, from)
          local sent, kind, seq = message()
          local read = tick() .. ":" .. sent .. "/" .. from .. "/" .. seq .. msg.t[1]
          self.box = (self.box or "") .. read .. " "
          if self.box_of == nil then self.box_of = msg.t end
        end
        function step(self)
          if tick() <= 4 then
            broadcast("b", "note", {t = {"b"}}, tick())
            send(self.id % 6 + 1, "note", {t = {"d"}}, 3)
            send(self.id % 6 + 1, "note", {t = {"s"}})
            if tick() == 2 and self.id == 2 then remove() end
            if tick() == 3 and self.id == 1 then spawn("b") end
          end
        end
    """
    spec = model({"a": source, "b": source}, metrics={"n": "mail('note')"})
    found = through_a_restore(spec, [4, 3], 3, 8)
    assert found.rows[-1] == (8, {"n": 0})


def test_4_17_changes_that_a_newborn_asked_for_are_carried_over() -> None:
    source = """
        function init(self)
          self.born = tick()
          if self.depth and self.depth > 0 then
            spawn("a", {depth = self.depth - 1, list = {self.id}})
            spawn("b", {depth = 0})
            if self.depth == 1 then remove() end
          end
        end
        function step(self)
          self.acts = (self.acts or 0) + 1
          if tick() == 1 and self.id == 2 then spawn("a", {depth = 3}) end
        end
    """
    for at in (1, 2, 3):
        found = through_a_restore(model({"a": source, "b": source}), [2, 2], at, 6)
        # 5 is born in tick 1; 6, 7 in tick 2; 8, 9 in tick 3, when 8 asks for 10, 11 and leaves
        lives = {i: (s["born"], s.get("acts")) for i, (_, s, _) in found.states.items()}
        assert {i: life for i, life in lives.items() if i > 4} == {
            5: (1, 5), 6: (2, 4), 7: (2, 4), 9: (3, 3), 10: (4, 2), 11: (4, 2),
        }  # fmt: skip


def test_4_17_the_dead_are_remembered_so_that_mail_to_them_is_dead_and_no_fault() -> None:
    source = """
        function on.note(self) end
        function step(self)
          if tick() == 1 and self.id % 3 == 0 then remove() end
          if tick() >= 2 then
            send(3, "note") send(6, "note", {t = {}}) send(9, "note", {}, 2) broadcast("a", "note")
            self.alive = table.concat(agents("a"), " ")
          end
        end
    """
    found = through_a_restore(model({"a": source}), [9], 2, 5)
    assert set(found.field("alive")) == {"1 2 4 5 7 8"}
    # per tick of 2..5: 6 senders, each to three dead and five living; the last tick's is under way
    assert found.counts == (192, 90, 0)


def test_4_17_samples_that_were_recorded_before_stay_columns_after() -> None:
    source = "function step(self) if tick() == 2 then record('once', self.id) end end"
    found = through_a_restore(model({"a": source}), [4], 3, 5)
    columns = ["once", "once.max", "once.min", "once.n", "once.sum"]
    assert [sorted(row) for _, row in found.rows] == [columns] * 6
    assert [row["once"] for _, row in found.rows] == [None, None, 2.5, None, None, None]


def test_4_10_forks_with_one_seed_share_their_random_future_and_others_do_not() -> None:
    source = "function step(self) self.x = random() end"
    spec = model({"a": source})

    def run(_: object) -> list[bool]:
        world = Shares(spec, [5], 2).run(3)
        one, two = world.restored(1), world.restored(3)
        other = world.restored(2)
        other_seed = Shares(spec, [5], 2, seed=2).run(4)
        digests = [w.run(4).digest() for w in (one, two, other)]
        return [len(set(digests)) == 1, other_seed.digest() == digests[0]]

    assert same_for([1], run) == [True, False]


def test_a_dump_that_does_not_fit_is_answered_with_a_fault_and_never_a_crash() -> None:
    spec = model(
        {"a": "function init(self) self.t = {{1}, 'x'} end", "b": "function init(self) end"}
    )

    def run() -> list[bool]:
        world = Shares(spec, [5, 5]).run(1)
        shards, roster = world.dump()

        def faults(shard_blobs: list[bytes], roster_blob: bytes) -> bool:
            load = p.Load(
                epoch=1, worker=0, workers=1, model=spec, parameters={}, seed=1, counts=[5, 5],
                shard_size=1, placement=[0] * 10, tick=1,
            )  # fmt: skip
            answer, _ = Host().handle(load, [*shard_blobs, roster_blob])
            assert isinstance(answer, p.Loaded)
            return answer.fault is not None

        good = [shards[s] for s in range(10)]
        swapped = [good[0].replace(b"\x01\xa1a", b"\x0a\xa1a"), *good[1:]]
        cut = [blob[:-1] for blob in good]
        return [
            faults(good, roster), faults(swapped, roster), faults(cut, roster),
            faults(good, roster[:-3]), faults(good, b""), faults([b"\xc1"] * 10, roster),
        ]  # fmt: skip

    assert in_large_stack(run) == [False, True, True, True, True, True]
