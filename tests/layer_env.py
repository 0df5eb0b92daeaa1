"""Layers in a Lua state, and the same in plain Python over lists of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from kernel_env import Kernel
from sandbox_env import Sandbox

Field = list[list[float]]
Step = Callable[[float, int, int, float], float]

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
    local world = {expression_env = env, deferring = false, env_active = true}
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
      expression = function()
        return world.expression and world.expression.name .. ":" .. world.expression.line
      end,
      agents_act = function(on) world.deferring, world.env_active = on, not on end,
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
        for name in ("codec", "exact", "compile", "stencil", "layer_views", "layers"):
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
