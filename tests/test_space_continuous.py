"""Continuous spaces of the kernel against plain Python that looks at every agent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from space_env import TYPES, VMS, World, play, type_of

Place = tuple[float, ...]

AGENTS = 12


@dataclass(frozen=True)
class Shape:
    size: tuple[float, ...]
    torus: bool
    cell: float | None
    agents: int = AGENTS

    def world(self, vm: str, last: int = AGENTS) -> World:
        width, height, *depth = self.size
        return World(
            vm, "continuous", last, width=width, height=height, depth=depth[0] if depth else None,
            torus=self.torus, cell=self.cell, agents=self.agents,
        )  # fmt: skip

    def square(self, a: Place, b: Place) -> float:
        total = 0.0
        for v, w, size in zip(a, b, self.size, strict=True):
            d = abs(w - v)
            if self.torus:
                d = min(d, size - d)
            total += d * d
        return total

    def neighbors_of(
        self, world: World, placed: dict[int, Place], at: Place, r: float, kind: str
    ) -> list[int]:
        """In the documented order: by offset of the index cell (z, y, x), then by id."""
        counts = [int(world[name]) for name in ("columns", "rows", "layers")]
        found = []
        for id, place in placed.items():
            if self.square(at, place) > r * r or kind not in ("", type_of(id)):
                continue
            offsets = [
                self.offset(v, w, r, size, n)
                for v, w, size, n in zip(at, place, self.size, counts, strict=False)
            ]
            found.append((offsets[::-1], id))
        return [id for _, id in sorted(found)]

    def offset(self, v: float, w: float, r: float, size: float, n: int) -> int:
        """Cells from v's to w's along one axis, as a search of radius r counts them."""
        per = n / size
        here, there = min(math.floor(v * per), n - 1), min(math.floor(w * per), n - 1)
        if not self.torus:
            return there - here
        span = sum(self.size)
        r = min(r, span)
        reach = r + (r + span) * 1e-12
        first, last = math.floor((v - reach) * per), math.floor((v + reach) * per)
        if last - first + 1 >= n:
            first = here - (n - 1) // 2
        return (there - first) % n


def coordinates(size: float) -> st.SearchStrategy[float]:
    """Multiples of a quarter make ties and cell borders, the others do not."""
    quarters = st.integers(0, math.ceil(size * 4) - 1).map(lambda k: k / 4)
    return st.one_of(quarters, st.floats(0, size, exclude_max=True)).map(lambda v: v + 0.0)


@st.composite
def histories(
    draw: st.DrawFn,
) -> tuple[Shape, list[list[tuple[int, Place | None]]]]:
    """A space, and batches of moves; None takes an agent off."""
    sizes = st.sampled_from([1.0, 2.5, 4.0, 10.0, 30.0, 0.7])
    size = tuple(draw(st.lists(sizes, min_size=2, max_size=3)))
    shape = Shape(size, draw(st.booleans()), draw(st.sampled_from([None, None, 0.5, 1, 3, 100])))
    place = st.tuples(*map(coordinates, size))
    move = st.tuples(st.integers(1, AGENTS), st.one_of(place, place, place, st.none()))
    return shape, draw(st.lists(st.lists(move, max_size=12), max_size=4))


radii = st.one_of(
    st.sampled_from([0, 0.25, 0.5, 1, 1.25, 2, 5, 15, 100, math.inf]), st.floats(0, 12)
)


@pytest.mark.parametrize("vm", VMS)
@given(histories(), radii)
@settings(max_examples=200)
def test_searches_find_what_a_look_at_every_agent_finds(
    vm: str, history: tuple[Shape, list[list[tuple[int, Place | None]]]], r: float
) -> None:
    shape, batches = history
    world = shape.world(vm)
    placed = play(world, batches)
    for me in range(1, AGENTS + 1):
        if me not in placed:
            assert world.call(me, "position") == (None,)
            continue
        here = placed[me]
        others = {id: place for id, place in placed.items() if id != me}
        assert world.call(me, "position") == here
        for kind in TYPES:
            near = shape.neighbors_of(world, others, here, r, kind)
            assert world.call(me, "neighbors", r, kind) == near
            assert world.call(me, "count_near", r, kind) == (len(near),)
            marked = [id for id in near if id % 3 == 1]
            assert world.call(me, "count_near", r, kind, "mark", 1) == (len(marked),)
            assert world.call(me, "count_near", r, kind, "sign", 1) == (len(marked),)
            assert world.call(me, "count_near", r, kind, "sign", 9) == (0,)
            best = min(near, key=lambda id: shape.square(here, placed[id]), default=None)
            assert world.call(me, "nearest", kind, r) == (best,)
        assert world.call(me, "neighbors_of", *here, r) == shape.neighbors_of(
            world, placed, here, r, ""
        )
        for id, place in others.items():
            assert world.call(me, "distance", id) == (math.sqrt(shape.square(here, place)),)
            for d, v, w, size in zip(
                world.call(me, "offset", id), here, place, shape.size, strict=True
            ):
                assert v + d == pytest.approx(w) or shape.torus
                assert (v + d - w) / size == pytest.approx(round((v + d - w) / size), abs=1e-9)
                assert abs(d) <= size / 2 or not shape.torus


@pytest.mark.parametrize("vm", VMS)
@given(histories())
@settings(max_examples=40)
def test_what_is_written_restores_the_space_on_either_vm(
    vm: str, history: tuple[Shape, list[list[tuple[int, Place | None]]]]
) -> None:
    shape, batches = history
    world = shape.world(vm)
    placed = play(world, batches)
    dumped = world.dump()
    for other in VMS:
        again = shape.world(other)
        again.kernel("put", 1, *(0.0 for _ in shape.size))
        assert again.restore(dumped) == len(dumped)
        assert again.dump() == dumped
        assert [again.call(id, "position") for id in placed] == list(placed.values())
        origin = tuple(0.0 for _ in shape.size)
        everywhere = shape.neighbors_of(again, placed, origin, math.inf, "")
        assert again.call(0, "neighbors_of", *origin, math.inf) == everywhere


@pytest.mark.parametrize("torus", [True, False])
@pytest.mark.parametrize("size", [(12.5, 7.0), (6.0, 5.0, 4.5)])
@pytest.mark.parametrize("cell", [None, 0.8])
def test_a_long_history_is_the_same_compiled_and_on_the_other_vm(
    torus: bool, size: tuple[float, ...], cell: float | None
) -> None:
    shape = Shape(size, torus, cell, agents=60)
    answers = {shape.world(vm, last=60).churn(2_000) for vm in VMS}
    assert len(answers) == 1


@pytest.mark.parametrize("vm", VMS)
@pytest.mark.parametrize("torus", [True, False])
def test_a_large_space_counts_everyone_once_at_any_radius(vm: str, torus: bool) -> None:
    shape = Shape((60.0, 35.0), torus, None, agents=2000)
    world = shape.world(vm, last=2000)
    places: dict[int, Place] = {id: (id * 7.31 % 60, id * 3.17 % 35) for id in range(1, 2001)}
    world.put_many(list(places.items()))
    for r in (1.7, 17.4, 17.5, 29.9, 30.0, 40.0):
        found = world.call(0, "neighbors_of", 59.9, 0.1, r, "odd")
        assert found == shape.neighbors_of(world, places, (59.9, 0.1), r, "odd")
        assert len(set(found)) == len(found)
    # one by one leads to the same lists as all at once
    slowly = shape.world(vm, last=2000)
    for id, place in sorted(places.items(), key=lambda item: item[1]):
        slowly.kernel("put", id, *place)
    found = slowly.call(0, "neighbors_of", 3, 3, 12)
    assert found == world.call(0, "neighbors_of", 3, 3, 12)


@pytest.mark.parametrize("vm", VMS)
def test_places_are_kept_inside_the_space(vm: str) -> None:
    torus, bounded = (Shape((5.0, 4.0), t, None).world(vm) for t in (True, False))
    assert torus.fit(-0.5, 9) == (4.5, 1)
    assert torus.fit(-1e-20, 4) == (0, 0)
    assert torus.fit(1e300, -1e300)[0] == 0
    assert math.copysign(1, torus.fit(-0.0, 0)[0]) == 1
    assert bounded.fit(0, 3.999) == (0, 3.999)
    for x in (math.nan, math.inf, -math.inf, b"1", None):
        assert torus.fit(x, 0)[0] is None
        assert bounded.fit(x, 0)[0] is None
    assert bounded.fit(5, 0)[1] == b"x is 5, and this space has coordinates from 0 to below 5"
    assert bounded.fit(0, -0.1)[1] == (
        b"y is -0.1, and this space has coordinates from 0 to below 4"
    )
    assert torus.fit(math.nan, 0)[1] == (
        b"x is nan, and this space has finite coordinates, which wrap around"
    )
    assert torus.fit(1, 1, 1)[0] is None
    deep = Shape((5.0, 4.0, 3.0), True, None).world(vm)
    assert deep.fit(6, 5, 4) == (1, 1, 1)
    assert deep.fit(6, 5) == (None, b"z is a number, not nil")


@pytest.mark.parametrize("vm", VMS)
def test_a_bad_argument_is_refused_with_what_is_allowed(vm: str) -> None:
    world = Shape((5.0, 4.0, 3.0), False, None).world(vm)
    world.kernel("put", 1, 1, 1, 1)
    assert world.call(1, "neighbors", -1) == "error: r is a radius, 0 or more, not -1"
    assert world.call(2, "neighbors", 1) == (
        "error: agent 2 is not on the space: move_to(x, y, z) first"
    )
    assert world.call(1, "neighbors_of", 1, 2, 3, 1) == (
        "error: z is 3, and this space has coordinates from 0 to below 3"
    )
    assert world.call(0, "nearest", "", 1) == (
        "error: the environment stands nowhere: name a place or an agent"
    )


@pytest.mark.parametrize("vm", VMS)
def test_the_index_has_four_agents_a_cell_or_cells_of_the_side_asked_for(vm: str) -> None:
    def cells(size: tuple[float, ...], cell: float | None, agents: int) -> tuple[int, int, int]:
        world = Shape(size, True, cell, agents).world(vm)
        return world["columns"], world["rows"], world["layers"]

    assert cells((100.0, 50.0), None, 20_000) == (100, 50, 1)
    assert cells((100.0, 50.0), 7, 10_000) == (14, 7, 1)
    assert cells((8.0, 8.0, 8.0), None, 2048) == (8, 8, 8)
    assert cells((100.0, 50.0), 1000, 10) == (1, 1, 1)
    assert cells((2048.0, 2048.0), 1e-9, 10) == (2048, 2048, 1)
