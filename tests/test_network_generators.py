"""Generated networks against their definitions and their known numbers."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from typing import Any

import pytest
from kernel_env import VMS
from network_env import Links, Networks


@pytest.fixture(scope="module", params=VMS)
def host(request: pytest.FixtureRequest) -> Networks:
    return Networks(request.param)


@pytest.fixture(scope="module")
def hosts() -> list[Networks]:
    return [Networks(vm) for vm in VMS]


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


@pytest.mark.parametrize(("n", "k", "p"), [(12, 6, 0.6), (20, 16, 0.9), (30, 28, 1)])
def test_rewiring_goes_by_the_published_construction(hosts, n, k, p):
    """In order of agent, then distance, with the stream's numbers as they come: drawn until an
    agent is free, or among the free ones where they are less than a quarter of all."""
    kernel = hosts[0].kernel
    draw = kernel.function("deps.rng.at(5, 0) deps.rng.arm(0) return deps.rng.uniform")()
    edges = [(a, (a + j - 1) % n + 1) for a in range(1, n + 1) for j in range(1, k // 2 + 1)]
    for e, (a, _) in enumerate(edges):
        present = {pair for one in edges for pair in (one, one[::-1])}
        free = [b for b in range(1, n + 1) if b != a and (a, b) not in present]
        if draw() < p and free:
            b = a
            while b not in free:
                few = 4 * len(free) < n
                b = free[int(draw() * len(free))] if few else int(draw() * n) + 1
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
        links = [
            made(host, "random", n, directed, p=p, seed=seed) for host in hosts[: 1 + seed % 2]
        ]
        assert all(one == links[0] for one in links)
        met.update(links[0] if directed else undirected(links[0]))
    pairs = list(
        (itertools.permutations if directed else itertools.combinations)(range(1, n + 1), 2)
    )
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
    assert len(made(host, "preferential", n, directed, m=1)) == max(0, n - 1) * (
        1 if directed else 2
    )


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
        ("ring", 10, {"k": 3}, "ring needs an even k (k / 2 neighbours on each side), not 3"),
        ("ring", 10, {"k": 10}, "ring needs k, a whole number from 0 to 9, not 10"),
        ("ring", 10, {}, "ring needs k, a whole number from 0 to 9, not nil"),
        ("watts_strogatz", 10, {"k": 4, "p": 1.5},
         "watts_strogatz needs p, a number from 0 to 1, not 1.5"),
        ("watts_strogatz", 10, {"k": 2.5, "p": 0},
         "watts_strogatz needs k, a whole number from 0 to 9, not 2.5"),
        ("random", 10, {"p": float("nan")}, "random needs p, a number from 0 to 1, not nan"),
        ("preferential", 10, {"m": 0},
         "preferential needs m, a whole number from 1 to 9, not 0"),
        ("preferential", 10, {"m": 10},
         "preferential needs m, a whole number from 1 to 9, not 10"),
        ("grid", 10, {"width": 3, "height": 4},
         "grid of 3 x 4 needs 12 agents, and there are 10"),
        ("complete", 20000, {},
         "complete over 20000 agents makes about 199990000 links;"
         " at most 50000000 are allowed"),
        ("random", 20000, {"p": 0.9},
         "random over 20000 agents makes about 179991000 links;"
         " at most 50000000 are allowed"),
        ("edges", 3, {"edges": [1, 2, 1, 2, 4, 1]},
         "link 2 of the file names agent 4: agents are counted from 1 to 3"),
        ("edges", 3, {"edges": [2, 2, 1]}, "link 1 of the file links agent 2 to itself"),
    ],
)  # fmt: skip
def test_impossible_networks_are_refused_with_what_is_allowed(host, kind, n, how, message):
    with pytest.raises(ValueError, match=r"\w") as raised:
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
