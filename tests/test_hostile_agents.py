"""Hostile handlers in a whole worker: the fault names agent and line, alike on both VMs."""

from __future__ import annotations

import pytest
from shares import Shares, in_large_stack, model
from worlds import Outcome, outcome, same_for

from runtime import protocol as p

PLACES = (("luajit21", 1), ("lua52", 1), ("luajit21", 2))
LOOP = "function() while true do end end"


def run(step: str) -> Outcome:
    """Three ticks of three agents with this step; they handle ``x``."""
    source = f"function on.x(self, msg) self.got = msg end\nfunction step(self)\n{step}\nend"
    spec = model({"a": source})
    return same_for(PLACES, lambda at: outcome(Shares(spec, [3], at[1], vm=at[0]).run(3, "")))


@pytest.mark.parametrize(
    ("step", "kind", "message"),
    [
        (f"error(setmetatable({{}}, {{__index = {LOOP}}}))", "script", "the table {}"),
        (f"error(setmetatable({{}}, {{__tostring = {LOOP}}}))", "script", "the table {}"),
        ("error({kind = 'internal', message = {}})", "script", "the table {kind="),
        ("error({path = {}, reason = {}})", "script", "the table {path="),
        ("error({rank = {1, 1}})", "script", "the table {rank="),
        ("error(nil)", "script", "error was called without a message"),
        ("error(false)", "script", "called with false"),
        ("pcall(function() while true do end end)", "fuel", "spent all its fuel"),
        ("while true do pcall(send, self.id, 'x', {}) end", "fuel", "spent all its fuel"),
        ("while true do pcall(spawn, 'a', {}) end", "fuel", "spent all its fuel"),
        ("while true do log(('x'):rep(1000)) end", "limit", "lines"),
        (f"log(setmetatable({{}}, {{__tostring = {LOOP}}}))", "fuel", "spent all its fuel"),
        (f"choice(setmetatable({{}}, {{__len = {LOOP}}}))", "fuel", "spent all its fuel"),
        ("shuffle(setmetatable({}, {__len = function() return 1e15 end}))", "fuel", "spent"),
        ("local b = {} b.b = b send(self.id, 'x', b)", "script", "nested deeper than 32"),
        ("local b = {a = {f = error}} send(self.id, 'x', b)", "script", "body.a.f is a function"),
        ("send(self.id, 'x', setmetatable({}, {}))", "script", "table with a metatable"),
        ("send(setmetatable({}, {__eq = error}), 'x', {})", "script", "no agent has the id"),
        ("local l = agents('a') l[1] = 5", "script", "read-only list"),
        ("local l = agents('a') table.sort(l, function(a, b) return a > b end)", "script", "list"),
        ("rawset(agents('a'), 1, 5)", "script", "read-only table"),
    ],
)
def test_a_hostile_step_is_a_fault_of_its_agent_at_its_line(
    step: str, kind: str, message: str
) -> None:
    fault = run(step).fault
    assert fault is not None
    assert (fault.kind, fault.agent, fault.file, fault.line) == (kind, 1, "agents/a.lua", 3)
    assert message in fault.message
    assert fault.tick == 1


@pytest.mark.parametrize("place", PLACES)
def test_endless_recursion_is_a_fault_of_its_agent(place: tuple[str, int]) -> None:
    """Not always with the line: where the stack is full, LuaJIT's error handler may have none."""
    source = "local function f() return 1 + f() end\nfunction step(self) pcall(f) end"
    world = Shares(model({"a": source}), [3], place[1], vm=place[0])
    fault = in_large_stack(lambda: world.run(3, "")).fault
    assert (fault.kind, fault.agent, fault.tick) == ("script", 1, 1)
    assert "stack overflow" in fault.message


@pytest.mark.parametrize("step", ["rawset(self, 'id', 5)", "local s = self s['ty' .. 'pe'] = 'b'"])
def test_an_identity_that_was_changed_is_found(step: str) -> None:
    fault = run(step).fault
    assert fault is not None
    assert (fault.kind, fault.agent, fault.tick) == ("script", 1, 1)
    assert "was assigned: the engine owns it" in fault.message


@pytest.mark.parametrize(
    "step",
    [
        "local t = {n = 0} self.t = t send(self.id, 'x', {t = t}) assert(self.got ~= t)",
        "for _, id in pairs(agents('a')) do self.sum = (self.sum or 0) + id + #agents('a') end",
        "xpcall(error, function(e) error(e) end, 'x')",
        "assert(getmetatable(agents('a')) == false)",
    ],
)
def test_a_step_that_only_looks_hostile_runs(step: str) -> None:
    found = run(step)
    assert found.fault is None
    assert found.tick == 3


def test_the_worker_goes_on_after_a_fault() -> None:
    def faults(place: tuple[str, int]) -> list[p.Fault | None]:
        bad = model({"a": "function step(self) error(setmetatable({}, {__index = error})) end"})
        good = model({"a": "function step(self) self.n = #agents('a') end"})
        return [Shares(m, [2], 1, vm=place[0]).run(2, "").fault for m in (bad, good, bad, good)]

    first, second, third, fourth = same_for(PLACES[:2], faults)
    assert first == third
    assert first is not None
    assert (second, fourth) == (None, None)
