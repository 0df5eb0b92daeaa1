"""Networks in a Lua state."""

from __future__ import annotations

from typing import Any

from sandbox_env import Sandbox

Links = dict[tuple[int, int], float]

DRIVER = """
local network, codec, rng = deps.network, deps.codec, deps.rng
local function bytes(N)
  local w = codec.writer()
  N.write(w)
  return w:result()
end
local function copy(N, directed, before)
  local data = before .. bytes(N) .. "after"
  local M = network.new(directed)
  local pos = M.read(data, #before + 1)
  assert(pos == #data - 4, "read to the wrong place")
  return M
end
local function flat(N, last)
  local out = {}
  for a = 1, last do
    for _, b in ipairs(N.list(a)) do
      out[#out + 1], out[#out + 2], out[#out + 3] = a, b, N.weight(a, b)
    end
  end
  return out
end
local function arrivals(N, last)
  local out = {}
  for a = 1, last do
    for _, b in ipairs(N.list_in(a)) do out[#out + 1], out[#out + 2] = b, a end
  end
  return out
end
local function told(ok, ...) return ok, ... end
return {
  new = function(directed)
    local N = network.new(directed)
    return {
      N = N,
      add = function(a, b, w) return pcall(N.add, a, b, w) end,
      remove = N.remove, drop = N.drop, reserve = N.reserve,
      weight = N.weight, degree = N.degree, edges = N.edges, bytes = N.bytes,
      flat = function(last) return flat(N, last) end,
      arrivals = function(last) return arrivals(N, last) end,
      written = function() return bytes(N) end,
      again = function() return bytes(copy(N, directed, "before")) end,
      flat_again = function(last) return flat(copy(N, directed, ""), last) end,
    }
  end,
  read = function(data)
    return pcall(network.new(false).read, data, 1)
  end,
  build = function(net, from, to, weight, n) return pcall(net.N.build, from, to, weight, n) end,
  generate = function(net, kind, ids, numbers, torus, edges, seed)
    rng.at(seed, 0)
    rng.arm(0)
    return pcall(network.generate, net.N, kind, ids, numbers, torus, edges, rng.uniform)
  end,
  api = function(net, me, last, dead)
    local where = {}
    for id = 1, last do where[id] = id == dead and 0 or 1 end
    local api = net.N.api({crumb = {[0] = me}, roster = {last_id = last, where = where}})
    local calls = {}
    for name, f in pairs(api) do calls[name] = function(...) return pcall(f, ...) end end
    return calls
  end,
}
"""


class Net:
    """A network in a Lua state."""

    def __init__(self, host: Networks, directed: bool) -> None:
        self.host, self.directed = host, directed
        self.lua = host.driver[b"new"](directed)

    def call(self, name: str, *args: Any) -> Any:
        return self.lua[name.encode()](*args)

    def links(self, last: int, name: str = "flat") -> Links:
        """Entries (from, to) -> weight, of both directions where undirected; rows must ascend."""
        values = list(self.call(name, last).values())
        entries = [
            ((int(a), int(b)), w)
            for a, b, w in zip(values[::3], values[1::3], values[2::3], strict=True)
        ]
        assert [pair for pair, _ in entries] == sorted({pair for pair, _ in entries})
        return dict(entries)

    def arrivals(self, last: int) -> list[tuple[int, int]]:
        values = [int(v) for v in self.call("arrivals", last).values()]
        return list(zip(values[::2], values[1::2], strict=True))

    def build(self, links: list[tuple[int, int, float]], weighted: bool = True) -> Any:
        table = self.host.kernel.lua.table_from
        a, b, w = (table([link[j] for link in links]) for j in range(3))
        return self.host.driver[b"build"](self.lua, a, b, w if weighted else None, len(links))

    def generate(
        self, kind: str, n: int, *, first: int = 1, torus: bool = False, seed: int = 1,
        edges: list[float] | None = None, **numbers: float,
    ) -> None:  # fmt: skip
        """Raises ValueError with the refusal."""
        table = self.host.kernel.lua.table_from
        ids = table(list(range(first, first + n)))
        named = table({name.encode(): value for name, value in numbers.items()})
        ok = self.host.driver[b"generate"](
            self.lua, kind.encode(), ids, named, torus, table(edges or []), seed
        )
        if ok is not True:
            raise ValueError(ok[1].decode())


class Networks:
    def __init__(self, vm: str) -> None:
        self.kernel = Sandbox(vm).kernel
        for name in ("codec", "rows", "generators", "network"):
            self.kernel.load(name)
        self.kernel.function("deps.sandbox.Q.n = 1e15")()
        self.driver = self.kernel.function(DRIVER)()

    def new(self, directed: bool = False) -> Net:
        return Net(self, directed)
