"""[environment], places, published fields and activation of model.toml: what is read, what not."""

from __future__ import annotations

import pytest
from frontend_env import marked

from runtime.model import read_model
from runtime.protocol import (
    Diagnostic,
    EnvironmentSpec,
    ExpressionSpec,
    LayerSpec,
    ModelSpec,
    NetworkSpec,
    SpaceSpec,
)

AGENT = "[agents.a]\ncount = 1\n"
GRID = 'space = { kind = "grid", width = 5, height = 6 }\n'
ROOM = 'space = { kind = "continuous", width = 5, height = 6, depth = 7 }\n'
ENV = "[environment]\n"


def read(toml: str, **files: str) -> tuple[ModelSpec | None, list[Diagnostic]]:
    """``files`` by name, with _ for the dot: environment_lua."""
    named = {name[::-1].replace("_", ".", 1)[::-1]: text for name, text in files.items()}
    return read_model("m", {"model.toml": toml, "agents/a.lua": "", **named})


def environment(toml: str, **files: str) -> EnvironmentSpec:
    model, found = read(toml, **files)
    assert found == []
    assert model is not None
    assert model.environment is not None
    return model.environment


def test_a_model_without_an_environment_has_none() -> None:
    model, _ = read(AGENT)
    assert model is not None
    assert model.environment is None


def test_the_script_alone_makes_an_environment() -> None:
    assert environment(AGENT, environment_lua="-- e") == EnvironmentSpec(source="-- e")


def test_an_environment_is_read_with_its_space_and_layers() -> None:
    toml = (
        AGENT + "[environment]\nfuel = 5_000\n"
        'space = { kind = "grid", width = "w", height = 50.0, torus = false, neighbors = "hex", '
        "single = true }\n"
        "[environment.layers]\nheat = 0\n"
        'grass = { init = "random()", step = "v + around", diffuse = 0.5, decay = "rate" }\n'
    )
    assert environment(toml) == EnvironmentSpec(
        line=3,
        fuel=5000,
        space=SpaceSpec(
            kind="grid",
            width=ExpressionSpec("width", "w", 5),
            height=ExpressionSpec("height", "50", 5),
            torus=False,
            neighbors=6,
            single=True,
            line=5,
        ),
        layers=(
            LayerSpec("heat", ExpressionSpec("init", "0", 7), line=7),
            LayerSpec(
                "grass",
                ExpressionSpec("init", "random()", 8),
                ExpressionSpec("step", "v + around", 8),
                ExpressionSpec("diffuse", "0.5", 8),
                ExpressionSpec("decay", "rate", 8),
                line=8,
            ),
        ),
    )


def test_a_space_may_be_continuous_and_have_three_dimensions() -> None:
    toml = AGENT + ENV + 'space = { kind = "continuous", width = 10.5, height = "h", '
    space = environment(toml + "depth = 2, cell = 0.5 }\n").space
    assert space == SpaceSpec(
        kind="continuous",
        width=ExpressionSpec("width", "10.5", 4),
        height=ExpressionSpec("height", "h", 4),
        depth=ExpressionSpec("depth", "2", 4),
        cell=ExpressionSpec("cell", "0.5", 4),
        line=4,
    )


@pytest.mark.parametrize(
    ("entry", "spec"),
    [
        ('kind = "empty", directed = true', NetworkSpec("empty", directed=True, line=4)),
        ('kind = "complete", of = "a"', NetworkSpec("complete", of="a", line=4)),
        (
            'kind = "watts_strogatz", k = 10, p = "rewired"',
            NetworkSpec(
                "watts_strogatz",
                numbers=(ExpressionSpec("k", "10", 4), ExpressionSpec("p", "rewired", 4)),
                line=4,
            ),
        ),
        (
            'kind = "grid", width = 3, height = "h", torus = false',
            NetworkSpec(
                "grid",
                numbers=(ExpressionSpec("width", "3", 4), ExpressionSpec("height", "h", 4)),
                torus=False,
                line=4,
            ),
        ),
        (
            'kind = "edges", file = "links.csv"',
            NetworkSpec("edges", edges="1,2\n", file="links.csv", line=4),
        ),
    ],
)
def test_a_network_is_read(entry: str, spec: NetworkSpec) -> None:
    toml = AGENT + ENV + f"network = {{ {entry} }}\n"
    assert environment(toml, links_csv="1,2\n").network == spec


def test_a_network_may_stand_beside_a_space() -> None:
    both = environment(AGENT + ENV + GRID + 'network = { kind = "empty" }\n')
    assert both.space is not None
    assert both.network is not None


@pytest.mark.parametrize(
    ("written", "place", "at"),
    [
        ('"random"', "random", ()),
        ('"random_empty"', "random_empty", ()),
        ('"grid"', "grid", ()),
        (
            '{ x = "i - 1", y = 3 }',
            "at",
            (ExpressionSpec("x", "i - 1", 3), ExpressionSpec("y", "3", 3)),
        ),
    ],
)
def test_a_place_is_read(written: str, place: str, at: tuple[ExpressionSpec, ...]) -> None:
    model, found = read(AGENT + f"place = {written}\n" + ENV + GRID)
    assert found == []
    assert model is not None
    assert (model.types[0].place, model.types[0].place_at) == (place, at)


def test_a_place_in_three_dimensions_has_three_coordinates() -> None:
    model, found = read(AGENT + "place = { z = 1, x = 2, y = 3 }\n" + ENV + ROOM)
    assert found == []
    assert model is not None
    assert [(one.name, one.text) for one in model.types[0].place_at] == [
        ("x", "2"), ("y", "3"), ("z", "1"),
    ]  # fmt: skip


def test_published_fields_are_read_in_their_order() -> None:
    model, found = read(AGENT + 'publish = ["heading", "group"]\n')
    assert found == []
    assert model is not None
    assert model.types[0].publish == ("heading", "group")


# --- activation ----------------------------------------------------------------------------------

TWO = "[agents.a]\ncount = 1\n[agents.b]\ncount = 1\n"
REGIME = '[parameters]\nregime = { default = "ordered", choices = ["ordered", "random"] }\n'


def activated(activation: str, rest: str = TWO) -> ModelSpec:
    files = {"model.toml": f"activation = {activation}\n{rest}", "agents/a.lua": ""}
    model, found = read_model("m", {**files, "agents/b.lua": ""})
    assert found == []
    assert model is not None
    return model


@pytest.mark.parametrize("regime", ["synchronous", "random", "ordered", "uniform"])
def test_a_regime_is_given_by_its_name(regime: str) -> None:
    model = activated(f'"{regime}"')
    assert model.activation == regime
    assert model.regime({}) == regime


def test_the_order_of_types_may_be_a_regime() -> None:
    model = activated('{ by_type = ["b", "a"] }')
    assert (model.activation, model.by_type) == ("by_type", ("b", "a"))
    assert model.regime({}) == "by_type"


def test_a_parameter_may_choose_the_regime() -> None:
    model = activated('{ parameter = "regime" }', REGIME + TWO)
    assert (model.activation, model.activation_parameter) == ("parameter", "regime")
    assert model.regime({"regime": "random"}) == "random"


# --- what is wrong -------------------------------------------------------------------------------


def space(**changes: str) -> str:
    entries = {"kind": '"grid"', "width": "5", "height": "6", **changes}
    return f"{ENV}space = {{ {', '.join(f'{k} = {v}' for k, v in entries.items() if v)} }}\n{AGENT}"


def continuous(**changes: str) -> str:
    return space(kind='"continuous"', **changes)


def network(entry: str) -> str:
    return f"{ENV}network = {{ {entry} }}\n{AGENT}"


def layers(entry: str, before: str = GRID) -> str:
    return f"{ENV}{before}[environment.layers]\n{entry}\n{AGENT}"


def agent(entry: str, before: str = GRID) -> str:
    return f"{AGENT}{entry}\n{ENV}{before}"


def regime(activation: str, parameters: str = "") -> str:
    return f"activation = {activation}\n{parameters}{AGENT}"


@pytest.mark.parametrize(
    ("toml", "line", "text", "reason", "cure"),
    [
        # environment
        ("environment = 3\n" + AGENT, 1, "environment", "must be a table, not a number", ""),
        (ENV + "spaec = 1\n" + AGENT, 2, "spaec", "unknown key 'spaec'", "did you mean space?"),
        (ENV + "state = {}\n" + AGENT, 2, "state", "set by its script", "function init(env)"),
        (ENV + "fuel = 10\n" + AGENT, 2, "fuel", "1000 or more, not 10", ""),
        ("[space]\nkind = 'grid'\n" + AGENT, 1, "space", "belongs to the environment", "[env"),
        # space
        (ENV + "space = 3\n" + AGENT, 2, "space", "must be a table, not a number", "kind ="),
        (space(kind=""), 2, "space", "the space has no kind", '"grid", "continuous"'),
        (space(kind='"gird"'), 2, "kind", 'no space of kind "gird"', 'did you mean "grid"?'),
        (space(kind='"network"'), 2, "kind", 'no space of kind "network"', "network = {"),
        (space(kind="3"), 2, "kind", "no space of kind 3", "known"),
        (space(widht="3"), 2, "widht", "unknown key 'widht'", "did you mean width?"),
        (space(depth="3"), 2, "depth", "a grid space has no depth", '"continuous"'),
        (continuous(single="true"), 2, "single", "a continuous space has no single", '"grid"'),
        (space(height=""), 2, "space", "the space has no height", "add height = 50"),
        (continuous(width=""), 2, "space", "the space has no width", "add width = 100"),
        (space(width="-5"), 2, "width", "width must be a whole number, 1 or more, not -5", ""),
        (space(width="0"), 2, "width", "1 or more, not 0", ""),
        (space(width="2.5"), 2, "width", "not 2.5", ""),
        (space(width="true"), 2, "width", "must be a number, or an expression in quotes", ""),
        (space(width="[1]"), 2, "width", "an expression in quotes, not a list", ""),
        (continuous(height="-1.5"), 2, "height", "height must be a number above 0, not -1.5", ""),
        (continuous(depth="0"), 2, "depth", "depth must be a number above 0, not 0", ""),
        (continuous(cell="inf"), 2, "cell", "cell must be a number above 0, not inf", ""),
        (space(torus="1"), 2, "torus", "must be true or false, not a number", "torus = true"),
        (space(neighbors="6"), 2, "neighbors", 'must be 4, 8 or "hex", not 6', "corners"),
        (space(neighbors='"moore"'), 2, "neighbors", 'not "moore"', "corners"),
        (space(neighbors="4.0"), 2, "neighbors", "not 4.0", ""),
        (space(neighbors='"hex"', height="5"), 2, "height", "an even height, not 5", "torus = f"),
        (space(width="10_000", height="2_000"), 2, "width", "is 2e+07 cells", "smaller"),
        # network
        (ENV + "network = 'ring'\n" + AGENT, 2, "network", "must be a table, not a text", ""),
        (network("k = 4"), 2, "network", "the network has no kind", '"ring"'),
        (network('kind = "rings"'), 2, "kind", 'no network of kind "rings"', 'mean "ring"?'),
        (network('kind = "ring"'), 2, "network", "the network has no k", "add k = 4"),
        (network('kind = "ring", k = 3'), 2, "k", "k must be an even whole number", ""),
        (network('kind = "random", p = 1.5'), 2, "p", "probability from 0 to 1, not 1.5", ""),
        (network('kind = "preferential", m = 0'), 2, "m", "1 or more: the links", ""),
        (network('kind = "ring", k = 4, p = 0.1'), 2, "p", "of kind ring has no p", "known:"),
        (network('kind = "ring", k = 4, colour = 1'), 2, "colour", "unknown key", "known:"),
        (network('kind = "empty", torus = true'), 2, "torus", "has no torus", ""),
        (network('kind = "empty", of = "b"'), 2, "of", "no agent type 'b'", "types: a"),
        (network('kind = "empty", of = 1'), 2, "of", "must be a text", ""),
        (network('kind = "empty", directed = "no"'), 2, "directed", "true or false", ""),
        (network('kind = "edges"'), 2, "network", "edges has no file", 'add file = "links.csv"'),
        (network('kind = "edges", file = "l.csv"'), 2, "file", "no file l.csv", "columns"),
        (network('kind = "edges", file = "links.cvs"'), 2, "file", "is no .csv file", "columns"),
        # layers
        (ENV + GRID + "layers = 3\n" + AGENT, 3, "layers", "must be a table of layers", "heat = 0"),
        (layers("heat = 0", ""), 2, "layers", "layers need a space", "space = {"),
        (layers("heat = 0", ROOM), 3, "layers", "the space has three", "depth"),
        (layers("'my heat' = 0"), 4, "my heat", "cannot name a layer", "letters"),
        (layers("end = 0"), 4, "end", "a word of Lua", "rename"),
        (layers("heat = true"), 4, "heat", "must be a number, or an expression", ""),
        (layers("heat = { int = 0 }"), 4, "int", "unknown key 'int' of layer", "mean init?"),
        (layers("heat = { step = [] }"), 4, "step", "an expression in quotes, not a list", ""),
        (layers("heat = { diffuse = 2 }"), 4, "diffuse", "a share from 0 to 1, not 2", ""),
        (layers("heat = { decay = -0.1 }"), 4, "decay", "a share from 0 to 1, not -0.1", ""),
        # place
        (agent("place = 'random'", ""), 3, "place", "place needs a space", "[environment]"),
        (agent("place = 'randm'"), 3, "place", 'there is no place "randm"', 'mean "random"?'),
        (agent("place = 3"), 3, "place", "not a number", ""),
        (agent("place = 'random_empty'", ROOM), 3, "place", "no cells that could be empty", "rand"),
        (agent("place = { x = 1 }"), 3, "place", "place has no y", "add y"),
        (agent("place = { x = 1, y = 2 }", ROOM), 3, "place", "place has no z", "add z"),
        (agent("place = { x = 1, y = 2, z = 3 }"), 3, "z", "two dimensions", "depth"),
        (agent("place = { x = 1, y = 2, w = 3 }"), 3, "w", "unknown key 'w' of place", "x, y"),
        (agent("place = { x = true, y = 2 }"), 3, "x", "an expression in quotes", ""),
        # publish
        (agent("publish = 'heading'"), 3, "publish", "a list of field names", "publish = ["),
        (agent("publish = [3]"), 3, "publish", "lists names of fields, not a number", ""),
        (agent("publish = ['id']"), 3, "publish", "self.id needs no publishing", "id"),
        (agent("publish = ['type']"), 3, "publish", "self.type needs no publishing", "agents("),
        (agent("publish = ['self.x']"), 3, "publish", "is no name of a field", "without self."),
        (agent("publish = ['x', 'x']"), 3, "publish", "publish names 'x' twice", "once"),
        ("[agents.environment]\ncount = 1\n", 1, "environment", "is no agent type", "[env"),
        # activation
        (regime('"randm"'), 1, "activation", 'no activation "randm"', 'did you mean "random"?'),
        (regime("3"), 1, "activation", "must be a text, not a number", "synchronous"),
        (regime('"by_type"'), 1, "activation", "needs the order of the types", "by_type = ["),
        (regime("{}"), 1, "activation", "says nothing", "by_type"),
        (regime("{ by_typ = [] }"), 1, "by_typ", "unknown key 'by_typ'", "did you mean by_type?"),
        (regime("{ by_type = ['a'], parameter = 'x' }"), 1, "activation", "has both", ""),
        (regime("{ by_type = 'a' }"), 1, "by_type", "must be a list of agent types", ""),
        (regime("{ by_type = [] }"), 1, "by_type", "must be a list of agent types", ""),
        (regime("{ by_type = ['a', 'b'] }"), 1, "by_type", "no agent type 'b'", "types: a"),
        (regime("{ by_type = ['a', 'a'] }"), 1, "by_type", "names 'a' twice", "once"),
        (regime("{ parameter = 'r' }"), 1, "parameter", 'no parameter "r"', "choices = ["),
        (
            regime("{ parameter = 'regim' }", REGIME),
            1,
            "parameter",
            'no parameter "regim"',
            "did you mean regime?",
        ),
        (
            regime("{ parameter = 'r' }", "[parameters]\nr = 'random'\n"),
            3,
            "r",
            "needs choices",
            "choices = [",
        ),
        (
            regime("{ parameter = 'r' }", "[parameters]\nr = { default = 'a', choices = ['a'] }\n"),
            3,
            "choices",
            '"a" is none',
            "synchronous",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    toml: str, line: int, text: str, reason: str, cure: str
) -> None:
    model, found = read(toml)
    assert model is None
    one = next(one for one in found if reason in one.message)
    assert (one.severity, one.file, one.line) == ("error", "model.toml", line)
    assert marked(one) == text
    assert cure in one.hint


def test_a_fault_of_the_environment_is_told_once() -> None:
    _, found = read(agent("place = 'random'\npublish = ['x']", ROOM.replace("5", "-5")))
    assert [one.message for one in found] == ["width must be a number above 0, not -5"]


def test_an_environment_that_does_nothing_is_a_warning() -> None:
    model, (one,) = read(AGENT + ENV)
    assert model is not None
    assert (one.severity, one.line) == ("warning", 3)
    assert "environment.lua" in one.message


def test_a_script_that_looks_like_the_environments_is_told_its_name() -> None:
    _, (one,) = read(AGENT, env_lua="")
    assert one.hint == "the environment's script is environment.lua, beside model.toml"


def test_an_edge_list_of_a_name_that_is_near_is_suggested() -> None:
    _, (one,) = read(network('kind = "edges", file = "link.csv"'), links_csv="")
    assert one.hint == "is it links.csv?"


def test_an_edge_list_without_a_line_is_refused() -> None:
    _, (one,) = read(network('kind = "edges", file = "links.csv"'), links_csv="")
    assert one.message == "links.csv is empty"
