"""What scripts call on layers: reading, writing, sums, whole-layer operations, refusals."""

from __future__ import annotations

import math
import re

import pytest
from kernel_env import VMS
from layer_env import Host, Spec


@pytest.fixture(scope="module", params=VMS)
def host(request: pytest.FixtureRequest) -> Host:
    return Host(request.param)


def test_agents_and_environment_read_and_write_cells(host):
    layers = host.new(Spec("cold"), Spec(init="x + 10 * y"))
    for kind in ("agent", "environment"):
        assert layers.method("", 3, 2, kind=kind) == 23
        layers.method("add", 3, 2, 0.5, kind=kind)
        assert layers.method("", 3, 2, kind=kind) == 23.5
        layers.method("set", 3, 2, 23, kind=kind)
    assert layers.run("return layer.heat(1, 2) + layer.cold(0, 0)", "agent") == 21
    assert [layers.method(name) for name in ("sum", "mean", "min", "max")] == [138, 11.5, 0, 23]
    assert layers.method("count", 11) == 1
    assert layers.method("count", 4) == 0


def test_writes_wait_while_agents_act(host):
    layers = host.new(Spec("cold"), Spec())
    layers.call("agents_act", True)
    layers.method("add", 1, 2, 5, kind="agent")
    layers.method("set", 0, 1, -1, layer="cold", kind="agent")
    assert layers.call("deferred") == b"2 1 9 5; 1 2 4 -1"
    assert layers.method("sum") == 0
    layers.call("apply", 2, 1, 9, 5)
    layers.call("apply", 2, 1, 9, 2)
    layers.call("apply", 1, 2, 4, -1)
    assert layers.method("", 1, 2) == 7
    assert layers.method("", 0, 1, layer="cold") == -1


@pytest.mark.parametrize(
    ("call", "form"),
    [
        ("add(1, 1, 1)", "add(x, y, v)"), ("set(1, 1, 1)", "set(x, y, v)"), ("fill(1)", "fill(v)"),
        ("diffuse(0.5)", "diffuse(r)"), ("decay(0.5)", "decay(r)"), ("map(math.abs)", "map(f)"),
    ],
)  # fmt: skip
def test_queries_only_read(host, call, form):
    layers = host.new(Spec(init="7"))
    layers.call("agents_act", True)
    assert layers.run("return layer.heat:around(1, 1) + layer.heat(0, 0) + layer.heat:sum()") == 147
    with pytest.raises(ValueError, match="a query only reads") as raised:
        layers.run(f"layer.heat:{call}")
    assert str(raised.value).startswith(f"layer.heat:{form} cannot be called in a query: ")
    assert layers.call("deferred") == b""
    assert layers.method("sum") == 84


def test_sums_are_exact(host):
    layers = host.new(Spec(init="x == 0 and 1e16 or x == 3 and -1e16 or 0.1"))
    assert layers.method("sum") == math.fsum([0.1] * 6)
    assert layers.method("mean") == math.fsum([0.1] * 6) / 12


def test_not_a_number_shows_in_the_extremes(host):
    layers = host.new(Spec(init="x == 1 and y == 1 and 0/0 or x"))
    assert math.isnan(layers.method("min"))
    assert math.isnan(layers.method("max"))
    assert math.isnan(layers.method("sum"))
    assert layers.method("count", 2) == 3


def test_map_sees_the_values_before(host):
    layers = host.new(Spec(init="x + 10 * y"))
    layers.run(
        "layer.heat:map(function(v, x, y) return v + layer.heat(0, 0) + 100 * layer.heat(3, 2) end)"
    )
    assert layers.field() == [[x + 10 * y + 2300.0 for x in range(4)] for y in range(3)]


def test_a_map_that_changes_its_own_layer_ends_with_what_it_returned(host):
    layers = host.new(Spec(init="1"))
    layers.run("""
        layer.heat:map(function(v, x, y)
          if x == 0 then layer.heat:map(function(w) return w + 1 end) layer.heat:diffuse(0) end
          layer.heat:add(3, 2, 1)
          return v
        end)
    """)
    # f got v before it changed the layer; the last cell was added to eleven times before its turn
    assert layers.field() == [[1, 2, 2, 2], [2, 3, 3, 3], [3, 4, 4, 15]]


def test_fill_and_decay_act_at_once(host):
    layers = host.new(Spec())
    layers.run("layer.heat:fill(8) layer.heat:decay(0.25)")
    assert layers.field() == [[6.0] * 4] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("return layer.heat(4, 0)", "layer.heat(x, y): x is a whole number from 0 to 3, not 4"),
        ("return layer.heat(0, -1)", "layer.heat(x, y): y is a whole number from 0 to 2, not -1"),
        ("return layer.heat(0.5, 1)", "layer.heat(x, y): x is a whole number from 0 to 3, not 0.5"),
        ("return layer.heat(0, 0/0)", "layer.heat(x, y): y is a whole number from 0 to 2, not nan"),
        ("return layer.heat(1)", "layer.heat(x, y): y is a whole number from 0 to 2, not nil"),
        ("layer.heat:add({}, 1, 1)",
         "layer.heat:add(x, y, v): x is a whole number from 0 to 3, not a table"),
        ("layer.heat:set(0, 1, 'x')", "layer.heat:set(x, y, v): v is a number, not a string"),
        ("layer.heat:set(0, 1)", "layer.heat:set(x, y, v): v is a number, not nil"),
        ("layer.heat.add(0, 1, 1)",
         "write layer.heat:sum(), layer.heat:add(x, y, v) and so on, with a colon"),
        ("layer.heat.sum()",
         "write layer.heat:sum(), layer.heat:add(x, y, v) and so on, with a colon"),
        ("layer.heat:count()", "layer.heat:count(v): v is a number, not nil"),
        ("layer.heat:diffuse(2)", "layer.heat:diffuse(r): r is a share from 0 to 1, not 2"),
        ("layer.heat:decay('a')", "layer.heat:decay(r): r is a share from 0 to 1, not a string"),
        ("layer.heat:map(3)", "layer.heat:map(f): f is a function(v, x, y), not 3"),
        ("layer.heat:map(function(v, x, y) return x < 2 and v or nil end)",
         "layer.heat:map(f): f gives nil for cell (2, 0), where a number is needed"),
        ("return layer.cold(0, 0)", "there is no layer cold: layers are heat"),
        ("layer.heat:smear(1)",
         "layer.heat has no 'smear': read it with layer.heat(x, y), or call one of add, set, sum,"
         " mean, min, max, count, fill, diffuse, decay, map, around"),
        ("layer.heat.size = 1",
         "layer.heat.size cannot be assigned: use layer.NAME:set(x, y, v) or :add(x, y, v)"),
        ("layer.heat = 1",
         "layer.heat cannot be assigned: use layer.NAME:set(x, y, v) or :add(x, y, v)"),
    ],
)  # fmt: skip
def test_misuse_says_what_is_allowed(host, text, message):
    layers = host.new(Spec())
    with pytest.raises(ValueError, match="layer") as raised:
        layers.run(text)
    assert str(raised.value) == message


def test_agents_have_no_whole_layer_operations(host):
    layers = host.new(Spec())
    with pytest.raises(ValueError, match=r"layer.heat has no 'fill'.*environment.lua also fill"):
        layers.run("layer.heat:fill(1)", "agent")


@pytest.mark.parametrize(("x", "cell"), [(-1, 3), (4, 0), (-4.5, 3), (7.9, 3), (2**31 - 1, 3)])
def test_coordinates_wrap_on_a_torus(host, x, cell):
    layers = host.new(Spec(init="x"), torus=True)
    assert layers.method("", x, 0) == cell


@pytest.mark.parametrize(
    ("x", "shown"), [(math.inf, "inf"), (-math.inf, "-inf"), (-1e300, "-1e+300")]
)
def test_far_coordinates_are_refused_on_a_torus(host, x, shown):
    layers = host.new(Spec(), torus=True)
    message = f"layer.heat(x, y): x is a number of at most 2^31 in size, not {shown}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        layers.method("", x, 0)


def test_points_of_a_bounded_continuous_space_have_the_cell_below_them(host):
    layers = host.new(Spec(init="x + 10 * y"), continuous=True)
    assert layers.method("", 3.99, 1.5) == 13
    with pytest.raises(ValueError, match=r"x is a number from 0 to below 4, not 4$"):
        layers.method("", 4, 0)
