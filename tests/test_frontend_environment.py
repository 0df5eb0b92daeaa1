"""Environments, spaces, layers and networks: the program they give, and what is found in them."""

from __future__ import annotations

import pytest
from frontend_env import ONE_TYPE, VMS, check, marked, program

from runtime.model import read_model
from runtime.protocol import Diagnostic
from workers.frontend import compile_model

WORLD = """\
name = "m"
[parameters]
n = 10
[agents.sheep]
count = "n"
publish = ["energy", "heading"]
state = { energy = 5, heading = 0 }
[agents.wolf]
count = 2
place = { x = "i * 2", y = "random(n)" }
[environment]
space = { kind = "grid", width = "n * 2", height = 30, neighbors = 4, torus = false, single = true }
network = { kind = "watts_strogatz", k = 4, p = 0.1, of = "wolf" }
[environment.layers]
grass = { init = "x // 2 + random()", step = "v + around ^ 2 + heat", diffuse = "1 / n" }
heat = { decay = 0.1 }
"""
ENVIRONMENT = """\
function init(env) env.price = 1 env.list = {} end
function on.eat(env, msg, from) env.price = env.price + msg.n end
function query.cost(env, n) return env.price * n end
"""
WOLF = "function on.howl(self) end\nfunction step(self) send(1, 'howl') end\n"
EAT = "send('environment', 'eat', {n = 1})"
DIRECTED = 'network = { kind = "empty", directed = true }'


def found_in(
    body: str, toml: str = WORLD, environment: str = ENVIRONMENT, vm: str = "luajit21"
) -> list[Diagnostic]:
    """Findings of a body of a sheep's step, which stands on line 2."""
    sheep = f"function step(self)\n{body}\nend\nfunction init(self) {EAT} end\n"
    found = check(toml, vm, sheep=sheep, wolf=WOLF, environment=environment)
    return [one for one in found if one.code != "place"]


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
    assert script == {
        "chunkname": "@environment.lua",
        "queries": ["cost"],
        "fuel": 100_000_000,
    }
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


@pytest.mark.parametrize("vm", VMS)
@pytest.mark.parametrize(
    ("body", "text", "reason", "cure"),
    [
        ("env.price = 3", "env.price", "agents cannot write to the environment", "on.kind(env"),
        ("env.list[1] = 3", "env.list[1]", "agents cannot write", 'send("environment", "kind"'),
        ("local l = env.list l[1] = 3", "l[1]", "agents cannot write", "assign it"),
        ("for _, p in pairs(env.list) do p.x = 1 end", "p.x", "agents cannot write", ""),
        ("env.cost(2).x = 1", "env.cost(2).x", "agents cannot write", ""),
        ("table.insert(env.list, 1)", "table.insert(env.list, 1)", "agents cannot write", ""),
        ("env = {}", "env", "'env' is the runtime's", "rename it"),
        ("self.x = env.price()", "env.price", "no query 'price'", "write env.price, without ()"),
        ("self.x = env.csot(1)", "env.csot", "no query 'csot'", "did you mean env.cost?"),
        ("self.x = env.weather()", "env.weather", "no query 'weather'", "queries: cost"),
        ("self.x = env.cost + 1", "env.cost", "is a query, and is not called", "env.cost(…)"),
        ("self.x = env:cost(1)", "env:cost", "called with a dot", "write env.cost(…)"),
        ("query.x = 1", "query.x", "functions of environment.lua", "query.name(env)"),
        ("send('environment', 'eta')", "'eta'", "no handler for 'eta'", "did you mean 'eat'?"),
        ("send('environment', 'howl')", "'howl'", "(type 'wolf' has)", "in environment.lua"),
        ("send(0, 'howl')", "'howl'", "environment.lua has no handler", "(env, msg, from)"),
        ("send(self.id, 'eat')", "'eat'", "(environment.lua has)", 'send("environment", "eat"'),
        ("send('enviroment', 'eat')", "'enviroment'", "has the name", "'environment'?"),
        ("broadcast('environment', 'eat')", "'environment'", "agents of a type", "write send("),
        ("ask(1, 'howl')", "ask", "ask needs a regime", "send a message"),
        ("self.x = look(1, 'enrgy')", "'enrgy'", "publishes a field 'enrgy'", "'energy'?"),
        ("self.x = look(1, 'age')", "'age'", "publishes a field 'age'", "energy, heading"),
        ("self.x = look(1, 2)", "2", "name is a text", 'look(id, "field")'),
        ("self.x = look(1)", "look(1)", "look is called with 1 argument", 'look(id, "field")'),
        ("self.n = count_near(1, 'wolf', 'sex', 1)", "'sex'", "publishes a field 'sex'", ""),
        (
            "self.n = count_near(1, 'wolf', 'energy')",
            "count_near(1, 'wolf', 'energy')",
            "the value is missing",
            "count_near(r, type, field, value)",
        ),
        ("self.n = #neighbors(1, 'wolff')", "'wolff'", "no agent type 'wolff'", "'wolf'?"),
        ("self.n = nearest(5, 'wolf')", "5", "nearest takes the name", "nearest(type, r)"),
        ("self.n = #neighbors(-1)", "-1", "r is a radius, 0 or more, not -1", "neighbors(r"),
        ("move_to(1)", "move_to(1)", "move_to is called with 1 argument", "move_to(x, y)"),
        ("self.n = #neighbors", "neighbors", "is a function", "neighbors(…)"),
        ("self.x = position + 1", "position", "is a function", "position()"),
        ("spawn('wolf', {}, 1, 2, 3)", "spawn('wolf', {}, 1, 2, 3)", "5 arguments", "x, y)"),
        ("self.n = #neighbours(1)", "neighbours", "unknown function", "did you mean neighbors?"),
        ("self.x = #links_in()", "links_in", "needs a directed network", "directed = true"),
        ("link_to()", "link_to()", "called with 0 arguments", "link_to(id, weight)"),
        ("self.x = layer.gras(1, 2)", "layer.gras", "no layer 'gras'", "layer.grass?"),
        ("self.x = layer['soil'](1, 2)", "layer['soil']", "no layer 'soil'", "grass, heat"),
        ("self.x = layer.grass(1)", "layer.grass(1)", "takes 2 arguments, not 1", "(x, y)"),
        ("self.x = layer.grass[1][2]", "layer.grass[1]", "read by a call", "grass(x, y)"),
        ("self.x = layer.grass + 1", "layer.grass", "a whole layer", "layer.grass:sum()"),
        ("layer.grass.add(1, 2, 3)", "layer.grass.add", "with a colon", "grass:add(x, y, v)"),
        ("layer.grass:add(1, 3)", "layer.grass:add(1, 3)", "3 arguments, not 2", "(x, y, v)"),
        ("local g = layer.grass g:add(1)", "g:add(1)", "3 arguments, not 1", "g:add(x, y, v)"),
        ("layer.grass:fill(0)", "layer.grass:fill", "is the environment's", ":set(x, y, v)"),
        ("self.x = layer.grass:averge()", "layer.grass:averge", "no method", "it has"),
        ("self.x = layer.grass:men()", "layer.grass:men", "no method 'men'", ":mean(…)?"),
        ("layer.grass = {}", "layer.grass", "layers are not assigned", ":set(x, y, v)"),
        ("layer.grass[1] = 2", "layer.grass[1]", "layers are not assigned", ":set(x, y, v)"),
        ("self.x = layer:grass(1, 2)", "layer:grass", "named with a dot", "layer.grass(x, y)"),
        ("self.x = layer('grass')", "layer", "the table of all layers", "layer.grass(x, y)"),
        ("self.x = space.widht", "space.widht", "no space.widht", "space.width?"),
        ("self.x = space.depth", "space.depth", "no space.depth", "two dimensions"),
        ("space.width = 3", "space.width", "is fixed", "model.toml"),
        ("self.x = environment.price", "environment.price", "is no global", "env.field"),
        ("self.x = grass", "grass", "undeclared global", "layer.grass(x, y)"),
        ("self.x = price", "price", "undeclared global", "env.price"),
        ("local w = nearest('wolf', 3) self.x = w.energy", "w.energy", "an agent's id, a number",
         'write look(w, "energy")'),
        ("self.x = at(1, 2).age", "at(1, 2).age", "no field 'age'", 'publish = ["age"]'),
        ("for _, n in ipairs(neighbors(1)) do n.age = 1 end", "n.age", "an agent's id", "send(n,"),
        ("local near = neighbors(1) near[1]:howl()", "near[1]:howl", "an agent's id",
         'send(near[1], "howl", {…})'),
        ("local o = choice(agents('wolf')) self.x = o.age", "o.age", "an agent's id", "look(o"),
        ("for id in neighbors(1) do log(id) end", "neighbors(1)", "gives a list",
         "for _, id in ipairs(neighbors(1)) do"),
        ("local p = position() self.x = p.x", "p.x", "gives 2 numbers", "local x, y = position()"),
        ("self.x = offset(3).dx", "offset(3).dx", "gives 2 numbers", "local dx, dy = offset(3)"),
        ("layer.grass(1, 2) = 3", "=", "syntax error", "layer.NAME:set(x, y, v)"),
        ("layer.grass[1, 2] = 3", ",", "syntax error", "layer.NAME:set(x, y, v)"),
        ("layer.grass(1, 2) += 3", "+=", "+= is not Lua", "layer.NAME:add(x, y, …)"),
        ("layer.grass[1][2] = 3", "layer.grass[1][2]", "layers are not assigned", ":set(x, y, v)"),
        ("layer.set('grass', 1, 2, 3)", "layer.set", "no layer 'set'", "layer.grass:set(x, y, v)"),
        ("self.x = layer.grass:get(1, 2)", "layer.grass:get", "no method 'get'", "grass(x, y)"),
        ("self.x = space.width()", "space.width", "is a number", "write space.width"),
        ("self.x = position(self)", "self", "not its id", "self.id for oneself"),
        ("self.g = layer.grass", "self.g", "cannot hold layer.grass", "use layer.grass itself"),
        ("self.e = env", "self.e", "cannot hold env", "use env itself"),
        ("move(1, 0)", "move", "there is no move", "move_by(dx, dy)"),
    ],
)  # fmt: skip
def test_what_cannot_work_in_an_agents_script_is_refused(
    vm: str, body: str, text: str, reason: str, cure: str
) -> None:
    one = found_in(body, vm=vm)[0]
    assert (one.severity, one.line, marked(one)) == ("error", 2, text)
    assert reason in one.message
    assert cure in one.hint


@pytest.mark.parametrize(
    "body",
    [
        "local x, y = position() move_to(x + 1, y) move_by(0, 1)",
        "for _, id in ipairs(neighbors(2, 'wolf')) do self.e = look(id, 'energy') or 0 end",
        "self.n = count_near(1, nil, 'energy', 5) + #neighbors_of(1, 2, 3, 'sheep')",
        "local id = nearest(nil, 5) if id and alive(id) then send(id, 'howl') end",
        "self.x, self.y = random_empty() self.n = empty_cells() self.a, self.b = empty_cells(3)",
        "local id = at(1, 2) or at(1, 2, 'wolf') self.n = count_at(1, 2)",
        "for _, id in ipairs(links()) do if link(id) > 1 then unlink(id) end end link_to(3, 2)",
        "layer.grass:add(1, 2, -1) layer.heat:set(1, 2, layer.grass(1, 2)) self.x = degree()",
        "local g = layer.grass g:set(0, 0, g(1, 1)) self.m = g:mean() + layer.heat:count(0)",
        "local name = 'grass' self.x = layer[name](1, 2)",
        "self.x = env.price + env.cost(2) for k, v in pairs(env.list) do self[k] = v end",
        "local copy = {} for k, v in pairs(env.list) do copy[k] = v end copy.x = 1",
        "local cost = env.cost self.x = cost(3) local p = env.price p = p + 1 self.y = p",
        "spawn('wolf', {age = 1}, 3, 4) self.w = space.width * space.height",
        "local function distance(a, b) return a - b end self.x = distance(1, 2)",
        "local near = {} for _, id in ipairs(neighbors(1)) do near[#near + 1] = {id = id} end",
        "local t = nearest('wolf', 3) t = {id = t} self.x = t.id move_to(random_empty())",
        "local n = choice({{x = 1}}) self.x = n.x for k, v in pairs(links()) do self.x = v end",
        "local layer = {grass = 3} layer.grass = 4 self.x = layer.grass + 1",
    ],
)  # fmt: skip
def test_what_the_features_give_passes(body: str) -> None:
    assert found_in(body) == []


@pytest.mark.parametrize(
    ("call", "name", "reason", "cure"),
    [
        ("move_to(1, 2)", "move_to", "move_to needs a space", "below [environment]: space = {"),
        ("self.n = #neighbors(1)", "neighbors", "neighbors needs a space", "space = {"),
        ("self.n = space.width", "space", "this model has no space", "space = {"),
        ("self.n = at(1, 2)", "at", 'needs a space of kind "grid"', "space = {"),
        ("self.n = #links()", "links", "links needs a network", "network = {"),
        ("self.n = #links_in()", "links_in", "needs a directed network", "directed = true"),
        ("layer.grass:add(1, 2, 3)", "layer", "this model has no layers", "[environment.layers]"),
        ("self.x = look(1, 'a')", "look", "look needs published fields", "publish = ["),
        ("self.x = env.price", "env", "this model has no environment.lua", "function init(env)"),
        ("ask(1, 'x')", "ask", "this one is synchronous", "on.answer(…)"),
        ("self.n = #neighbours(1)", "neighbours", "unknown function", "did you mean neighbors?"),
        (
            "spawn('a', {}, 1, 2)",
            "spawn('a', {}, 1, 2)",
            "this model has no space",
            "spawn(type, fields)",
        ),
    ],
)  # fmt: skip
def test_a_name_of_what_a_model_lacks_says_what_to_declare(
    call: str, name: str, reason: str, cure: str
) -> None:
    one = check(ONE_TYPE, a=f"function step(self)\n{call}\nend\n")[0]
    assert (one.severity, one.line, marked(one)) == ("error", 2, name)
    assert reason in one.message
    assert cure in one.hint


def test_names_of_what_a_model_lacks_are_free_for_its_own_functions() -> None:
    script = (
        "function distance(a, b) return a - b end\nfunction at(x) return x end\n"
        "local layer = 3\nfunction step(self) self.x = distance(at(1), layer) end\n"
    )
    assert check(ONE_TYPE, a=script) == []


def test_a_grid_function_in_a_continuous_space_names_what_is_there() -> None:
    toml = ONE_TYPE + (
        '[environment]\nspace = { kind = "continuous", width = 9, height = 9, depth = 9 }\n'
    )
    (one,) = check(toml, a="function step(self) self.n = count_at(1, 2) end\n")
    assert one.message == 'count_at needs a space of kind "grid"'
    assert "neighbors_of(x, y, z, r)" in one.hint
    (one,) = check(toml, a="function step(self) move_to(1, 2) end\n")
    assert one.hint == "write move_to(x, y, z)"


def test_links_in_of_a_directed_network_passes() -> None:
    toml = ONE_TYPE + "[environment]\n" + DIRECTED + "\n"
    assert check(toml, a="function step(self) self.n = #links_in() + #links(3) end\n") == []


SEQUENTIAL = WORLD.replace('name = "m"', 'name = "m"\nactivation = "random"')


@pytest.mark.parametrize(
    ("body", "text", "reason", "cure"),
    [
        ("self.x = ask(1, 'hwol')", "'hwol'", "nobody handles messages of kind 'hwol'", "'howl'?"),
        ("self.x = ask('environment', 'howl')", "'howl'", "environment.lua has no", "on.howl"),
        ("self.x = ask(self.id, 'howl')", "self.id", "an agent cannot ask itself", "call a"),
        ("self.x = ask(1)", "ask(1)", "ask is called with 1", "ask(to, kind, body)"),
        ("self.x = ask(1, 'howl', 3)", "3", "body is a table", "ask(to, kind, body)"),
        ("self.x = ask('howl', {})", "'howl'", "a message kind", 'ask(to, "howl"'),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(
    body: str, text: str, reason: str, cure: str
) -> None:
    one = found_in(body, SEQUENTIAL)[0]
    assert (one.severity, one.line, marked(one)) == ("error", 2, text)
    assert reason in one.message
    assert cure in one.hint


def test_a_question_counts_as_sending_its_kind() -> None:
    body = "self.x = ask(1, 'howl') or ask('environment', 'eat', {n = 1})"
    assert found_in(body, SEQUENTIAL) == []


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ('["random", "uniform"]', ""),
        ('["random", "synchronous"]', "this model may also run as synchronous"),
    ],
)
def test_a_question_needs_every_regime_that_may_be_chosen(choices: str, reason: str) -> None:
    toml = WORLD.replace('name = "m"', 'name = "m"\nactivation = { parameter = "regime" }').replace(
        "n = 10\n", f'n = 10\nregime = {{ default = "random", choices = {choices} }}\n'
    )
    found = found_in("self.x = ask(1, 'howl')", toml)
    assert [(marked(one), one.code) for one in found] == ([("ask", "feature")] if reason else [])
    assert all(reason in one.message for one in found)
    assert all("choices of the parameter" in one.hint for one in found)


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
    (one,) = found_in("self.x = env.prise")
    assert (one.severity, marked(one)) == ("warning", "env.prise")
    assert one.message == "environment.lua sets no field 'prise': it is always nil"
    assert one.hint == "did you mean env.price?"
    for more in (
        "function step(env) for k = 1, 3 do env[k] = 1 end end\n",
        "local function put(t, k, v) t[k] = v end\nfunction step(env) put(env, 'prise', 1) end\n",
        "function step(env) rawset(env, 'prise', 1) end\n",
    ):
        assert found_in("self.x = env.prise", environment=ENVIRONMENT + more) == []


def test_an_expression_that_reads_a_field_that_is_never_set_is_refused() -> None:
    (one,) = found_in("self.x = 1", WORLD + "[metrics]\np = 'env.prise + env.price'\n")
    assert (one.severity, one.file, marked(one)) == ("error", "model.toml", "env.prise")
    assert one.message == "environment.lua sets no field 'prise': it is always nil"


@pytest.mark.parametrize("vm", VMS)
def test_a_part_of_the_environments_script_that_does_not_parse_hides_no_other(vm: str) -> None:
    broken = ENVIRONMENT.replace("return env.price * n end", "return env.price *\nend")
    broken += "function step(env) remove() end\nfunction on.eat(env) msg.n = end\n"
    found = found_in(
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
