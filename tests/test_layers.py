"""Layers against plain Python over lists of rows: steps, diffusion, failures, bytes."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_env import VMS
from layer_env import Host, Spec, World, checked, like, rows, worlds_and_values

LIFE = "(around == 3 or (around == 2 and v == 1)) and 1 or 0"


@pytest.fixture(scope="module", params=VMS)
def host(request: pytest.FixtureRequest) -> Host:
    return Host(request.param)


@pytest.fixture(scope="module")
def hosts() -> list[Host]:
    return [Host(vm) for vm in VMS]


@settings(max_examples=60, deadline=None)
@given(case=worlds_and_values())
def test_a_step_sees_each_cell_and_the_sum_around_it(hosts, case):
    world, values = case
    for host in hosts:
        layers = like(host, world, Spec(step="(around - v) * 0.5 + x * 3 + y * 7 + tick"))
        layers.call("put", b"heat", host.table(values))
        assert layers.field() == rows(world, values)
        sums = [
            [layers.method("around", x, y) for x in range(world.width)] for y in range(world.height)
        ]
        assert sums == world.step(rows(world, values), lambda v, x, y, around: around)
        expected = rows(world, values)
        for tick in (5, 6):
            checked(layers.call("step", tick))
            expected = [
                [value + tick for value in row]
                for row in world.step(
                    expected, lambda v, x, y, around: (around - v) * 0.5 + x * 3 + y * 7
                )
            ]
        assert layers.field() == expected


@settings(max_examples=60, deadline=None)
@given(case=worlds_and_values(), share=st.sampled_from([0, 0.2, 0.5, 0.7, 1]))
def test_diffusion_gives_each_neighbour_its_part_and_loses_nothing(hosts, case, share):
    world, values = case
    expected = world.diffuse(rows(world, values), share)
    total = math.fsum(values)
    for host in hosts:
        layers = like(host, world, Spec(diffuse=str(share)))
        layers.call("put", b"heat", host.table(values))
        checked(layers.call("step", 1))
        assert layers.field() == expected
        assert layers.method("sum") == pytest.approx(total, abs=1e-6)
        layers.call("put", b"heat", host.table(values))
        layers.method("diffuse", share)
        assert layers.field() == expected


@pytest.mark.parametrize("neighbors", [4, 6, 8])
@pytest.mark.parametrize("torus", [False, True])
def test_narrow_fields_diffuse_like_others(host, neighbors, torus):
    for width, height in itertools.product((1, 2, 3), (1, 2, 3, 4)):
        if neighbors == 6 and torus and height % 2:
            continue
        world = World(width, height, torus, neighbors)
        layers = like(host, world, Spec(init="1 + x + 10 * y", diffuse="0.8"))
        expected = world.diffuse(layers.field(), 0.8)
        checked(layers.call("step", 1))
        assert layers.field() == expected


@pytest.mark.parametrize("neighbors", [4, 6, 8])
def test_diffusion_never_makes_a_positive_field_negative(host, neighbors):
    layers = host.new(
        Spec(init="x == 3 and y == 3 and 0.1 or 0", diffuse="1"), width=7, height=8,
        neighbors=neighbors, torus=True,
    )  # fmt: skip
    for tick in range(20):
        checked(layers.call("step", tick))
        assert layers.method("min") >= 0


def test_a_glider_glides(host):
    """Four steps move it one cell down and right; after 32, a torus of 8 is as before."""
    cells = {(1, 0), (2, 1), (0, 2), (1, 2), (2, 2)}
    condition = " or ".join(f"(x == {x} and y == {y})" for x, y in sorted(cells))
    layers = host.new(
        Spec(init=f"({condition}) and 1 or 0", step=LIFE), width=8, height=8, torus=True
    )

    def alive() -> set[tuple[int, int]]:
        return {(x, y) for y, row in enumerate(layers.field()) for x, v in enumerate(row) if v}

    for shift in range(1, 9):
        for tick in range(4):
            checked(layers.call("step", tick))
        assert alive() == {((x + shift) % 8, (y + shift) % 8) for x, y in cells}


def test_life_is_the_same_as_in_python_on_both_vms(hosts):
    world = World(23, 17, True, 8)
    written = set()
    for host in hosts:
        host.driver[b"arm"](7)
        layers = like(host, world, Spec(init="random() < 0.4 and 1 or 0", step=LIFE))
        expected = layers.field()
        for tick in range(30):
            checked(layers.call("step", tick))
            expected = world.step(expected, lambda v, x, y, n: float(n == 3 or (n == 2 and v == 1)))
        assert layers.field() == expected
        written.add(layers.call("written"))
    assert len(written) == 1


def test_layers_read_each_other_as_they_were_before_any_step(host):
    layers = host.new(
        Spec("a", init="x", step="b + 1", reads=["b"]),
        Spec("b", init="10 * y", step="a * 2 + v", decay="0.5", reads=["a"]),
        Spec("c", init="rate * 8", step="v + a + b", reads=["a", "b"]),
        width=3, height=2,
    )  # fmt: skip
    assert layers.field("c") == [[2, 2, 2], [2, 2, 2]]
    checked(layers.call("step", 1))
    assert layers.field("a") == [[1, 1, 1], [11, 11, 11]]
    assert layers.field("b") == [[0, 1, 2], [5, 6, 7]]
    assert layers.field("c") == [[2, 3, 4], [12, 13, 14]]


def test_a_layer_steps_then_diffuses_then_decays(host):
    world = World(5, 4, False, 4)
    layers = like(host, world, Spec(init="x * y", step="v + 1", diffuse="0.5", decay="rate"))
    checked(layers.call("step", 1))
    stepped = [[x * y + 1.0 for x in range(5)] for y in range(4)]
    assert layers.field() == [[v * 0.75 for v in row] for row in world.diffuse(stepped, 0.5)]


def test_random_numbers_are_drawn_row_by_row(host):
    host.driver[b"arm"](3)
    draws = [host.driver[b"uniform"]() for _ in range(24)]
    host.driver[b"arm"](3)
    layers = host.new(Spec(init="random()", step="random() + v"))
    assert layers.field() == [draws[0:4], draws[4:8], draws[8:12]]
    checked(layers.call("step", 1))
    assert layers.field() == [
        [draws[12 + 4 * y + x] + draws[4 * y + x] for x in range(4)] for y in range(3)
    ]


# Failures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("nil", "gives nil, where a number is needed"),
        ("x == 3", "gives true, where a number is needed"),
        ("'text'", "gives a string, where a number is needed"),
        ("math.sqrt({})", "bad argument #1 to 'sqrt' (number expected, got table)"),
    ],
)
@pytest.mark.parametrize("cell", [(3, 2), (0, 0), (1, 1)])
def test_a_failing_step_names_layer_and_cell_and_the_line(host, expression, reason, cell):
    x, y = cell
    step = f"(x ~= {x} or y ~= {y}) and around or ({expression})"
    if expression == "x == 3":
        step = f"x == {x} and y == {y} or v"
    layers = host.new(Spec("cold"), Spec(step=step))
    with pytest.raises(ValueError, match="layer") as raised:
        checked(layers.call("step", 1))
    assert str(raised.value) == f"layer 'heat', step, at cell ({x}, {y}): {reason}"
    assert layers.call("expression") == b"layers.heat.step:11"


def test_a_failing_init_names_layer_and_cell(host):
    layers = host.new(Spec(init="y < 2 and 1 or nil"), init=False)
    with pytest.raises(ValueError, match="layer") as raised:
        checked(layers.call("init"))
    assert str(raised.value) == (
        "layer 'heat', init, at cell (0, 2): gives nil, where a number is needed"
    )
    assert layers.call("expression") == b"layers.heat.init:10"


def test_reckoning_with_nothing_names_the_cell_too(host):
    layers = host.new(Spec(step="v + missing"))
    with pytest.raises(ValueError, match=r"^layer 'heat', step, at cell \(0, 0\): attempt to"):
        checked(layers.call("step", 1))


def test_after_a_pass_no_expression_is_at_work(host):
    layers = host.new(Spec(step="v", diffuse="0.5", decay="0.5"))
    checked(layers.call("step", 1))
    assert layers.call("expression") is None


@pytest.mark.parametrize("part", ["diffuse", "decay"])
@pytest.mark.parametrize("rate", ["1.5", "-0.1", "0/0"])
def test_rates_are_shares(host, part, rate):
    with pytest.raises(
        host.kernel.error, match=f"layer 'heat', {part} is a share from 0 to 1, not"
    ):
        host.new(Spec(**{part: rate}))


def test_passes_over_all_cells_spend_fuel(host):
    layers = host.new(Spec(step="v + 1"), width=40, height=20)
    for run in (
        lambda: checked(layers.call("step", 1)), lambda: layers.method("sum"),
        lambda: layers.method("map", host.kernel.lua.eval("function(v) return v end")),
        lambda: layers.method("fill", 2), lambda: layers.method("diffuse", 0.1),
        lambda: layers.method("min"), lambda: layers.method("count", 1),
    ):  # fmt: skip
        host.fuel(101)
        run()
        assert host.driver[b"left"]() == 1
        host.fuel(50)
        with pytest.raises(ValueError, match="out of fuel"):
            run()
        host.fuel(1e15)


# Bytes and memory -------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    values=st.one_of(
        st.lists(st.floats(), min_size=12, max_size=12),
        st.lists(st.integers(-(2**31), 2**31 - 1).map(float), min_size=12, max_size=12),
        st.floats().map(lambda v: [v] * 12),
    )
)
def test_bytes_bring_back_every_value_on_every_vm(hosts, values):
    written = set()
    for host in hosts:
        specs = Spec("cold", init="x"), Spec(step="v")
        layers = host.new(*specs)
        layers.call("put", b"heat", host.table(values))
        data = layers.call("written")
        other = host.new(*specs, init=False)
        checked(other.call("read", data))
        assert [repr(v) for row in other.field() for v in row] == [repr(v) for v in values]
        written |= {data, other.call("written")}
    assert len(written) == 1


def test_many_cells_are_written_in_pieces(host):
    layers = host.new(Spec(init="x < 200 and 7 or x + y / 2"), width=300, height=400)
    other = host.new(Spec(), width=300, height=400, init=False)
    checked(other.call("read", layers.call("written")))
    assert other.field() == layers.field()


def test_bytes_of_other_layers_are_refused(host):
    data = host.new(Spec()).call("written")
    for other in (
        host.new(Spec("a"), Spec("b")),
        host.new(Spec(), width=3),
        host.new(Spec(), width=5),
    ):
        with pytest.raises(ValueError, match="malformed data"):
            checked(other.call("read", data))
    with pytest.raises(ValueError, match="malformed data"):
        checked(host.new(Spec()).call("read", b"\x91d"))


def test_memory_is_told_before_it_is_taken():
    host = Host("luajit")
    size = {"width": 1000, "height": 1000, "init": False}
    assert host.new(Spec(), **size).call("bytes") == 8e6
    assert host.new(Spec(step="v"), Spec("b", diffuse="0.1"), **size).call("bytes") == 24e6
    before = host.kernel.lua.eval("collectgarbage('count')")
    host.new(Spec(step="v"), Spec("b"), Spec("c", decay="0.1"), **size)
    assert host.kernel.lua.eval("collectgarbage('count')") - before < 1000
