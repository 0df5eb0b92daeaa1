"""What the front end finds in scripts that parse: place, marked text, reason, cure."""

from __future__ import annotations

import pytest
from frontend_env import BANK, ONE_TYPE, PING, TWO_TYPES, check, in_step, marked, said


@pytest.mark.parametrize(
    ("body", "text", "reason", "cure"),
    [
        ("self.x = foo", "foo", "undeclared global 'foo'", "local foo = …"),
        ("sendd(1, 'ping')", "sendd", "unknown function 'sendd'", "did you mean send?"),
        ("brodcast('a', 'ping')", "brodcast", "unknown function", "did you mean broadcast?"),
        ("tostrin(1)", "tostrin", "unknown function", "did you mean tostring?"),
        ("self.x = rate", "rate", "undeclared global 'rate'", "param.rate"),
        ("self.x = cash", "cash", "undeclared global 'cash'", "self.cash"),
        ("self.x = bank", "bank", "undeclared global 'bank'", "local bank"),
        ("broadcast(b, 'deposit')", "b", "undeclared global 'b'", 'in quotes: "b"'),
        ("self.x = null", "null", "null is not Lua", "write nil"),
        ("self.x = None", "None", "None is not Lua", "write nil"),
        ("self.x = True", "True", "True is not Lua", "write true"),
        ("self.x = False", "False", "False is not Lua", "write false"),
        ("self.x = msg.y", "msg.y", "msg exists only inside a handler", "on.kind(self, msg, from)"),
        ("self.x = os.time()", "os.time", "there is no os library", "tick()"),
        ("io.write('a')", "io.write", "there is no io library", "log(...)"),
        ("self.x = require('x')", "require", "require is not available", "own file"),
        ("coroutine.yield()", "coroutine.yield", "there are no coroutines", "self.phase"),
        ("load('x = 1')()", "load", "load is not available", "write a function"),
        ("self.x = bit.band(1, 2)", "bit.band", "there is no bit library", "a & b"),
        ("self.x = string.format(f'{self.x}')", "f", 'f"…" is not Lua', "string.format"),
        ("math.randomseed(42)", "math.randomseed", "math.randomseed is refused", "remove the call"),
        ("self.x = string.trim('a')", "string.trim", "there is no string.trim", "s:match"),
        ("self.x = math.flor(1)", "math.flor", "there is no math.flor", "math.floor?"),
        ("self.x = table['getn'](self.t)", "table['getn']", "there is no table.getn", "write #t"),
        ("self.x = param.rte", "param.rte", "there is no parameter 'rte'", "param.rate?"),
        ("self.x = env.price", "env", "this model has no environment.lua", "function init(env)"),
        ("ask(1, 'ping')", "ask", "ask needs a regime", "send a message"),
        ("self.x = tick % 10", "tick", "tick is a function", "write tick()"),
        ("self.x = agents.a", "agents", "agents is a function", 'agents("type")'),
        (
            "local tick = tick() self.x = tick()",
            "tick",
            "'tick' is a local value here",
            "local now",
        ),
        ("self.x = __Q", "__Q", "belong to the runtime", "rename it"),
        ("local __X = 1", "__X", "belong to the runtime", "rename it"),
        ("self:move(3)", "self:move", "self has no functions", "call move(self, …)"),
        ("self:send(1, 'ping')", "self:send", "self has no functions", "write send(1, 'ping')"),
        ("self.log('x')", "self.log", "self has no functions", "write log('x')"),
        ("self.list:push(2)", "self.list:push", "a method 'push'", "list[#list + 1] = x"),
        ("self.x = ('a'):trim()", "('a'):trim", "a method 'trim'", "s:match"),
        ("tick = 3", "tick", "'tick' is the runtime's", "make it local"),
        ("string.upper = nil", "string.upper", "the string library is read-only", "local function"),
        ("param.rate = 3", "param.rate", "parameters are read-only", "self"),
    ],
)
def test_a_name_that_means_nothing_here_is_explained(
    body: str, text: str, reason: str, cure: str
) -> None:
    one = in_step(body)[0]
    assert (one.severity, one.line, marked(one)) == ("error", 2, text)
    assert reason in one.message
    assert cure in one.hint


def test_an_undeclared_name_is_reported_once_with_its_other_lines() -> None:
    (one,) = in_step("self.x = foo\nself.y = foo + foo\nself.z = foo")
    assert one.message == "undeclared global 'foo' (also on lines 3, 4)"


def test_self_outside_a_function_that_has_it_is_explained() -> None:
    (one,) = check(a="function step()\n  self.x = 1\nend\n")
    assert one.line == 2
    assert one.message == "self exists only inside a function that has it as a parameter"
    assert "function step(self)" in one.hint


@pytest.mark.parametrize(
    ("script", "place", "reason", "cure"),
    [
        (
            "local n = 0\nfunction step(self) n = n + 1 end",
            (2, "n"),
            "file-level local",
            "self.n = …",
        ),
        ("n = 0\nfunction step(self) n = n + 1 end", (2, "n"), "as a global inside", "self.n = …"),
        ("function step(self) total = 1 end", (1, "total"), "as a global inside", "local total"),
        (
            "local T = {}\nfunction step(self) T.x = 1 end",
            (2, "T.x"),
            "file-level table",
            "in init",
        ),
        ("T = {}\nfunction step(self) T[1] = 1 end", (2, "T[1]"), "file-level table", "in init"),
        (
            "local T = {a = {}}\nfunction step(self) T.a.x = 1 end",
            (2, "T.a.x"),
            "file-level table",
            "",
        ),
        (
            "local T = {}\nfunction step(self) table.insert(T, 1) end",
            (2, "table.insert(T, 1)"),
            "file-level table",
            "in init",
        ),
        (
            "local T = {}\nfunction step(self) table.sort(T) end",
            (2, "table.sort(T)"),
            "file-level",
            "",
        ),
        (
            "local T = {}\nfunction step(self) rawset(T, 1, 2) end",
            (2, "rawset(T, 1, 2)"),
            "file-level",
            "",
        ),
        (
            "local T = {}\nfunction step(self) setmetatable(T, {}) end",
            (2, "setmetatable(T, {})"),
            "file-level",
            "",
        ),
        ("local T = {}\nfunction step(self) shuffle(T) end", (2, "shuffle(T)"), "file-level", ""),
        (
            "local T = {}\nfunction step(self) local t = T t.x = 1 end",
            (2, "t.x"),
            "(through t)",
            "",
        ),
        (
            "local T = {}\nfunction step(self) local t = T[self.id] t.x = 1 end",
            (2, "t.x"),
            "through t",
            "",
        ),
        (
            "local T = {}\nfunction step(self) for k, v in pairs(T) do v.x = 1 end end",
            (2, "v.x"),
            "(through v)",
            "",
        ),
        (
            "local n = 0\nlocal function up() n = n + 1 end\nfunction step(self) up() end",
            (2, "n"),
            "file-level local",
            "",
        ),
        ("local K <const> = 1\nfunction step(self) K = 2 end", (2, "K"), "is <const> (line 1)", ""),
        (
            "function step(self) self.id = 1 end",
            (1, "self.id"),
            "given by the runtime",
            "another field",
        ),
        ("function step(self) self.type = 1 end", (1, "self.type"), "given by the runtime", ""),
        (
            "function step(self) self.f = function() end end",
            (1, "self.f"),
            "cannot hold a function",
            "",
        ),
        ("function step(self) self.f = setmetatable({}, {}) end", (1, "self.f"), "a metatable", ""),
        (
            "function step(self) setmetatable(self, {}) end",
            (1, "setmetatable(self, {})"),
            "no metatable",
            "",
        ),
    ],
)
def test_shared_or_unsaveable_state_is_refused(
    script: str, place: tuple[int, str], reason: str, cure: str
) -> None:
    (one,) = check(a=script + "\n")
    assert (one.severity, one.line, marked(one)) == ("error", *place)
    assert reason in one.message
    assert cure in one.hint


def test_state_that_is_an_agents_own_passes() -> None:
    found = check(
        a="""
local PRIMES = {}
for i = 1, 10 do PRIMES[i] = i end
local function build()
  PRIMES.last = 3
  table.insert(PRIMES, 4)
end
build()
local NAMES = {}
table.sort(NAMES, function(a, b) NAMES.n = 1 return a < b end)
local function area(shape) shape.area = shape.w * shape.h return shape end
function init(self)
  local T = {}
  T.x = PRIMES[1]
  self.items = {}
  self.items[1] = T
  table.insert(self.items, {k = 2})
  local copy = {}
  for i, prime in ipairs(PRIMES) do copy[i] = prime end
  for _, item in ipairs(self.items) do item.k = 3 end
  local t = PRIMES
  t = {}
  t.x = 1
  area(T).y = 2
  local id = self.id
  T.id, T.type = id, self.type
end
"""
    )
    assert found == []


@pytest.mark.parametrize(
    ("body", "text", "reason", "cure"),
    [
        ("send(1, 'pong')", "'pong'", "no agent type handles messages of kind 'pong'", "'ping'"),
        (
            "send('bank', 'ping')",
            "'ping'",
            "type 'b' has no handler for 'ping' (type 'a' has)",
            "agents/b.lua",
        ),
        ("send('bnk', 'deposit')", "'bnk'", "no agent has the name 'bnk'", "'bank'"),
        ("send('a', 'ping')", "'a'", "'a' is an agent type", 'broadcast("a", kind, body)'),
        ("send('ping', self.x)", "'ping'", "'ping' is a message kind", 'send(to, "ping"'),
        ("send('environment', 'x')", "'environment'", "has no environment.lua", "on.kind(env"),
        ("send(0, 'x')", "0", "has no environment.lua", "agent with a name"),
        ("send(self, 'ping')", "self", "not its id", "write self.id"),
        ("send(self.id, 'deposit')", "'deposit'", "type 'a' has no handler", "agents/a.lua"),
        ("after(1, 'deposit')", "'deposit'", "type 'a' has no handler", ""),
        ("broadcast('b', 'ping')", "'ping'", "type 'b' has no handler", ""),
        ("broadcast('c', 'ping')", "'c'", "there is no agent type 'c'", "types: a, b"),
        ("spawn('aa')", "'aa'", "there is no agent type 'aa'", "'a'"),
        ("spawn(self)", "", "", ""),
        ("self.n = #agents('d')", "'d'", "there is no agent type 'd'", ""),
        ("spawn('a', {id = 4})", "spawn('a', {id = 4})", "id is given by the runtime", "another"),
        ("send(1)", "send(1)", "send is called with 1 argument", "send(to, kind, body, delay)"),
        ("send(1, 'ping', {}, 1, 2)", "send(1, 'ping', {}, 1, 2)", "5 arguments", ""),
        ("send(1, 'ping', 5)", "5", "a message's body is a table", "{value = 5}"),
        ("send(1, 2)", "2", "a message's kind is a text", ""),
        ("send(1, 'ping', {}, 0)", "0", "whole number of ticks, 1 or more, not 0", ""),
        ("send(1, 'ping', {}, -1)", "-1", "not -1", ""),
        ("after(0.5, 'ping')", "0.5", "not 0.5", ""),
        ("after('ping', 1)", "'ping'", "a delay is a whole number", "after(delay, kind, body)"),
        ("remove(self)", "remove(self)", "remove() takes no argument", "write remove()"),
        ("self.t = tick(1)", "tick(1)", "tick() takes no argument", "write tick()"),
        ("record('x')", "record('x')", "record is called with 1 argument", 'record("name", value)'),
        ("record(self.k, 1)", "self.k", "must be a text written out", ""),
        ("record('a b', 1)", "'a b'", "cannot name a recorded value", ""),
        ("record('rate', 1)", "'rate'", "is a parameter already", "another name"),
        ("self.x = 'a' + self.y", "'a'", "'a' is a text: + is for numbers", 'write "a" .. x'),
    ],
)
def test_a_call_that_cannot_work_is_refused(body: str, text: str, reason: str, cure: str) -> None:
    found = in_step(body)
    if not text:
        assert found == []
        return
    one = found[0]
    assert (one.severity, one.line, marked(one)) == ("error", 2, text)
    assert reason in one.message
    assert cure in one.hint


@pytest.mark.parametrize(
    ("script", "place", "reason", "cure"),
    [
        (
            "function on:ping(msg) end",
            (1, "on:ping"),
            "with a dot",
            "function on.ping(self, msg, from)",
        ),
        ("on[self] = 1", (1, "on[self]"), "must be written out", ""),
        ("on.ping = 3", (1, "on.ping"), "must be a function", ""),
        (
            "function step(self) on.ping = function() end end",
            (1, "on.ping"),
            "inside a function",
            "",
        ),
        (
            "function on.ping(msg, from) end",
            (1, "msg"),
            "is the agent, not 'msg'",
            "(self, msg, from)",
        ),
        ("on.ping = function(msg) end", (1, "msg"), "is the agent, not 'msg'", ""),
        ("function on.x() end\nfunction on.x() end", (2, "on.x"), "already, on line 1", "join"),
        ("local function step(self) end", (1, "step"), "never runs", "function step(self)"),
        ("local init = function(self) end", (1, "init"), "never runs", "function init(self)"),
        ("function step(self) end\nfunction step(self) end", (2, "step"), "already, on line 1", ""),
        ("function update(self) end", (1, "update"), "nothing calls 'update'", "step(self)"),
        ("function setup(self) end", (1, "setup"), "nothing calls 'setup'", "init(self)"),
        ("function tick(self) end", (1, "tick"), "the runtime's", "step(self)"),
        ("function send() end", (1, "send"), "the runtime's", "rename"),
        ("local x = ...", (1, "..."), "a script has no arguments", ""),
    ],
)
def test_a_definition_that_would_never_run_is_refused(
    script: str, place: tuple[int, str], reason: str, cure: str
) -> None:
    found = [one for one in check(a=script + "\n") if one.severity == "error"]
    one = found[0]
    assert (one.line, marked(one)) == place
    assert reason in one.message
    assert cure in one.hint


@pytest.mark.parametrize(
    ("script", "text", "reason", "cure"),
    [
        (
            "function on.ping(self) end",
            "on.ping",
            "no agent sends messages of kind 'ping'",
            "send it",
        ),
        (
            "function on.step(self) end",
            "on.step",
            "no agent sends",
            "without on: function step(self)",
        ),
        ("function on_offer(self, msg) end", "on_offer", "nothing calls", "function on.offer(self"),
        ("function handleBigOffer(self) end", "handleBigOffer", "nothing calls", "on.big_offer("),
        ("local function helper() end", "helper", "nothing calls 'helper'", "remove it"),
        (
            "function step(self) if not self.id == 1 then end end",
            "not self.id == 1",
            "(not self.id) with 1",
            "self.id ~= 1",
        ),
        (
            "function step(self) self.t = {} for i = 0, #self.t - 1 do log(self.t[i]) end end",
            "i = 0, #self.t - 1",
            "lists begin at 1",
            "for i = 1, #self.t do",
        ),
    ],
)
def test_what_is_probably_wrong_is_a_warning(
    script: str, text: str, reason: str, cure: str
) -> None:
    (one,) = check(a=script + "\n")
    assert (one.severity, marked(one)) == ("warning", text)
    assert reason in one.message
    assert cure in one.hint


@pytest.mark.parametrize(
    "sender",
    [
        "send(1, self.type)",
        "send(1, self.id > 1 and 'ping' or 'pong')",
        "local tell = send tell(1, 'ping')",
        "pcall(send, 1, 'ping')",
    ],
)
def test_handlers_pass_where_not_every_kind_sent_is_known(sender: str) -> None:
    assert check(a=f"function step(self) {sender} end\n{PING}") == []


@pytest.mark.parametrize(
    ("body", "warned"),
    [
        ("self.cash = 100", True),
        ("self.cash, self.x = 100, 1", True),
        ("self.cash = self.cash or 100", False),
        ("if not self.cash then self.cash = 100 end", False),
        ("local old = self.cash self.cash = 2 * old", False),
        ("self.other = 100", False),
    ],
)
def test_an_init_that_overwrites_a_given_field_is_a_warning(body: str, warned: bool) -> None:
    found = check(TWO_TYPES, a=f"function init(self)\n{body}\nend\n{PING}", b=BANK)
    assert [(one.severity, one.code, one.line) for one in found if one.code != "unsent"] == (
        [("warning", "overwritten", 2)] if warned else []
    )


def test_an_init_that_overwrites_a_field_given_at_spawn_names_the_spawn() -> None:
    found = check(
        a="function init(self) self.age = 0 end\n"
        "function step(self)\n  spawn('a', {age = 3})\nend\n",
    )
    assert [one.message for one in found] == [
        "init overwrites self.age, which is given by spawn at agents/a.lua:3"
    ]


@pytest.mark.parametrize(
    ("toml", "place", "reason"),
    [
        ("[parameters]\ntick = 3\n", (5, "tick"), "the parameter 'tick'"),
        ("[parameters]\nmean = 3\n", (5, "mean"), "the parameter 'mean'"),
        ("[parameters]\na = 3\n", (2, "a"), "'a' is a parameter (line 5) and an agent type"),
        ("[parameters]\nx = 3\n[metrics]\nx = '1'\n", (7, "x"), "'x' is a parameter (line 5)"),
        ("[metrics]\nmath = '1'\n", (5, "math"), "the metric 'math'"),
    ],
)
def test_names_that_clash_are_refused(toml: str, place: tuple[int, str], reason: str) -> None:
    found = check(ONE_TYPE + toml, a="function step(self) self.x = 1 end\n")
    assert [(one.code, one.line, marked(one)) for one in found] == [("clash", *place)]
    assert reason in found[0].message


def test_a_recorded_name_may_not_be_a_metrics() -> None:
    found = check(ONE_TYPE + "[metrics]\nx = '1'\n", a="function step(self) record('x', 1) end\n")
    assert said(found) == [(1, "clash", "'x'")]


def test_a_metric_may_be_called_like_an_aggregate_or_an_agent_type() -> None:
    toml = (
        ONE_TYPE
        + "[metrics]\ngini = 'gini(a, self.x)'\na = 'count(a)'\n[stop]\nwhen = 'gini < a'\n"
    )
    assert check(toml, a="function step(self) self.x = 1 end\n") == []


@pytest.mark.parametrize(
    ("handler", "text", "cure"),
    [
        ("function on.ping(self, msg, from) self.x = from.cash end", "from.cash", "send(from,"),
        ("function on.ping(self, msg, who) who:pay(3) end", "who:pay", 'send(who, "pay", {…})'),
        ("function step(self) self.x = agents('b')[1].cash end", "agents('b')[1].cash", "look("),
    ],
)
def test_a_field_of_an_id_is_refused(handler: str, text: str, cure: str) -> None:
    script = f"{handler}\n" + ("" if "on.ping" in handler else PING)
    found = [one for one in check(TWO_TYPES, a=script, b=BANK) if one.severity == "error"]
    assert [(one.code, marked(one)) for one in found[:1]] == [("id", text)]
    assert "an agent's id, a number" in found[0].message
    assert cure in found[0].hint
