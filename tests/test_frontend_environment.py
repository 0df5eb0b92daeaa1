"""Environments, spaces, layers and networks: the program they give, and what is found in
environment.lua."""

from __future__ import annotations

import pytest
from frontend_env import (
    EAT,
    ENVIRONMENT,
    SEQUENTIAL,
    VMS,
    WOLF,
    WORLD,
    check,
    in_world,
    marked,
    program,
)

from runtime.model import read_model
from runtime.protocol import Diagnostic
from workers.frontend import compile_model


def found_there(environment: str) -> list[Diagnostic]:
    """Findings in environment.lua."""
    sheep = f"function step(self) {EAT} end\nfunction on.eaten(self) end\n"
    found = check(WORLD, sheep=sheep, wolf=WOLF, environment=environment)
    return [one for one in found if one.file == "environment.lua"]


@pytest.mark.parametrize("vm", VMS)
def test_a_world_gives_its_part_of_the_program(vm: str) -> None:
    made = program(
        WORLD + "[metrics]\nprice = 'env.price + env.cost(2)'\n",
        vm,
        sheep=f"function step(self) {EAT} end\n",
        wolf=WOLF,
        environment=ENVIRONMENT,
    )
    script = made["environment"]
    assert script is not None
    assert script.pop("chunk").startswith("local __R=... ")
    assert script == {"chunkname": "@environment.lua", "queries": ["cost"]}
    assert made["environment_fuel"] == 100_000_000
    assert made["space"] == {
        "kind": "grid", "width": "n * 2", "height": "30", "depth": "", "torus": False,
        "neighbors": 4, "single": True, "cell": "", "line": 12,
    }  # fmt: skip
    assert made["layers"] == [
        {
            "name": "grass", "line": 15, "init": "__D(x , 2) + random()",
            "step": "v + __P(around , 2) + heat", "diffuse": "1 / n", "decay": "",
            "uses_around": True, "reads": ["heat"],
        },
        {
            "name": "heat", "line": 16, "init": "0", "step": "", "diffuse": "", "decay": "0.1",
            "uses_around": False, "reads": [],
        },
    ]  # fmt: skip
    assert made["network"] == {
        "kind": "watts_strogatz", "directed": False, "of": 2, "numbers": {"k": "4", "p": "0.1"},
        "torus": True, "edges": [], "line": 13,
    }  # fmt: skip
    assert [one["place"] for one in made["types"]] == ["", "at"]
    assert [one["publish"] for one in made["types"]] == [["energy", "heading"], []]
    assert made["types"][1]["place_at"] == [
        {"field": "x", "code": "i * 2", "line": 10},
        {"field": "y", "code": "random(n)", "line": 10},
    ]
    assert made["kinds"] == ["eat", "howl"]
    assert made["expressions"][0]["code"] == "env.price + env.cost(2)"


def test_a_world_without_a_script_has_no_environment_in_its_program() -> None:
    made = program(WORLD, sheep="function step(self) self.x = layer.grass(1, 1) end\n", wolf=WOLF)
    assert made["environment"] is None
    assert made["space"] is not None


def test_the_environments_script_is_rewritten_but_its_sends_stay() -> None:
    text = "function step(env)\n  for i = 1, #env.list do send(i, 'eaten', {n = i ^ 2}) end\nend\n"
    sheep = f"function step(self) {EAT} end\nfunction on.eaten(self) end\n"
    made = program(WORLD, sheep=sheep, wolf=WOLF, environment=ENVIRONMENT + text)
    assert made["environment"] is not None
    chunk = made["environment"]["chunk"]
    assert "__L(env.list)" in chunk
    assert "send(i, 'eaten', {n = __P(i , 2)})" in chunk
    assert chunk.count("\n") == (ENVIRONMENT + text).count("\n")
    assert [one["keys"] for one in made["shapes"] if one["kind"] == "eaten"] == []


def test_the_order_of_types_is_given_by_index() -> None:
    toml = WORLD.replace('name = "m"', 'name = "m"\nactivation = { by_type = ["wolf", "sheep"] }')
    assert program(toml, sheep="", wolf=WOLF)["by_type"] == [2, 1]


@pytest.mark.parametrize(
    ("script", "text", "reason", "cure"),
    [
        ("function step(env) remove() end", "remove", "an agent's own", "on.leave(self)"),
        ("function step(env) move_to(1, 2) end", "move_to", "an agent's own", "msg.x, msg.y"),
        ("function step(env) env.n = #neighbors(1) end", "neighbors", "the environment has none",
         "neighbors_of(x, y, r)"),
        ("function step(env) link_to(1) end", "link_to", "an agent's own", "link_to(msg.other)"),
        ("function step(env) env.n = message() end", "message", "agent's own", "(env, msg, from)"),
        ("function step(env) ask(1, 'x') end", "ask", "an agent's own", "look(id, field)"),
        ("function step() env.n = 1 end", "env", "env is a parameter", "function step(env)"),
        ("function step(env) self.n = 1 end", "self.n", "what the environment keeps is in env", ""),
        ("function step(env) log(msg.n) end", "msg.n", "only inside a handler", "(env, msg, from)"),
        ("function step(self) end", "self", "is the environment, not 'self'", "step(env)"),
        ("function on.eaten(msg) end", "msg", "is the environment, not 'msg'", "(env, msg, from)"),
        ("function on:eaten(msg) end", "on:eaten", "its parameter env is the environment", "(env,"),
        ("function update(env) end", "update", "nothing calls 'update'", "step(env)"),
        ("local n = 0\nfunction step(env) n = n + 1 end", "n", "'n' is a file-level local: it must",
         "keep it in the environment: env.n = …"),
        ("local T = {}\nfunction step(env) T.x = 1 end", "T.x", "file-level table: it must",
         "env.t = {…}"),
        ("function step(env) total = 1 end", "total", "as a global", "in the environment"),
        ("function step(env) env.f = function() end end", "env.f", "the environment keeps nil",
         "query.name(env"),
        ("function init(env) setmetatable(env, {}) end", "setmetatable(env, {})", "metatable", ""),
        ("function query.price(x) return x end", "x", "is the environment, not 'x'", "(env, x)"),
        ("function query:price() end", "query:price", "with a dot", "query.price(env, …)"),
        ("query[1] = function(env) end", "query[1]", "must be written out", ""),
        ("query.price = 3", "query.price", "must be a function", "env.price = …"),
        ("function step(env) query.price = function() end end", "query.price", "inside a function",
         "file level"),
        ("function query.a(env) end\nfunction query.a(env) end", "query.a", "already, on line 1",
         "rename"),
        ("function query.a(env) env.n = 1 end", "env.n", "it cannot assign to", "in init, step"),
        ("function query.a(env) send(1, 'eaten') end", "send(1, 'eaten')", "a only reads", ""),
        ("function query.a(env) record('x', 1) end", "record('x', 1)", "cannot call record", ""),
        ("function query.a(env) layer.grass:add(1, 2, 3) end", "layer.grass:add(1, 2, 3)",
         "it cannot call layer.grass:add", ""),
        ("function query.a(env) layer.grass:fill(3) end", "layer.grass:fill(3)", "only reads", ""),
        ("function init(env) env.a = 1 end\nfunction query.a(env) end", "env.a",
         "'a' is a query (line 2) and a field", "rename"),
        ("function step(env) layer.grass:map(1, 2) end", "layer.grass:map(1, 2)",
         "takes 1 argument", "map(function(v, x, y)"),
        ("function step(env) layer.gras:fill(0) end", "layer.gras", "no layer 'gras'", "grass"),
        ("function step(env) local x = position() end", "position()", "called with 0", "(id)"),
        ("function step(env) env.n = link(1) end", "link(1)", "with 1 argument", "link(a, b)"),
        ("function step(env) send(1, 'eatn') end", "'eatn'", "of kind 'eatn'", "'eaten'?"),
        ("function step(env) send('bank', 'eaten') end", "'bank'", "no agent has the name", ""),
        ("function step(env) spawn('lamb') end", "'lamb'", "no agent type 'lamb'", "sheep, wolf"),
        ("function step(env) env:grow() end", "env:grow", "only data", ""),
        ("function step(env) env.n = tick % 2 end", "tick", "is a function", "tick()"),
        ("function remove(env) end\nfunction step(env) local x = agents('shep') end", "'shep'",
         "no agent type 'shep'", "'sheep'"),
    ],
)  # fmt: skip
def test_what_cannot_work_in_the_environments_script_is_refused(
    script: str, text: str, reason: str, cure: str
) -> None:
    found = [one for one in found_there(script + "\n") if one.severity == "error"]
    assert marked(found[0]) == text
    assert reason in found[0].message
    assert cure in found[0].hint


def test_the_environment_may_do_what_needs_no_place_of_its_own() -> None:
    found = found_there(
        """\
local RATE = 0.5
local function grow(env, n) env.size = env.size * n end
function init(env)
  env.size, env.seen = 1, {}
end
function on.eat(env, msg, from)
  env.seen[from] = msg.n
  send(from, "eaten", {n = 1}, 2)
  after(2, "eat", {n = 1})
end
function step(env)
  grow(env, RATE)
  local x, y = position(1)
  local ids = neighbors_of(x, y, 2, "wolf")
  for _, id in ipairs(ids) do env.n = look(id, "energy") or degree(id) + link(1, id) end
  layer.grass:map(function(v, x, y) return v + layer.heat:around(x, y) end)
  layer.heat:diffuse(0.2) layer.heat:decay(0.1) layer.heat:fill(0) layer.heat:set(1, 1, 2)
  broadcast("sheep", "eaten") record("size", env.size) spawn("sheep", {energy = 1}, 2, 3)
  log(tick(), param.n, random(), #agents("wolf"), alive(3), at(1, 2), count_at(1, 2), space.width)
  env.free = empty_cells() + (random_empty() or 0) + #links(3)
end
function query.near(env, x, y)
  local found = {}
  for id in pairs(env.seen) do found[#found + 1] = id end
  return found, layer.grass(x, y), env.size
end
"""
    )
    assert found == []


def test_reading_a_field_that_is_never_set_is_a_warning() -> None:
    (one,) = in_world("self.x = env.prise")
    assert (one.severity, marked(one)) == ("warning", "env.prise")
    assert one.message == "environment.lua sets no field 'prise': it is always nil"
    assert one.hint == "did you mean env.price?"
    for more in (
        "function step(env) for k = 1, 3 do env[k] = 1 end end\n",
        "local function put(t, k, v) t[k] = v end\nfunction step(env) put(env, 'prise', 1) end\n",
        "function step(env) rawset(env, 'prise', 1) end\n",
    ):
        assert in_world("self.x = env.prise", environment=ENVIRONMENT + more) == []


def test_an_expression_that_reads_a_field_that_is_never_set_is_refused() -> None:
    (one,) = in_world("self.x = 1", WORLD + "[metrics]\np = 'env.prise + env.price'\n")
    assert (one.severity, one.file, marked(one)) == ("error", "model.toml", "env.prise")
    assert one.message == "environment.lua sets no field 'prise': it is always nil"


@pytest.mark.parametrize("vm", VMS)
def test_a_part_of_the_environments_script_that_does_not_parse_hides_no_other(vm: str) -> None:
    broken = ENVIRONMENT.replace("return env.price * n end", "return env.price *\nend")
    broken += "function step(env) remove() end\nfunction on.eat(env) msg.n = end\n"
    found = in_world(
        "self.x = env.cost(2) env.price = 2", WORLD + "[metrics]\np = 'env.cost(1)'\n", broken, vm
    )
    assert [(one.file, one.line, one.code) for one in found] == [
        ("agents/sheep.lua", 2, "read-only"),
        ("environment.lua", 4, "syntax"),
        ("environment.lua", 5, "feature"),
        ("environment.lua", 6, "syntax"),
    ]


@pytest.mark.parametrize(
    ("toml", "warning"),
    [
        (WORLD, ""),
        (WORLD.replace("single = true", "single = false"), "from a grid with single = true"),
        (SEQUENTIAL, "move_to returns false"),
    ],
)
def test_blocked_is_sent_by_the_runtime_in_single_grids_of_the_synchronous_regime(
    toml: str, warning: str
) -> None:
    sheep = f"function on.blocked(self, msg) self.x = msg.x end\nfunction step(self) {EAT} end\n"
    found = check(toml, sheep=sheep, wolf=WOLF, environment=ENVIRONMENT)
    assert [(one.severity, marked(one)) for one in found] == (
        [("warning", "on.blocked")] if warning else []
    )
    assert all(warning in one.hint for one in found)


def test_a_handler_of_the_environment_that_nobody_sends_to_is_a_warning() -> None:
    text = ENVIRONMENT + "function on.drink(env) end\n"
    (one,) = check(WORLD, sheep=f"function step(self) {EAT} end\n", wolf=WOLF, environment=text)
    assert (one.severity, one.file, marked(one)) == ("warning", "environment.lua", "on.drink")


@pytest.mark.parametrize(
    ("sheep", "warned"),
    [
        ("function step(self) self.x = 1 end", ["age"]),
        ("function step(self) self.age = 1 end", []),
        ("function step(self) self['age'] = 1 end", []),
        ("local function older(a) a.age = 1 end\nfunction step(self) older(self) end", []),
        ("function step(self) for _, k in ipairs({'age'}) do self[k] = 1 end end", []),
        ("function step(self) spawn('sheep', {age = 1}) end", []),
    ],
)
def test_a_published_field_that_nothing_sets_is_a_warning(sheep: str, warned: list[str]) -> None:
    toml = WORLD.replace('"energy", "heading"', '"energy", "age"')
    found = check(toml, sheep=sheep + "\n", wolf=WOLF)
    assert [(one.file, one.line, marked(one)) for one in found] == [
        ("model.toml", 6, name) for name in warned
    ]
    assert all(one.severity == "warning" and "self.age" in one.hint for one in found)


@pytest.mark.parametrize(
    ("old", "new", "line", "text", "reason"),
    [
        ("n = 10", "grass = 10\nn = 10", 16, "grass", "is a parameter (line 3) and a layer"),
        ("n = 10", "x = 10\nn = 10", 3, "x", "the parameter 'x'"),
        ("n = 10", "space = 10\nn = 10", 3, "space", "the parameter 'space'"),
        ("heat = {", "v = {", 16, "v", "the layer 'v' has a name with another meaning"),
        ("heat = {", "math = {", 16, "math", "the layer 'math'"),
        ("heat = {", "__t = {", 16, "__t", "names like __t belong to the runtime"),
        ("n = 10", "__s = 10\nn = 10", 3, "__s", "names like __s belong to the runtime"),
    ],
)
def test_names_of_the_world_that_clash_are_refused(
    old: str, new: str, line: int, text: str, reason: str
) -> None:
    toml = WORLD.replace(' + heat"', '"').replace(old, new).replace(', of = "wolf"', "")
    found = check(toml, sheep="", wolf=WOLF)
    assert [(one.file, one.line, marked(one)) for one in found if one.code == "clash"] == [
        ("model.toml", line, text)
    ]
    assert any(reason in one.message for one in found)


def test_by_type_that_leaves_out_a_type_with_a_step_is_told() -> None:
    files = {
        "model.toml": 'name = "m"\nactivation = { by_type = ["a"] }\n[agents.a]\ncount = 1\n'
        "[agents.b]\ncount = 1\n[agents.c]\ncount = 1\n",
        "agents/a.lua": "function step(self) end\n",
        "agents/b.lua": "function step(self) end\n",
        "agents/c.lua": "function on.hello(self) end\nfunction init(self) after(1, 'hello') end\n",
    }
    model, found = read_model("m", files)
    assert model is not None, found
    _, said = compile_model(model)
    assert [(one.line, one.message, one.hint) for one in said] == [
        (
            2,
            "by_type leaves out 'b', which has a step: it would never have a turn",
            "add 'b' where it belongs in the order, or remove its step",
        )
    ]
