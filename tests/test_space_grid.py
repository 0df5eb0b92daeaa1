"""Grids of the kernel against plain Python that looks at every cell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from space_env import TYPES, VMS, World, play, type_of

Place = tuple[int, int]

AGENTS = 14


@dataclass(frozen=True)
class Shape:
    width: int
    height: int
    torus: bool
    neighbors: int
    single: bool

    def world(self, vm: str, last: int = AGENTS) -> World:
        return World(vm, "grid", last, **self.__dict__)

    def plain(self, y: int, dx: int, dy: int) -> int:
        """Steps between cells that far apart on an endless grid; y is the first one's row."""
        if self.neighbors == 8:
            return max(abs(dx), abs(dy))
        if self.neighbors == 4:
            return abs(dx) + abs(dy)
        # Cube coordinates: q falls by one every second row.
        q = (dx - (y + dy) // 2) + y // 2
        return max(abs(q), abs(dy), abs(q + dy))

    def images(self, d: int, size: int) -> list[int]:
        return [d + k * size for k in range(-2, 3)] if self.torus else [d]

    def distance(self, a: Place, b: Place) -> int:
        return min(
            self.plain(a[1], dx, dy)
            for dx in self.images(b[0] - a[0], self.width)
            for dy in self.images(b[1] - a[1], self.height)
        )

    def order(self, a: Place, b: Place, r: int) -> tuple[int, int]:
        """Offsets of y and x that decide where b comes among the neighbours of a."""
        dy = b[1] - a[1]
        dx = b[0] - a[0]
        if not self.torus:
            return dy, dx
        dy = _shortest(dy, self.height)
        reach = range(-3 * self.width - r, 3 * self.width + r)
        row = [o for o in reach if self.plain(a[1], o, dy) <= r]
        if len(row) < self.width:
            return dy, next(o for o in row if (o - dx) % self.width == 0)
        return dy, _shortest(dx, self.width)

    def neighbors_of(self, placed: dict[int, Place], at: Place, r: int, kind: str) -> list[int]:
        found = [
            (*self.order(at, place, r), id)
            for id, place in placed.items()
            if self.distance(at, place) <= r and kind in ("", type_of(id))
        ]
        return [id for _, _, id in sorted(found)]


def _shortest(d: int, size: int) -> int:
    """In -(size - 1) // 2 .. size // 2."""
    d %= size
    return d if d <= size // 2 else d - size


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    neighbors = draw(st.sampled_from([8, 4, 6]))
    torus = draw(st.booleans())
    height = draw(st.integers(1, 7))
    if neighbors == 6 and torus:
        height = 2 * ((height + 1) // 2)
    return Shape(draw(st.integers(1, 8)), height, torus, neighbors, draw(st.booleans()))


@st.composite
def histories(draw: st.DrawFn) -> tuple[Shape, list[list[tuple[int, Place | None]]]]:
    """A grid, and batches of moves; None takes an agent off."""
    shape = draw(shapes())
    cell = st.tuples(st.integers(0, shape.width - 1), st.integers(0, shape.height - 1))
    move = st.tuples(st.integers(1, AGENTS), st.one_of(cell, cell, cell, st.none()))
    return shape, draw(st.lists(st.lists(move, max_size=10), max_size=4))


@pytest.mark.parametrize("vm", VMS)
@given(histories(), st.integers(0, 9))
@settings(max_examples=150)
def test_searches_find_what_a_look_at_every_agent_finds(
    vm: str, history: tuple[Shape, list[list[tuple[int, Place | None]]]], r: int
) -> None:
    shape, batches = history
    world = shape.world(vm)
    placed = play(world, batches, shape.single)
    for me in range(1, AGENTS + 1):
        if me not in placed:
            assert world.call(me, "position") in ((), (None,))
            continue
        here = placed[me]
        others = {id: place for id, place in placed.items() if id != me}
        assert world.call(me, "position") == here
        for kind in TYPES:
            near = shape.neighbors_of(others, here, r, kind)
            assert world.call(me, "neighbors", r, kind) == near
            assert world.call(me, "count_near", r + 0.5, kind) == (len(near),)
            marked = [id for id in near if id % 3 == 1]
            assert world.call(me, "count_near", r, kind, "mark", 1) == (len(marked),)
            assert world.call(me, "count_near", r, kind, "sign", 1) == (len(marked),)
            assert world.call(me, "count_near", r, kind, "sign", 9) == (0,)
            best = min(near, key=lambda id: shape.distance(here, placed[id]), default=None)
            assert world.call(me, "nearest", kind, r) == (best,)
        for id, place in others.items():
            assert world.call(me, "distance", id) == (shape.distance(here, place),)
            dx, dy = world.call(me, "offset", id)
            assert shape.plain(here[1], dx, dy) == shape.distance(here, place)
            assert (dx - place[0] + here[0]) % shape.width == 0
            assert (dy - place[1] + here[1]) % shape.height == 0


@pytest.mark.parametrize("vm", VMS)
@given(histories(), st.integers(0, 9))
@settings(max_examples=60)
def test_cells_know_who_is_in_them_and_which_are_empty(
    vm: str, history: tuple[Shape, list[list[tuple[int, Place | None]]]], r: int
) -> None:
    shape, batches = history
    world = shape.world(vm)
    placed = play(world, batches, shape.single)
    empty: list[Place] = []
    for y in range(shape.height):
        for x in range(shape.width):
            for kind in TYPES:
                here = [id for id, p in placed.items() if p == (x, y) and kind in ("", type_of(id))]
                assert world.call(0, "at", x, y, kind) == (min(here, default=None),)
                assert world.call(0, "count_at", x, y, kind) == (len(here),)
            near = shape.neighbors_of(placed, (x, y), r, "")
            assert world.call(1, "neighbors_of", x, y, r) == near
            taken = (x, y) in placed.values()
            assert world.kernel("empty_at", x, y) == (not taken,)
            if not taken:
                empty.append((x, y))
    assert world.call(0, "empty_cells") == (len(empty),)
    assert [world.call(0, "empty_cells", k + 1) for k in range(len(empty))] == empty
    drawn = world.call(1, "random_empty")
    assert drawn in empty if empty else drawn == (None,)


@pytest.mark.parametrize("vm", VMS)
@given(histories())
@settings(max_examples=40)
def test_what_is_written_restores_the_grid_on_either_vm(
    vm: str, history: tuple[Shape, list[list[tuple[int, Place | None]]]]
) -> None:
    shape, batches = history
    world = shape.world(vm)
    placed = play(world, batches, shape.single)
    dumped = world.dump()
    for other in VMS:
        again = shape.world(other, last=AGENTS)
        again.kernel("put", 1, 0, 0)
        again.kernel("empty_count")
        assert again.restore(dumped) == len(dumped)
        assert again.dump() == dumped
        assert [again.call(id, "position") for id in placed] == list(placed.values())
        everywhere = shape.neighbors_of(placed, (0, 0), 20, "")
        assert again.call(0, "neighbors_of", 0, 0, math.inf) == everywhere
        cells = shape.width * shape.height
        assert again.call(0, "empty_cells") == (cells - len(set(placed.values())),)


@pytest.mark.parametrize("vm", VMS)
def test_large_radii_and_large_grids_count_everyone_once(vm: str) -> None:
    for torus in (True, False):
        for neighbors in (8, 4, 6):
            shape = Shape(70, 50, torus, neighbors, False)
            world = shape.world(vm, last=3000)
            places = {id: (id * 37 % 70, id * 61 % 50) for id in range(1, 3001)}
            world.put_many(list(places.items()))
            for r in (14, 15, 16, 24, 25, 26, 40, 200, math.inf):
                reach = int(min(r, 200))
                near = shape.neighbors_of(places, (1, 48), reach, "odd") if r in (16, 26) else None
                found = world.call(0, "neighbors_of", 1, 48, r, "odd")
                inside = sum(
                    id % 2 and shape.distance((1, 48), p) <= reach for id, p in places.items()
                )
                assert len(set(found)) == len(found) == inside
                assert near is None or found == near


@pytest.mark.parametrize("torus", [True, False])
@pytest.mark.parametrize("neighbors", [8, 4, 6])
@pytest.mark.parametrize("single", [True, False])
def test_a_long_history_is_the_same_compiled_and_on_the_other_vm(
    torus: bool, neighbors: int, single: bool
) -> None:
    shape = Shape(11, 8, torus, neighbors, single)
    answers = {shape.world(vm, last=60).churn(2_000) for vm in VMS}
    assert len(answers) == 1


def call(vm: str, name: str, *args: object, me: int = 1, torus: bool = False) -> Any:
    world = Shape(50, 40, torus, 8, False).world(vm)
    world.kernel("put", 1, 3, 4)
    return world.call(me, name, *args)


@pytest.mark.parametrize("vm", VMS)
def test_a_bad_argument_is_refused_with_what_is_allowed(vm: str) -> None:
    def refused(*args: Any, **more: Any) -> str:
        answer: str = call(vm, *args, **more)
        return answer

    assert refused("neighbors", -1) == "error: r is a radius, 0 or more, not -1"
    assert refused("neighbors", math.nan) == "error: r is a radius, 0 or more, not nan"
    assert refused("neighbors", "far") == 'error: r is a radius, 0 or more, not "far"'
    assert refused("neighbors", 1, "wolf") == (
        'error: there is no agent type "wolf"; types: even, odd'
    )
    assert refused("neighbors", 1, me=2) == (
        "error: agent 2 is not on the space: move_to(x, y) first"
    )
    assert refused("distance", 2) == "error: agent 2 is not on the space; position(2) is nil then"
    assert refused("offset", 99) == (
        "error: no agent has the id 99: ids are whole numbers from 1 to 14 so far"
    )
    assert refused("position", 1.5) == (
        "error: no agent has the id 1.5: ids are whole numbers from 1 to 14 so far"
    )
    assert refused("position", me=0) == (
        "error: the environment stands nowhere: name a place or an agent"
    )
    assert refused("count_near", 1, "odd", "wealth", 1) == (
        'error: nobody publishes "wealth": list it in model.toml, [agents.TYPE] publish = [...]'
    )
    assert refused("count_near", 1, "odd", "mark") == (
        "error: count_near(r, type, field, value): value is missing (nil)"
    )
    assert refused("at", 50, 0) == ("error: x is 50, and this space has whole numbers from 0 to 49")
    assert refused("at", 0, 0.5) == (
        "error: y is 0.5, and this space has whole numbers from 0 to 39"
    )
    assert refused("neighbors_of", 0, None, 1) == "error: y is a number, not nil"
    assert refused("empty_cells", 2000) == (
        "error: empty_cells(k): k is a whole number from 1 to the number of empty cells, now 1999,"
        " not 2000"
    )


@pytest.mark.parametrize("vm", VMS)
def test_places_are_kept_inside_the_grid(vm: str) -> None:
    bounded, torus = Shape(5, 4, False, 8, False).world(vm), Shape(5, 4, True, 8, False).world(vm)
    assert bounded.fit(4, 3) == torus.fit(-1, 7) == torus.fit(4, 3) == (4, 3)
    assert torus.fit(2.0**53, -(2.0**53)) == (2**53 % 5, 0)
    assert math.copysign(1, bounded.fit(-0.0, 3)[0]) == 1
    for x in (-1, 5, 0.5, math.nan, math.inf, -math.inf, b"1"):
        assert bounded.fit(x, 0)[0] is None
    for x in (0.5, math.nan, math.inf, -math.inf, 2.0**60, b"1"):
        assert torus.fit(x, 0)[0] is None
    assert torus.fit(1, 1, 1)[0] is None
    assert torus.fit(2.0**60, 0)[1] == (
        b"x is 1.1529215046068e+18, and this space has whole numbers up to 2^53, which wrap around"
    )


@pytest.mark.parametrize("vm", VMS)
@pytest.mark.parametrize("single", [True, False])
def test_room_for_more_agents_leaves_everybody_where_they_were(vm: str, single: bool) -> None:
    shape = Shape(50, 40, True, 8, single)
    world = shape.world(vm)
    places = {id: (id * 3, id * 2 if single else id // 4) for id in range(1, AGENTS + 1)}
    for id, place in places.items():
        world.kernel("put", id, *place)
    empty = world.call(0, "empty_cells")
    for last in (1_000, 5_000):
        world.kernel("reserve", last)
        world.kernel("put", last, last // 200, 39)
        places[last] = (last // 200, 39)
    assert world.call(0, "empty_cells") == (empty[0] - 2,)
    assert world.call(7, "neighbors", 25) == shape.neighbors_of(
        {id: place for id, place in places.items() if id != 7}, places[7], 25, ""
    )


@pytest.mark.parametrize("vm", VMS)
def test_an_agent_is_found_behind_many_others_in_its_cell(vm: str) -> None:
    shape = Shape(5, 5, True, 8, False)
    world = shape.world(vm, last=60)
    ids = [*range(2, 60, 2), 1, *range(59, 2, -2)]
    for id in ids:
        world.kernel("put", id, 2, 2)
    for id in ids[::3]:
        world.kernel("put", id, 3, 2)
    stay = sorted(set(ids) - set(ids[::3]))
    assert world.call(0, "neighbors_of", 2, 2, 0) == stay
    assert world.call(0, "neighbors_of", 3, 2, 0) == sorted(ids[::3])
    for kind, remainder in (("odd", 1), ("even", 0)):
        assert world.call(0, "at", 2, 2, kind) == (min(id for id in stay if id % 2 == remainder),)
    for id in stay[:-1]:
        world.kernel("take", id)
    assert world.call(0, "at", 2, 2) == (stay[-1],)
    evens = World(vm, "grid", 60, width=1, height=1, torus=True, neighbors=8, single=False)
    for id in (2, 4, 6, 8, 10, 12, 14, 16, 17):
        evens.kernel("put", id, 0, 0)
    assert evens.call(0, "at", 0, 0, "odd") == (17,)
    assert evens.fuel() == 4 / 8


@pytest.mark.parametrize("vm", VMS)
def test_a_taken_cell_of_a_single_grid_takes_nobody_else(vm: str) -> None:
    world = Shape(5, 4, True, 8, True).world(vm)
    world.kernel("put", 1, 2, 2)
    world.kernel("put", 1, 2, 2)
    assert world.kernel("put", 2, 2, 2) == "error: agent 2's cell is taken"
    assert world.call(1, "position", 2) == (None,)


@pytest.mark.parametrize("vm", VMS)
def test_searches_cost_an_eighth_for_each_cell_and_agent_looked_at(vm: str) -> None:
    world = Shape(100, 100, True, 8, False).world(vm)
    for id in range(1, 8):
        world.kernel("put", id, 3, 4)
    for r in (1, 2, 3, 15, 16, 40):
        world.call(1, "neighbors", r)
        assert world.fuel() == ((2 * r + 1) ** 2 + 7) / 8
        world.call(1, "count_near", r, "odd", "sign", 1)
        assert world.fuel() == ((2 * r + 1) ** 2 + 7) / 8
    world.call(1, "count_at", 3, 4)
    assert world.fuel() == 7 / 8
