"""Agents cannot write to the environment by any route, and what its script does wrong is a fault
that says where (design 4.13–4.17)."""

from __future__ import annotations

import pytest
from shares import Shares
from worlds import ON_LUAJIT, Outcome, clean, everywhere, same_for
from written import environment_of, written

from runtime import protocol as p

PLACES = ((1, "luajit21"), (3, "luajit21"), (1, "lua52"))
HEAD = "[environment]\n[agents.a]\ncount = 4\n"
HOLDS = """
local function pick(t) return ({t})[1] end
function init(env)
  env.x, env.list, env.deep, env.nest = 1, {3, 1, 2}, {a = {b = {c = 1}}}, {{1}, {2}}
end
function query.whole(env) return env end
function query.part(env) return env.deep.a, env.list end
function query.fresh(env) return {of = env.deep} end
"""
ADVICE = ' is read-only for agents: send("environment", kind, body) asks for a change'
WRITES = {
    "e.x = 1": "env.x" + ADVICE,
    "e.new = 1": "env.new" + ADVICE,
    "e['two words'] = 1": "env['two words']" + ADVICE,
    "e.whole = nil": "env.whole" + ADVICE,
    "e.list[1] = 2": "env.list[1]" + ADVICE,
    "e.list[4] = 2": "env.list[4]" + ADVICE,
    "e.deep.a.b.c = nil": "env.deep.a.b.c" + ADVICE,
    "table.insert(e.list, 1)": "env.list[4]" + ADVICE,
    "table.insert(e.list, 1, 5)": "env.list[4]" + ADVICE,
    "table.remove(e.list)": "env.list[3]" + ADVICE,
    "table.sort(e.list)": "env.list[1]" + ADVICE,
    "shuffle(e.list)": "]" + ADVICE,
    "for k, v in pairs(e) do if type(v) == 'table' then v[1] = 5 end end": "env.deep[1]" + ADVICE,
    "for k, v in ipairs(e.nest) do v[1] = 5 end": "env.nest[1][1]" + ADVICE,
    "local k, v = next(e.nest) v.x = 5": "env.nest[1].x" + ADVICE,
    "local k, v = next(e.deep) v.x = 5": "env.deep.a.x" + ADVICE,
    "local v, w = unpack(e.nest) w[1] = 5": "env.nest[2][1]" + ADVICE,
    "local v = table.unpack(e.nest) v[1] = 5": "env.nest[1][1]" + ADVICE,
    "select(2, unpack(e.nest)).n = 1": "env.nest[2].n" + ADVICE,
    "choice(e.nest)[3] = 1": "][3]" + ADVICE,
    "e.whole().x = 5": "env.x" + ADVICE,
    "local v, w = e.part() v.b = 1": "env.deep.a.b" + ADVICE,
    "local v, w = e.part() w[1] = 1": "env.list[1]" + ADVICE,
    "e.fresh().of.a = 1": "env.deep.a" + ADVICE,
    "rawset(e, 'x', 2)": "rawset cannot change a read-only table",
    "rawset(e.list, 1, 2)": "rawset cannot change a read-only table",
    "setmetatable(e, {})": "cannot set the metatable of a read-only table",
    "setmetatable(e.list, nil)": "cannot set the metatable of a read-only table",
    "getmetatable(e.list).__of[1] = 2": "attempt to index a boolean value",
    "getmetatable(e).__index.x = 2": "attempt to index a boolean value",
}


def test_4_15_agents_cannot_write_to_the_environment_by_any_route() -> None:
    tries = "\n".join(
        f"self.said[{n}] = select(2, pcall(function() local e = pick(env) {call} end))"
        for n, call in enumerate(WRITES, 1)
    )
    source = f"""
        local function pick(t) return ({{t}})[1] end
        function step(self) self.said = {{}} {tries} end
    """
    spec = written(HEAD, a=source, environment=HOLDS)
    found = clean(everywhere(spec, [4], 1, places=PLACES))
    for id_ in range(1, 5):
        said = dict(zip(WRITES, found.state(id_)["said"], strict=True))
        assert {c: text for c, text in said.items() if WRITES[c] not in text} == {}

    def held(place: tuple[int, str]) -> object:
        return environment_of(Shares(spec, [4], place[0], vm=place[1]).run(2))[0]

    kept = {"x": 1, "list": [3, 1, 2], "deep": {"a": {"b": {"c": 1}}}, "nest": [[1], [2]]}
    assert same_for(PLACES, held) == dict(sorted(kept.items()))


def fault_of(
    environment: str, agent: str, toml: str = HEAD, ticks: int = 4, count: int = 4
) -> p.Fault:
    """The fault, found equal on one and three workers."""
    spec = written(toml, a=agent, environment=environment)
    places = ((1, "luajit21"), (3, "luajit21"))
    found: Outcome = everywhere(spec, [count], ticks, places=places)
    assert found.fault is not None
    return found.fault


def test_4_15_a_write_is_a_fault_of_the_agent_with_its_line_also_in_a_query() -> None:
    agent = """local function pick(t) return ({t})[1] end
function step(self)
  if tick() == 2 and self.id > 2 then
    pick(env).list[1] = 5
  end
end"""
    fault = fault_of(HOLDS, agent)
    assert (fault.agent, fault.tick, fault.file, fault.line) == (3, 2, "agents/a.lua", 4)
    query = HOLDS + "function query.spoil(env)\n  pick(env).deep.a = 5\nend"
    agent = agent.replace("pick(env).list[1] = 5", "env.spoil()")
    fault = fault_of(query, agent)
    assert (fault.agent, fault.tick, fault.file, fault.line) == (3, 2, "environment.lua", 10)
    assert (fault.kind, fault.message) == ("script", "env.deep.a" + ADVICE)


@pytest.mark.parametrize(
    "call",
    ["pick(env).f()", "for k, v in pairs(pick(env).l) do v() end", "select(1, unpack(env.l))()"],
)
def test_4_15_a_function_that_the_script_keeps_in_env_is_out_of_reach(call: str) -> None:
    environment = """
        local function pick(t) return ({t})[1] end
        function init(env)
          env.x = 0
          env.f = pick(function() env.x = 1 end)
          env.l = {env.f}
        end
    """
    agent = f"local function pick(t) return ({{t}})[1] end\nfunction step(self)\n  {call}\nend"
    fault = fault_of(environment, agent)
    assert (fault.agent, fault.file, fault.line) == (1, "agents/a.lua", 3)
    assert fault.message.startswith("env holds a function, at ")


def test_4_15_a_metatable_that_the_script_sets_in_env_does_nothing_in_agents_turns() -> None:
    environment = """
        local function set(...) return ({setmetatable})[1](...) end
        local function pick(t) return ({t})[1] end
        function init(env)
          env.x = 0
          local spoil = pick(function() env.x = env.x + 1 return "spoilt" end)
          env.t = set({}, {__index = spoil, __len = spoil, __call = spoil, __tostring = spoil})
        end
    """
    agent = """
        local function pick(t) return ({t})[1] end
        function step(self)
          local t = pick(env).t
          log(tostring(t.any), #t, tostring(t), tostring((pcall(t))), env.x)
        end
    """
    spec = written(HEAD, a=agent, environment=environment)

    def told(place: tuple[int, str]) -> list[str]:
        return [text for *_, text in Shares(spec, [4], place[0], vm=place[1]).run(1).logs]

    assert same_for(PLACES, told) == ["nil\t0\t<table>\tfalse\t0"] * 4


ACTS = ["send(1, 'note')", "spawn('a')", "broadcast('a', 'note')", "after(1, 'own')",
        "record('x', 1)", "log('x')", "layer.heat:fill(0)", "layer.heat:diffuse(0.5)",
        "layer.heat:map(function(v) return v end)", "layer.heat:set(0, 0, 5)",
        "layer.heat:add(0, 0, 5)"]  # fmt: skip


@pytest.mark.parametrize("act", ACTS)
def test_4_05_a_query_only_reads_whoever_calls_it(act: str) -> None:
    name, rest = act.split("(", 1)
    hidden = f"pick({name})({rest}"
    if ":" in name:
        layer, name = name.split(":")
        hidden = f"pick({layer}):{name}({rest}"
    environment = f"""local function pick(t) return ({{t}})[1] end
function on.own(env) end
function query.acts(env)
  {hidden}
  return 1
end"""
    world = (
        '[environment]\nspace = { kind = "grid", width = 3, height = 3 }\nlayers = { heat = 1 }\n'
    )
    agent = "function on.note(self) end function step(self) self.x = ACT end"
    toml = f"{world}[agents.a]\ncount = 4\n"
    fault = fault_of(environment, agent.replace("ACT", "env.acts()"), toml)
    assert (fault.agent, fault.file, fault.line) == (1, "environment.lua", 4)
    assert "quer" in fault.message
    metric = fault_of(
        environment, agent.replace("ACT", "1"), toml + "[metrics]\nm = 'env.acts()'\n"
    )
    assert (metric.kind, metric.handler, metric.tick) == ("metric", "m", 0)
    assert "quer" in metric.message


def test_4_16_a_view_that_is_kept_is_named_by_its_path_and_one_that_is_sent_is_copied() -> None:
    agent = """
        function on.note(self, msg) self.got = msg msg.list[1] = "mine" end
        function step(self)
          if tick() == 1 and self.id == 2 then
            send(1, "note", {list = env.list, deep = env.fresh()})
            send("environment", "note", {all = env})
          end
        end
    """
    environment = HOLDS + "function on.note(env, msg) msg.all.list[1] = 'new' env.got = msg end"
    found = clean(everywhere(written(HEAD, a=agent, environment=environment), [4], 2))
    assert found.state(1)["got"] == {"list": ["mine", 1, 2], "deep": {"of": {"a": {"b": {"c": 1}}}}}

    keeps = "function step(self) if self.id == 3 then self.a = {1, {b = env.list}} end end"
    spec = written(HEAD, a=keeps, environment=HOLDS)

    def dumped(place: tuple[int, str]) -> p.Fault | None:
        world = Shares(spec, [4], place[0], vm=place[1]).run(2)
        world.dump(digest=True)
        return world.fault

    fault = same_for(PLACES, dumped)
    assert (fault.agent, fault.tick) == (3, 2)
    assert fault.message.startswith("self.a[2].b is a read-only view: copy the values you need")


def test_4_16_what_the_environment_cannot_keep_is_named_by_its_path() -> None:
    environment = (
        "local function pick(t) return t end function step(env) env.f = {1, pick(print)} end"
    )
    spec = written(HEAD, a="function step(self) end", environment=environment)

    def dumped(place: tuple[int, str]) -> p.Fault | None:
        world = Shares(spec, [4], place[0], vm=place[1]).run(1)
        world.dump()
        return world.fault

    fault = same_for(PLACES, dumped)
    assert (fault.agent, fault.agent_type, fault.tick) == (None, "environment", 1)
    assert fault.message.startswith("env.f[2] is a function (the environment may keep nil,")


def test_4_17_identity_and_cycles_in_the_environment_survive_a_restore() -> None:
    environment = """
        function init(env)
          env.items = {{n = 1}, {n = 2}}
          env.best = env.items[2]
          env.me = env
          env.loop = {env}
        end
        function step(env)
          env.best.n = env.best.n + 10
          log(env.items[2].n, tostring(env.me == env), tostring(env.loop[1] == env), env.me.best.n)
        end
    """
    agent = "function step(self) self.n = env.me.loop[1].me.best.n end"
    spec = written(HEAD, a=agent, environment=environment)

    def through(way: tuple[int, int, str]) -> object:
        before, after, vm = way
        world = Shares(spec, [4], before).run(1)
        if after:
            digest = world.digest()
            world = world.restored(after, vm)
            assert world.digest() == digest
        world.run(3)
        assert world.fault is None, world.fault
        return world.digest(), world.logs[-1:]

    ways = ((2, 0, ""), (1, 3, "lua52"), (3, 1, "luajit21"))
    assert same_for(ways, through)[1] == [[3, 0, 0, 1, "32\ttrue\ttrue\t32"]]


TRADE = """function on.trade(env, msg, from)
  if from == 3 then
    env.sum = msg.n + msg.fee
  end
end
function step(env)
  if tick() == 3 then
    env.total = env.sum / env.count
  end
end"""
TRADER = (
    "function step(self) if tick() == param.at then send('environment', 'trade', {n = 2}) end end"
)


def trade(at: int) -> p.Fault:
    return fault_of(TRADE, TRADER, f"[parameters]\nat = {at}\n{HEAD}")


def test_4_13_a_fault_of_the_environment_names_handler_message_and_sender() -> None:
    assert trade(2) == p.Fault(
        kind="script",
        message="attempt to perform arithmetic on field 'fee' (a nil value)",
        tick=2,
        agent=None,
        agent_type="environment",
        file="environment.lua",
        line=3,
        handler="on.trade",
        handling="trade {n=2} from agent 3",
        excerpt="     2 |   if from == 3 then\n>    3 |     env.sum = msg.n + msg.fee\n"
        "     4 |   end",
        hint="one operand has no number: set the field in init, or use (x or 0)",
        locals="env = {}",
        order=(2, 0, 0, 0, 0),
    )
    step = trade(9)
    assert (step.handler, step.handling, step.line, step.tick) == ("step", None, 8, 3)
    assert step.message == "attempt to perform arithmetic on field 'sum' (a nil value)"


def test_4_13_the_simulation_stands_at_the_last_closed_tick_after_a_fault_of_the_environment() -> (
    None
):
    toml = f"[parameters]\nat = 9\n{HEAD}[metrics]\nn = 'count(a)'\n"
    spec = written(toml, a=TRADER, environment=TRADE)
    found = everywhere(spec, [4], 5, places=ON_LUAJIT)
    assert (found.tick, [tick for tick, _ in found.rows]) == (2, [0, 1, 2])


@pytest.mark.parametrize("place", ["init", "on.trade", "step"])
def test_4_14_an_environment_out_of_fuel_is_a_fault_with_its_line_that_nothing_catches(
    place: str,
) -> None:
    environment = f"""function on.trade(env) end
function {place}(env)
  if tick() == {0 if place == "init" else 2} then
    pcall(function()
      while true do end
    end)
  end
end"""
    if place == "on.trade":
        environment = environment.split("\n", 1)[1]
    toml = "[parameters]\nat = 2\n[environment]\nfuel = 5000\n[agents.a]\ncount = 4\n"
    fault = fault_of(environment, TRADER, toml)
    line = 4 if place == "on.trade" else 5
    assert (fault.kind, fault.file, fault.line) == ("fuel", "environment.lua", line)
    assert (fault.agent, fault.agent_type, fault.handler) == (None, "environment", place)
    assert fault.tick == (0 if place == "init" else 2)
    assert fault.message.startswith("spent all its fuel of 5000 ")


def test_4_14_each_handler_and_step_of_the_environment_has_its_own_fuel() -> None:
    environment = """
        local function work() for n = 1, 3000 do end end
        function on.trade(env) work() env.n = (env.n or 0) + 1 end
        function step(env) work() end
    """
    toml = "[parameters]\nat = 2\n[environment]\nfuel = 5000\n[agents.a]\ncount = 4\n"
    spec = written(toml, a=TRADER + " function init(self) end", environment=environment)
    clean(everywhere(spec, [4], 3, places=PLACES))


def test_4_15_file_level_values_that_the_environments_script_changes_are_a_fault() -> None:
    environment = """
        local kept = {n = {0}}
        local function pick(t) return ({t})[1] end
        function step(env) if tick() == 2 then pick(kept).n[1] = pick(kept).n[1] + 1 end end
    """
    spec = written(f'activation = "ordered"\n{HEAD}', a="", environment=environment)
    alone = everywhere(spec, [4], 4, places=PLACES[::2]).fault
    for fault in (fault_of(environment, ""), alone):
        assert fault is not None
        assert (fault.kind, fault.agent, fault.tick) == ("script", None, 2)
        assert fault.message.startswith("environment.lua: file-level table 'kept.n[1]' (at")
        assert fault.message.endswith("keep what changes in env")


def test_what_cannot_be_sent_is_told_in_words_to_a_script_that_catches_it() -> None:
    agent = """
        function on.note(self) end
        function step(self)
          self.said = {select(2, pcall(send, 1, "note", {n = {print}}))}
          xpcall(function() spawn("a", {f = print}) end, function(e) self.said[2] = e end)
          self.own = select(2, pcall(error, {path = "mine"})).path
        end
    """
    found = clean(everywhere(written(HEAD, a=agent), [4], 1, places=PLACES))
    only = "only nil, booleans, numbers, strings and tables of these can be sent"
    said = [f"body.n[1] is a function ({only})", f"fields.f is a function ({only})"]
    assert (found.field("said"), found.field("own")) == ([said] * 4, ["mine"] * 4)


REFUSED = {
    "send(99, 'note')": "no agent has the id 99: ids are whole numbers from 1 to 4 so far",
    "local kind = 'none' send(1, kind)": "no agent type handles 'none'",
    "local kind = 'trade' send(1, kind)": "is of type 'a', which has no handler for 'trade'",
    "local kind = 'note' after(1, kind)": "the environment has no handler for 'note'",
    "local body = 5 send(1, 'note', body)": "a message's body is a table, not 5",
    "send(1, 'note', {f = print})": "body.f is a function",
    "local d = 0 send(1, 'note', {}, d)": "a delay is a whole number of ticks from 1 to",
    "local d = 1.5 broadcast('a', 'note', {}, d)": "a delay is a whole number of ticks from 1 to",
    "local name = 'b' spawn(name)": 'there is no agent type "b"; types: a',
    "spawn('a', {f = print})": "fields.f is a function",
    "for n = 1, 101 do log(n) end": "the environment may log at most 100 lines in one tick",
    "for n = 1, 10001 do spawn('a') end": "the environment may spawn at most 10000 agents",
    "record('x', 'much')": "record('x', value): value is a number, not \"much\"",
}


@pytest.mark.parametrize("call", REFUSED)
def test_4_13_what_the_environment_may_not_do_says_what_it_may(call: str) -> None:
    environment = f"function on.trade(env)\n  {call}\nend"
    agent = "function on.note(self) end " + TRADER
    fault = fault_of(environment, agent, f"[parameters]\nat = 2\n{HEAD}")
    assert REFUSED[call] in fault.message
    assert (fault.agent_type, fault.tick, fault.line) == ("environment", 2, 2)
    assert fault.kind == ("limit" if "at most" in fault.message else "script")
