"""Worlds with an environment, a space, layers, a network and published fields: one outcome for any
number of workers, on both VMs, in every run, and after a restore at any tick (4.8, 4.9, 4.17)."""

from __future__ import annotations

from typing import Any

import pytest
from shares import Shares
from worlds import Outcome, clean, outcome, same_for
from written import environment_of, under_way, written

from runtime import protocol as p

SPACES = {
    "grid": 'kind = "grid", width = 9, height = 7',
    "bounded": 'kind = "grid", width = 9, height = 7, torus = false, neighbors = 4',
    "hex": 'kind = "grid", width = 8, height = 8, neighbors = "hex"',
    "single": 'kind = "grid", width = 9, height = 9, single = true',
    "continuous": 'kind = "continuous", width = 9, height = 7',
    "room": 'kind = "continuous", width = 9, height = 7, torus = false, cell = 2',
    "solid": 'kind = "continuous", width = 5, height = 6, depth = 4',
}
LAYERS = {
    "grid": "[environment.layers]\n"
    'grass = { init = "random()", step = "(v + around / 8 + heat) / 3", decay = 0.01 }\n'
    'heat = { init = "x * y", diffuse = 0.3 }\nplain = 1\n',
    "bounded": "[environment.layers]\n"
    'grass = { init = "x", step = "random() < 0.5 and v or around", diffuse = 0.2 }\nheat = 0\n',
    "hex": '[environment.layers]\ngrass = { step = "around > 1 and 1 or v / 2" }\nheat = 0\n',
    "single": '[environment.layers]\ngrass = 1\nheat = { init = "y - x", decay = 0.5 }\n',
    "continuous": "[environment.layers]\ngrass = { init = 1, diffuse = 0.5 }\nheat = 0\n",
    "room": '[environment.layers]\ngrass = { init = "random()" }\nheat = { decay = "0.1" }\n',
    "solid": "",
}
NETWORKS = (
    "",
    'network = { kind = "empty", directed = true }\n',
    'network = { kind = "watts_strogatz", k = 4, p = 0.3, of = "a" }\n',
    'network = { kind = "preferential", m = 2 }\n',
    'network = { kind = "random", p = 0.1, directed = true }\n',
)
KEEPER = """
function init(env)
  env.n, env.seen, env.deep = 0, {}, {list = {}, again = {}}
  env.deep.again.deep = env.deep
  broadcast("b", "tell", {x = 1}) spawn("a", {gift = 1}) after(2, "own", {x = 3})
end
function on.put(env, msg, from)
  env.n = (env.n * 7 + msg.x + from) % 1000003
  env.seen[from % 5 + 1] = {tick(), msg}
  if random() < 0.3 then send(from, "tell", {x = env.n % 10}, random(3)) end
end
function on.own(env, msg)
  env.deep.list[#env.deep.list % 7 + 1] = msg.x
  return #env.deep.list
end
function query.count(env, more) return #env.deep.list + env.n % 3 + more end
function query.part(env) return env.seen end
function step(env)
  if tick() > 8 then return end
  local first = agents("a")[1]
  env.looked = first and look(first, "x")
  if tick() % 3 == 1 then after(random(3), "own", {x = tick()}) spawn("b", {gift = env.n % 4}) end
  if first and random() < 0.5 then send(first, "tell", {x = #agents("b")}) end
  if random() < 0.2 then broadcast("a", "tell", {x = env.n % 5}, random(2)) end
  log(env.n, env.looked or "nobody")
  record("noted", env.n)
  ENV
end
"""
AGENT = """
function init(self)
  self.x, self.mix = random(5), 0
  if self.parent then INIT end
end
function on.tell(self, msg, from)
  local sent, kind, seq = message()
  self.mix = (self.mix * 31 + from * 7 + sent * 3 + seq + (msg.x or 0)) % 1000003
end
function on.own(self, msg, from)
  if random() < 0.1 then remove() end
  if random() < 0.2 then send(from, "tell", {x = 3}) end
  return self.x + random(4)
end
function on.blocked(self, msg, from)
  self.mix = (self.mix * 3 + msg.x + 7 * msg.y + from) % 1000003
end
function step(self)
  if tick() > 8 then return end
  self.x = (self.x + random(3)) % 11
STEP
end
"""
COMMON = (
    "send('environment', 'put', {x = self.x})",
    "send('environment', 'put', {x = random(9)}, random(3))",
    "send(choice(agents('a')), 'tell', {x = env.count(2)}, random(2))",
    "broadcast('b', 'tell', {x = #env.deep.list}) ",
    "if random() < 0.4 and #agents('b') < 20 then spawn('b', {gift = self.x}) end",
    "if random() < 0.3 and #agents('a') > 3 then remove() end",
    "self.mix = (self.mix + (look(choice(agents('a')), 'x') or 1)) % 1000003",
    "for k, v in pairs(env.part()) do self.mix = (self.mix + k * v[1] + v[2].x) % 1000003 end",
    "self.kept = env.seen[1] and env.seen[1][1]",
    "self.list = shuffle({1, 2, self.x})",
    "record('sample', self.mix % 7)",
)
GRID = (
    "move_to(random(7) - 1, random(7) - 1)",
    "if position() then local x, y = position() move_to((x + 1) % space.width, y) end",
    "if position() then self.mix = self.mix + #neighbors(2) + count_near(1, 'b', 'x', 3) end",
    "if position() then self.mix = self.mix + (nearest(nil, 3) or 0) end",
    "self.mix = self.mix + (at(2, 2) or 0) + count_at(3, 3, 'a') + empty_cells()",
    "do local x, y = random_empty() if x then move_to(x, y) end end",
    "if random() < 0.2 then spawn('a', {gift = 2}, random(7) - 1, random(7) - 1) end",
    "layer.grass:add(random(7) - 1, random(7) - 1, 0.1 * self.x)",
    "layer.heat:set(random(7) - 1, random(7) - 1, self.x)",
    "self.mix = self.mix + layer.heat:sum() + layer.grass(1, 1) self.mix = self.mix % 1000003",
)
POINTS = (
    "move_to(random() * 5, random() * 6)",
    "if position() then local x, y = position() move_to((x + random()) % 5, y / 2) end",
    "if position() then for _, id in ipairs(neighbors(1.5)) do "
    "local dx, dy = offset(id) self.mix = self.mix + dx * 3 + dy + distance(id) end end",
    "if position() then self.mix = self.mix + (nearest('b', 3) or 0) + count_near(2) end",
    "if random() < 0.2 then spawn('a', {gift = 2}, random() * 4, random() * 4) end",
    "layer.grass:add(random() * 5, random() * 6, 0.1 * self.x)",
    "self.mix = self.mix + layer.heat:mean() + layer.grass(1, 1)",
)
SOLID = (
    "move_to(random() * 5, random() * 6, random() * 4)",
    "if position() then move_by(normal(), 1, -0.5) end",
    "if position() then self.mix = self.mix + #neighbors(1.2, 'a') + (nearest(nil, 9) or 0) end",
    "self.mix = self.mix + #neighbors_of(1, 1, 1, 2)",
    "if random() < 0.2 then spawn('b', {gift = 2}, 1, 2, 3) end",
)
LINKS = (
    "local to = choice(agents('a')) if to and to ~= self.id then link_to(to, self.x) end",
    "local all = links() if #all > 0 then unlink(choice(all)) end",
    "for _, id in ipairs(links()) do self.mix = self.mix + id * (link(id) or 0) end",
    "self.mix = self.mix + degree() * 3",
    "for _, id in ipairs(links()) do self.mix = self.mix + (look(id, 'x') or 5) end",
)


ASKS = (
    "local to = agents('b')[random(3)] "
    "if to and to ~= self.id then self.mix = self.mix + ask(to, 'own') end",
    "self.mix = self.mix + ask('environment', 'own', {x = self.x})",
    "local to = agents('a')[1] if to ~= self.id then ask(to, 'tell', {x = 2}) end",
)
"""In sequential regimes."""


def actions(space: str, network: str) -> tuple[str, ...]:
    """What agents may do in a step."""
    here = GRID if space in ("grid", "bounded", "hex", "single") else POINTS
    return COMMON + (SOLID if space == "solid" else here) + (LINKS if network else ())


def world(
    space: str,
    network: str,
    step: dict[str, list[str]],
    init: list[str],
    places: tuple[str, str],
    regime: str = '"synchronous"',
) -> p.ModelSpec:
    """A model of types a and b whose steps and newborns' inits are the given actions."""
    layers = LAYERS[space]
    metrics = "mixed = 'sum(a, self.mix)'\nn = 'env.n'\ntold = \"mail('tell', msg.x)\"\n"
    metrics += "mean = 'mean(b, self.x * 0.1)'\ncount = 'env.count(count(a))'\n"
    if layers:
        metrics += "grass = 'layer.grass:sum()'\nheat = 'layer.heat:max()'\n"
    toml = f"activation = {regime}\n[metrics]\n{metrics}[environment]\n"
    toml += f"space = {{ {SPACES[space]} }}\n{network}{layers}"
    for name, count, place in zip("ab", (9, 7), places, strict=True):
        toml += f'[agents.{name}]\ncount = {count}\npublish = ["x", "gift"]\n{place}\n'

    def block(lines: list[str]) -> str:
        return "\n".join(f"do {line} end" for line in lines)

    environment = "layer.heat:map(function(v, x, y) return v + x end) layer.grass:decay(0.1)"
    sources = {
        name: AGENT.replace("INIT", block(init)).replace("STEP", block(step[name])) for name in "ab"
    }
    return written(
        toml, **sources, environment=KEEPER.replace("ENV", environment if layers else "")
    )


def played(spec: p.ModelSpec, workers: int, vm: str, ticks: int, seed: int = 1) -> Outcome:
    """The outcome at ``ticks``; later, when all is quiet, every message has come to its end."""
    shares = Shares(spec, [9, 7], workers, vm=vm, seed=seed).run(ticks)
    found = clean(outcome(shares))
    sent, delivered, dead = clean(outcome(shares.run(20))).counts
    assert (sent, under_way(shares)) == (delivered + dead, 0)
    return found


def gone_on(spec: p.ModelSpec, way: tuple[int, ...], ticks: int, seed: int = 1) -> Any:
    """Digest and later rows of a world restored after tick ``at`` on other workers: ``way`` is
    (at, workers before, workers after, VM of VMS); nobody's way has no restore."""
    if not way:
        workers = 2 if spec.activation == "synchronous" else 1
        shares = Shares(spec, [9, 7], workers, seed=seed).run(ticks)
        return shares.digest(), shares.rows, environment_of(shares)
    at, before, after, vm = way
    shares = Shares(spec, [9, 7], before, seed=seed).run(at)
    digest, rows = shares.digest(), list(shares.rows)
    shares = shares.restored(after, ("luajit21", "lua52")[vm])
    assert shares.digest() == digest
    assert (shares.run(ticks).fault, shares.tick) == (None, ticks)
    return shares.digest(), rows + shares.rows, environment_of(shares)


TWICE_AND_ELSEWHERE = (
    (1, "luajit21"),
    (1, "luajit21"),
    (2, "luajit21"),
    (3, "lua52"),
    (5, "luajit21"),
)
PLACES = {
    "solid": ('place = "random"', 'place = { x = "i / 2", y = "random()", z = 1 }'),
    "single": ('place = "random_empty"', 'place = "grid"'),
}
ORDINARY = ('place = "random"', 'place = { x = "i % 5", y = "3" }')


def everything(space: str, network: str) -> p.ModelSpec:
    """All that agents can do here, each with its chance."""
    lines = [f"if random() < 0.3 then {line} end" for line in actions(space, network)]
    places = PLACES.get(space, ORDINARY)
    if space == "single":
        places = (places[0], places[0])
    return world(space, network, {"a": lines, "b": lines[::-1]}, lines[::2], places)


@pytest.mark.parametrize(
    ("space", "network"), [(s, NETWORKS[k % len(NETWORKS)]) for k, s in enumerate(SPACES)]
)
def test_4_08_a_world_of_everything_has_one_outcome_everywhere(space: str, network: str) -> None:
    spec = everything(space, network)
    found = same_for(TWICE_AND_ELSEWHERE, lambda place: played(spec, place[0], place[1], 6))
    sent, delivered, dead = found.counts
    assert (sent > 100, delivered > 80, dead > 3, len(found.rows)) == (True, True, True, 7)


@pytest.mark.parametrize("space", SPACES)
def test_4_17_a_world_of_everything_goes_on_identically_after_a_restore(space: str) -> None:
    spec = everything(space, NETWORKS[len(space) % len(NETWORKS)])
    ways = ((), (0, 2, 1, 1), (1, 1, 3, 0), (4, 3, 2, 0))
    same_for(ways, lambda way: gone_on(spec, way, 6))
