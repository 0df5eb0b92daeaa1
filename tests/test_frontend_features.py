"""Agents' scripts and what their model declares: spaces, layers, networks, regimes."""

from __future__ import annotations

import pytest
from frontend_env import ONE_TYPE, SEQUENTIAL, VMS, WORLD, check, in_world, marked

DIRECTED = 'network = { kind = "empty", directed = true }'


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
    one = in_world(body, vm=vm)[0]
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
    assert in_world(body) == []


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
    one = in_world(body, SEQUENTIAL)[0]
    assert (one.severity, one.line, marked(one)) == ("error", 2, text)
    assert reason in one.message
    assert cure in one.hint


def test_a_question_counts_as_sending_its_kind() -> None:
    body = "self.x = ask(1, 'howl') or ask('environment', 'eat', {n = 1})"
    assert in_world(body, SEQUENTIAL) == []


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
    found = in_world("self.x = ask(1, 'howl')", toml)
    assert [(marked(one), one.code) for one in found] == ([("ask", "feature")] if reason else [])
    assert all(reason in one.message for one in found)
    assert all("choices of the parameter" in one.hint for one in found)
