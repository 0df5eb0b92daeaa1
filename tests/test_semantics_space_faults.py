"""What a space, a layer or a network refuses, in words that say what is allowed (design 4.13)."""

from __future__ import annotations

import pytest
from shares import Shares
from test_semantics_space import model
from worlds import clean, everywhere, same_for

from runtime import protocol as p
from workers.host import Host

GRID = 'space = { kind = "grid", width = 5, height = 4, torus = false }\n'
HEAT = "layers = { heat = 0 }\n"
NET = 'network = { kind = "empty" }\n'
ROOM = 'space = { kind = "continuous", width = 10, height = 5.5, torus = false }\n'
SOLID = 'space = { kind = "continuous", width = 10, height = 5, depth = 2 }\n'
PUBLISH = 'place = "random"\npublish = ["hue"]\n'

WHOLE = "and this space has whole numbers from 0 to"
SO_FAR = "ids are whole numbers from 1 to 5 so far"
REFUSED = {
    "move_to(5, 0)": f"x is 5, {WHOLE} 4",
    "move_to(0, -1)": f"y is -1, {WHOLE} 3",
    "move_to(0.5, 1)": f"x is 0.5, {WHOLE} 4",
    "move_to(0 / 0, 1)": f"x is nan, {WHOLE} 4",
    "move_to(0, -1 / 0)": f"y is -inf, {WHOLE} 3",
    "move_to('a', 1)": 'x is a number, not "a"',
    "move_to({}, 1)": "x is a number, not a table",
    "call(move_to, 1)": "y is a number, not nil",
    "call(move_to, 1, 2, 3)": "a grid has two dimensions: give x and y",
    "move_by(9, 0)": f"{WHOLE} 4",
    "move_by(0.5, 0)": f"{WHOLE} 4",
    "call(move_by, 1)": "move_by takes 2 numbers: how far along each axis",
    "layer.heat(9, 0)": "layer.heat(x, y): x is a whole number from 0 to 4, not 9",
    "layer.heat(0, 1.5)": "layer.heat(x, y): y is a whole number from 0 to 3, not 1.5",
    "layer.heat:add(0 / 0, 0, 1)": "layer.heat:add(x, y, v): x is a whole number from 0 to 4",
    "layer.heat:set(0, 0, 'hot')": "layer.heat:set(x, y, v): v is a number, not a string",
    "call(layer.heat.add, 1, 2, 3)": "with a colon",
    "local l = call(pick, layer) l.heat = 1": "layer.heat cannot be assigned: use layer.NAME:set",
    "local l = call(pick, layer) l.grass(0, 0)": "there is no layer grass: layers are heat",
    "local h = call(pick, layer.heat) h:fill(0)": "layer.heat has no 'fill'",
    "link_to(99)": f"link_to: no agent has the id 99; {SO_FAR}",
    "link_to(1.5)": f"link_to: no agent has the id 1.5; {SO_FAR}",
    "link_to('x')": f'link_to: no agent has the id "x"; {SO_FAR}',
    "link_to(nil)": f"link_to: no agent has the id nil; {SO_FAR}",
    "link_to(4)": "link_to: agent 4 is gone; alive(id) tells before",
    "unlink(4)": "unlink: agent 4 is gone; alive(id) tells before",
    "link_to(self.id)": "link_to: an agent has no link to itself",
    "link_to(1, 0 / 0)": "link_to(id, weight): weight is a number, not nan",
    "link_to(1, 'heavy')": 'link_to(id, weight): weight is a number, not "heavy"',
    "links(4)": "links(id): agent 4 is dead, and has no links",
    "link(1, 4)": "link(a, b): agent 4 is dead, and has no links",
    "degree(-3)": f"degree(id): {SO_FAR}, not -3",
    "local r = -1 neighbors(r)": "r is a radius, 0 or more, not -1",
    "local r = 0 / 0 count_near(r)": "r is a radius, 0 or more, not nan",
    "local r = 'x' nearest('a', r)": 'r is a radius, 0 or more, not "x"',
    "local r = {} neighbors_of(1, 1, r)": "r is a radius, 0 or more, not a table",
    "local t = 'zebra' neighbors(1, t)": 'there is no agent type "zebra"; types: a',
    "local f = 'hat' count_near(1, nil, f, 2)": 'nobody publishes "hat": list it in model.toml',
    "neighbors_of(9, 9, 1)": f"x is 9, {WHOLE} 4",
    "at(0, 4)": f"y is 4, {WHOLE} 3",
    "count_at(-1, 0)": f"x is -1, {WHOLE} 4",
    "empty_cells(99)": "k is a whole number from 1 to the number of empty cells, now ",
    "position(99)": f"no agent has the id 99: {SO_FAR}",
    "distance(4)": "agent 4 is not on the space; position(4) is nil then",
    "offset('x')": f'no agent has the id "x": {SO_FAR}',
    "local s = call(pick, space) s.width = 9": "space.width is read-only: its size is set in",
    "local f = 'hat' look(1, f)": 'no type publishes "hat"; published: hue',
    "look({}, 'hue')": "look(id, field): id is an agent's number, not a table",
    "spawn('a', {}, 9, 9)": f"spawn: x is 9, {WHOLE} 4",
    "spawn('a', {}, 1)": "spawn: y is a number, not nil",
}
IN_A_ROOM = {
    "move_to(10, 0)": "x is 10, and this space has coordinates from 0 to below 10",
    "move_to(3, 5.5)": "y is 5.5, and this space has coordinates from 0 to below 5.5",
    "move_to(-1e-9, 0)": "x is -1e-09, and this space has coordinates from 0 to below 10",
    "move_to(1 / 0, 0)": "x is inf, and this space has coordinates from 0 to below 10",
    "call(move_to, 1, 1, 1)": "this space has two dimensions: give x and y",
    "neighbors_of(11, 0, 1)": "x is 11, and this space has coordinates from 0 to below 10",
    "spawn('a', {}, 11, 1)": "spawn: x is 11, and this space has coordinates",
}
IN_A_SOLID = {
    "move_to(1, 2, 0 / 0)": "z is nan, and this space has finite coordinates, which wrap around",
    "move_to(1, 1 / 0, 3)": "y is inf, and this space has finite coordinates, which wrap around",
    "call(move_to, 1, 2)": "z is a number, not nil",
    "call(move_by, 1, 2)": "move_by takes 3 numbers: how far along each axis",
    "spawn('a', {}, 1, 2)": "spawn: z is a number, not nil",
    "call(neighbors_of, 1, 2, 3)": "r is a radius, 0 or more, not nil",
}
SPACES = {GRID + HEAT + NET: REFUSED, ROOM: IN_A_ROOM, SOLID: IN_A_SOLID}


@pytest.mark.parametrize("world", SPACES)
def test_4_13_what_cannot_be_done_says_what_can(world: str) -> None:
    """All calls in one turn, each caught; what one of them is as a fault stands below."""
    calls = SPACES[world]
    tries = "\n".join(
        f"self.said[{n}] = select(2, pcall(function() {call} end)) or 'nothing'"
        for n, call in enumerate(calls, 1)
    )
    source = f"""
        local function call(f, ...) return f(...) end
        local function pick(t) return ({{t}})[1] end
        function step(self)
          if tick() == 1 and self.id == 4 then remove() end
          if tick() == 2 and self.id == 2 then self.said = {{}} {tries} end
        end
    """
    spec = model(world, source, 5, PUBLISH)
    found = clean(everywhere(spec, [5], 2, places=((1, "luajit21"), (3, "lua52"))))
    said = dict(zip(calls, found.state(2)["said"], strict=True))
    assert {c: text for c, text in said.items() if calls[c] not in text} == {}


@pytest.mark.parametrize("call", ["move_to(5, 0)", "layer.heat(9, 0)", "link_to(99)"])
def test_4_13_a_refusal_is_a_fault_of_the_agent_with_tick_file_and_line(call: str) -> None:
    source = f"function step(self)\n  if tick() == 2 and self.id >= 2 then\n    {call}\n  end\nend"
    fault = everywhere(model(GRID + HEAT + NET, source, 5, PUBLISH), [5], 3).fault
    assert fault is not None
    assert REFUSED[call] in fault.message
    assert (fault.kind, fault.agent, fault.agent_type, fault.tick) == ("script", 2, "a", 2)
    assert (fault.file, fault.line, fault.handler) == ("agents/a.lua", 3, "step")
    assert fault.excerpt is not None


def test_on_a_torus_whole_numbers_wrap_and_others_are_refused() -> None:
    source = """
        function step(self)
          self.no = {}
          for n, x in ipairs({0.5, 0 / 0, 1 / 0, 2 ^ 60}) do
            self.no[n] = select(2, pcall(move_to, x, 1))
          end
          move_to(-1, 2 ^ 53)
          self.at = {position()}
        end
    """
    torus = GRID.replace("false", "true")
    found = clean(everywhere(model(torus, source, 3, PUBLISH), [3], 2))
    assert found.field("at") == [[4, 2**53 % 4]] * 3
    assert found.state(1)["no"] == [
        f"x is {x}, and this space has whole numbers up to 2^53, which wrap around"
        for x in ("0.5", "nan", "inf", "1.1529215046068e+18")
    ]


UNFIT = {
    'space = { kind = "grid", width = "n * 10", height = "n" }\n': (
        30000,
        "a grid of 300000 x 30000 has 9000000000 cells, about 68665 MB on every worker before any "
        "layer; at most 10000000 cells are made",
    ),
    'space = { kind = "continuous", width = "n", height = "n" }\nlayers = { a = 0 }\n': (
        10**5,
        "layers over 100000 x 100000 would have 10000000000 cells each; at most 10000000 are made",
    ),
    'space = { kind = "grid", width = "n", height = 3 }\n': (
        2.5,
        "the space's width is 2.5; it must be a whole number of cells, 1 or more",
    ),
    'space = { kind = "continuous", width = "n", height = 3 }\n': (
        -2,
        "the space's width is -2; it must be a number above 0",
    ),
    'space = { kind = "grid", width = 4, height = "n", neighbors = "hex" }\n': (
        5,
        "a hex torus needs an even height, so that rows meet; this one has 5",
    ),
    'network = { kind = "ring", k = "n" }\n': (
        3,
        "the network: ring needs an even k (k / 2 neighbours on each side), not 3",
    ),
    'network = { kind = "watts_strogatz", k = 2, p = "n" }\n': (
        8,
        "the network: watts_strogatz needs p, a number from 0 to 1, not 8",
    ),
    'network = { kind = "preferential", m = "n" }\n': (
        9,
        "the network: preferential needs m, a whole number from 1 to 4, not 9",
    ),
    'network = { kind = "grid", width = 2, height = "n" }\n': (
        2,
        "the network: grid of 2 x 2 needs 4 agents, and there are 5",
    ),
}


@pytest.mark.parametrize("world", UNFIT)
def test_4_13_a_world_that_cannot_be_made_is_refused_with_its_line_in_model_toml(
    world: str,
) -> None:
    n, message = UNFIT[world]
    spec = model(world, "function step(self) end", 5, "", more=f"[parameters]\nn = {n}\n")
    fault = everywhere(spec, [5], 1, places=((1, "luajit21"), (3, "lua52"))).fault
    assert fault is not None
    assert (fault.message, fault.file, fault.line) == (message, "model.toml", 4)
    assert fault.kind == ("memory" if "cells" in message and "most" in message else "script")


PLACED = {
    'place = "random"': "5 agents of type 'a' are to be placed, and the grid has 4 empty cells",
    'place = "grid"': "place = \"grid\": 5 agents of type 'a' do not fit on 4 cells",
    'place = { x = "i", y = "0" }': "place of agent 2, type 'a': x is 2, and this space has",
    'place = { x = "0", y = "0" }': (
        "place of agent 2, type 'a': the cell (0, 0) is taken already, and one agent fits a cell"
    ),
    'place = { x = "nil", y = "0" }': "place of agent 1, type 'a': x is a number, not nil",
}


@pytest.mark.parametrize("place", PLACED)
def test_4_13_agents_that_cannot_be_placed_are_a_fault_of_tick_0(place: str) -> None:
    small = GRID.replace("width = 5", "width = 2").replace(
        "height = 4", "height = 2, single = true"
    )
    spec = model(small, "function step(self) end", 5, place + "\n")
    fault = everywhere(spec, [5], 1, places=((1, "luajit21"), (3, "lua52"))).fault
    assert fault is not None
    assert PLACED[place] in fault.message
    assert (fault.tick, fault.file, fault.kind) == (0, "model.toml", "script")


def test_4_13_a_space_beyond_the_memory_limit_is_refused_with_its_estimate() -> None:
    large = GRID.replace("width = 5, height = 4", "width = 1500, height = 1500")
    spec = model(large + "layers = { a = 0, b = 0, c = 0 }\n", "function step(self) end", 1, "")

    def faults(_: object) -> list[p.Fault | None]:
        found = []
        for limit in (64 << 20, 1 << 30):
            load = p.Load(
                epoch=1, worker=0, workers=1, model=spec, parameters={}, seed=1, counts=[1],
                shard_size=1, placement=[0], tick=-1, memory_bytes=limit,
            )  # fmt: skip
            answer, _ = Host().handle(load, [])
            assert isinstance(answer, p.Loaded)
            found.append(answer.fault)
        return found

    refused, none = same_for([0], faults)
    assert none is None
    assert refused.message == (
        "this space needs about 120 MB on every worker, and a worker's limit is 64 MB; "
        "make it smaller, or raise memory_mb"
    )
    assert (refused.kind, refused.file, refused.line) == ("memory", "model.toml", 2)


LAYERS = {
    'heat = { step = "v.x" }': (
        1, "layer 'heat', step, at cell (0, 0): attempt to index local 'v' (a number value)",
    ),
    'heat = { init = "x > 2 and x" }': (
        0, "layer 'heat', init, at cell (0, 0): gives false, where a number is needed",
    ),
    'heat = { step = "tick < 3 and 1 or y > 1" }': (
        3, "layer 'heat', step, at cell (0, 0): gives false, where a number is needed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("layers", LAYERS)
def test_4_13_a_layers_expression_that_fails_names_the_layer_and_the_cell(layers: str) -> None:
    tick, message = LAYERS[layers]
    source = "function step(self) end"
    spec = model(GRID + f"layers = {{ {layers} }}\n", source, 3, PUBLISH)
    fault = everywhere(spec, [3], 5, places=((1, "luajit21"), (3, "luajit21"))).fault
    assert fault is not None
    assert (fault.message, fault.tick, fault.file, fault.line) == (message, tick, "model.toml", 3)


@pytest.mark.parametrize("script", ["", "function step(env) end"])
def test_4_14_layers_have_the_environments_fuel_and_not_what_agents_left(script: str) -> None:
    world = 'space = { kind = "grid", width = 200, height = 200 }\n'
    world += 'layers = { heat = { init = "x", step = "v + around", diffuse = 0.5, decay = 0.1 } }\n'
    source = "function step(self) for n = 1, 900 do end end"
    clean(everywhere(model(world, source, 3, "", more="fuel = 1000\n"), [3], 2))
    spec = model("fuel = 5000\n" + world, source, 3, "", environment=script)
    fault = everywhere(spec, [3], 2, places=((1, "luajit21"), (3, "lua52"))).fault
    assert fault is not None
    assert (fault.kind, fault.handler, fault.tick) == ("fuel", "layers.heat.diffuse", 1)
    assert fault.message.startswith("spent all its fuel of 5000 ")


def test_what_a_worker_holds_of_a_space_is_the_same_after_a_fault_elsewhere() -> None:
    source = "function step(self) if tick() == 3 and self.id == 3 then move_to(9, 9) end end"
    spec = model(GRID + HEAT, source, 3, PUBLISH)

    def stands(place: tuple[int, str]) -> tuple[int, str]:
        world = Shares(spec, [3], place[0], vm=place[1]).run(5)
        assert world.fault is not None
        return world.tick, world.fault.message

    assert same_for(((1, "luajit21"), (3, "lua52")), stands) == (2, f"x is 9, {WHOLE} 4")
