"""The same result everywhere: digests, sums, random streams, order of tables (4.8–4.11)."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgpack
import pytest
from shares import Shares, in_large_stack, model
from test_random import draws
from worlds import EVERYWHERE, VMS, WORKERS, clean, everywhere, outcome, same_for

CROWD = """
function init(self)
  self.n = 0; self.heard = 0; self.age = 0
  if self.parent then self.parent_was = self.parent end
  if random() < 0.5 then after(random(1, 3), "poke", {k = 1}) end
end
function on.poke(self, msg, from)
  self.n = self.n + msg.k
  self.last = {message()}
end
function on.hello(self, msg, from)
  self.heard = self.heard + 1
  self.who = msg.deep
  local sent, kind, seq = message()
  self.mix = ((self.mix or 0) * 31 + seq + sent * 7 + from) % 1000003
end
function on.bye(self, msg) if msg.x > 0.7 then remove() end end
function step(self)
  self.age = self.age + 1
  local r = random()
  if r < 0.1 then spawn("a", {from = self.id, list = {1, 2}})
  elseif r < 0.15 then spawn("b", {})
  elseif r < 0.2 then remove()
  elseif r < 0.3 then broadcast("b", "hello", {deep = {1, self.id}}, random(1, 3))
  elseif r < 0.4 then broadcast("a", "hello", {deep = 3})
  elseif r < 0.5 then send(choice(agents("a")), "poke", {k = 2}, random(1, 4))
  elseif r < 0.6 and #agents("b") > 0 then send(choice(agents("b")), "bye", {x = random()})
  elseif r < 0.8 then send(choice(agents("a")), "hello", {deep = {x = random(), t = "s"}})
  else after(2, "poke", {k = 5}) end
  record("age", self.age + random())
  if r > 0.95 then log("age", self.age, self.mix) end
end
"""
CHILD = """
function init(self)
  self.heard = 0
  if self.parent and random() < 0.3 then broadcast("a", "hello", {deep = 9}) spawn("a", {}) end
end
function on.hello(self, msg, from)
  self.heard = self.heard + 1
  self.d = msg.deep
  local sent, kind, seq = message()
  self.mix = ((self.mix or 0) * 31 + seq + sent * 7 + from) % 1000003
end
function on.bye(self, msg, from)
  if msg.x > 0.3 then remove() end
  send(choice(agents("a")), "poke", {k = -1})
end
function on.poke(self, msg) end
"""


def crowd() -> Any:
    return model(
        {"a": CROWD, "b": CHILD},
        metrics={
            "n": "count(a)",
            "heard": "mean(b, self.heard)",
            "hellos": "mail('hello')",
            "k": "mail('poke', msg.k)",
            "gini": "gini(a, self.age)",
            "sd": "sd(a, self.heard * 0.1)",
            "median": "quantile(a, self.age + 0.1, 0.5)",
            "old": "share(a, self.age > 10)",
        },
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_4_08_a_crowd_that_does_everything_has_one_outcome_everywhere(seed: int) -> None:
    found = clean(everywhere(crowd(), [60, 30], 25, seed=seed))
    sent, delivered, dead = found.counts
    assert sent > 10_000
    assert min(delivered, dead) > 300
    assert len(found.rows) == 26
    assert len(found.logs) > 20


@pytest.mark.process
def test_4_08_other_processes_with_other_hash_seeds_find_the_same_digest() -> None:
    code = (
        "from shares import *\nfrom test_semantics_same import crowd\n"
        "def go():\n"
        "    s = Shares(crowd(), [60, 30], 2, vm=VM).run(12)\n"
        "    print(s.digest(), s.rows[-1])\n"
        "in_large_stack(go)"
    )
    here = Path(__file__).parent
    printed = set()
    for number, vm in enumerate((*VMS, *VMS)):
        path = os.pathsep.join((str(here.parent), str(here)))
        done = subprocess.run(
            [sys.executable, "-c", f"VM = {vm!r}\n{code}"],
            env={**os.environ, "PYTHONHASHSEED": str(number), "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        printed.add(done.stdout)
    assert len(printed) == 1


def test_4_08_sums_of_floats_over_agents_are_exact_and_rounded_once() -> None:
    source = """
        function init(self)
          self.x = (self.id % 3 - 1) * 1e16 + random() * 0.1
          if self.id == 7 then self.x = 1e300 elseif self.id == 8 then self.x = -1e300 end
        end
        function step(self) record("x", self.x) send(self.id, "pay", {x = self.x}) end
        function on.pay(self) end
    """
    spec = model(
        {"a": source},
        metrics={"s": "sum(a, self.x)", "m": "mean(a, self.x)", "u": "mail('pay', msg.x)",
                 "v": "var(a, self.x, math.abs(self.x) < 1)"},
    )  # fmt: skip
    found = clean(everywhere(spec, [90], 1))
    xs = found.field("x")
    total = float(sum(map(Fraction, xs)))
    small = [Fraction(x) for x in xs if abs(x) < 1]
    mean = sum(small) / len(small)
    variance = sum((x - mean) ** 2 for x in small) / len(small)
    assert total == math.fsum(x for x in xs if abs(x) < 1e299)
    average = total / 90
    assert found.rows[1] == (
        1, {"s": total, "m": average, "u": total, "v": pytest.approx(float(variance), rel=1e-15),
            "x": average, "x.n": 90, "x.sum": total, "x.min": -1e300, "x.max": 1e300},
    )  # fmt: skip


VALUES = """
function init(self)
  self.whole, self.big, self.beyond = 3.0, 2^53, 2^53 * 2
  self.minus, self.half, self.nan, self.inf = -0.0, 0.5, -(0 / 0), -1 / 0
  self.list, self.empty, self.holes = {1, "x", true}, {}, {1, nil, 3}
  self.mixed = {[2] = "two", [1] = "one", b = "B", a = "A", [-1.5] = "less", [true] = "T"}
  self.mixed[false] = "F"
  self.bytes = "\\255"
  self.no = nil
end
function on.note(self) end
function step(self) send(self.id % 2 + 1, "note", {b = 1, a = {2}}, 3) send(1, "note") end
"""


def test_4_09_a_shard_is_canonical_msgpack_by_id_and_the_digest_is_made_of_shards() -> None:
    def dumped(place: tuple[int, str]) -> tuple[dict[int, bytes], str]:
        world = Shares(model({"a": VALUES}), [2], place[0], vm=place[1]).run(1)
        return dict(sorted(world.dump()[0].items())), world.digest()

    shards, digest = same_for(EVERYWHERE, dumped)
    state = {
        "beyond": 2.0**54,
        "big": 2**53,
        "bytes": "\udcff",
        "empty": {},
        "half": 0.5,
        "holes": {1: 1, 3: 3},
        "inf": -math.inf,
        "list": [1, "x", True],
        "minus": -0.0,
        "mixed": {False: "F", True: "T", -1.5: "less", "1": "one", "2": "two", "a": "A", "b": "B"},
        "nan": math.nan,
        "whole": 3,
    }

    def shard(id_: int, mail: list[Any]) -> bytes:
        packed = msgpack.packb([[id_, "a", state, mail]], unicode_errors="surrogateescape")
        assert isinstance(packed, bytes)
        # the keys 1 and 2, which a Python dict cannot hold beside True, are written as text above
        return packed.replace(b"\xa11\xa3one\xa12\xa3two", b"\x01\xa3one\x02\xa3two")

    body = {"a": [2], "b": 1}
    expected = {
        0: shard(1, [
            [2, 1, 1, 2, "note", {}], [2, 1, 2, 2, "note", {}], [4, 1, 2, 1, "note", body],
        ]),
        1: shard(2, [[4, 1, 1, 1, "note", body]]),
    }  # fmt: skip
    assert shards == expected
    content = b"".join(hashlib.blake2b(expected[s], digest_size=16).digest() for s in (0, 1))
    content += bytes(16) + (3).to_bytes(8, "little")
    assert digest == hashlib.blake2b(content, digest_size=16).hexdigest()


@pytest.mark.parametrize(("agents", "size"), [(1, 1), (64, 1), (65, 2), (200, 4), (70_000, 1024)])
def test_4_09_shards_are_blocks_of_a_64th_of_the_initial_agents_between_1_and_1024(
    agents: int, size: int
) -> None:
    def ids() -> list[list[int]]:
        world = Shares(model({"a": "function step(self) end"}), [agents], 3)
        return [[one[0] for one in msgpack.unpackb(s)] for _, s in sorted(world.dump()[0].items())]

    blocks = in_large_stack(ids)
    assert blocks == [
        list(range(first, min(first + size, agents + 1))) for first in range(1, agents + 1, size)
    ]


def test_4_09_seed_parameters_logs_and_rows_are_not_in_the_digest_but_state_mail_and_ids_are() -> (
    None
):
    source = """
        function init(self) self.x = param.given end
        function on.note(self) end
        function step(self)
          if param.does == "log" then log("x") record("x", random()) end
          if param.does == "mail" then send(1, "note") end
          if param.does == "ids" and self.id == 1 and tick() == 1 then spawn("b") end
        end
    """
    going = "function init(self) if self.parent then remove() end end"
    spec = model({"a": source, "b": going}, parameters={"does": "nothing", "given": 1})

    def digest(does: str, given: int = 1, seed: int = 1) -> str:
        options = {"does": does, "given": given}
        return clean(everywhere(spec, [3, 0], 3, parameters=options, seed=seed)).digest

    plain = digest("nothing")
    assert [digest("log") == plain, digest("nothing", seed=7) == plain] == [True, True]
    assert len({plain, digest("mail"), digest("ids"), digest("nothing", given=2)}) == 4


def test_4_09_there_is_no_digest_after_a_fault() -> None:
    def fault() -> Any:
        source = "local function pick(f) return f end function step(self) self.f = pick(print) end"
        world = Shares(model({"a": source}), [3], 2).run(2)
        world.dump(digest=True)
        return world.fault

    found = in_large_stack(fault)
    assert (found.agent, found.tick) == (1, 2)
    assert found.message.startswith("self.f is a function")


@pytest.mark.parametrize("seed", [0, 1, 2**53 - 1])
def test_4_10_a_stream_per_seed_id_and_tick_goes_on_through_state_init_handlers_and_step(
    seed: int,
) -> None:
    source = """
        function init(self) self.b, self.c = random(), math.random() end
        function on.note(self) self.x = self.x or {} self.x[#self.x + 1] = random() end
        function step(self)
          self.x = self.x or {}
          self.x[#self.x + 1] = random()
          if tick() == 1 then
            for n = 1, 10 do local unused = self.id ~= 2 and random() end
            send(2, "note") send(2, "note")
            if self.id == 3 then spawn("a") end
          end
        end
    """
    spec = model({"a": source}, state={"a": {"a": "random()"}})
    found = clean(everywhere(spec, [3], 2, seed=seed))
    for id_, born in ((1, 0), (2, 0), (3, 0), (4, 1)):
        state = found.state(id_)
        assert [state["a"], state["b"], state["c"]] == draws(seed, id_, born, 3)
    step = [draws(seed, id_, 1, 1) + draws(seed, id_, 2, 1) for id_ in (1, 3)]
    assert [found.state(1)["x"], found.state(3)["x"]] == step
    assert found.state(2)["x"] == draws(seed, 2, 1, 1) + draws(seed, 2, 2, 7)
    assert found.state(4)["x"] == draws(seed, 4, 2, 1)


def test_4_11_pairs_walks_numbers_then_strings_sorted_whatever_was_put_in_when() -> None:
    source = """
        local function walk(t)
          local s = ""
          for k, v in pairs(t) do s = s .. tostring(k) .. " " end
          return s
        end
        function init(self)
          local t, keys = {}, {"b", "a", 10, 2, -1, 1.5, "B", 1, 3}
          for n = 1, #keys do t[keys[(n * (self.id + 1)) % #keys + 1]] = n end
          for n = 1, 50 do t["x" .. n] = n end
          for n = 50, 1, -1 do t["x" .. n] = nil end
          self.all = walk(t)
          self.next = tostring(next(t)) .. tostring(next({}))
        end
    """
    found = clean(everywhere(model({"a": source}), [9], 0))
    ids = [i for i in range(1, 10) if math.gcd(i + 1, 9) == 1]
    assert {found.state(i)["all"] for i in ids} == {"-1 1 1.5 2 3 10 B a b "}
    assert {found.state(i)["next"] for i in ids} == {"-1nil"}


def test_4_11_the_length_of_a_table_depends_on_its_content_alone() -> None:
    source = """
        function init(self)
          local grown, filled, cut = {}, {1, 2, 3, nil, 5, nil, nil, 8}, {}
          for n = 8, 1, -1 do grown[n] = n end
          for n = 1, 100 do cut[n] = n end
          for n = 100, 9, -1 do cut[n] = nil end
          for _, n in ipairs({4, 6, 7}) do grown[n] = nil cut[n] = nil end
          self.lengths = {#grown, #filled, #cut}
          grown[#grown + 1] = "end" table.insert(filled, "end") cut[#cut + 1] = "end"
          self.grown, self.filled, self.cut = grown, filled, cut
        end
    """
    state = clean(everywhere(model({"a": source}), [1], 0)).state(1)
    assert state["lengths"][0] == state["lengths"][1] == state["lengths"][2]
    assert state["grown"] == state["filled"] == state["cut"]


def test_4_11_text_shows_no_address_and_numbers_alike_on_both_vms() -> None:
    source = """
        function init(self)
          self.text = table.concat({tostring({}), tostring(print), tostring(init), tostring(on),
            tostring(0 / 0), tostring(-(0 / 0)), tostring(1 / 0), tostring(3.0), tostring(2^53),
            tostring(1e15), tostring(1e100), tostring(0.1), tostring(-0.0), 7 .. "", 1e15 .. "",
            string.format("%d %s %g %5.2f", 3.0, 0 / 0, 1e20, 2 / 3)}, " ")
        end
    """
    text = clean(everywhere(model({"a": source}), [2], 0)).state(2)["text"]
    assert "0x" not in text
    assert text == (
        "<table> <function> <function> <table> nan nan inf 3 9.007199254741e+15 "
        "1e+15 1e+100 0.1 -0 7 1e+15 3 nan 1e+20  0.67"
    )


def test_4_11_a_table_or_function_as_key_is_refused_by_name_when_it_is_walked() -> None:
    source = "function step(self) local t = {[print] = 1} for k in pairs(t) do end end"
    fault = everywhere(model({"a": source}), [2], 1).fault
    assert fault is not None
    assert (fault.agent, fault.line) == (1, 1)
    assert "function" in fault.message
    assert "key" in fault.message


def test_the_places_that_these_tests_compare_are_the_promised_ones() -> None:
    assert {workers for workers, _ in EVERYWHERE} == set(WORKERS) == {1, 2, 3, 5}
    assert {vm for _, vm in EVERYWHERE} == set(VMS)
    assert in_large_stack(lambda: outcome(Shares(crowd(), [6, 3], 5)).fault) is None
