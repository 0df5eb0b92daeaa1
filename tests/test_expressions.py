"""The expression language: what compiles to what, and what is refused with which words."""

from __future__ import annotations

import pytest
from frontend_env import VMS, compile_text, marked, read

from runtime.protocol import Diagnostic, ModelSpec
from workers.expression_rules import CONTEXTS
from workers.expressions import ExpressionCode, compile_expression
from workers.names import AGGREGATES

MODEL = read(
    """\
name = "m"
[parameters]
n = 5
rate = 0.5
[agents.wolf]
count = 1
[agents.sheep]
count = 1
[metrics]
active = "count(wolf)"
sheep = "count(sheep)"
""",
    wolf="",
    sheep="",
)


WORLD = read(
    """\
name = "m"
[parameters]
n = 5
[agents.wolf]
count = 1
[environment]
space = { kind = "grid", width = 9, height = 9 }
[environment.layers]
grass = 1
heat = 0
[metrics]
warmth = "layer.heat:sum()"
""",
    wolf="",
    environment="function query.cost(env, n) return n end\n",
)


def compiled(
    text: str, context: str = "metric", model: ModelSpec = MODEL, **more: str
) -> ExpressionCode:
    code, found = compile_expression(
        text, model=model, context=context, kinds=["pay"], records=["seen"], **more
    )
    assert found == []
    assert code is not None
    return code


def refused(
    text: str,
    context: str = "metric",
    vm: str = "luajit21",
    model: ModelSpec = MODEL,
    layer: str = "",
) -> list[Diagnostic]:
    code, found = compile_expression(
        text,
        model=model,
        context=context,
        kinds=["pay"],
        records=["seen"],
        queries=["cost"],
        layer=layer,
        compile_text=compile_text(vm),
    )
    assert code is None
    return found


@pytest.mark.parametrize(
    ("context", "text", "code"),
    [
        ("count", "n * 2", "n * 2"),
        ("count", "param.n // 2", "__D(param.n , 2)"),
        ("count", "math.floor(n / 3)", "math.floor(n / 3)"),
        ("state", "i % 2 == 0 and 'buy' or 'sell'", "i % 2 == 0 and 'buy' or 'sell'"),
        ("state", "random() < rate", "random() < rate"),
        ("state", "{1, 2, {x = i}}", "{1, 2, {x = i}}"),
        ("state", "'a' .. i", "__C('a' , i)"),
        ("state", "math.random(3)", "math.random(3)"),
        ("metric", "tick ^ 2", "__P(tick , 2)"),
        ("stop", "active == 0 or seen > 3", "active == 0 or seen > 3"),
        ("until", "sheep < 1", "sheep < 1"),
        ("where", "self.cash > n and #self.list > 2", "self.cash > n and __L(self.list) > 2"),
        ("field", "self.name:upper()", "self.name:upper()"),
        ("group", "self.kind", "self.kind"),
        ("order", "self['cash']", "self['cash']"),
        ("metric", "-- why\n 1 +\n 2", "1 +\n 2"),
    ],
)
def test_an_expression_keeps_its_text_but_for_operators(context: str, text: str, code: str) -> None:
    assert compiled(text, context) == {"code": code, "aggregates": []}


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("count(wolf)", {"op": "count", "type": "wolf"}),
        ("count('wolf')", {"op": "count", "type": "wolf"}),
        ("count(wolf, self.x > n)", {"op": "count", "type": "wolf", "condition": "self.x > n"}),
        ("share(wolf, self.x)", {"op": "share", "type": "wolf", "value": "self.x"}),
        ("sum(wolf, self.x ^ 2)", {"op": "sum", "type": "wolf", "value": "__P(self.x , 2)"}),
        (
            "mean(wolf, self.x, self.x ~= nil)",
            {"op": "mean", "type": "wolf", "value": "self.x", "condition": "self.x ~= nil"},
        ),
        (
            "min(wolf, math.min(self.x, 3))",
            {"op": "min", "type": "wolf", "value": "math.min(self.x, 3)"},
        ),
        ("max(wolf, self.x)", {"op": "max", "type": "wolf", "value": "self.x"}),
        ("var(wolf, self.x)", {"op": "var", "type": "wolf", "value": "self.x"}),
        ("sd(wolf, self.x)", {"op": "sd", "type": "wolf", "value": "self.x"}),
        ("gini(wolf, self.x)", {"op": "gini", "type": "wolf", "value": "self.x"}),
        (
            "quantile(wolf, self.x, 0.9, self.x)",
            {"op": "quantile", "type": "wolf", "value": "self.x", "q": 0.9, "condition": "self.x"},
        ),
        ("mail('pay')", {"op": "mail", "mail": "pay"}),
        ("mail(pay, msg.x + tick)", {"op": "mail", "mail": "pay", "value": "msg.x + tick"}),
    ],
)
def test_an_aggregate_is_taken_apart(text: str, made: dict[str, object]) -> None:
    empty = {"op": "", "type": "", "value": "", "condition": "", "q": 0.0, "mail": ""}
    assert compiled(text) == {"code": "__A[1]", "aggregates": [{**empty, **made}]}


def test_aggregates_are_numbered_from_left_to_right_inside_an_expression() -> None:
    code = compiled("sum(wolf, self.x) // (count(sheep) + 1) .. 'x' .. mail('pay')")
    assert code["code"] == "__C(__D(__A[1] , (__A[2] + 1)) , 'x' , (__A[3]))"
    assert [one["op"] for one in code["aggregates"]] == ["sum", "count", "mail"]


def test_a_name_that_is_metric_and_agent_type_means_each_in_its_place() -> None:
    code = compiled("sheep == count(sheep)", "stop")
    assert code["code"] == "sheep == __A[1]"


def test_aggregates_of_a_query_may_leave_the_type_out() -> None:
    code = compiled("mean(self.x)", "aggregate", agent_type="wolf")
    assert code["aggregates"][0]["type"] == "wolf"
    assert compiled("count()", "aggregate", agent_type="wolf")["code"] == "__A[1]"
    assert (
        compiled("mean(sheep, self.x)", "aggregate", agent_type="wolf")["aggregates"][0]["type"]
        == "sheep"
    )


@pytest.mark.parametrize("vm", VMS)
@pytest.mark.parametrize(
    ("context", "text", "place", "reason", "cure"),
    [
        ("metric", "", "", "the expression is empty", ""),
        ("count", "m * 2", "m", "unknown name 'm'", "n"),
        ("count", "rat", "rat", "unknown name 'rat'", "did you mean rate?"),
        ("count", "tick", "tick", "evaluated at creation has no tick", ""),
        ("count", "random(3)", "random", "unknown name 'random'", ""),
        ("count", "math.random(3)", "math.random", "may not be random", ""),
        ("count", "count(wolf)", "count(wolf)", "cannot be used here", "metrics"),
        ("count", "param.m", "m", "there is no parameter 'm'", "parameters: n, rate"),
        ("state", "buy", "buy", "unknown name 'buy'", "\"'buy'\""),
        ("state", "self.x", "self", "self stands only inside an aggregate", ""),
        ("metric", "self.x", "self", "self stands only inside an aggregate", ""),
        ("metric", "i", "i", "stands only in state and place of [agents.x]", ""),
        ("metric", "active + 1", "active", "active is a metric", "write its expression"),
        ("metric", "env.price", "env", "this model has no environment.lua", "init(env)"),
        (
            "metric",
            "layer.grass:sum()",
            "layer",
            "this model has no layers",
            "[environment.layers]",
        ),
        ("metric", "space.width", "space", "this model has no space", "space = {"),
        ("count", "env.n", "env", "before there is a world", "use parameters"),
        ("metric", "sum(wolf, degree())", "degree", "a function of scripts", "self.field"),
        ("state", "position()", "position", "a function of scripts", "in init(self)"),
        ("metric", "mean(wolff, self.x)", "wolff", "'wolff' is not an agent type", "wolf"),
        (
            "metric",
            "mean(self.x)",
            "self.x",
            "mean needs an agent type first",
            "types: sheep, wolf",
        ),
        ("metric", "min(3, 4)", "3", "min needs an agent type first", "math.min(a, b)"),
        ("metric", "mean(wolf)", "mean(wolf)", "does not take 0 arguments", "mean(type, value)"),
        ("metric", "share(wolf)", "share(wolf)", "does not take 0", "share(type, condition)"),
        ("metric", "sum(wolf, self.x, 1, 2)", "sum(wolf, self.x, 1, 2)", "does not take 3", ""),
        ("metric", "quantile(wolf, self.x, 2)", "2", "a number from 0 to 1, not 2", ""),
        ("metric", "quantile(wolf, self.x, n)", "n", "a number from 0 to 1, not n", ""),
        ("metric", "mean", "mean", "is an aggregate and must be called", "mean(type, value)"),
        ("metric", "mail('buy')", "'buy'", "messages of kind 'buy'", "pay"),
        ("metric", "mail()", "mail()", "takes a message kind", ""),
        ("metric", "mail('pay', self.x)", "self", "self stands only", ""),
        ("metric", "sum(wolf, count(wolf))", "count(wolf)", "inside another aggregate", ""),
        ("metric", "sum(wolf, self.x * cash)", "cash", "unknown name 'cash'", "self.cash"),
        ("metric", "tick()", "tick()", "tick is a value here", "write tick"),
        ("metric", "n(3)", "n(3)", "n is a value here", "write n"),
        ("metric", "wolf", "wolf", "unknown name 'wolf'", "count(wolf)"),
        ("metric", "function() end", "function() end", "holds no functions", ""),
        ("metric", "math.flor(n)", "math.flor", "there is no math.flor", "math.floor?"),
        ("metric", "os.time()", "os", "unknown name 'os'", ""),
        ("metric", "n = 3", "n = 3", "= assigns", "compare with =="),
        ("metric", "n, 3", "n, 3", "not one Lua expression", "without return or commas"),
        ("metric", "n; n", "n", "expected near 'n'", ""),
        ("metric", "n +", "", "syntax error", ""),
        ("metric", "(n", "", "')' expected", ""),
        ("metric", "n != 3", "!=", "!= is not Lua", "write ~="),
        ("stop", "activ == 0", "activ", "unknown name 'activ'", "did you mean active?"),
        ("until", "n && 1", "&&", "&& is not Lua", "write and"),
        ("where", "cash > 3", "cash", "unknown name 'cash'", "self.cash"),
        ("aggregate", "n + 1", "n + 1", "no aggregate in it", "count"),
    ],
)
def test_what_is_wrong_in_an_expression_is_named(
    vm: str, context: str, text: str, place: str, reason: str, cure: str
) -> None:
    one = refused(text, context, vm)[0]
    assert reason in one.message
    assert cure in one.hint
    if place:
        assert marked(one) == place


def test_all_problems_of_an_expression_come_at_once() -> None:
    assert [marked(one) for one in refused("foo + bar && baz")] == ["foo", "bar", "&&", "baz"]


def test_a_finding_in_model_toml_has_line_and_column_there() -> None:
    model = read('name = "m"\n[agents.a]\ncount = 1\n[metrics]\na = """\n  1 +\n  aa"""\n', a="")
    _, (one,) = compile_expression(
        model.metrics[0].text, model=model, context="metric", line=model.metrics[0].line
    )
    assert (one.file, one.line, marked(one)) == ("model.toml", 7, "aa")


def test_a_finding_in_an_expression_from_elsewhere_shows_the_expression() -> None:
    (one,) = refused("activ == 0", "until")
    assert (one.file, one.line) == ("", 0)
    assert one.excerpt == "     | activ == 0\n     | ^^^^^"


@pytest.mark.parametrize("context", sorted(CONTEXTS))
def test_any_text_gives_code_or_findings_never_an_exception(context: str) -> None:
    for text in (
        "\x00",
        "))",
        "]]",
        "--",
        "--[[",
        "'",
        "end",
        "é",
        "…",
        "a.",
        ".a",
        "::",
        "((((",
        "{",
        "sum(",
        "sum(wolf,",
        "mail(",
        "x" * 5000,
        "(" * 400 + ")" * 400,
        "\ud800",
        "return 1",
        "if x then",
        "...",
        "goto x",
        "1 .. 2 .. ",
        "self",
        "count()",
        "[[a",
        "0x",
        "1e",
        "env",
        "env.",
        "env[1]",
        "env.x.y:z()",
        "layer.grass",
        "layer.grass:",
        "layer.grass:sum",
        "layer[1][2]",
        "(layer).grass",
        "space[1]",
        "{env = env}",
    ):
        for model in (MODEL, WORLD):
            code, found = compile_expression(text, model=model, context=context)
            assert (code is None) == bool(found), text


@pytest.mark.parametrize(
    ("context", "text", "code"),
    [
        ("metric", "env.price ^ 2 + env.cost(n)", "__P(env.price , 2) + env.cost(n)"),
        ("metric", "layer.grass:sum() / layer.heat:count(0)", ""),
        ("until", "layer.grass(n, 3) > warmth", ""),
        ("invariant", "space.width * space.height == 81", ""),
        ("where", "layer.grass(self.x, self.y) > env.price", ""),
        ("field", "env.list[self.id]", ""),
        ("state", "env.price * i", ""),
        ("state", "env.cost(random(3))", ""),
        ("size", "n * 2", ""),
        ("place", "i % n + random(2)", ""),
        ("layer_init", "x == n and random() < 0.5 and 1 or y", ""),
        ("layer_step", "v + around // 8 - heat * tick", "v + __D(around , 8) - heat * tick"),
        ("layer_step", "choice({x, y, normal(0, 1)})", ""),
        ("rate", "1 / n", ""),
    ],
)
def test_an_expression_may_read_the_world_in_its_place(context: str, text: str, code: str) -> None:
    layer = "grass" if context == "layer_step" else ""
    assert compiled(text, context, WORLD, layer=layer)["code"] == (code or text)


def test_the_world_stands_inside_aggregates_too() -> None:
    text = "sum(wolf, layer.grass(self.x, self.y) + env.cost(2), space.width > 3)"
    (made,) = compiled(text, model=WORLD)["aggregates"]
    assert made["value"] == "layer.grass(self.x, self.y) + env.cost(2)"
    assert made["condition"] == "space.width > 3"
    (made,) = compiled("mail('pay', msg.x * env.price)", model=WORLD)["aggregates"]
    assert made["value"] == "msg.x * env.price"


@pytest.mark.parametrize(
    ("context", "text", "place", "reason", "cure"),
    [
        ("metric", "env", "env", "env is a table, not a value", "env.field"),
        ("metric", "env.csot(1)", "env.csot", "no query 'csot'", "env.cost?"),
        ("metric", "env.weather()", "env.weather", "no query 'weather'", "queries: cost"),
        ("metric", "env.cost + 1", "env.cost", "must be called", "write env.cost(...)"),
        ("metric", "env:cost(1)", "env:cost", "called with a dot", "write env.cost(...)"),
        ("metric", "env(1)", "env", "env is a table", "env.name(...)"),
        ("metric", "layer", "layer", "layer is a table", "layer.grass:sum()"),
        ("metric", "layer.gras:sum()", "layer.gras", "no layer 'gras'", "layer.grass?"),
        ("metric", "layer.soil(1, 2)", "layer.soil", "no layer 'soil'", "layers: grass, heat"),
        ("metric", "layer.grass", "layer.grass", "a whole layer", "layer.grass(x, y)"),
        ("metric", "layer.grass + 1", "layer.grass", "a whole layer", "layer.grass:sum()"),
        ("metric", "layer.grass(1)", "layer.grass(1)", "a place of two", "layer.grass(x, y)"),
        ("metric", "layer.grass.sum()", "layer.grass.sum", "a method", "layer.grass:sum()"),
        ("metric", "layer.grass:men()", "layer.grass:men", "has no 'men'", "layer.grass:mean()?"),
        ("metric", "layer.grass:add(1, 2, 3)", "layer.grass:add", "only reads", "sum"),
        ("metric", "layer.grass:fill(1)", "layer.grass:fill", "only reads", ""),
        ("metric", "layer:grass(1, 2)", "layer:grass", "is no method", "layer.grass(x, y)"),
        ("metric", "layer['grass']:sum()", "layer['grass']", "written out", ""),
        ("metric", "space", "space", "space is a table", "space.width"),
        ("metric", "space.widht", "space.widht", "no space.widht", "space.width?"),
        ("metric", "space.depth", "space.depth", "no space.depth", "two dimensions"),
        ("metric", "count(wolf, position())", "position", "a function of scripts", "keep"),
        ("count", "space.width", "space", "before there is a world", "use parameters"),
        ("size", "env.n", "env", "before there is a world", "use parameters"),
        ("size", "random(3)", "random", "unknown name 'random'", ""),
        ("place", "env.n", "env", "env cannot be read here", "move_to in init(self)"),
        ("place", "tick", "tick", "has no tick", ""),
        ("place", "x", "x", "unknown name 'x'", "known here"),
        ("state", "layer.grass(1, 2)", "layer", "layer cannot be read here", "init(self)"),
        ("layer_init", "v", "v", "unknown name 'v'", "known here"),
        ("layer_init", "heat", "heat", "unknown name 'heat'", "sees no layers"),
        ("layer_init", "env.n", "env", "before there is a world", "x, y and random()"),
        ("metric", "heat", "heat", "unknown name 'heat'", "layer.heat:sum()"),
        ("metric", "mean(layer.heat)", "layer.heat", "is a layer", "layer.heat:mean()"),
        ("metric", "count(layer.heat, 1)", "layer.heat", "is a layer", "layer.heat:count(v)"),
        ("layer_init", "tick", "tick", "has no tick", ""),
        ("layer_step", "grass + 1", "grass", "grass is this layer", "write v"),
        ("layer_step", "layer.heat(x, y)", "layer", "at its own cell", "write heat"),
        ("layer_step", "env.price", "env", "does not see env", "function step(env)"),
        ("layer_step", "arround + 1", "arround", "unknown name", "did you mean around?"),
        ("layer_step", "around(1)", "around(1)", "is a value here", "write around"),
        ("layer_step", "heat(x, y)", "heat(x, y)", "is a value here", "write heat"),
        ("layer_step", "het", "het", "unknown name 'het'", "did you mean heat?"),
        ("layer_step", "count(wolf)", "count(wolf)", "cannot be used here", ""),
        ("rate", "x", "x", "unknown name 'x'", "known here: n"),
        ("rate", "tick", "tick", "has no tick", ""),
    ],
)
def test_what_is_wrong_with_the_world_in_an_expression_is_named(
    context: str, text: str, place: str, reason: str, cure: str
) -> None:
    one = refused(text, context, model=WORLD, layer="grass" if context == "layer_step" else "")[0]
    assert marked(one) == place
    assert reason in one.message
    assert cure in one.hint


def test_queries_that_are_not_known_are_not_checked() -> None:
    assert compiled("env.anything(1)", model=WORLD)["code"] == "env.anything(1)"


def test_every_aggregate_has_a_form_and_a_test_above() -> None:
    assert {
        "count", "sum", "share", "mean", "min", "max", "var", "sd", "quantile", "gini", "mail",
    } == AGGREGATES  # fmt: skip


@pytest.mark.parametrize(
    ("text", "context", "message", "hint"),
    [
        ("avg(wolf, self.x)", "metric", "there is no function 'avg'", "aggregates: count, gini"),
        ("quantil(wolf, self.x, 1)", "metric", "there is no function 'quantil'", "quantile?"),
        ("sum(wolf, sheep)", "metric", "sheep is a metric", "an agent's field is self.sheep"),
        ("active", "until", "active is a number, which counts as true", "active > 0"),
        ("mail('pay')", "stop", "mail('pay') is a number", "compare it: mail('pay') > 0"),
        ("seen", "invariant", "seen is a number", "compare it: seen > 0"),
        ("1", "until", "1 is a number", "compare it"),
    ],
)
def test_a_slip_is_refused_once_and_with_its_cure(
    text: str, context: str, message: str, hint: str
) -> None:
    (found,) = refused(text, context)
    assert message in found.message
    assert hint in found.hint
