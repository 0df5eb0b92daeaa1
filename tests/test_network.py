"""The network against a dictionary of links, its generators against their definitions."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_env import VMS, Kernel
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
      remove = N.remove, drop = N.drop, weight = N.weight, degree = N.degree, edges = N.edges, bytes = N.bytes,
      reserve = N.reserve,
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


@pytest.fixture(scope="module", params=VMS)
def host(request: pytest.FixtureRequest) -> Networks:
    return Networks(request.param)


@pytest.fixture(scope="module")
def hosts() -> list[Networks]:
    return [Networks(vm) for vm in VMS]


class Oracle:
    """Links in a dictionary, both directions where undirected."""

    def __init__(self, directed: bool) -> None:
        self.directed, self.links = directed, {}

    def add(self, a: int, b: int, w: float) -> None:
        self.links[a, b] = w
        if not self.directed:
            self.links[b, a] = w

    def remove(self, a: int, b: int) -> bool:
        if not self.directed:
            self.links.pop((b, a), None)
        return self.links.pop((a, b), None) is not None

    def drop(self, one: int) -> None:
        self.links = {pair: w for pair, w in self.links.items() if one not in pair}


LAST = 9
ids = st.integers(1, LAST)
weights = st.sampled_from([1.0, 1.0, 1.0, 0.5, -2.0, 0.0])
operations = st.lists(
    st.one_of(
        st.tuples(st.just("add"), ids, ids, weights),
        st.tuples(st.just("add"), ids, ids, weights),
        st.tuples(st.just("remove"), ids, ids),
        st.tuples(st.just("drop"), ids),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(operations=operations, directed=st.booleans())
def test_links_added_removed_and_dropped_are_those_of_a_dictionary(hosts, operations, directed):
    nets, oracle = [host.new(directed) for host in hosts], Oracle(directed)
    for name, *arguments in operations:
        answers = [net.call(name, *arguments) for net in nets]
        if name == "add" and arguments[0] == arguments[1]:
            expected = f"agent {arguments[0]} cannot be linked to itself".encode()
            assert answers == [(False, expected)] * 2
        elif name == "remove":
            assert answers == [oracle.remove(*arguments)] * 2
        else:
            getattr(oracle, name)(*arguments)
    for net in nets:
        assert net.links(LAST) == oracle.links
        assert net.arrivals(LAST) == [
            pair for pair in sorted(oracle.links, key=lambda pair: (pair[1], pair[0]))
        ]
        assert net.call("edges") == len(oracle.links) / (1 if directed else 2)
        assert [net.call("degree", a) for a in range(1, LAST + 1)] == [
            sum(pair[0] == a for pair in oracle.links) for a in range(1, LAST + 1)
        ]
        assert net.links(LAST, "flat_again") == oracle.links
    assert len({net.call(name) for net in nets for name in ("written", "again")}) == 1


@settings(max_examples=60, deadline=None)
@given(
    links=st.lists(st.tuples(ids, ids, weights).filter(lambda one: one[0] != one[1]), max_size=40),
    directed=st.booleans(),
)
def test_links_built_at_once_are_those_added_one_by_one(hosts, links, directed):
    written = set()
    for host in hosts:
        built, added = host.new(directed), host.new(directed)
        assert built.build(links) is True
        for link in links:
            added.call("add", *link)
        assert built.links(LAST) == added.links(LAST)
        assert built.arrivals(LAST) == added.arrivals(LAST)
        written |= {built.call("written"), added.call("written")}
        # and they can be changed afterwards
        for a, b in itertools.permutations(range(1, 5), 2):
            built.call("add", a, b, 1)
            added.call("add", a, b, 1)
        assert built.links(LAST) == added.links(LAST)
    assert len(written) == 1


def test_bytes_do_not_tell_how_a_network_came_about(host):
    one, other = host.new(), host.new()
    one.call("add", 1, 2, 1)
    other.call("reserve", 1000)
    other.call("add", 900, 3, 2.5)
    other.call("add", 2, 1, 3)
    other.call("add", 1, 2, 1)
    other.call("drop", 900)
    assert one.call("written") == other.call("written")


def test_weights_take_memory_only_once_one_differs_from_1(host):
    net = host.new()
    for b in range(2, 200):
        net.call("add", 1, b, 1)
    plain = net.call("bytes")
    net.call("add", 1, 2, 0.5)
    assert net.call("bytes") > plain
    assert (net.call("weight", 1, 2), net.call("weight", 3, 1)) == (0.5, 1)
    assert net.call("weight", 2, 3) is None


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x01\0\0\0", b"\x01\0\0\0\x01\0\0\0p", b"\xff\xff\xff\x7f\xff\xff\xff\x7fp",
        b"\x01\0\0\0\x01\0\0\0p\x02\0\0\0\x02\0\0\0", b"\x01\0\0\0\x01\0\0\0p\x01\0\0\0\0\0\0\0",
        b"\x01\0\0\0\x01\0\0\0p\0\0\0\0\x02\0\0\0", b"\x01\0\0\0\x01\0\0\0w\x01\0\0\0\x02\0\0\0",
    ],
)  # fmt: skip
def test_malformed_networks_are_refused(host, data):
    ok, message = host.driver[b"read"](data)
    assert not ok
    assert message.startswith(b"malformed data")


# Generators -------------------------------------------------------------------------------------


def undirected(links: Links) -> set[tuple[int, int]]:
    assert all((b, a) in links for a, b in links)
    return {(a, b) for a, b in links if a < b}


def made(host: Networks, kind: str, n: int, directed: bool = False, **how: Any) -> Links:
    net = host.new(directed)
    net.generate(kind, n, **how)
    links = net.links(n + how.get("first", 1) - 1)
    assert all(w == 1 for w in links.values()) or kind == "edges"
    return links


def clustering_and_path_length(links: Links, n: int) -> tuple[float, float]:
    """Mean local clustering and mean distance, by their definitions."""
    near: list[list[int]] = [[] for _ in range(n + 1)]
    for a, b in links:
        near[a].append(b)
    shares = []
    for a in range(1, n + 1):
        pairs = list(itertools.combinations(near[a], 2))
        shares.append(sum(pair in links for pair in pairs) / len(pairs))
    total = 0
    for a in range(1, n + 1):
        distance, queue = {a: 0}, deque([a])
        while queue:
            b = queue.popleft()
            for c in near[b]:
                if c not in distance:
                    distance[c] = distance[b] + 1
                    queue.append(c)
        assert len(distance) == n
        total += sum(distance.values())
    return sum(shares) / n, total / (n * (n - 1))


def test_a_watts_strogatz_network_without_rewiring_has_its_known_clustering_and_distance(host):
    links = made(host, "watts_strogatz", 1000, k=10, p=0)
    clustering, length = clustering_and_path_length(links, 1000)
    assert clustering == pytest.approx(2 / 3, abs=1e-12)
    assert length == pytest.approx(50.4505, abs=5e-5)
    assert links == made(host, "ring", 1000, k=10)


def test_rewiring_keeps_the_number_of_links_and_shortens_distances(host):
    links = made(host, "watts_strogatz", 1000, k=10, p=0.1)
    assert len(undirected(links)) == 5000
    clustering, length = clustering_and_path_length(links, 1000)
    # a link of the ring and its two neighbours all survive with probability 0.9^3
    assert clustering == pytest.approx(2 / 3 * 0.9**3, abs=0.03)
    assert 4 < length < 5


def test_rewiring_goes_by_the_published_construction(hosts):
    """In order of agent, then distance, with the stream's numbers as they come."""
    n, k, p = 12, 6, 0.6
    kernel = hosts[0].kernel
    draw = kernel.function("deps.rng.at(5, 0) deps.rng.arm(0) return deps.rng.uniform")()
    edges = [(a, (a + j - 1) % n + 1) for a in range(1, n + 1) for j in range(1, k // 2 + 1)]
    for e, (a, _) in enumerate(edges):
        present = {pair for one in edges for pair in (one, one[::-1])}
        if draw() < p:
            b = a
            while b == a or (a, b) in present:
                b = int(draw() * n) + 1
            edges[e] = (a, b)
    for host in hosts:
        links = made(host, "watts_strogatz", n, k=k, p=p, seed=5)
        assert undirected(links) == {(min(e), max(e)) for e in edges}


def test_an_agent_linked_to_all_others_keeps_its_links(host):
    links = made(host, "watts_strogatz", 5, k=4, p=1)
    assert undirected(links) == set(itertools.combinations(range(1, 6), 2))


def test_degrees_under_preferential_attachment_follow_their_law(host):
    n, m = 10_000, 2
    links = made(host, "preferential", n, m=m)
    assert len(undirected(links)) == m * (m + 1) // 2 + (n - m - 1) * m
    shares = Counter(Counter(a for a, _ in links).values())
    for k in range(2, 12):
        expected = 2 * m * (m + 1) / (k * (k + 1) * (k + 2))
        assert shares[k] / n == pytest.approx(expected, abs=0.02)
    assert min(shares) == m


def test_a_preferential_network_starts_from_a_complete_one(host):
    assert undirected(made(host, "preferential", 4, m=3)) == set(
        itertools.combinations(range(1, 5), 2)
    )
    later = made(host, "preferential", 50, m=3)
    for newcomer in range(5, 51):
        assert sum(b < newcomer for a, b in later if a == newcomer) == 3


def test_newcomers_choose_in_proportion_to_degree(host):
    """The fourth of 4 with m = 1: degrees 1, 2, 1 or 2, 1, 1 when it comes."""
    met: Counter[bool] = Counter()
    net = host.new()
    for seed in range(2000):
        net.generate("preferential", 4, m=1, seed=seed)
        links = net.links(4)
        hub = 1 if (1, 3) in links else 2
        met[(hub, 4) in links] += 1
    assert met[True] / 2000 == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("directed", [False, True])
def test_a_random_network_has_each_link_with_probability_p(hosts, directed):
    n, p, runs = 7, 0.3, 600
    met: Counter[tuple[int, int]] = Counter()
    for seed in range(runs):
        links = [made(host, "random", n, directed, p=p, seed=seed) for host in hosts[: 1 + seed % 2]]
        assert all(one == links[0] for one in links)
        met.update(links[0] if directed else undirected(links[0]))
    pairs = list((itertools.permutations if directed else itertools.combinations)(range(1, n + 1), 2))
    assert set(met) == set(pairs)
    assert all(abs(met[pair] / runs - p) < 0.1 for pair in pairs)
    assert sum(met.values()) / runs / len(pairs) == pytest.approx(p, abs=0.015)


def test_a_large_random_network_has_the_expected_number_of_links(host):
    links = made(host, "random", 2000, p=0.002)
    assert len(undirected(links)) == pytest.approx(2000 * 1999 / 2 * 0.002, rel=0.06)


@pytest.mark.parametrize("p", [0, 1e-300, 1])
@pytest.mark.parametrize("directed", [False, True])
def test_random_at_the_ends_is_empty_or_complete(host, p, directed):
    links = made(host, "random", 20, directed, p=p)
    assert set(links) == (set(itertools.permutations(range(1, 21), 2)) if p == 1 else set())


@pytest.mark.parametrize("n", [0, 1, 2, 3])
@pytest.mark.parametrize("directed", [False, True])
def test_few_agents_make_small_networks(host, n, directed):
    every = set(itertools.permutations(range(1, n + 1), 2))
    assert set(made(host, "complete", n, directed)) == every
    assert set(made(host, "random", n, directed, p=1)) == every
    assert made(host, "empty", n, directed) == {}
    assert made(host, "ring", n, directed, k=0) == {}
    assert len(made(host, "preferential", n, directed, m=1)) == max(0, n - 1) * (1 if directed else 2)


@pytest.mark.parametrize("torus", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 4), (2, 2), (2, 3), (4, 3), (5, 1)])
@pytest.mark.parametrize("directed", [False, True])
def test_a_grid_links_each_cell_to_the_four_beside_it(host, width, height, torus, directed):
    expected = set()
    for x, y in itertools.product(range(width), range(height)):
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            i, j = x + dx, y + dy
            if torus:
                i, j = i % width, j % height
            if 0 <= i < width and 0 <= j < height and (i, j) != (x, y):
                expected.add((y * width + x + 1, j * width + i + 1))
    links = made(host, "grid", width * height, directed, torus=torus, width=width, height=height)
    assert set(links) == expected


def test_directed_networks_point_as_documented(host):
    ring = set(made(host, "ring", 6, k=2))
    assert set(made(host, "ring", 6, True, k=2)) == ring
    assert all(a > b for a, b in made(host, "preferential", 30, True, m=2))
    rewired = made(host, "watts_strogatz", 30, True, k=4, p=0.5, seed=3)
    assert set(rewired) == set(made(host, "watts_strogatz", 30, k=4, p=0.5, seed=3))


@pytest.mark.parametrize("directed", [False, True])
def test_links_of_a_file_are_taken_as_written(host, directed):
    edges = [1, 2, 1, 3, 1, 0.5, 2, 3, 1, 2, 1, 4]
    links = made(host, "edges", 3, directed, edges=edges, first=5)
    expected = {(5, 6): 1, (7, 5): 0.5, (6, 7): 1, (6, 5): 4}
    if not directed:
        expected = {(5, 6): 4, (6, 5): 4, (5, 7): 0.5, (7, 5): 0.5, (6, 7): 1, (7, 6): 1}
    assert links == expected


def test_agents_of_a_network_need_not_be_the_first(host):
    links = made(host, "ring", 5, k=2, first=11)
    assert undirected(links) == {(11, 12), (12, 13), (13, 14), (14, 15), (11, 15)}


@pytest.mark.parametrize(
    ("kind", "n", "how", "message"),
    [
        ("ring", 10, {"k": 3}, "network: ring needs an even k (k / 2 neighbours on each side), not 3"),
        ("ring", 10, {"k": 10}, "network: ring needs k, a whole number from 0 to 9, not 10"),
        ("ring", 10, {}, "network: ring needs k, a whole number from 0 to 9, not nil"),
        ("watts_strogatz", 10, {"k": 4, "p": 1.5},
         "network: watts_strogatz needs p, a number from 0 to 1, not 1.5"),
        ("watts_strogatz", 10, {"k": 2.5, "p": 0},
         "network: watts_strogatz needs k, a whole number from 0 to 9, not 2.5"),
        ("random", 10, {"p": float("nan")}, "network: random needs p, a number from 0 to 1, not nan"),
        ("preferential", 10, {"m": 0},
         "network: preferential needs m, a whole number from 1 to 9, not 0"),
        ("preferential", 10, {"m": 10},
         "network: preferential needs m, a whole number from 1 to 9, not 10"),
        ("grid", 10, {"width": 3, "height": 4},
         "network: grid of 3 x 4 needs 12 agents, and there are 10"),
        ("complete", 20000, {},
         "network: complete over 20000 agents makes about 199990000 links;"
         " at most 50000000 are allowed"),
        ("random", 20000, {"p": 0.9},
         "network: random over 20000 agents makes about 179991000 links;"
         " at most 50000000 are allowed"),
        ("edges", 3, {"edges": [1, 2, 1, 2, 4, 1]},
         "network: link 2 of the file names agent 4: agents are counted from 1 to 3"),
        ("edges", 3, {"edges": [2, 2, 1]}, "network: link 1 of the file links agent 2 to itself"),
    ],
)  # fmt: skip
def test_impossible_networks_are_refused_with_what_is_allowed(host, kind, n, how, message):
    with pytest.raises(ValueError, match="^network") as raised:
        host.new().generate(kind, n, **how)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("kind", "how"),
    [("watts_strogatz", {"k": 6, "p": 0.4}), ("preferential", {"m": 3}), ("random", {"p": 0.1})],
)
def test_a_seed_gives_the_same_network_on_every_vm(hosts, kind, how):
    for directed in (False, True):
        written = set()
        for host in hosts:
            net = host.new(directed)
            net.generate(kind, 150, seed=9, **how)
            written |= {net.call("written"), net.call("again")}
        assert len(written) == 1


# What scripts call ------------------------------------------------------------------------------


def test_agents_read_their_links_and_those_of_others(host):
    net = host.new(True)
    for link in ((2, 3, 0.5), (2, 1, 1), (3, 2, 1)):
        net.call("add", *link)
    api = host.driver[b"api"](net.lua, 2, 5, 4)
    assert list(api[b"links"]()[1].values()) == [1, 3]
    assert list(api[b"links"](3)[1].values()) == [2]
    assert list(api[b"links"](5)[1].values()) == []
    assert list(api[b"links_in"]()[1].values()) == [3]
    assert api[b"degree"]() == (True, 2)
    assert api[b"link"](3) == (True, 0.5)
    assert api[b"link"](3, 2) == (True, 1)
    assert api[b"link"](1, 2) == (True, None)


def test_an_undirected_network_has_no_links_in(host):
    assert host.driver[b"api"](host.new().lua, 1, 1, 0)[b"links_in"] is None


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        ("links", (4,), "links(id): agent 4 is dead, and has no links"),
        ("degree", (0,), "degree(id): ids are whole numbers from 1 to 5 so far, not 0"),
        ("degree", (1.5,), "degree(id): ids are whole numbers from 1 to 5 so far, not 1.5"),
        ("link", (), "link(other): the environment is no agent and has no links; give an id"),
        ("link", (1, 6), "link(a, b): ids are whole numbers from 1 to 5 so far, not 6"),
        ("links", (b"x",), "links(id): ids are whole numbers from 1 to 5 so far, not a string"),
    ],
)
def test_links_of_the_dead_and_unknown_are_refused(host, call, arguments, message):
    api = host.driver[b"api"](host.new().lua, 0, 5, 4)
    assert api[call.encode()](*arguments) == (False, message.encode())
