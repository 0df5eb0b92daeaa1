"""The network against a dictionary of links."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_env import VMS
from network_env import Networks


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


def test_links_of_those_who_left_give_their_room_back(host):
    net, reserved = host.new(), host.new()
    for one in range(1, 2000):
        for other in range(1, 21):
            net.call("add", one, one + other, 1)
        net.call("drop", one)
    reserved.call("reserve", 2020)
    assert net.call("edges") == 0
    assert net.call("bytes") < 1.7 * reserved.call("bytes")


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
