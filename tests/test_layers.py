"""Layers against plain Python over lists of rows: steps, diffusion, what scripts call, bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_env import VMS, Kernel
from sandbox_env import Sandbox

Field = list[list[float]]
Step = Callable[[float, int, int, float], float]

LIFE = "(around == 3 or (around == 2 and v == 1)) and 1 or 0"

DRIVER = """
local env, rng = {}, deps.rng
for name, f in pairs(deps.sandbox.lib) do env[name] = f end
env.random, env.rate, env.tick = rng.random, 0.25, 0
rng.at(1, 0)
rng.arm(0)
local function outcome(ok, e, ...)
  if not ok and type(e) == "table" then return ok, e.message end
  return ok, e, ...
end
return {
  new = function(specs, ...)
    local world = {expression_env = env, deferring = false}
    local deferred = {}
    function world.defer(...) deferred[#deferred + 1] = table.concat({...}, " ") end
    local L = deps.layers.new(world, specs, ...)
    local views = {agent = L.api(), environment = L.api(true)}
    local function bytes()
      local w = deps.codec.writer()
      L.write(w)
      return w:result()
    end
    return {
      init = function() return outcome(pcall(L.init)) end,
      step = function(tick) return outcome(pcall(L.step, tick)) end,
      bytes = L.bytes,
      expression = function() return world.expression and world.expression.name .. ":" .. world.expression.line end,
      defer = function(on) world.deferring = on end,
      deferred = function() return table.concat(deferred, "; ") end,
      apply = L.apply,
      written = bytes,
      read = function(data)
        return outcome(pcall(function()
          assert(L.read("before" .. data .. "after", 7) == #data + 7, "read to the wrong place")
        end))
      end,
      values = function(name)
        local out, view = {}, views.agent[name]
        local width, height = specs.width, specs.height
        for y = 0, height - 1 do
          for x = 0, width - 1 do out[#out + 1] = view(x, y) end
        end
        return out
      end,
      put = function(name, values)
        local view, k = views.environment[name], 0
        view:map(function() k = k + 1 return values[k] end)
      end,
      call = function(kind, name, method, ...)
        return outcome(pcall(function(...)
          local view = views[kind][name]
          if method == "" then return view(...) end
          return view[method](view, ...)
        end, ...))
      end,
      run = function(kind, text)
        local chunk = assert(load("local layer = ... " .. text))
        return outcome(pcall(chunk, views[kind]))
      end,
    }
  end,
  arm = function(id) rng.arm(id) end,
  uniform = function() return rng.uniform() end,
  fuel = function(n) deps.sandbox.Q.n = n end,
  left = function() return deps.sandbox.Q.n end,
}
"""


@dataclass
class Layers:
    """A model's layers in a Lua state."""

    lua: Any
    width: int
    height: int

    def call(self, name: str, *args: Any) -> Any:
        return self.lua[name.encode()](*args)

    def field(self, name: str = "heat") -> Field:
        values = [float(v) for v in self.call("values", name.encode()).values()]
        return [values[y * self.width : (y + 1) * self.width] for y in range(self.height)]

    def method(self, name: str, *args: Any, layer: str = "heat", kind: str = "environment") -> Any:
        """The result, or ValueError with the refusal."""
        return checked(self.call("call", kind.encode(), layer.encode(), name.encode(), *args))

    def run(self, text: str, kind: str = "environment") -> Any:
        return checked(self.call("run", kind.encode(), text.encode()))


def checked(answer: Any) -> Any:
    ok, *rest = answer if isinstance(answer, tuple) else (answer,)
    if ok is not True:
        raise ValueError(rest[0].decode())
    return rest[0] if rest else None


@dataclass
class Spec:
    name: str = "heat"
    init: str = "0"
    step: str = ""
    diffuse: str = ""
    decay: str = ""
    reads: list[str] = field(default_factory=list)


class Host:
    def __init__(self, vm: str) -> None:
        self.kernel: Kernel = Sandbox(vm).kernel
        for name in ("codec", "exact", "compile", "stencil", "layers"):
            self.kernel.load(name)
        self.driver = self.kernel.function(DRIVER)()
        self.fuel(1e15)

    def fuel(self, n: float) -> None:
        self.driver[b"fuel"](n)

    def table(self, values: Any) -> Any:
        return self.kernel.lua.table_from(values)

    def new(
        self, *specs: Spec, width: int = 4, height: int = 3, torus: bool = False,
        neighbors: int = 8, continuous: bool = False, init: bool = True,
    ) -> Layers:  # fmt: skip
        tables = []
        for k, spec in enumerate(specs):
            one = {
                b"name": spec.name.encode(), b"line": 10 + k, b"init": spec.init.encode(),
                b"step": spec.step.encode(), b"diffuse": spec.diffuse.encode(),
                b"decay": spec.decay.encode(), b"uses_around": "around" in spec.step,
                b"reads": self.table([name.encode() for name in spec.reads]),
            }  # fmt: skip
            tables.append(self.table(one))
        program = self.table(tables)
        program[b"width"], program[b"height"] = width, height
        lua = self.driver[b"new"](program, width, height, torus, neighbors, continuous)
        layers = Layers(lua, width, height)
        if init:
            checked(layers.call("init"))
        return layers


@pytest.fixture(scope="module", params=VMS)
def host(request: pytest.FixtureRequest) -> Host:
    return Host(request.param)


@pytest.fixture(scope="module")
def hosts() -> list[Host]:
    return [Host(vm) for vm in VMS]


# The oracle -------------------------------------------------------------------------------------


@dataclass
class World:
    width: int
    height: int
    torus: bool
    neighbors: int

    def around(self, values: Field, x: int, y: int) -> float:
        """The sum in the documented order."""

        def at(dx: int, dy: int) -> float:
            i, j = x + dx, y + dy
            if self.torus:
                i, j = i % self.width, j % self.height
            inside = 0 <= i < self.width and 0 <= j < self.height
            return values[j][i] if inside else 0.0

        if self.neighbors == 4:
            return ((at(0, -1) + at(-1, 0)) + at(1, 0)) + at(0, 1)
        if self.neighbors == 6:
            a, b = (0, 1) if y % 2 else (-1, 0)
            above, below = at(a, -1) + at(b, -1), at(a, 1) + at(b, 1)
            return (above + (at(-1, 0) + at(1, 0))) + below
        west = (at(-1, -1) + at(-1, 0)) + at(-1, 1)
        east = (at(1, -1) + at(1, 0)) + at(1, 1)
        return (west + (at(0, -1) + at(0, 1))) + east

    def step(self, values: Field, f: Step) -> Field:
        return [
            [
                f(values[y][x], x, y, self.around(values, x, y))
                for x in range(self.width)
            ]
            for y in range(self.height)
        ]  # fmt: skip

    def diffuse(self, values: Field, r: float) -> Field:
        share = r / self.neighbors
        ones = [[1.0] * self.width for _ in range(self.height)]

        def value(v: float, x: int, y: int, around: float) -> float:
            missing = self.neighbors - self.around(ones, x, y)
            spread = v * (1 - r) + around * share
            return spread + missing * share * v if missing else spread

        return self.step(values, value)


@st.composite
def worlds_and_values(draw: st.DrawFn) -> tuple[World, list[float]]:
    neighbors = draw(st.sampled_from([4, 6, 8]))
    torus = draw(st.booleans())
    width, height = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    if neighbors == 6 and torus and height % 2:
        height += 1
    number = st.floats(-1e6, 1e6)
    values = draw(st.lists(number, min_size=width * height, max_size=width * height))
    return World(width, height, torus, neighbors), values


def rows(world: World, values: list[float]) -> Field:
    return [values[y * world.width : (y + 1) * world.width] for y in range(world.height)]


def like(host: Host, world: World, *specs: Spec) -> Layers:
    return host.new(
        *specs, width=world.width, height=world.height, torus=world.torus,
        neighbors=world.neighbors,
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(case=worlds_and_values())
def test_a_step_sees_each_cell_and_the_sum_around_it(hosts, case):
    world, values = case
    for host in hosts:
        layers = like(host, world, Spec(step="(around - v) * 0.5 + x * 3 + y * 7 + tick"))
        layers.call("put", b"heat", host.table(values))
        assert layers.field() == rows(world, values)
        sums = [
            [layers.method("around", x, y) for x in range(world.width)]
            for y in range(world.height)
        ]
        assert sums == world.step(rows(world, values), lambda v, x, y, around: around)
        expected = rows(world, values)
        for tick in (5, 6):
            checked(layers.call("step", tick))
            expected = world.step(
                expected, lambda v, x, y, around: (around - v) * 0.5 + x * 3 + y * 7 + tick
            )
        assert layers.field() == expected


@settings(max_examples=60, deadline=None)
@given(case=worlds_and_values(), share=st.sampled_from([0, 0.2, 0.5, 0.7, 1]))
def test_diffusion_gives_each_neighbour_its_part_and_loses_nothing(hosts, case, share):
    world, values = case
    expected = world.diffuse(rows(world, values), share)
    total = math.fsum(values)
    for host in hosts:
        layers = like(host, world, Spec(diffuse=str(share)))
        layers.call("put", b"heat", host.table(values))
        checked(layers.call("step", 1))
        assert layers.field() == expected
        assert layers.method("sum") == pytest.approx(total, abs=1e-6)
        layers.call("put", b"heat", host.table(values))
        layers.method("diffuse", share)
        assert layers.field() == expected


@pytest.mark.parametrize("neighbors", [4, 6, 8])
def test_diffusion_never_makes_a_positive_field_negative(host, neighbors):
    layers = host.new(
        Spec(init="x == 3 and y == 3 and 0.1 or 0", diffuse="1"), width=7, height=8,
        neighbors=neighbors, torus=True,
    )  # fmt: skip
    for tick in range(20):
        checked(layers.call("step", tick))
        assert layers.method("min") >= 0


def test_a_glider_glides(host):
    """After four steps it is one cell further down and right; after 32, a torus of 8 is as before."""
    cells = {(1, 0), (2, 1), (0, 2), (1, 2), (2, 2)}
    condition = " or ".join(f"(x == {x} and y == {y})" for x, y in sorted(cells))
    layers = host.new(Spec(init=f"({condition}) and 1 or 0", step=LIFE), width=8, height=8, torus=True)

    def alive() -> set[tuple[int, int]]:
        return {(x, y) for y, row in enumerate(layers.field()) for x, v in enumerate(row) if v}

    for shift in range(1, 9):
        for tick in range(4):
            checked(layers.call("step", tick))
        assert alive() == {((x + shift) % 8, (y + shift) % 8) for x, y in cells}


def test_life_is_the_same_as_in_python_on_both_vms(hosts):
    world = World(23, 17, True, 8)
    written = set()
    for host in hosts:
        host.driver[b"arm"](7)
        layers = like(host, world, Spec(init="random() < 0.4 and 1 or 0", step=LIFE))
        expected = layers.field()
        for tick in range(30):
            checked(layers.call("step", tick))
            expected = world.step(
                expected, lambda v, x, y, n: float(n == 3 or (n == 2 and v == 1))
            )
        assert layers.field() == expected
        written.add(layers.call("written"))
    assert len(written) == 1


def test_layers_read_each_other_as_they_were_before_any_step(host):
    layers = host.new(
        Spec("a", init="x", step="b + 1", reads=["b"]),
        Spec("b", init="10 * y", step="a * 2 + v", decay="0.5", reads=["a"]),
        Spec("c", init="rate * 8", step="v + a + b", reads=["a", "b"]),
        width=3, height=2,
    )  # fmt: skip
    assert layers.field("c") == [[2, 2, 2], [2, 2, 2]]
    checked(layers.call("step", 1))
    assert layers.field("a") == [[1, 1, 1], [11, 11, 11]]
    assert layers.field("b") == [[0, 1, 2], [5, 6, 7]]
    assert layers.field("c") == [[2, 3, 4], [12, 13, 14]]


def test_a_layer_steps_then_diffuses_then_decays(host):
    world = World(5, 4, False, 4)
    layers = like(host, world, Spec(init="x * y", step="v + 1", diffuse="0.5", decay="rate"))
    checked(layers.call("step", 1))
    stepped = [[x * y + 1.0 for x in range(5)] for y in range(4)]
    assert layers.field() == [[v * 0.75 for v in row] for row in world.diffuse(stepped, 0.5)]


def test_random_numbers_are_drawn_row_by_row(host):
    host.driver[b"arm"](3)
    draws = [host.driver[b"uniform"]() for _ in range(24)]
    host.driver[b"arm"](3)
    layers = host.new(Spec(init="random()", step="random() + v"))
    assert layers.field() == [draws[0:4], draws[4:8], draws[8:12]]
    checked(layers.call("step", 1))
    assert layers.field() == [
        [draws[12 + 4 * y + x] + draws[4 * y + x] for x in range(4)] for y in range(3)
    ]


# Failures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("nil", "gives nil, where a number is needed"),
        ("x == 3", "gives true, where a number is needed"),
        ("'text'", "gives a string, where a number is needed"),
        ("math.sqrt({})", "bad argument #1 to 'sqrt' (number expected, got table)"),
    ],
)
@pytest.mark.parametrize("cell", [(3, 2), (0, 0), (1, 1)])
def test_a_failing_step_names_layer_and_cell_and_the_line(host, expression, reason, cell):
    x, y = cell
    step = f"(x ~= {x} or y ~= {y}) and around or ({expression})"
    if expression == "x == 3":
        step = f"x == {x} and y == {y} or v"
    layers = host.new(Spec("cold"), Spec(step=step))
    with pytest.raises(ValueError, match="layer") as raised:
        checked(layers.call("step", 1))
    assert str(raised.value) == f"layer 'heat', step, at cell ({x}, {y}): {reason}"
    assert layers.call("expression") == b"layers.heat.step:11"


def test_a_failing_init_names_layer_and_cell(host):
    layers = host.new(Spec(init="y < 2 and 1 or nil"), init=False)
    with pytest.raises(ValueError, match="layer") as raised:
        checked(layers.call("init"))
    assert str(raised.value) == (
        "layer 'heat', init, at cell (0, 2): gives nil, where a number is needed"
    )
    assert layers.call("expression") == b"layers.heat.init:10"


def test_reckoning_with_nothing_names_the_cell_too(host):
    layers = host.new(Spec(step="v + missing"))
    with pytest.raises(ValueError, match=r"^layer 'heat', step, at cell \(0, 0\): attempt to"):
        checked(layers.call("step", 1))


def test_after_a_pass_no_expression_is_at_work(host):
    layers = host.new(Spec(step="v", diffuse="0.5", decay="0.5"))
    checked(layers.call("step", 1))
    assert layers.call("expression") is None


@pytest.mark.parametrize("part", ["diffuse", "decay"])
@pytest.mark.parametrize("rate", ["1.5", "-0.1", "0/0"])
def test_rates_are_shares(host, part, rate):
    with pytest.raises(host.kernel.error, match=f"layer 'heat', {part} is a share from 0 to 1, not"):
        host.new(Spec(**{part: rate}))


def test_passes_over_all_cells_spend_fuel(host):
    layers = host.new(Spec(step="v + 1"), width=40, height=20)
    for run in (
        lambda: checked(layers.call("step", 1)), lambda: layers.method("sum"),
        lambda: layers.method("map", host.kernel.lua.eval("function(v) return v end")),
        lambda: layers.method("fill", 2), lambda: layers.method("diffuse", 0.1),
        lambda: layers.method("min"), lambda: layers.method("count", 1),
    ):  # fmt: skip
        host.fuel(101)
        run()
        assert host.driver[b"left"]() == 1
        host.fuel(50)
        with pytest.raises(ValueError, match="out of fuel"):
            run()
        host.fuel(1e15)


# What scripts call ------------------------------------------------------------------------------


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
    layers.call("defer", True)
    layers.method("add", 1, 2, 5, kind="agent")
    layers.method("set", 0, 1, -1, layer="cold", kind="agent")
    assert layers.call("deferred") == b"2 1 9 5; 1 2 4 -1"
    assert layers.method("sum") == 0
    with pytest.raises(ValueError, match="a query that agents call only reads"):
        layers.method("fill", 1)
    layers.call("defer", False)
    layers.call("apply", 2, 1, 9, 5)
    layers.call("apply", 2, 1, 9, 2)
    layers.call("apply", 1, 2, 4, -1)
    assert layers.method("", 1, 2) == 7
    assert layers.method("", 0, 1, layer="cold") == -1


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
    layers.run("layer.heat:map(function(v, x, y) return v + layer.heat(0, 0) + 100 * layer.heat(3, 2) end)")
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
    # three inner maps; the last cell has also been added to eleven times before it was read
    assert layers.field() == [[2, 2, 2, 2], [3, 3, 3, 3], [4, 4, 4, 15]]


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


def test_far_coordinates_are_refused_on_a_torus(host):
    layers = host.new(Spec(), torus=True)
    with pytest.raises(ValueError, match="x is a finite number of at most 2\\^31 in size, not inf"):
        layers.method("", math.inf, 0)


def test_points_of_a_bounded_continuous_space_have_the_cell_below_them(host):
    layers = host.new(Spec(init="x + 10 * y"), continuous=True)
    assert layers.method("", 3.99, 1.5) == 13
    with pytest.raises(ValueError, match="x is a number from 0 to below 4, not 4$"):
        layers.method("", 4, 0)


# Bytes and memory -------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    values=st.one_of(
        st.lists(st.floats(), min_size=12, max_size=12),
        st.lists(st.integers(-(2**31), 2**31 - 1).map(float), min_size=12, max_size=12),
        st.floats().map(lambda v: [v] * 12),
    )
)
def test_bytes_bring_back_every_value_on_every_vm(hosts, values):
    written = set()
    for host in hosts:
        specs = Spec("cold", init="x"), Spec(step="v")
        layers = host.new(*specs)
        layers.call("put", b"heat", host.table(values))
        data = layers.call("written")
        other = host.new(*specs, init=False)
        checked(other.call("read", data))
        assert [repr(v) for row in other.field() for v in row] == [repr(v) for v in values]
        written |= {data, other.call("written")}
    assert len(written) == 1


def test_many_cells_are_written_in_pieces(host):
    layers = host.new(Spec(init="x < 200 and 7 or x + y / 2"), width=300, height=400)
    other = host.new(Spec(), width=300, height=400, init=False)
    checked(other.call("read", layers.call("written")))
    assert other.field() == layers.field()


def test_bytes_of_other_layers_are_refused(host):
    data = host.new(Spec()).call("written")
    for other in (host.new(Spec("a"), Spec("b")), host.new(Spec(), width=3), host.new(Spec(), width=5)):
        with pytest.raises(ValueError, match="malformed data"):
            checked(other.call("read", data))
    with pytest.raises(ValueError, match="malformed data"):
        checked(host.new(Spec()).call("read", b"\x91d"))


def test_memory_is_told_before_it_is_taken():
    host = Host("luajit")
    size = {"width": 1000, "height": 1000, "init": False}
    assert host.new(Spec(), **size).call("bytes") == 8e6
    assert host.new(Spec(step="v"), Spec("b", diffuse="0.1"), **size).call("bytes") == 24e6
    before = host.kernel.lua.eval("collectgarbage('count')")
    host.new(Spec(step="v"), Spec("b"), Spec("c", decay="0.1"), **size)
    assert host.kernel.lua.eval("collectgarbage('count')") - before < 1000
