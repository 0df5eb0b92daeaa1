"""Faults and limits: a whole report, the same one for any number of workers (design 4.13–4.15)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from shares import Shares, in_large_stack, model
from worlds import ON_LUAJIT, clean, everywhere, same_for

from runtime import protocol as p
from workers.lua import Kernel


def fault_of(spec: p.ModelSpec, counts: list[int], ticks: int, **options: Any) -> p.Fault:
    found = everywhere(spec, counts, ticks, **options)
    assert found.fault is not None
    return found.fault


SELLER = """\
function init(self)
  self.cash = self.id * 10
end

function on.offer(self, msg, from)
  local limit, word = self.cash / 2, "too much"
  if msg.price > limit then
    self.cash = self.cash + msg.bonus
  end
end

function step(self)
  if tick() == 3 and self.id % 10 == 4 then
    send(self.id + 1, "offer", {price = 90 + self.id, words = {"a", "b"}})
  end
end
"""


def test_4_13_a_script_error_says_what_where_who_when_why_and_what_to_try() -> None:
    assert fault_of(model({"seller": SELLER}), [30], 10, places=ON_LUAJIT) == p.Fault(
        kind="script",
        message="attempt to perform arithmetic on field 'bonus' (a nil value)",
        tick=4,
        agent=5,
        agent_type="seller",
        file="agents/seller.lua",
        line=8,
        handler="on.offer",
        handling='offer {price=94, words={...}} from agent 4',
        excerpt="     7 |   if msg.price > limit then\n"
        ">    8 |     self.cash = self.cash + msg.bonus\n"
        "     9 |   end",
        hint="one operand has no number: set the field in init, or use (x or 0)",
        locals='self = {cash=50, id=5, type="seller"}; msg = {price=94, words={...}}; from = 4',
        order=(1, 0, 1, 5, 0),
    )  # fmt: skip


def test_4_13_the_same_fault_is_reported_on_both_vms_but_for_the_words_of_the_vm() -> None:
    def shown(vm: str) -> dict[str, Any]:
        found = fault_of(model({"seller": SELLER}), [30], 10, places=[(1, vm), (2, vm)])
        told = {name: getattr(found, name) for name in found.__struct_fields__}
        return {**told, "message": ""}

    assert shown("lua52") == shown("luajit21")


def test_4_13_what_is_told_of_the_agent_is_its_own_however_often_the_code_ran_before() -> None:
    """Compiled code leaves the places of variables that it needs no more to others."""
    source = """
        function step(self)
          self.n = self.n + 1
          local twice = self.n * 2
          if twice > 600 + self.id then error("too far") end
        end
    """
    spec = model({"a": source}, state={"a": {"n": "0"}})
    for agents in (1, 3, 40):
        found = fault_of(spec, [agents], 400, places=ON_LUAJIT)
        assert (found.agent, found.tick) == (1, 301)
        assert found.locals == 'self = {id=1, n=301, type="a"}'


def test_4_13_the_simulation_stands_at_the_end_of_the_last_closed_tick() -> None:
    source = """
        function step(self)
          self.n = (self.n or 0) + 1
          if tick() == 40 and self.id == 3 then error("enough") end
        end
    """
    found = everywhere(
        model({"a": source}, metrics={"n": "sum(a, self.n)"}, state={"a": {"n": "0"}}), [4], 99
    )
    assert found.fault is not None
    assert (found.tick, found.fault.tick, found.fault.message) == (39, 40, "enough")
    assert [row["n"] for _, row in found.rows] == [4 * t for t in range(40)]


def test_4_13_the_lowest_in_agent_order_of_several_faults_is_the_one_reported() -> None:
    source = """
        function step(self)
          if tick() == 1 and self.id == 40 then spawn("first") end
          if tick() == 3 and (self.id > 40 or self.id % 16 == 0) then error("mine " .. self.id) end
        end
    """
    other = (
        "function step(self) if tick() == 3 and self.id < 40 then error('mine ' .. self.id) end end"
    )
    # 16 and 48 fault, and 51, a newborn of the first type; all before those of the second type
    found = fault_of(model({"second": other, "first": source}), [10, 40], 5)
    assert (found.agent, found.agent_type, found.message) == (1, "second", "mine 1")
    found = fault_of(model({"first": source, "second": other}), [40, 10], 5)
    assert (found.agent, found.agent_type, found.message) == (16, "first", "mine 16")
    late = source.replace("self.id % 16 == 0", "false")
    found = fault_of(model({"first": late, "second": source}), [40, 10], 5)
    assert (found.agent, found.agent_type, found.message) == (51, "first", "mine 51")


def test_4_13_a_fault_of_an_init_at_the_close_is_the_lowest_newborns() -> None:
    source = """
        function init(self)
          if self.parent and self.id > 8 then
            self.x = nil + 1
          end
        end
        function step(self) if self.id % 2 == 0 then spawn(self.id < 4 and "b" or "a") end end
    """
    found = fault_of(model({"a": source, "b": source}), [3, 4], 3, places=ON_LUAJIT)
    # born in tick 1: 8 b, 9 a, 10 a; agent 8 is of the later type, and 9 the first that fails
    assert (found.agent, found.agent_type, found.tick, found.line) == (9, "a", 1, 4)
    assert (found.handler, found.handling, found.order[0]) == ("init", None, 2)


def test_4_13_an_initial_field_that_fails_is_named_with_its_agent() -> None:
    spec = model({"a": "function step(self) end"}, state={"a": {"x": "i ~= 3 and 1 or {}"}})
    found = fault_of(spec, [7], 1)
    assert (found.agent, found.tick, found.handler) == (3, 0, "state.x")
    assert found.message.startswith("initial field 'x': gives a table; it may give a number,")


def test_4_13_error_with_a_table_or_with_strange_bytes_is_still_readable() -> None:
    def message(call: str) -> str:
        return fault_of(model({"a": f"function step(self) {call} end"}), [3], 1).message

    assert (
        message("error({code = 5, why = 'x'})")
        == 'error(...) was called with the table {code=5, why="x"}'
    )
    assert message("error()") == "error was called without a message"
    assert message("error('\\255\\0\\27 é')") == "\\xff\\x00\\x1b é"
    assert message("error(string.rep('é', 9000))") == "é" * 2000 + "..."


WANTED = "for this agent, where a number is needed"
FAULTY_EXPRESSIONS: Mapping[str, tuple[str, int | None]] = {
    "sum(a, self.x)": (f"the expression gives nil {WANTED}", 6),
    "sum(a, self.x * 2)": ("attempt to perform arithmetic on field 'x' (a nil value)", 6),
    "mean(a, self.name)": (f"the expression gives a string {WANTED}", 1),
    "max(a, self.id > 3)": (f"the expression gives false {WANTED}", 1),
    "count(a, self.x.y > 1)": ("attempt to index field 'x' (a number value)", 1),
    "mail('note', msg.n)": (
        "mail('note', ...) gives nil for a message that agent 4 sent in tick 2, "
        "where a number is needed",
        4,
    ),
    "mean(a, 1, self.id > 99) + 1": ("attempt to perform arithmetic on a nil value", None),
}


@pytest.mark.parametrize("text", FAULTY_EXPRESSIONS)
def test_4_13_an_expression_that_fails_names_itself_and_the_agent(text: str) -> None:
    source = """
        function init(self) self.name = "n" .. self.id if self.id % 8 ~= 6 then self.x = 1 end end
        function on.note(self) end
        function step(self)
          if tick() == 2 then
            if self.id % 8 == 4 then send(1, "note") send(1, "note", {}, 2) end
            if self.id % 8 ~= 4 then send(self.id, "note", {n = 1}, self.id % 3 + 1) end
          end
        end
    """
    spec = model({"a": source}, metrics={"total": text})
    found = fault_of(spec, [20], 5, places=ON_LUAJIT)
    message, agent = FAULTY_EXPRESSIONS[text]
    assert (found.kind, found.message, found.handler) == ("metric", message, "total")
    assert (found.agent, found.tick) == (agent, 2 if "mail" in text else 0)


def test_4_13_what_a_metric_finds_before_the_changes_of_a_tick_are_applied_is_no_fault() -> None:
    """A worker without changes evaluates at once; then it learns that a recipient is gone."""
    source = """
        function on.note(self, msg, from) self.from = from end
        function step(self)
          if tick() == 2 then
            if self.id == 20 then remove() end
            if self.id == 1 then send(20, "note") end
            if self.id <= 3 then send(20 - self.id, "note", {n = self.id}) end
          end
        end
    """
    found = clean(everywhere(model({"a": source}, metrics={"n": "mail('note', msg.n)"}), [20], 3))
    assert [row["n"] for _, row in found.rows] == [0, 0, 6, 0]
    assert (found.counts, found.field("from")[16:]) == ((4, 3, 1), [3, 2, 1])


def test_4_13_a_broken_invariant_names_its_tick_and_the_metrics() -> None:
    source = "function step(self) self.n = tick() end"
    spec = model(
        {"a": source},
        metrics={"n": "sum(a, self.n)"},
        invariants={"few": "n < 100", "bound": "sum(a, self.n) <= 40"},
        state={"a": {"n": "0"}},
    )
    found = everywhere(spec, [10], 20)
    assert (found.tick, found.ended, found.ended_by) == (5, "invariant", "bound")
    assert found.rows[-1] == (5, {"n": 50})
    assert found.fault == p.Fault(
        kind="invariant",
        message="the invariant 'bound' does not hold at the end of tick 5",
        tick=5,
        file="model.toml",
        line=0,
        handler="bound",
        hint="query the agents at this tick, and look for what creates or loses the quantity; "
        "mail under way counts through mail(kind, expression)",
        locals="n = 50",
        order=(4, 0, 0, 0, 0),
    )


def test_4_14_fuel_runs_out_at_the_same_place_everywhere_and_pcall_does_not_catch_it() -> None:
    source = """\
function on.go(self, msg)
  self.turns = 0
  while true do
    pcall(function()
      self.turns = self.turns + 1
      local t = {}
      for n = 1, 7 do t[n] = n end
      table.sort(t)
    end)
  end
end
function step(self)
  if tick() == 2 and self.id > 5 then send(self.id, "go") end
end
"""
    found = fault_of(model({"a": source}, fuel=5000), [9], 5)
    assert (found.kind, found.agent, found.tick, found.handler) == ("fuel", 6, 3, "on.go")
    assert (
        found.message
        == "spent all its fuel of 5000 (one unit a loop turn or function call) in this tick"
    )
    assert found.handling == "go {} from agent 6"
    assert found.locals is not None
    assert found.locals.startswith("self = {id=6, turns=")


def test_4_14_fuel_is_one_budget_for_the_handlers_and_the_step_of_a_tick() -> None:
    source = """
        function on.work(self, msg) for n = 1, 400 do end self.done = (self.done or 0) + 1 end
        function step(self)
          for n = 1, 400 do end
          if self.id <= 2 then for n = 1, self.id do send(3 - self.id, "work") end end
        end
    """
    # agent 1 gets two pieces of work and its own: 1 200 turns; agent 2 one piece: 800
    clean(everywhere(model({"a": source}, fuel=1300), [2], 4))
    found = fault_of(model({"a": source}, fuel=1100), [2], 4)
    assert (found.kind, found.agent, found.tick, found.handler) == ("fuel", 1, 2, "step")


LIMITS = {
    "for n = 1, 100001 do send(1, 'note', {n = n}) end": (
        "an agent may send at most 100000 messages in one tick (a broadcast counts as one here)"
    ),
    "for n = 1, 100001 do broadcast('a', 'note') end": (
        "an agent may send at most 100000 messages in one tick"
    ),
    "for n = 1, 10001 do spawn('a') end": "an agent may spawn at most 10000 agents in one tick",
    "for n = 1, 101 do log(n) end": "an agent may log at most 100 lines in one tick",
    "for n = 1, 10001 do record('x', n) end": (
        "an agent may record at most 10000 samples of a name in one tick"
    ),
}


@pytest.mark.parametrize("work", LIMITS)
def test_4_15_sends_spawns_logs_and_samples_are_limited_per_agent_and_tick(work: str) -> None:
    source = f"function on.note(self) end function step(self) if self.id == 2 then\n{work} end end"
    found = fault_of(
        model({"a": source}), [3], 1, places=[(1, "luajit21"), (2, "luajit21"), (1, "lua52")]
    )
    assert found.message.startswith(LIMITS[work])
    assert (found.kind, found.agent, found.line) == ("limit", 2, 2)
    assert (
        found.hint == "spread the work over ticks or over agents; docs/lua-api.md lists the limits"
    )


def test_4_15_just_below_the_limits_is_no_fault() -> None:
    source = """
        function on.note(self) end
        function step(self)
          if tick() == 1 and self.id == 2 then
            for n = 1, 10000 do record("x", n) end
            for n = 1, 99998 do send(1, "note") end
            broadcast("a", "note") after(1, "note")
            for n = 1, 100 do log(n) end
            for n = 1, 500 do spawn("a") end
          end
        end
    """
    found = clean(
        everywhere(model({"a": source}), [3], 2, places=[(1, "luajit21"), (2, "luajit21")])
    )
    assert (found.counts, len(found.logs), len(found.states)) == ((100_001, 100_001, 0), 100, 503)


def test_4_15_a_line_of_the_log_is_cut_at_2000_bytes_and_is_readable_text() -> None:
    source = """
        function step(self)
          if self.id ~= 2 then return end
          log(string.rep("é", 1500))
          log("\\255", nil, 1.5, {}, self.id == 2)
        end
    """
    found = clean(everywhere(model({"a": source}), [3], 1))
    assert found.lines() == [(1, 2, "é" * 1000 + "..."), (1, 2, "\\xff\tnil\t1.5\t<table>\ttrue")]


UNREACHABLE = {
    "param.x = 5": "param.x is read-only",
    "string.x = 5": "read-only",
    "math.random = nil": "read-only",
    "local s = self s.id = 7": (
        "self.id was assigned: the engine owns it; keep your value in another field (self.number)"
    ),
    "local s = self s.type = 'b'": (
        "self.type was assigned: the engine owns it; keep your value in another field (self.sort)"
    ),
    "local t = agents('a') t[1] = 5": "agents(...) is a read-only list",
    "local p = param p.x = 5": "param.x is read-only",
    "local function f(t) t.n = 1 end f(SHARED)": (
        "agents/a.lua: file-level table 'SHARED.n' (at first 0) was changed by an "
        "agent: agents of a type share what is outside their functions"
    ),
}


@pytest.mark.parametrize("act", UNREACHABLE)
def test_4_15_an_agent_reaches_nothing_but_its_own(act: str) -> None:
    step = f"function step(self) if tick() == 2 and self.id > 1 then\n{act} end end"
    source = f"local SHARED = {{n = 0}}\n{step}"
    spec = model({"a": source}, parameters={"x": 1})
    answer = in_large_stack(lambda: checked(spec))
    if answer is not None:
        # seen before anything runs
        assert answer == ("agents/a.lua", 3)
        return
    found = fault_of(spec, [5], 3)
    assert UNREACHABLE[act] in found.message
    assert found.tick == 2
    assert found.agent == (None if "SHARED" in act else 2)


def checked(spec: p.ModelSpec) -> tuple[str, int] | None:
    """Where the front end sees a mistake in ``spec``."""
    from workers.frontend import compile_model

    program, diagnostics = compile_model(spec)
    if program is not None:
        return None
    return diagnostics[0].file, diagnostics[0].line


def test_4_15_two_simulations_in_one_process_do_not_see_each_other() -> None:
    source = "function step(self) self.n = (self.n or 0) + param.x self.s = ('x').n end"
    spec = model({"a": source}, parameters={"x": 1})

    def both(_: object) -> list[Any]:
        one = Shares(spec, [3], parameters={"x": 1})
        two = Shares(spec, [3], parameters={"x": 10})
        for tick in range(1, 4):
            one.run(tick)
            two.run(tick)
        return [[state["n"] for _, state, _ in world.states().values()] for world in (one, two)]

    assert same_for([1], both) == [[3, 3, 3], [30, 30, 30]]


@pytest.mark.parametrize("vm", ["luajit21", "lua52"])
def test_4_13_bytes_that_do_not_fit_into_the_state_are_refused_and_it_lives_on(vm):
    kernel = Kernel(vm, 40 << 20)
    with pytest.raises(kernel.errors, match="not enough memory for 52428800 bytes"):
        kernel.call("syntax", b"x" * (50 << 20), b"name")
    assert kernel.call("syntax", b"local x = 1", b"name") == b""
