"""Random streams: the published generator, keyed by (seed, id, tick), and what is drawn from it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_env import VMS, Kernel

VECTORS = json.loads((Path(__file__).parent / "vectors" / "random.json").read_text())
WORD = 2**32
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)


def threefry(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
    """Threefry-2x32, 20 rounds, as the paper writes it down."""
    keys = (*key, 0x1BD11BDA ^ key[0] ^ key[1])
    a, b = (counter[0] + key[0]) % WORD, (counter[1] + key[1]) % WORD
    for i in range(20):
        r = ROTATIONS[i % 8]
        a = (a + b) % WORD
        b = ((b << r | b >> (32 - r)) % WORD) ^ a
        if i % 4 == 3:
            n = i // 4 + 1
            a = (a + keys[n % 3]) % WORD
            b = (b + keys[(n + 1) % 3] + n) % WORD
    return a, b


def draws(seed: int, agent: int, tick: int, count: int) -> list[float]:
    """The stream's first numbers, from the description in random.lua alone."""
    x = threefry((seed % WORD, seed // WORD), (agent, tick % WORD))
    words = [x, *(threefry(x, (k - 1, tick // WORD)) for k in range(2, count + 1))]
    return [((a >> 5) * 2**26 + (b >> 6)) / 2**53 for a, b in words]


def streams(vm: str) -> Kernel:
    kernel = Kernel(vm, "meter", "random")
    kernel.function("deps.length = function(list) return #list end")()
    return kernel


@pytest.fixture(scope="module", params=VMS)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return streams(request.param)


@pytest.fixture(scope="module")
def kernels() -> list[Kernel]:
    return [streams(vm) for vm in VMS]


STREAM = """
    local seed, id, tick, count = ...
    local R = deps.random.new()
    R.at(seed, tick) R.arm(id)
    local out = {}
    for i = 1, count do out[i] = R.random() end
    return (unpack or table.unpack)(out)
"""


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((WORD - 1, WORD - 1), (WORD - 1, WORD - 1), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_the_generator_gives_the_published_answers(kernel, counter, key, expected):
    assert threefry(key, counter) == expected
    assert kernel["random"].threefry(*key, *counter) == expected


@given(st.tuples(*[st.integers(0, WORD - 1)] * 4))
@settings(max_examples=60)
def test_both_vms_compute_the_same_words_as_python(kernels, words):
    k0, k1, c0, c1 = words
    answers = [kernel["random"].threefry(k0, k1, c0, c1) for kernel in kernels]
    assert answers == [threefry((k0, k1), (c0, c1))] * 2


def test_streams_agree_with_the_vectors_that_the_protocol_cites(kernel):
    stream = kernel.function(STREAM)
    got = [
        [x.hex() for x in stream(v["seed"], v["id"], v["tick"], len(v["draws"]))]
        for v in VECTORS["streams"]
    ]
    assert got == [v["draws"] for v in VECTORS["streams"]]
    assert got == [
        [x.hex() for x in draws(v["seed"], v["id"], v["tick"], len(v["draws"]))]
        for v in VECTORS["streams"]
    ]


@given(
    seed=st.integers(0, 2**53 - 1),
    agent=st.integers(0, 2**31 - 1),
    tick=st.integers(0, 2**53 - 1),
)
@settings(max_examples=40)
def test_any_seed_agent_and_tick_has_the_stream_of_the_description(kernels, seed, agent, tick):
    answers = [list(kernel.function(STREAM)(seed, agent, tick, 4)) for kernel in kernels]
    assert answers == [draws(seed, agent, tick, 4)] * 2


def test_what_others_draw_does_not_change_an_agents_numbers(kernel):
    alone, after_others = kernel.function("""
        local R = deps.random.new()
        R.at(5, 9) R.arm(3)
        local alone = R.random() + R.random()
        R.arm(1) R.random() R.random() R.normal()
        R.arm(2)
        R.arm(3)
        return alone, R.random() + R.random()
    """)()
    assert alone == after_others


def test_a_stream_goes_on_where_it_was_saved(kernel):
    whole, resumed = kernel.function("""
        local R = deps.random.new()
        R.at(2^40 + 1, 77) R.arm(12)
        local whole, resumed = {}, {}
        for i = 1, 6 do whole[i] = R.random() end
        R.arm(12)
        for i = 1, 6 do
          resumed[i] = R.random()
          local id, count = R.save()
          R.arm(99) R.random() R.random()
          R.resume(id, count)
        end
        R.arm(12)
        local id, count = R.save()
        R.arm(4) R.random()
        R.resume(id, count)
        assert(R.random() == whole[1])
        return table.concat(whole, " "), table.concat(resumed, " ")
    """)()
    assert whole == resumed


DISTRIBUTIONS = """
    local R = deps.random.new()
    local out = {}
    for id = 1, 40 do
      R.at(11, 3) R.arm(id)
      for _, x in ipairs({R.random(), R.random(6), R.random(-3, 3), R.normal(), R.normal(5, 2),
          R.exponential(), R.exponential(4), R.poisson(0), R.poisson(2.5), R.poisson(29.99),
          R.poisson(30), R.poisson(1e4), R.poisson(1e9), R.choice({7, 8, 9}), R.random(2^53)}) do
        out[#out + 1] = string.format("%.17g", x)
      end
      out[#out + 1] = table.concat(R.shuffle({1, 2, 3, 4, 5}), ",")
    end
    return table.concat(out, " ")
"""


def test_every_distribution_is_the_same_on_both_vms(kernels):
    first, second = (kernel.function(DISTRIBUTIONS)() for kernel in kernels)
    assert first == second


def moments(kernel: Kernel, call: str, count: int = 6000) -> tuple[float, float]:
    """Mean and variance of so many draws, a new agent each, so that first draws are tried."""
    return kernel.function(f"""
        local R = deps.random.new()
        R.at(20261122, 1)
        local s, q = 0, 0
        for id = 1, {count} do
          R.arm(id)
          local x = R.{call}
          s, q = s + x, q + x * x
        end
        local mean = s / {count}
        return mean, q / {count} - mean * mean
    """)()


@pytest.mark.parametrize(
    ("call", "mean", "variance"),
    [
        ("random()", 0.5, 1 / 12),
        ("random(6)", 3.5, 35 / 12),
        ("random(-2, 2)", 0, 2),
        ("normal()", 0, 1),
        ("normal(10, 3)", 10, 9),
        ("exponential()", 1, 1),
        ("exponential(0.5)", 2, 4),
        ("poisson(0.2)", 0.2, 0.2),
        ("poisson(12)", 12, 12),
        ("poisson(30)", 30, 30),
        ("poisson(400)", 400, 400),
        ("poisson(1e8)", 1e8, 1e8),
        ("choice({1, 2, 3})", 2, 2 / 3),
    ],
)
def test_distributions_have_their_mean_and_variance(call, mean, variance):
    # Five standard errors of the mean; the variance of a variance is larger for long tails.
    got_mean, got_variance = moments(streams("luajit"), call)
    assert abs(got_mean - mean) < 5 * math.sqrt(variance / 6000)
    if mean < 1e6:  # above, the sum of squares has too few digits
        assert got_variance == pytest.approx(variance, rel=0.12)


def test_poisson_follows_its_law_on_both_sides_of_the_change_of_method():
    histogram = streams("luajit").function("""
        local mean, count = ...
        local R = deps.random.new()
        R.at(3, 1)
        local seen = {}
        for id = 1, count do
          R.arm(id)
          local k = R.poisson(mean)
          seen[k] = (seen[k] or 0) + 1
        end
        local out = {}
        for k = 0, 120 do out[k + 1] = seen[k] or 0 end
        return unpack(out)
    """)
    for mean in (29.5, 30.5):
        seen = histogram(mean, 20000)
        law = [math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(121)]
        cells = [k for k in range(121) if law[k] * 20000 > 10]
        chi2 = sum((seen[k] - law[k] * 20000) ** 2 / (law[k] * 20000) for k in cells)
        assert chi2 < len(cells) + 5 * math.sqrt(2 * len(cells))


def test_shuffle_gives_every_order_and_returns_the_list_it_changed(kernel):
    orders, same = kernel.function("""
        local R = deps.random.new()
        R.at(1, 1)
        local seen, count = {}, 0
        local list = {}
        for id = 1, 200 do
          R.arm(id)
          list = {1, 2, 3}
          assert(R.shuffle(list) == list)
          local key = table.concat(list)
          if not seen[key] then seen[key] = true count = count + 1 end
        end
        return count, #R.shuffle({}) == 0
    """)()
    assert (orders, same) == (6, True)


def test_choice_uses_the_length_that_agents_see(kernel):
    ok = kernel.function("""
        local function length(list) return getmetatable(list).__count end
        local R = deps.random.new({length = length, meter = deps.meter})
        R.at(1, 1) R.arm(1)
        local list = setmetatable({}, {__count = 5, __index = function(_, k) return k * 10 end})
        local x = R.choice(list)
        return x % 10 == 0 and x >= 10 and x <= 50
    """)()
    assert ok is True


def test_shuffle_takes_fuel_for_its_length(kernel):
    spent = kernel.function("""
        local R = deps.random.new()
        R.at(1, 1) R.arm(1)
        local before = deps.fuel.n
        R.shuffle({1, 2, 3, 4})
        return before - deps.fuel.n
    """)()
    assert spent == 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("random(nil)", "random(n): n must be a whole number, got nil"),
        ("random(0)", "random(n): n must be at least 1, got 0"),
        ("random(2.5)", "random(n): n must be a whole number, got 2.5"),
        ("random('6')", 'random(n): n must be a whole number, got "6"'),
        ("random(1, 2, 3)", "random takes at most two arguments, got 3"),
        ("random(3, 1)", "random(a, b): b must not be below a, got 3, 1"),
        ("random(1, 1/0)", "random(a, b): b must be a whole number, got inf"),
        ("random(0/0)", "random(n): n must be a whole number, got nan"),
        ("random(-2^53, 2^53)", "random(a, b): the range must be below 2^53"),
        ("choice({})", "choice needs a list with at least one element"),
        ("choice(nil)", "choice needs a list, got nil"),
        ("choice('abc')", 'choice needs a list, got "abc"'),
        ("shuffle(5)", "shuffle needs a list, got 5"),
        ("shuffle(setmetatable({}, {__count = 3}))", "a list from agents() is read-only"),
        ("normal(0, -1)", "normal(mean, sd): sd must not be negative, got -1"),
        ("normal({})", "normal(mean, sd): mean must be a finite number, got a table"),
        ("exponential(0)", "exponential(rate): rate must be above 0, got 0"),
        ("exponential(1/0)", "exponential(rate): rate must be a finite number, got inf"),
        ("poisson()", "poisson(mean): mean must be a finite number, got nil"),
        ("poisson(-1)", "poisson(mean): mean must not be negative, got -1"),
        ("poisson(1e10)", "poisson(mean): mean must be at most 1e9, got 10000000000"),
    ],
)
def test_wrong_arguments_are_reported_at_the_agents_line(kernel, call, message):
    ok, error = kernel.function(f"""
        local R = deps.random.new()
        R.at(1, 1) R.arm(1)
        local agent = load([[local R = ...
          local x = R.{call}
          return x]], "@agents/x.lua", "t", {{setmetatable = setmetatable}})
        return pcall(agent, R)
    """)()
    assert ok is False
    assert error.decode().startswith("agents/x.lua:2: ")
    assert message in error.decode()
