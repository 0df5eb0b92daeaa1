"""Delays, the order of a mailbox, bodies, and what cannot be sent (design 4.3, 4.5, 4.16)."""

from __future__ import annotations

import pytest
from shares import model
from worlds import Outcome, clean, everywhere

NOTE = """
function on.note(self, msg, from)
  local sent, kind, seq = message()
  self.box = (self.box or "") .. sent .. "/" .. from .. "/" .. seq .. " "
end
function on.boxed(self, msg, from) on.note(self, msg, from) end
"""


def test_4_03_a_message_sent_in_t_with_delay_d_is_delivered_in_t_plus_d() -> None:
    source = """
        function on.note(self, msg, from) log(msg.d, tick()) end
        function step(self)
          if tick() == 2 and self.id == 1 then
            for d = 1, 4 do send(3, "note", {d = d}, d) end
            after(2, "note", {d = "own 2"}) after(1, "note", {d = "own 1"})
            broadcast("a", "note", {d = "all 3"}, 3)
            send(2, "note", {d = "default"})
          end
        end
    """
    found = clean(everywhere(model({"a": source}), [3], 7))
    assert found.lines() == [
        (3, 1, "own 1\t3"), (3, 2, "default\t3"), (3, 3, "1\t3"),
        (4, 1, "own 2\t4"), (4, 3, "2\t4"),
        (5, 2, "all 3\t5"), (5, 3, "3\t5"), (5, 3, "all 3\t5"),
        (6, 3, "4\t6"),
    ]  # fmt: skip
    assert found.counts == (9, 9, 0)


def test_4_03_a_mailbox_is_read_by_sent_tick_then_sender_in_agent_order_then_sequence() -> None:
    """Columns, boxed bodies, broadcasts, delays; senders of two types, one of them born late."""
    sender = (
        NOTE
        + """
        function init(self) if self.parent then send(1, "note", {}) end end
        function step(self)
          local body = {t = {}}
          if tick() == 1 and self.id == 4 then spawn("first") end
          if tick() == 1 then send(1, "note", {}, 3) end
          if tick() == 2 then send(1, "boxed", body, 2) send(1, "note", {}, 2) end
          if tick() == 3 then
            broadcast("reader", "note", {})
            send(1, "note", {})
            broadcast("reader", "boxed", body)
          end
        end
    """
    )
    reader = NOTE
    spec = model({"reader": reader, "first": sender, "second": sender})
    found = clean(everywhere(spec, [1, 2, 2], 4))
    newborn = "1/6/1 "
    first = "".join(f"1/{s}/1 " for s in (2, 3, 4, 5))
    # agent 6 is of the first type: its mail comes before that of 4 and 5, which are of the second
    second = "".join(f"2/{s}/1 2/{s}/2 " for s in (2, 3, 6, 4, 5))
    third = "".join(f"3/{s}/1 3/{s}/2 3/{s}/3 " for s in (2, 3, 6, 4, 5))
    assert found.state(1)["box"] == newborn + first + second + third


def test_4_03_newborns_mail_of_one_close_stands_in_agent_order_among_the_mail_of_the_turns() -> (
    None
):
    source = (
        NOTE
        + """
        function init(self) if self.parent then send(1, "note", {}) send(1, "note", {}) end end
        function step(self)
          if tick() == 1 then spawn(self.id % 2 == 0 and "a" or "b") send(1, "note", {}) end
        end
    """
    )
    found = clean(everywhere(model({"a": source, "b": source}), [3, 3], 2))
    # born: 7 b, 8 a, 9 b (of 1, 2, 3), 10 a, 11 b, 12 a (of 4, 5, 6)
    twice = "".join(f"1/{s}/1 1/{s}/2 " for s in (8, 10, 12))
    assert found.state(1)["box"] == (
        "1/1/1 1/2/1 1/3/1 " + twice + "1/4/1 1/5/1 1/6/1 "
        + "".join(f"1/{s}/1 1/{s}/2 " for s in (7, 9, 11))
    )  # fmt: skip


def test_4_03_sequence_numbers_count_all_sends_of_the_sender_in_the_tick() -> None:
    source = (
        NOTE
        + """
        function step(self)
          if tick() == 1 then
            send(self.id % 3 + 1, "note", {}) after(1, "note") broadcast("a", "note", {x = {}})
            send(self.id % 3 + 1, "note", {}, 2) send(self.id % 3 + 1, "boxed", {t = {1}})
          end
        end
    """
    )
    found = clean(everywhere(model({"a": source}), [3], 3))
    assert found.field("box") == [
        "1/1/2 1/2/3 1/3/1 1/3/3 1/3/5 1/3/4 ",
        "1/1/1 1/1/3 1/1/5 1/2/2 1/3/3 1/1/4 ",
        "1/1/3 1/2/1 1/2/3 1/2/5 1/3/2 1/2/4 ",
    ]


def test_4_03_message_says_sent_tick_kind_and_sequence_and_is_refused_outside_a_handler() -> None:
    source = """
        function on.note(self) local sent, kind, seq = message() log(sent, kind, seq) end
        function step(self)
          if tick() == 1 then send(2, "note", {}, 2) end
          if tick() == 4 and self.id == 2 then message() end
        end
    """
    found = everywhere(model({"a": source}), [2], 4)
    assert found.fault is not None
    assert (found.fault.message, found.fault.agent, found.fault.line) == (
        "message() speaks of the message being handled: call it inside a handler, "
        "not in init or step",
        2,
        5,
    )
    read = clean(everywhere(model({"a": source}), [2], 3))
    assert read.lines() == [(3, 2, "1\tnote\t1"), (3, 2, "1\tnote\t1")]


def test_4_16_bodies_are_trees_and_recipient_and_sender_share_nothing() -> None:
    source = """
        function on.note(self, msg, from)
          msg.t.n = msg.t.n + 100
          msg.again[1] = "mine"
          self.got = self.got or {}
          self.got[#self.got + 1] = msg
        end
        function step(self)
          if tick() == 1 and self.id == 1 then
            local t = {n = 1}
            local body = {t = t, again = {t, 2}, nan = 0 / 0, minus = -0.0, empty = {}}
            send(2, "note", body)
            t.n = 2
            send(2, "note", body)
            broadcast("a", "note", body)
            t.n = 3
            self.kept = t
          end
        end
    """
    found = clean(everywhere(model({"a": source}), [3], 2))
    assert found.state(1) == {"kept": {"n": 3}}

    def body(n: int) -> dict[str, object]:
        return {"again": ["mine", 2], "empty": {}, "minus": -0.0, "t": {"n": n}}

    got = [{k: v for k, v in one.items() if k != "nan"} for one in found.state(2)["got"]]
    assert repr(got) == repr([body(101), body(102), body(102)])
    assert all(one["nan"] != one["nan"] for one in found.state(2)["got"])


def test_4_03_a_named_agent_is_reached_by_its_name() -> None:
    source = "function step(self) if tick() == 1 then send('bank', 'note', {}) end end"
    spec = model({"a": source, "bank": NOTE}, aliases={"bank": "bank"})
    found = clean(everywhere(spec, [3, 1], 2))
    assert found.state(4) == {"box": "1/1/1 1/2/1 1/3/1 "}


REFUSED = {
    "send(9, 'note', {n = 1})": (
        "no agent has the id 9: ids are whole numbers from 1 to 4 so far; send to an "
        "id, to the name of a single agent, or use broadcast(type, kind, body) for a "
        "whole type"
    ),
    "send(-0.5, 'note')": "no agent has the id -0.5: ids are",
    "send(-1, 'note', {n = 1})": "no agent has the id -1: ids are",
    "send(1.5, 'note', {n = 1})": "no agent has the id 1.5: ids are",
    "send(1.5, 'only', {n = 1})": "no agent has the id 1.5: ids are",
    "send(0 / 0, 'note', {n = 1})": "no agent has the id nan: ids are",
    "send(1 / 0, 'note', {n = 1})": "no agent has the id inf: ids are",
    "send(2 ^ 40, 'note', {n = 1})": "no agent has the id 1099511627776: ids are",
    "send({}, 'note', {n = 1})": "no agent has the id a table: ids are",
    "send(nil, 'note', {n = 1})": "the recipient is nil (lists begin at 1",
    "local to = 'nobody' send(to, 'note', {n = 1})": (
        'no agent is named "nobody": give a type of count 1 a name'
    ),
    "local to = 'environment' send(to, 'note')": "this model has no environment to send to",
    "send(1, 'only', {n = 1})": (
        "agent 1 is of type 'a', which has no handler for 'only': add function "
        "on.only(self, msg, from) to agents/a.lua, or send it to another type"
    ),
    "send(1, 'only', {n = {}})": "agent 1 is of type 'a', which has no handler for 'only'",
    "local to = 'a' broadcast(to, 'only', {n = 1})": (
        "type 'a' has no handler for 'only': add function"
    ),
    "local to = 'a' broadcast(to, 'only', {n = {}})": (
        "type 'a' has no handler for 'only': add function"
    ),
    "local body = 7 send(1, 'note', body)": (
        "a message's body is a table, not 7: send(to, kind, {value = 7})"
    ),
    "local d = 0 send(1, 'note', {n = 1}, d)": (
        "a delay is a whole number of ticks from 1 to 1000000000, not 0"
    ),
    "local d = 1.5 send(1, 'note', {n = 1}, d)": (
        "a delay is a whole number of ticks from 1 to 1000000000, not 1.5"
    ),
    "local d = 0 / 0 send(1, 'note', {n = 1}, d)": "a delay is a whole number of ticks",
    "send(1, 'note', {n = 1}, 1 / 0)": "a delay is a whole number of ticks",
    "local d = -1 send(1, 'note', {n = 1}, d)": "a delay is a whole number of ticks",
    "local d = '2' send(1, 'note', {n = 1}, d)": (
        'a delay is a whole number of ticks from 1 to 1000000000, not "2"'
    ),
    "local d = 0 broadcast('a', 'note', {n = 1}, d)": "a delay is a whole number of ticks",
    "local d = 0 after(d, 'note', {n = 1})": "a delay is a whole number of ticks",
    "after(nil, 'note', {n = 1})": "a delay is a whole number of ticks",
    "send(1, 'note', {f = print})": "body.f is a function",
    "local f = print send(1, 'note', {n = {f}})": "body.n[1] is a function",
    "local t = {} t.t = t send(1, 'note', t)": (
        "nested deeper than 32 tables (does it contain itself?)"
    ),
    "send(1, 'note', {n = setmetatable({}, {})})": "body.n is a table with a metatable",
    "local t = {} for i = 1, 10001 do t[i] = i end send(1, 'note', t)": "body",
    "local t = {s = string.rep('x', 262145)} send(1, 'note', t)": "body",
    "local fields = 5 spawn('a', fields)": "spawn(type, fields): fields is a table, not 5",
    "local fields = {id = 5} spawn('a', fields)": (
        "spawn: id and type are given by the engine; use other field names"
    ),
    "local fields = {n = {print}} spawn('a', fields)": "fields.n[1] is a function",
    "local go = remove go(5)": "remove() takes no argument: an agent removes itself;",
    "record('x', 'much')": "record('x', value): value is a number, not \"much\"",
}


def refusal(call: str) -> Outcome:
    source = f"""
function on.note(self) end
function step(self)
  if tick() == 2 and self.id >= 2 then
    {call}
  end
end
"""
    other = """
        function on.only(self, msg) end
        function step(self) send(4, "only") send(4, "only", {n = 2}) end
    """
    spec = model({"a": source, "b": other}, metrics={"n": "count(a)"})
    return everywhere(spec, [3, 1], 3, places=[(1, "luajit21"), (3, "luajit21"), (1, "lua52")])


@pytest.mark.parametrize("call", REFUSED)
def test_4_05_what_cannot_be_sent_is_a_fault_of_the_sender_with_its_line(call: str) -> None:
    fault = refusal(call).fault
    assert fault is not None
    assert REFUSED[call] in fault.message
    assert (fault.kind, fault.agent, fault.agent_type, fault.tick) == ("script", 2, "a", 2)
    assert (fault.file, fault.line, fault.handler) == ("agents/a.lua", 5, "step")
