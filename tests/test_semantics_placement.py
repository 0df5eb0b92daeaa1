"""Who stands where and is linked to whom when a world begins, what expressions and searches see of
it, and what of it is in the digest (design 4.1, 4.8, 4.9, 4.10)."""

from __future__ import annotations

import math
from typing import Any

import pytest
from test_semantics_space import MANY, NET, ROOM, SINGLE, model, run
from worlds import clean, everywhere
from written import written

ROW_PUBLISHED = 'place = { x = "i - 1", y = 0 }\npublish = ["x"]\n'
FULL = "function step(self) self.got = tostring(random_empty()) .. ' ' .. empty_cells() end"
AT = "function init(self) self.at = {position()} end"


def places(world: str, agents: str, count: int, **options: Any) -> list[list[float]]:
    """Where the agents of a model stand in their init."""
    found: list[list[float]] = run(model(world, AT, count, agents), 0, count, **options).field("at")
    return found


def test_4_01_agents_are_placed_before_any_init() -> None:
    source = "function init(self) self.all = count_at(0, 0) self.next = at(1, 0, 'a') end"
    found = run(model(MANY, source), 0)
    assert (found.field("all"), found.field("next")) == ([1] * 4, [2] * 4)


def test_4_01_a_type_without_place_starts_off_the_space_and_may_enter_it() -> None:
    source = AT + " function step(self) self.at = position() or 'off' move_to(1, 1) end"
    found = run(model(MANY, source, agents=""), 2)
    assert found.field("at") == [1] * 4
    assert places(MANY, "", 3) == [{}] * 3  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("seed", [1, 2])
def test_4_10_random_places_come_from_streams_of_the_engine(seed: int) -> None:
    source = AT + " function step(self) self.drawn = random() end"
    grid = run(model(MANY, source, 40, 'place = "random"\n'), 1, 40, seed=seed)
    alone = run(model(NET, source.replace("position()", "1"), 40, ""), 1, 40, seed=seed)
    # agents' own streams are as without a space
    assert grid.field("drawn") == alone.field("drawn")
    xs = [x for x, _ in grid.field("at")]
    assert (min(xs), max(xs), len(set(xs))) == (0, 8, 9)
    room = places(ROOM, 'place = "random"\n', 40, seed=seed)
    assert all(0 <= x < 10 and 0 <= y < 10 for x, y in room)
    assert len({tuple(at) for at in room}) == 40


def test_random_empty_and_a_grid_of_single_cells_give_each_agent_a_cell_of_its_own() -> None:
    for world, agents in ((MANY, 'place = "random_empty"\n'), (SINGLE, 'place = "random"\n')):
        found = places(world, agents, 81)
        assert sorted(found) == [[x, y] for x in range(9) for y in range(9)]
        assert found != sorted(found)


def test_place_grid_fills_cells_row_by_row_and_a_room_in_equal_steps() -> None:
    assert places(MANY, 'place = "grid"\n', 11)[7:] == [[7, 0], [8, 0], [0, 1], [1, 1]]
    assert places(ROOM, 'place = "grid"\n', 4) == [[2.5, 2.5], [7.5, 2.5], [2.5, 7.5], [7.5, 7.5]]
    solid = ROOM.replace("height = 10", "height = 10, depth = 10")
    cube = places(solid, 'place = "grid"\n', 27)
    steps = [10 * (k + 0.5) / 3 for k in range(3)]
    assert cube == [pytest.approx([x, y, z]) for z in steps for y in steps for x in steps]


def test_places_by_expressions_see_parameters_i_and_random_numbers() -> None:
    more = "[parameters]\nstep = 2\n"
    agents = 'place = { x = "step * i", y = "random(3) - 1" }\n'
    found = run(model(MANY, AT, 4, agents, more), 0, parameters={"step": 3})
    assert [x for x, _ in found.field("at")] == [3, 6, 0, 3]  # on a torus
    assert {y for _, y in found.field("at")} <= {0, 1, 2}


def test_networks_are_made_of_the_type_named_and_draw_from_a_stream_of_the_engine() -> None:
    toml = """
        [environment]
        network = { kind = "KIND", of = "b" }
        [agents.a]
        count = 2
        [agents.b]
        count = 6
    """
    source = "function init(self) self.links, self.n, self.x = links(), degree(), random() end"

    def made(kind: str) -> list[Any]:
        spec = written(toml.replace('"KIND"', kind), a=source, b=source)
        found = clean(everywhere(spec, [2, 6], 0))
        assert found.field("links")[:2] == [{}, {}]
        assert len(set(found.field("x"))) == 8
        return found.field("links")[2:]

    ring = [[4, 8], [3, 5], [4, 6], [5, 7], [6, 8], [3, 7]]
    assert made('"ring", k = 2') == ring
    assert made('"watts_strogatz", k = 2, p = 0') == ring
    assert made('"complete"') == [[j for j in range(3, 9) if j != i] for i in range(3, 9)]
    grid = [[4, 6], [3, 5, 7], [4, 8], [3, 7], [4, 6, 8], [5, 7]]
    assert made('"grid", width = 3, height = 2, torus = false') == grid
    assert sum(map(len, made('"preferential", m = 1'))) == 10
    assert made('"random", p = 0') == [{}] * 6


def test_links_from_a_file_have_weights_and_directions_and_act_at_the_close() -> None:
    source = """
        function init(self) self.first = {links(), links_in(), link(2) or 0, link(2, 3) or 0} end
        function step(self)
          self.seen = {links(), links_in(), link(3) or 0}
          if tick() == 1 and self.id == 1 then
            unlink(2) link_to(3, 0.25) link_to(3, 0.5) link_to(2) unlink(2)
          end
        end
    """
    network = 'network = { kind = "edges", file = "links.csv", directed = true }\n'
    spec = model(network, source, 3, "", links="from,to,weight\n1,2,2.5\n2,3,1\n3,1,4\n")
    found = run(spec, 2, 3)
    assert found.field("first") == [
        [[2], [3], 2.5, 1], [[3], [1], 0, 1], [[1], [2], 0, 1],
    ]  # fmt: skip
    assert found.field("seen") == [[[3], [3], 0.5], [[3], {}, 1], [[1], [1, 2], 0]]


def test_4_07_expressions_read_layers_the_space_and_the_environments_view_of_them() -> None:
    more = (
        "[metrics]\nheat = 'layer.heat:sum() / (space.width * space.height)'\n"
        "corner = 'layer.heat(8, 8)'\nones = 'layer.heat:count(1)'\nmost = 'layer.heat:max()'\n"
        "near = 'env.crowd(4, 4)'\n[stop]\nwhen = 'layer.heat:min() >= 2'\n"
    )
    environment = """
        function query.crowd(env, x, y) return #neighbors_of(x, y, 1) + count_at(x, y) * 10 end
    """
    source = "function step(self) move_to(4, 4) end"
    layers = 'layers = { heat = { init = "x == 8 and 1 or 0", step = "v + 1" } }\n'
    found = run(model(MANY + layers, source, more=more, environment=environment), 9)
    assert (found.tick, found.ended) == (2, "stop")
    assert found.rows == [
        (0, {"heat": 1 / 9, "corner": 1, "ones": 9, "most": 1, "near": 0}),
        (1, {"heat": 10 / 9, "corner": 2, "ones": 72, "most": 2, "near": 44}),
        (2, {"heat": 19 / 9, "corner": 3, "ones": 0, "most": 3, "near": 44}),
    ]


def test_neighbours_come_in_the_order_of_cells_and_in_a_cell_by_id_whatever_was_before() -> None:
    source = """
        function step(self)
          if tick() < 4 then move_to(random(9) - 1, random(9) - 1) end
          if tick() == 4 then move_to(3 + self.id % 3, 3 + math.floor(self.id / 3) % 3) end
          if tick() == 5 then
            self.all, self.near = neighbors_of(4, 4, 1), neighbors(1)
            self.other = nearest("a", 2)
          end
        end
    """
    found = run(model(MANY, source, 20, 'place = "random"\n'), 5, 20)
    cell = {i: (i // 3 % 3, i % 3) for i in range(1, 21)}
    ids = sorted(cell, key=lambda i: (cell[i], i))
    assert found.field("all") == [ids] * 20
    for i in range(1, 21):
        assert found.state(i)["near"] == [
            j for j in ids if j != i and math.dist(cell[i], cell[j]) < 1.5
        ]


def test_4_09_places_layers_links_and_published_fields_are_in_the_digest() -> None:
    more = '[parameters]\ndoes = { default = "", choices = ["", "m", "l", "k", "p"] }\n'
    world = MANY + "layers = { heat = 0 }\n" + NET
    source = """
        function step(self)
          if self.id == 1 and tick() == 1 then
            if param.does == "m" then move_to(5, 5) end
            if param.does == "l" then layer.heat:add(5, 5, 1) end
            if param.does == "k" then link_to(2) end
          end
          if param.does == "p" and self.id == 1 then self.x = tick() end
        end
    """
    spec = model(world, source, agents=ROW_PUBLISHED, more=more)
    digests = [run(spec, 1, parameters={"does": does}).digest for does in ("", *"mlkp")]
    assert len(set(digests)) == 5


def test_random_empty_draws_a_cell_from_the_callers_stream_and_nil_when_none_is_left() -> None:
    source = """
        function step(self)
          local n, a = empty_cells(), random()
          local x, y = random_empty()
          self.ok = x and at(x, y) == nil and n == empty_cells()
          self.cells = {empty_cells(1)}
          self.got = {x, y}
        end
    """
    found = run(model(SINGLE, source, 79, 'place = "random"\n'), 1, 79)
    assert set(found.field("ok")) == {True}
    assert len({tuple(got) for got in found.field("got")}) == 2
    full = run(model(SINGLE, FULL, 81, 'place = "random"\n'), 1, 81)
    assert set(full.field("got")) == {"nil 0"}
