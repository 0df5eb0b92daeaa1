"""Spaces of the kernel in a Lua state of their own, with what they need of a world.

Agent ``id`` is of type "odd" or "even" as its id is, and publishes ``mark`` and ``sign``, both
id % 3; values of ``sign`` have codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from kernel_env import VMS, Kernel

__all__ = ["TYPES", "VMS", "World", "play", "type_of"]

TYPES = ("", "odd", "even")
"""Names for searches; the empty one is nil: any type."""

_MODULES = (
    "buffer", "codec", "random", "meter", "values", "order", "pattern", "format", "strings",
    "tables", "operators",
)  # fmt: skip

_WORLD = """
local unpack = table.unpack or unpack
local kind, last, spec = ...
spec = load("return " .. spec)()
local S = deps[kind].new(spec)
local type_of, published = deps.buffer.i32(last), {mark = {}, sign = {}}
local codes = deps.buffer.i32(last)
for id = 1, last do
  type_of[id] = id % 2 == 1 and 1 or 2
  published.mark[id], published.sign[id], codes[id] = id % 3, id % 3, id % 3 + 1
end
local function search(field, value)
  if field == "mark" then return nil end
  local code = value >= 0 and value <= 2 and value + 1 or 0
  return codes, code
end
S.reserve(last)
S.roster(type_of)
deps.rng.at(1, 1)
deps.rng.arm(1)
local crumb = deps.buffer.i32(1)
local world = {crumb = crumb, type_index = {odd = 1, even = 2}, published = published,
  shown = {search = search},
  roster = {last_id = last}, rng = deps.rng}
local W = {S = S, api = deps.space.api(S, world)}

local function result(ok, first, ...)
  if not ok then return "error", tostring(first) end
  if type(first) == "table" then
    local list = {}
    for k = 1, #first do list[k] = first[k] end
    return "list", unpack(list)
  end
  return "values", first, ...
end

function W.call(name, me, ...)
  crumb[0] = me
  deps.fuel.n = 1e9
  return result(pcall(W.api[name], ...))
end

function W.kernel(name, ...) return result(pcall(S[name], ...)) end

function W.put_many(columns)
  local ids, x, y, z = unpack(load("return " .. columns)())
  if z then S.put_many(ids, x, y, z, #ids) else S.put_many(ids, x, y, #ids) end
end

function W.dump()
  local w = deps.codec.writer()
  S.write(w, last)
  return w:result()
end

function W.restore(bytes) return S.read("<" .. bytes .. ">", 2) end

function W.fuel() return 1e9 - deps.fuel.n end

-- A long random history, hot enough for the JIT: a number that all answers and the fuel go into.
function W.churn(steps)
  local random, api, sum = deps.rng.random, W.api, 0
  local width, height, depth = S.width, S.height, S.depth
  local function note(v)
    if type(v) ~= "number" then v = v and 7 or 3 end
    sum = (sum * 31 + v) % 2147483647
  end
  local function place()
    if S.at then return random(width) - 1, random(height) - 1 end
    return random() * width, random() * height, depth and random() * depth
  end
  for step = 1, steps do
    local me = random(last)
    crumb[0] = me
    deps.fuel.n = 1e9
    local x, y, z = place()
    if not S.single or S.empty_at(x, y) then S.put(me, x, y, z or nil) end
    if S.placed(me) then
      local r = S.at and random(0, 4) or random() * 3
      local kind = step % 2 == 0 and "odd" or nil
      local near = api.neighbors(r, kind)
      for k = 1, #near do note(near[k]) end
      note(api.count_near(r, kind))
      note(api.count_near(r, kind, "mark", 1))
      note(api.count_near(r, kind, "sign", step % 3))
      note(api.nearest(kind, r))
      local dx, dy = api.offset(me)
      note(dx + dy)
    end
    if S.at then
      note(api.at(x, y, step % 3 == 0 and "odd" or nil))
      note(api.count_at(x, y, "even"))
      local ex, ey = api.random_empty()
      if ex then note(ex + ey * width) end
    end
    if step % 7 == 0 then S.take(random(last)) end
    if step % 100 == 0 and not S.single then
      local ids, xs, ys, zs, n = {}, {}, {}, {}, step % 200 == 0 and last or 2
      for k = 1, n do ids[k] = k; xs[k], ys[k], zs[k] = place() end
      if depth then S.put_many(ids, xs, ys, zs, n) else S.put_many(ids, xs, ys, n) end
    end
    note(1e9 - deps.fuel.n)
  end
  return sum
end

return W
"""


@cache
def _kernel(vm: str) -> Kernel:
    kernel = Kernel(vm, *_MODULES)
    kernel.function("deps.rng = deps.random.new(deps) deps.random = deps.rng")()
    for name in ("maths", "base", "sandbox", "text", "space", "cells", "grid", "continuous"):
        kernel.load(name)
    return kernel


def _lua(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value!r}"


def type_of(id: int) -> str:
    return "odd" if id % 2 else "even"


class World:
    """A space with room for agents 1..last, none of them on it yet."""

    def __init__(self, vm: str, kind: str, last: int, **spec: object) -> None:
        fields = ", ".join(f"{k} = {_lua(v)}" for k, v in spec.items() if v is not None)
        self._w = _kernel(vm).function(_WORLD)(kind.encode(), last, f"{{{fields}}}".encode())
        self.fit = self._w[b"S"][b"fit"]

    def __getitem__(self, name: str) -> Any:
        """A field of the space, such as ``columns``."""
        return self._w[b"S"][name.encode()]

    def call(self, me: int, name: str, *args: object) -> Any:
        """A script's call by agent ``me``: a list, a tuple of values, or the error's text."""
        return self._result(self._w[b"call"](name.encode(), me, *map(_argument, args)))

    def kernel(self, name: str, *args: object) -> Any:
        """A call of the kernel's own functions."""
        return self._result(self._w[b"kernel"](name.encode(), *map(_argument, args)))

    def put_many(self, moves: Sequence[tuple[int, tuple[float, ...]]]) -> None:
        columns = zip(*((id, *place) for id, place in moves), strict=True)
        lists = ", ".join(f"{{{', '.join(map(repr, column))}}}" for column in columns)
        self._w[b"put_many"](f"{{{lists}}}".encode())

    def dump(self) -> bytes:
        dumped: bytes = self._w[b"dump"]()
        return dumped

    def restore(self, dumped: bytes) -> int:
        """The number of bytes read."""
        return int(self._w[b"restore"](dumped)) - 2

    def churn(self, steps: int) -> float:
        """A checksum of what a random history of so many steps answers and costs."""
        return float(self._w[b"churn"](steps))

    def fuel(self) -> float:
        """What the last script's call cost."""
        return float(self._w[b"fuel"]())

    @staticmethod
    def _result(got: Any) -> Any:
        what, *values = got if isinstance(got, tuple) else (got,)
        if what == b"error":
            return f"error: {values[0].decode()}"
        return values if what == b"list" else tuple(values)


def _argument(value: object) -> object:
    if isinstance(value, str):
        return value.encode() if value else None
    return value


def play(
    world: World, batches: list[list[tuple[int, Any]]], single: bool = False
) -> dict[int, Any]:
    """Plays the moves, alternately one by one and in bulk; where everybody stands then. ``single``:
    whoever would go to a taken cell stays."""
    placed: dict[int, Any] = {}
    for number, batch in enumerate(batches):
        moves: dict[int, Any] = {}
        for id, place in batch:
            if place is None:
                placed.pop(id, None)
                moves.pop(id, None)
                world.kernel("take", id)
                continue
            if single and any(p == place and i != id for i, p in placed.items()):
                continue
            placed[id] = place
            if number % 2:
                moves[id] = place
            else:
                world.kernel("put", id, *place)
            if number == 2 and world["empty_count"] is not None:
                world.kernel("empty_count")  # from here on the counts are kept
        if moves:
            world.put_many(list(moves.items()))
    return placed
