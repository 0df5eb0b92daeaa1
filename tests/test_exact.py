"""Exact sums and the aggregates made of them: one result for every order and every partition."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_env import VMS, Kernel

NAMES = ("buffer", "codec", "exact", "aggregate")


@pytest.fixture(scope="module", params=VMS)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return Kernel(request.param, *NAMES)


@pytest.fixture(scope="module")
def kernels() -> list[Kernel]:
    return [Kernel(vm, *NAMES) for vm in VMS]


def rounded(x: Fraction) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


finite = st.floats(allow_nan=False, allow_infinity=False)
ordinary = st.floats(-1e6, 1e6) | st.integers(-1000, 1000).map(float)
extreme = st.sampled_from([1.7e308, -1.7e308, 5e-324, -5e-324, 2.0**-1022, 1e16, -1e16, 1.0, -0.0])
numbers = st.lists(finite | ordinary | extreme, max_size=24)

# Numbers come back as text: lupa makes integers of whole doubles and loses the sign of zero.
SHOW = """
    local function show(x)
      if x == nil or x ~= x then return x == nil and "None" or "nan" end
      return string.format("%.17g", x)
    end
"""

SUM = f"""
    {SHOW}
    local exact = deps.exact
    local acc = exact.new()
    for i = 1, select("#", ...) do exact.add(acc, (select(i, ...))) end
    return show(exact.value(acc))
"""

# Each number goes to one of three accumulators; one travels as bytes; then all are merged.
SPLIT_SUM = f"""
    {SHOW}
    local exact = deps.exact
    local parts = {{exact.new(), exact.new(), exact.new()}}
    for i = 1, select("#", ...) do exact.add(parts[i * 7 % 3 + 1], (select(i, ...))) end
    local w = deps.codec.writer()
    exact.write(w, parts[2])
    local bytes = w:result()
    local travelled, pos = exact.read(bytes, 1)
    assert(pos == #bytes + 1)
    local total = exact.new()
    exact.merge(total, parts[3])
    exact.merge(total, travelled)
    exact.merge(total, parts[1])
    return show(exact.value(total))
"""


@given(numbers)
@settings(max_examples=150)
def test_a_sum_is_the_real_sum_rounded_once(kernels, xs):
    expected = rounded(sum(map(Fraction, xs), Fraction(0)))
    assert [float(kernel.function(SUM)(*xs)) for kernel in kernels] == [expected] * 2


@given(numbers.flatmap(lambda xs: st.tuples(st.just(xs), st.permutations(xs))))
@settings(max_examples=100)
def test_order_and_partition_leave_no_trace_in_a_sum(kernels, orders):
    first, second = orders
    answers = {kernel.function(SPLIT_SUM)(*xs) for kernel in kernels for xs in orders}
    assert {float(x) for x in answers} == {rounded(sum(map(Fraction, first), Fraction(0)))}
    assert len(answers) == 1
    assert sorted(first) == sorted(second)


@given(st.lists(ordinary, max_size=40))
@settings(max_examples=60)
def test_sums_agree_with_fsum(kernels, xs):
    assert float(kernels[0].function(SUM)(*xs)) == math.fsum(xs)


@given(st.lists(st.tuples(finite | extreme | ordinary, finite | extreme | ordinary), max_size=10))
@settings(max_examples=120)
def test_a_sum_of_products_is_exact_even_where_products_over_or_underflow(kernels, pairs):
    expected = rounded(sum((Fraction(x) * Fraction(y) for x, y in pairs), Fraction(0)))
    flat = [x for pair in pairs for x in pair]
    answers = [
        kernel.function("""
            local exact = deps.exact
            local acc = exact.new()
            for i = 1, select("#", ...), 2 do
              local x, y = select(i, ...)
              exact.add_product(acc, x, y)
            end
            return exact.value(acc)
        """)(*flat)
        for kernel in kernels
    ]
    assert answers == [expected] * 2


@pytest.mark.parametrize(
    ("xs", "expected"),
    [
        ([], 0.0),
        ([-0.0], 0.0),
        ([1e308, 1e308, -1e308], 1e308),
        ([1e308, 1e308], math.inf),
        ([-1.7e308, -1.7e308], -math.inf),
        ([math.inf, 1.0], math.inf),
        ([1.0, -math.inf], -math.inf),
        ([math.inf, -math.inf], math.nan),
        ([math.nan, 1.0], math.nan),
        ([math.inf, math.nan], math.nan),
        ([1e308, 1e308, math.inf, -1e308], math.inf),
        ([1.0, 2.0**-53, 2.0**-1074], 1.0 + 2.0**-52),
        ([1.0, 2.0**-53], 1.0),
        ([1.0 + 2.0**-52, 2.0**-53], 1.0 + 2.0**-51),
        ([2.0**-1074, -(2.0**-1074)], 0.0),
        ([1.7976931348623157e308, 2.0**969], 1.7976931348623157e308),
        ([1.7976931348623157e308, 2.0**970], math.inf),
    ],
)
def test_special_sums_come_out_alike_in_every_order(kernel, xs, expected):
    answers = {kernel.function(f)(*order) for f in (SUM, SPLIT_SUM) for order in (xs, xs[::-1])}
    assert len(answers) == 1
    assert repr(float(answers.pop())) == repr(expected)


def test_many_spills_into_the_long_accumulator_stay_exact(kernels):
    value = kernels[0].function("""
        local exact = deps.exact
        local acc = exact.new()
        for _ = 1, 3 do
          for i = 1, 20000 do
            exact.add(acc, 1e300) exact.add(acc, 1e-300) exact.add(acc, 1) exact.add(acc, 2^-1074)
            exact.add(acc, -1e300) exact.add(acc, -1e-300)
          end
        end
        return exact.value(acc)
    """)()
    assert value == 60000.0


@pytest.mark.parametrize(
    "data",
    [
        "c0",
        "90",
        "9101",
        "93010203",
        "9201a178",
        "960000000000cb3ff8000000000000",
        "9600000000cd0fff01",
    ],
)
def test_malformed_sums_are_refused(kernel, data):
    ok, text = kernel.function("return pcall(deps.exact.read, ..., 1)")(bytes.fromhex(data))
    assert (ok, text) == (False, b"malformed data: not an exact sum")


# --- aggregates

OPS = ("count", "sum", "share", "mean", "min", "max", "var", "sd", "quantile", "gini")

WHOLE = f"""
    {SHOW}
    local op, q = ...
    local state = deps.aggregate.new(op, q)
    for i = 3, select("#", ...) do deps.aggregate.add(state, (select(i, ...))) end
    return show(deps.aggregate.value(state))
"""

# As three workers do it: partial states travel as bytes and are merged in worker order.
PARTS = f"""
    {SHOW}
    local aggregate, op, q = deps.aggregate, ...
    local w = deps.codec.writer()
    for worker = 0, 2 do
      local state = aggregate.new(op, q)
      for i = 3, select("#", ...) do
        if i * i % 3 == worker or (i * i % 3 == 1 and worker == 2 and i % 2 == 0) then
          if not (worker == 1 and i % 2 == 0) then aggregate.add(state, (select(i, ...))) end
        end
      end
      aggregate.write(w, state)
    end
    local s, pos, total, state = w:result(), 1, nil, nil
    for _ = 1, 3 do
      state, pos = aggregate.read(s, pos)
      total = total and aggregate.merge(total, state) or state
    end
    assert(pos == #s + 1)
    return show(aggregate.value(total))
"""


def run(kernel: Kernel, text: str, op: str, q: float | None, xs: list) -> float | None:
    shown = kernel.function(text)(op.encode(), q if op == "quantile" else None, *xs).decode()
    return None if shown == "None" else float(shown)


def reference(op: str, q: float, xs: list[float]) -> float | None:
    exact = [Fraction(x) for x in xs]
    n = len(xs)
    total = sum(exact, Fraction(0))
    if op in ("count", "sum"):
        return float(n) if op == "count" else rounded(total)
    if n == 0:
        return None
    ordered = sorted(x + 0.0 for x in xs)  # one zero
    if op == "share":
        return 1.0
    if op == "mean":
        return rounded(total) / n
    if op in ("min", "max"):
        return ordered[0 if op == "min" else -1]
    if op in ("var", "sd"):
        variance = rounded(n * sum(x * x for x in exact) - total * total) / n / n
        return variance if op == "var" else math.sqrt(variance)
    if op == "quantile":
        k = math.floor((n - 1) * q)
        part = (n - 1) * q - k
        return ordered[k] + (part * (ordered[k + 1] - ordered[k]) if part else 0)
    weighted = rounded(sum((2 * i - n - 1) * Fraction(x) for i, x in enumerate(ordered, 1)))
    if weighted == 0:
        return 0.0
    return weighted / (n * rounded(total)) if total else math.nan


@pytest.mark.parametrize("op", OPS)
@given(xs=st.lists(ordinary, max_size=30), q=st.sampled_from([0.0, 0.1, 0.5, 0.75, 1.0]))
@settings(max_examples=40)
def test_an_aggregate_is_its_formula_whole_or_in_parts(kernels, op, q, xs):
    answers = {run(kernel, text, op, q, xs) for kernel in kernels for text in (WHOLE, PARTS)}
    assert [str(x) for x in answers] == [str(reference(op, q, xs))]


@pytest.mark.parametrize(
    ("op", "q", "xs", "expected"),
    [
        ("quantile", 0.5, [3.0, 1.0, 2.0, 10.0], 2.5),
        ("quantile", 0.25, [1.0, 2.0, 3.0, 4.0, 5.0], 2.0),
        ("quantile", 0.9, [7.0], 7.0),
        ("quantile", 0.5, [1.0, math.nan], math.nan),
        ("quantile", 0.5, [math.inf, math.inf, 1.0], math.inf),
        ("gini", None, [1.0, 1.0, 1.0, 1.0], 0.0),
        ("gini", None, [0.0, 0.0, 0.0, 100.0], 0.75),
        ("gini", None, [0.0, 0.0], 0.0),
        ("gini", None, [-1.0, 1.0], math.nan),
        ("gini", None, [math.nan, 1.0], math.nan),
        ("var", None, [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16], 22.5),
        ("sd", None, [5.0] * 7, 0.0),
        ("var", None, [1e200, -1e200], math.inf),
        ("var", None, [1e150, 3e150], 1e300),
        ("var", None, [math.inf, 1.0], math.nan),
        ("mean", None, [1.7e308, 1.7e308], 1.7e308),
        ("min", None, [2.0, math.nan, 1.0], math.nan),
        ("min", None, [0.0, -0.0], 0.0),
        ("max", None, [-0.0], 0.0),
        ("max", None, [1.0, math.inf], math.inf),
    ],
)
def test_aggregates_have_their_known_answers_in_either_order(kernel, op, q, xs, expected):
    answers = {
        repr(run(kernel, text, op, q, order)) for text in (WHOLE, PARTS) for order in (xs, xs[::-1])
    }
    assert len(answers) == 1
    assert float(answers.pop()) == pytest.approx(expected, rel=1e-15, nan_ok=True)


def test_variance_agrees_with_the_statistics_module_to_the_last_digits(kernels):
    xs = [math.sin(i) * 10 ** (i % 7) for i in range(200)]
    got = run(kernels[0], WHOLE, "var", None, xs)
    assert got == pytest.approx(statistics.pvariance(xs), rel=4e-16)


def test_large_columns_are_sorted_and_merged(kernels):
    xs = [(i * 7919 % 1000 - 500) / (i % 3 + 1) for i in range(200)]
    for q in (0.0, 0.31, 1.0):
        answers = {
            run(kernel, text, "quantile", q, xs) for kernel in kernels for text in (WHOLE, PARTS)
        }
        assert answers == {reference("quantile", q, xs)}


def test_over_nobody_counts_and_sums_are_zero_and_the_rest_is_nil(kernel):
    assert [run(kernel, WHOLE, op, 0.5, []) for op in OPS] == [0, 0] + [None] * 8


def test_count_and_share_look_at_truth(kernel):
    values = [True, False, None, 1]
    assert [run(kernel, WHOLE, op, None, values) for op in ("count", "share")] == [2, 0.5]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("new('median')", "unknown aggregate 'median'"),
        ("new('quantile', 1.5)", "quantile(type, value, q): q must be a number from 0 to 1"),
        ("new('quantile')", "q must be a number from 0 to 1"),
        ("add(deps.aggregate.new('sum'), nil)", "a number is needed here, got nil"),
        ("add(deps.aggregate.new('gini'), {})", "a number is needed here, got a table"),
        (
            "merge(deps.aggregate.new('min'), deps.aggregate.new('max'))",
            "cannot merge min with max",
        ),
        ("read('\\1\\1\\1\\1', 1)", "malformed data: not an aggregate"),
        ("read('\\163sum\\0\\192\\0', 1)", "malformed data: not an aggregate"),
        ("read('\\163sum', 1)", "malformed data at byte 5"),
    ],
)
def test_misuse_of_aggregates_is_an_error_that_says_why(kernel, code, message):
    ok, text = kernel.function(f"return pcall(function() deps.aggregate.{code} end)")()
    assert ok is False
    assert message in text.decode()
