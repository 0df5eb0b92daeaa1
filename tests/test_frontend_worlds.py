"""What runs and means something else than it seems: found before a wrong number is believed."""

from __future__ import annotations

import pytest
from frontend_env import check, marked

from runtime.model import read_model
from runtime.protocol import Diagnostic

MEADOW = """\
name = "meadow"
[agents.sheep]
count = 9
place = "random"
publish = ["hungry"]
state = { food = 1, hungry = false, list = 0 }
[agents.wolf]
count = 2
place = "random"
[environment]
space = { kind = "grid", width = 9, height = 9 }
network = { kind = "ring", k = 2 }
[environment.layers]
grass = 1
"""
SYNCHRONOUS, RANDOM = MEADOW, 'activation = "random"\n' + MEADOW
SEA = MEADOW.replace('"grid", width', '"continuous", depth = 9, width').replace(
    "[environment.layers]\ngrass = 1\n", ""
)


def found_in(body: str, toml: str = MEADOW) -> list[Diagnostic]:
    """Findings of a body of a sheep's step, which stands on line 2."""
    return check(toml, sheep=f"function step(self)\n{body}\nend\n", wolf="")


@pytest.mark.parametrize(
    ("body", "text", "reason", "cure"),
    [
        ("local c = spawn('sheep', {food = 1})", "spawn('sheep', {food = 1})", "returns nothing",
         "fields"),
        ("self.food = log(self.food)", "log(self.food)", "returns nothing", "math.log(x)"),
        ("if not move_by(1, 0) then self.food = 0 end", "move_by(1, 0)", "returns nothing",
         "on.blocked(self, msg)"),
        ("if count_near(1) then self.food = 1 end", "count_near(1)", "0 too",
         "write count_near(1) ~= 0"),
        ("if self.food > 0 and layer.grass(1, 1) then self.food = 1 end", "layer.grass(1, 1)",
         "every number is true", "layer.grass(1, 1) ~= 0"),
        ("if not layer.grass:sum() then self.food = 1 end", "layer.grass:sum()", "0 too",
         "layer.grass:sum() == 0"),
        ("local n = neighbors(1) while #n do n = {} end", "#n", "0 too", "write #n ~= 0"),
        ("local n = degree() if n then self.food = 1 end", "n", "0 too", "write n ~= 0"),
        ("if random(100) < 0.5 then self.food = 1 end", "random(100) < 0.5", "whole number",
         "write random() < …"),
        ("local x = position(nearest('wolf', 5))", "position(nearest('wolf', 5))", "oneself",
         "local id = nearest('wolf', 5)"),
        ("for n in pairs(neighbors(1)) do send(n, 'go') end", "n", "no id",
         "for _, n in ipairs(neighbors(1)) do"),
        ("self.food = count_near(1, 'wolf', 'hungry', true)", "'hungry'", "no wolf publishes",
         "[agents.wolf]"),
        ("local x, y = position() layer.grass:add(x, y, -layer.grass(x, y))",
         "layer.grass:add(x, y, -layer.grass(x, y))", "both take the same grass",
         'activation = "random"'),
        ("local v = layer.grass(1, 1) layer.grass:set(1, 1, v - 1)",
         "layer.grass:set(1, 1, v - 1)", "both take", "count_at(x, y)"),
        ("if count_near(2) > 3 then layer.grass:set(1, 1, layer.grass(1, 1) - 1) end",
         "layer.grass:set(1, 1, layer.grass(1, 1) - 1)", "both take", "count_at(x, y)"),
        ("move_to(random(0, space.width), 3)", "random(0, space.width)", "from 0 to",
         "random(0, space.width - 1)"),
        ("for y = 1, space.height do log(y) end", "y = 1, space.height", "from 0 to",
         "for y = 0, space.height - 1 do"),
        ("self.food = self.fod", "self.fod", "nothing gives a sheep", "self.food?"),
        ("local x, y = self.x", "self.x", "nothing gives a sheep", "local x, y = position()"),
        ("if self.neighbors then self.food = 1 end", "self.neighbors", "always nil",
         "write neighbors(r)"),
    ],
)  # fmt: skip
def test_what_runs_and_means_something_else_is_a_warning(
    body: str, text: str, reason: str, cure: str
) -> None:
    found = [one for one in found_in(body) if one.severity == "warning"]
    assert [(one.line, marked(one)) for one in found] == [(2, text)]
    assert reason in found[0].message
    assert cure in found[0].hint


@pytest.mark.parametrize(("toml", "cure"), [(MEADOW, "dy)"), (SEA, "dy, dz) or move_to(x, y, z)")])
def test_an_agent_that_counts_its_own_place_stands_still(toml: str, cure: str) -> None:
    walks = "function init(self) self.x = 0 end\nfunction step(self) self.x = self.x + 1 "
    (one,) = check(toml, sheep=walks + "end\n", wolf="")
    assert (one.severity, one.line, marked(one)) == ("warning", 2, "self.x")
    assert "the agent stays where it is" in one.message
    assert cure in one.hint
    moves = walks + ("move_by(1, 0) end\n" if toml == MEADOW else "move_by(1, 0, 0) end\n")
    assert check(toml, sheep=moves, wolf="") == []


@pytest.mark.parametrize(
    ("toml", "body"),
    [
        (RANDOM, "if not move_by(1, 0) then self.food = 0 end"),
        (RANDOM, "layer.grass:add(1, 1, -layer.grass(1, 1))"),
        (MEADOW.replace("height = 9", "height = 9, single = true"),
         "layer.grass:add(1, 1, -layer.grass(1, 1))"),
        (MEADOW, "layer.grass:add(1, 1, -layer.grass(1, 1) / count_at(1, 1))"),
        (MEADOW, "layer.grass:set(1, 1, layer.grass(1, 1) + 1)"),
        (MEADOW, "layer.grass:add(1, 1, -1)"),
        (MEADOW, "if self.food > 9 then return remove() end"),
        (MEADOW, "if random(6) < 3 or random() < 0.5 then self.food = 1 end"),
        (MEADOW, "for k in pairs({a = 1}) do log(k) end"),
        (MEADOW, "for k, id in pairs(neighbors(1)) do log(k, id) end"),
        (MEADOW, "for i in ipairs(neighbors(1)) do self.food = i end"),
        (MEADOW, "for _ in ipairs(links()) do self.food = self.food + 1 end"),
        (MEADOW, "for x = 1, space.width do self.food = layer.grass(x - 1, 0) end"),
        (MEADOW.replace("random", "grid"), "layer.grass:add(1, 1, -layer.grass(1, 1))"),
        (MEADOW.replace("count = 9", 'count = 1\nname = "ann"'),
         "layer.grass:add(1, 1, -layer.grass(1, 1))"),
        (MEADOW, "local id = nearest('wolf', 3) if id then self.food = position(id) end"),
        (MEADOW, "if nearest('wolf', 3) or link(1) or at(1, 1) then self.food = 1 end"),
        (MEADOW, "move_to(random(0, space.width - 1), random(0, 8))"),
        (MEADOW, "for _, k in ipairs({'a'}) do self[k] = 1 end log(self.a)"),
        (MEADOW, "local me = self for _, k in ipairs({'a'}) do me[k] = 1 end log(self.a)"),
        (MEADOW, "local born = {age = 1} spawn('sheep', born) log(self.age)"),
        (MEADOW, "spawn('sheep', {age = 1}) log(self.age, self.parent, self.id, self.type)"),
        (MEADOW, "self.x, self.y = position() log(self.x)"),
        (MEADOW, "local function top(self) return self.n end log(top({n = 1}))"),
    ],
)  # fmt: skip
def test_what_means_what_it_says_passes(toml: str, body: str) -> None:
    assert found_in(body, toml) == []


@pytest.mark.parametrize(
    ("body", "text", "reason", "cure"),
    [
        ("self.food = links()[0]", "links()[0]", "lists begin at 1", "write links()[1]"),
        ("self.food = neighbors(1).length", "neighbors(1).length", "a list", "#neighbors(1)"),
        ("for _, l in ipairs(links()) do self.food = l.weight end", "l.weight", "a number",
         "link(l)"),
        ("if at(1, 2).type == 'wolf' then remove() end", "at(1, 2).type", "a number",
         'at(x, y, "type")'),
        ("self.food = look('hungry', 2)", "look('hungry', 2)", "the id first",
         "write look(2, 'hungry')"),
        ("self.food = #neighbors(self, 1)", "self", "r comes first", "neighbors_of(x, y, r"),
        ("self.food = count_near('wolf', 1)", "'wolf'", "the radius comes first", "count_near(r"),
        ("self.food = space:width()", "space:width", "is a number", "write space.width"),
        ("self.food = count('sheep')", "count", "is an aggregate", 'write #agents("type")'),
        ("self.food = mean('sheep', 1)", "mean", "is an aggregate", "look(id, field)"),
        ("self.food = max(1, 2)", "max", "in the math library", "math.max(a, b)"),
        ("remove_link(3)", "remove_link", "there is no remove_link", "write unlink(id)"),
        ("self:die()", "self:die", "only data", "write remove()"),
        ("self:move(1, 0)", "self:move", "only data", "move_by(dx, dy)"),
        ("self.list:neighbors(1)", "self.list:neighbors", "a method", "write neighbors(1)"),
        ("self.food = grid.width", "grid.width", "there is no grid", "space.width"),
    ],
)  # fmt: skip
def test_calls_of_other_frameworks_are_answered_with_what_to_write(
    body: str, text: str, reason: str, cure: str
) -> None:
    one = next(one for one in found_in(body) if one.severity == "error")
    assert (one.line, marked(one)) == (2, text)
    assert reason in one.message
    assert cure in one.hint


def test_a_field_to_publish_is_named_where_nothing_is_published() -> None:
    toml = MEADOW.replace('publish = ["hungry"]\n', "")
    (one,) = found_in("self.food = look(1, 'food')", toml)
    assert one.hint == 'add to model.toml, below the agent type: publish = ["food"]'


def test_the_environment_is_not_called_env_in_a_send() -> None:
    script = "function on.go(env) end\n"
    sheep = "function step(self) send('env', 'go') end\n"
    one = check(MEADOW, sheep=sheep, wolf="", environment=script)[0]
    assert (marked(one), one.hint) == ("'env'", "did you mean 'environment'?")


@pytest.mark.parametrize(
    ("old", "new", "text", "cure"),
    [
        ('"grid"', '"torus"', "kind", 'did you mean "grid"?'),
        ('"ring"', '"small_world"', "kind", 'did you mean "watts_strogatz"?'),
        ('"ring"', '"barabasi_albert"', "kind", 'did you mean "preferential"?'),
        ("height = 9", "height = 9, wrap = true", "wrap", "write torus = true"),
        ("width = 9, height = 9", "size = 9", "size", "write width and height"),
        ("height = 9", 'height = 9, neighbors = "moore"', "neighbors", "write neighbors = 8."),
        ('name = "meadow"', 'activation = "parallel"', "activation", '"synchronous"?'),
        ("[environment]", "[environment]\nprice = 3", "price", "function init(env) env.price = …"),
    ],
)
def test_other_words_in_model_toml_are_answered_with_the_right_ones(
    old: str, new: str, text: str, cure: str
) -> None:
    files = {"agents/sheep.lua": "", "agents/wolf.lua": ""}
    found = read_model("m", {"model.toml": MEADOW.replace(old, new), **files})[1]
    assert (found[0].severity, marked(found[0])) == ("error", text)
    assert cure in found[0].hint


def test_a_type_that_only_stands_there_may_have_an_empty_script() -> None:
    toml = {"model.toml": MEADOW}
    (one,) = read_model("m", {**toml, "agents/sheep.lua": ""})[1]
    assert (
        one.hint == "write agents/wolf.lua; an empty one will do for agents that only stand there"
    )
    found = read_model("m", {**toml, "agents/sheep.lua": "", "agents/wolfs.lua": ""})[1]
    assert "is it agents/wolfs.lua?" in [one.hint for one in found]


@pytest.mark.parametrize(
    ("old", "new", "body", "warned", "cure"),
    [
        ("", "", "self.food = #neighbors(1)", "", ""),
        ('place = "random"\npublish', "publish", "self.food = #neighbors(1)", "neighbors(1)",
         'place = "random"'),
        ('place = "random"\npublish', "publish", "local x = position()", "position()", "in init"),
        ('place = "random"\npublish', "publish", "move_to(1, 1) move_by(1, 1)", "", ""),
        ('place = "random"\npublish', "publish", "self.food = position(1)", "", ""),
        ('place = "random"\npublish', "publish", "spawn('sheep', {}, 1, 1) move_by(1, 1)", "", ""),
        ("height = 9", "height = 9, single = true", "spawn('sheep') move_by(1, 1)",
         "spawn('sheep')", "random_empty()"),
        ("height = 9", "height = 9, single = true", "spawn('sheep', {}, 1, 1) move_by(1, 1)",
         "", ""),
    ],
)  # fmt: skip
def test_agents_that_look_around_and_stand_nowhere_are_a_warning(
    old: str, new: str, body: str, warned: str, cure: str
) -> None:
    found = found_in(body, MEADOW.replace(old, new) if old else MEADOW)
    assert [(one.severity, marked(one)) for one in found] == (
        [("warning", warned)] if warned else []
    )
    assert all(cure in one.hint for one in found)


@pytest.mark.parametrize(
    ("send", "read", "warned", "cure"),
    [
        ("{amount = 1}", "msg.amount", "", ""),
        ("{amount = 1}", "msg.amonut", "msg.amonut", "did you mean msg.amount?"),
        ("{amount = 1}", "msg.from", "msg.from", "function on.pay(self, msg, from)"),
        ("nil", "msg.colour", "msg.colour", "carried: none; else send it: {colour = …}"),
        ("self.list", "msg.colour", "", ""),
        ("{[self.id] = 1}", "msg.colour", "", ""),
        ("{amount = 1}) send(2, 'pay', {colour = 1}", "msg.colour", "", ""),
        ("{amount = 1}) send(2, self.type", "msg.colour", "", ""),
        ("{amount = 1}) pcall(send, 2, 'pay', {colour = 1}", "msg.colour", "", ""),
    ],
)
def test_a_field_that_no_message_carries_is_a_warning(
    send: str, read: str, warned: str, cure: str
) -> None:
    sheep = f"function step(self)\n  send(1, 'pay', {send})\nend\n"
    sheep += f"function on.pay(self, msg)\n  self.food = {read}\nend\n"
    found = check(MEADOW, sheep=sheep, wolf="")
    assert [(one.severity, one.line, marked(one)) for one in found] == (
        [("warning", 5, warned)] if warned else []
    )
    assert all(cure in one.hint for one in found)


def test_what_the_engine_tells_of_a_blocked_move_is_known() -> None:
    toml = MEADOW.replace("height = 9", "height = 9, single = true")
    sheep = "function on.blocked(self, msg) self.food = msg.x + msg.y end\n"
    assert check(toml, sheep=sheep + "function step(self) move_by(1, 0) end\n", wolf="") == []


@pytest.mark.parametrize("section", ["metrics", "invariants"])
def test_a_field_that_an_expression_reads_and_nothing_sets_is_a_warning(section: str) -> None:
    toml = MEADOW + f"[{section}]\ngood = \"count(sheep, self.food > 0) > 1 or 'self.no' == ''\"\n"
    assert check(toml, sheep="", wolf="") == []
    (one,) = check(toml.replace("self.food", "self.fodo"), sheep="", wolf="")
    assert (one.severity, one.file, one.line, marked(one)) == (
        "warning",
        "model.toml",
        16,
        "self.fodo",
    )
    assert one.hint == "did you mean self.food?"
