"""What the front-end tests share: models from texts, and Lua states with a small run-time table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lupa.lua52
import lupa.luajit21

from runtime.model import read_model
from runtime.protocol import Diagnostic, ModelSpec
from workers.frontend import Program, compile_model

VMS = ("luajit21", "lua52")
_MODULES = {"luajit21": lupa.luajit21, "lua52": lupa.lua52}
_COMPILE = 'function(source, name) local _, why = load(source, name, "t") return why end'

ONE_TYPE = 'name = "m"\n[agents.a]\ncount = 3\n'

# What rewritten chunks call. Sends are noted as {name, argument count, arguments…}.
RUNTIME = """
function(source, fuel, shapes)
  local notes, env, on = {}, {}, {}
  local Q = {n = fuel}
  local unpack = unpack or table.unpack
  local function note(name)
    return function(...)
      notes[#notes + 1] = {name, select("#", ...), ...}
    end
  end
  local R = {Q = Q, X = function() error("out of fuel", 0) end, S = {}, B = {}, T = {}}
  for i = 1, shapes do
    R.S[i], R.B[i], R.T[i] = note("S" .. i), note("B" .. i), note("T" .. i)
  end
  function R.L(x) return #x end
  function R.P(a, b) return a ^ b end
  function R.D(a, b) return math.floor(a / b) end
  function R.C(...)
    local parts = {...}
    assert(#parts == select("#", ...), "nil or too many values")
    for i = 1, #parts do parts[i] = tostring(parts[i]) end
    return table.concat(parts)
  end
  local function bits(one)
    return function(a, b)
      local result, place = 0, 1
      for _ = 1, 32 do
        if one(a % 2, b % 2) then result = result + place end
        a, b, place = math.floor(a / 2), math.floor(b / 2), place * 2
      end
      return result
    end
  end
  R.BA = bits(function(x, y) return x + y == 2 end)
  R.BO = bits(function(x, y) return x + y >= 1 end)
  R.BX = bits(function(x, y) return x + y == 1 end)
  function R.BN(a) return -1 - a end
  function R.SL(a, b) return a * 2 ^ b end
  function R.SR(a, b) return math.floor(a / 2 ^ b) end
  env.on, env.pairs, env.ipairs, env.table, env.string = on, pairs, ipairs, table, string
  env.math, env.tostring, env.select, env.error, env.pcall = math, tostring, select, error, pcall
  env.send, env.broadcast, env.after = note("send"), note("broadcast"), note("after")
  local chunk = assert(load(source, "@agents/a.lua", "t", env))
  chunk(R)
  return env, notes, Q
end
"""


def compile_text(vm: str = "luajit21") -> Callable[[str, str], str | None]:
    """The syntax check that the worker hands to the front end."""
    check = _MODULES[vm].LuaRuntime(encoding="utf-8").eval(_COMPILE)
    return lambda source, name: check(source, name)


_SYNTAX = {vm: compile_text(vm) for vm in VMS}


def read(toml: str = ONE_TYPE, **scripts: str) -> ModelSpec:
    """A model whose model.toml is sound; ``a="…"`` is the text of agents/a.lua, ``environment``
    that of environment.lua, ``links`` that of links.csv."""
    elsewhere = {"environment": "environment.lua", "links": "links.csv"}
    files = {elsewhere.get(name, f"agents/{name}.lua"): text for name, text in scripts.items()}
    model, found = read_model("m", {"model.toml": toml, **files})
    assert model is not None, found
    return model


def check(toml: str = ONE_TYPE, vm: str = "luajit21", **scripts: str) -> list[Diagnostic]:
    """Everything the front end finds."""
    return compile_model(read(toml, **scripts), _SYNTAX[vm])[1]


def program(toml: str = ONE_TYPE, vm: str = "luajit21", **scripts: str) -> Program:
    """The program of a model that has no errors."""
    made, found = compile_model(read(toml, **scripts), _SYNTAX[vm])
    assert made is not None, found
    return made


def said(found: list[Diagnostic]) -> list[tuple[int, str, str]]:
    """(line, code, the marked text) of findings, for whole comparisons."""
    return [(one.line, one.code, marked(one)) for one in found]


def marked(one: Diagnostic) -> str:
    """The text over the carets of an excerpt."""
    if not one.excerpt:
        return ""
    line, carets = one.excerpt.split("\n")
    return line[carets.index("^") : carets.rindex("^") + 1]


TWO_TYPES = (
    'name = "m"\n[parameters]\nrate = 0.3\n'
    "[agents.a]\ncount = 3\nstate = { cash = 5 }\n"
    '[agents.b]\ncount = 1\nname = "bank"\n'
)
BANK = (
    "function on.deposit(self, msg) self.x = msg.x end\nfunction step(self) send(1, 'ping') end\n"
)
PING = "function on.ping(self, msg, from) end\n"


def in_step(body: str, vm: str = "luajit21") -> list[Diagnostic]:
    """Findings of a body of step, which stands on line 2 of agents/a.lua."""
    found = check(TWO_TYPES, vm, a=f"function step(self)\n{body}\nend\n{PING}", b=BANK)
    return [one for one in found if one.code not in ("unsent", "unset")]


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
SEQUENTIAL = WORLD.replace('name = "m"', 'name = "m"\nactivation = "random"')


def in_world(
    body: str, toml: str = WORLD, environment: str = ENVIRONMENT, vm: str = "luajit21"
) -> list[Diagnostic]:
    """Findings of a body of a sheep's step in ``WORLD``; it stands on line 2 of its script."""
    sheep = f"function step(self)\n{body}\nend\nfunction init(self) {EAT} end\n"
    found = check(toml, vm, sheep=sheep, wolf=WOLF, environment=environment)
    return [one for one in found if one.code != "place"]


class Script:
    """A rewritten script, loaded."""

    def __init__(self, vm: str, source: str, fuel: int = 1000) -> None:
        self.program = program(vm=vm, a=source)
        chunk = self.program["types"][0]["chunk"]
        state = _MODULES[vm].LuaRuntime(encoding="utf-8")
        self.error: type[Exception] = _MODULES[vm].LuaError
        shapes = len(self.program["shapes"])
        self.env, self._notes, self._fuel = state.eval(RUNTIME)(chunk, fuel, shapes)
        self.me = state.eval("{id = 1}")

    @property
    def fuel(self) -> int:
        return int(self._fuel["n"])

    def step(self) -> Any:
        return self.env["step"](self.me)

    @property
    def sends(self) -> list[list[Any]]:
        """[name, argument count, arguments…] of each send so far."""
        return [[note[i] for i in range(1, note[2] + 3)] for note in self._notes.values()]


def evaluate(vm: str, expression: str) -> Any:
    """The value of a script's expression, after rewriting."""
    script = Script(vm, f"function step(self)\n  return {expression}\nend\n")
    return script.step()
