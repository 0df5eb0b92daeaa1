"""Canonical bytes: what the digest is made of, and what crosses between workers."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_env import VMS, Kernel

VECTORS = json.loads((Path(__file__).parent / "vectors" / "codec.json").read_text())


@pytest.fixture(scope="module", params=VMS)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return Kernel(request.param, "buffer", "codec")


@pytest.fixture(scope="module")
def kernels() -> list[Kernel]:
    return [Kernel(vm, "buffer", "codec", "exact", "aggregate") for vm in VMS]


REWRITE = """
    local value, pos = deps.codec.decode(..., 1)
    assert(pos == #... + 1)
    local w = deps.codec.writer()
    w:value(value)
    return w:result()
"""


def as_number(x: float | int) -> float | int:
    """The msgpack value that stands for a Lua number."""
    negative_zero = x == 0 and math.copysign(1, x) < 0
    whole = abs(x) <= 2**53 and x == int(x)
    return int(x) if whole and not negative_zero else x


def canonical(value: object) -> bytes:
    """The bytes that Lua must write for a value of Python, from the rules of the design alone."""
    if value is None or isinstance(value, bool):
        return msgpack.packb(value)
    if isinstance(value, int | float):
        if isinstance(value, float) and math.isnan(value):
            return b"\xcb\x7f\xf8" + bytes(6)
        return msgpack.packb(as_number(value))
    if isinstance(value, bytes):
        size = len(value)
        head = bytes([0xA0 + size]) if size < 32 else bytes([0xD9, size]) if size < 256 else None
        return (head or struct.pack(">BH", 0xDA, size)) + value
    if isinstance(value, list):
        value = {i: v for i, v in enumerate(value, 1)}
    assert isinstance(value, dict)
    table = {0 if k == 0 else k: v for k, v in value.items() if v is not None}
    if table and set(table) == set(range(1, len(table) + 1)):
        head = msgpack.Packer().pack_array_header(len(table))
        return head + b"".join(canonical(table[i]) for i in range(1, len(table) + 1))
    numbers = sorted(k for k in table if isinstance(k, int | float))
    strings = sorted(k for k in table if isinstance(k, bytes))
    head = msgpack.Packer().pack_map_header(len(table))
    return head + b"".join(canonical(k) + canonical(table[k]) for k in [*numbers, *strings])


finite_key = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats()
    | st.binary(max_size=40)
    | st.binary(min_size=250, max_size=260)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.dictionaries(finite_key | st.binary(max_size=8), inner, max_size=20)
    ),
    max_leaves=30,
)


@given(values)
@settings(max_examples=150)
def test_values_read_from_python_are_written_canonically_on_both_vms(kernels, value):
    packed = msgpack.packb(value)
    answers = [kernel.function(REWRITE)(packed) for kernel in kernels]
    assert answers == [canonical(value)] * 2


@given(st.dictionaries(st.binary(max_size=4) | st.integers(-9, 9), st.integers(0, 9), max_size=40))
@settings(max_examples=60)
def test_the_order_in_which_keys_were_set_leaves_no_trace(kernels, table):
    forwards = msgpack.packb(table)
    backwards = msgpack.packb(dict(reversed(table.items())))
    answers = {kernel.function(REWRITE)(b) for kernel in kernels for b in (forwards, backwards)}
    assert answers == {canonical(table)}


def test_values_have_the_bytes_that_the_protocol_cites(kernel):
    got = {
        v["lua"]: kernel.function(f"""
            local w = deps.codec.writer()
            w:value({v["lua"]})
            return w:result()
        """)().hex()
        for v in VECTORS["values"]
    }
    assert got == {v["lua"]: v["hex"] for v in VECTORS["values"]}


def test_states_have_the_bytes_that_the_protocol_cites(kernel):
    got = {
        v["lua"]: kernel.function(f"""
            local w = deps.codec.writer()
            w:state((function() {v["lua"]} end)(), {{id = true, type = true}})
            return w:result()
        """)().hex()
        for v in VECTORS["states"]
    }
    assert got == {v["lua"]: v["hex"] for v in VECTORS["states"]}


def test_columns_have_the_bytes_that_the_protocol_cites(kernel):
    got = {
        v["lua"]: kernel.function(f"""
            local w = deps.codec.writer()
            deps.codec.column(w, {v["lua"]}, 1, {v["n"]})
            return w:result()
        """)().hex()
        for v in VECTORS["columns"]
    }
    assert got == {v["lua"]: v["hex"] for v in VECTORS["columns"]}


def test_python_reads_every_vector_that_is_a_tree():
    assert [
        msgpack.unpackb(bytes.fromhex(v["hex"]), strict_map_key=False)
        for v in VECTORS["values"][:8]
    ] == [None, False, True, 0, 127, 128, 255, 256]


def test_sharing_and_cycles_inside_a_state_survive(kernel):
    first, second, same, cycle, apart = kernel.function("""
        local codec = deps.codec
        local shared, state = {5, {6}}, {id = 1, type = "a"}
        state.items = {shared, {7}, shared}
        state.best = shared[2]
        state.me = state
        state.pair = {{7}, {7}}
        local w = codec.writer()
        w:state(state, {id = true, type = true})
        local bytes = w:result()
        local back, pos = codec.decode_state(bytes, 1)
        assert(pos == #bytes + 1 and back.id == nil and back.type == nil)
        w:reset()
        w:state(back)
        return bytes, w:result(), back.best == back.items[1][2] and back.items[1] == back.items[3],
          back.me == back, back.pair[1] ~= back.pair[2]
    """)()
    assert first == second
    assert (same, cycle, apart) == (True, True, True)


def test_states_written_one_after_the_other_share_no_numbers(kernel):
    alone, after = kernel.function("""
        local inner = {1}
        local a, b = {x = inner}, {x = inner, y = inner}
        local w = deps.codec.writer()
        w:state(b)
        local alone = w:result()
        w:reset()
        w:state(a)
        local before = w:length()
        for i = 1, 50 do w:state(b) end
        return alone:rep(50), w:result():sub(before + 1)
    """)()
    assert alone == after


def test_many_states_with_inner_tables_are_numbered_afresh(kernel):
    ok = kernel.function("""
        local codec = deps.codec
        local w = codec.writer()
        for i = 1, 9000 do
          local a, b = {i}, {}
          w:state({a = a, b = b, c = {a, b, {}}, again = a, empty = b})
          if i % 3000 == 1 then
            local s = codec.decode_state(w:result(), 1)
            if s.again ~= s.a or s.c[2] ~= s.empty then return false end
          end
          if i % 3000 == 0 then w:reset() end
        end
        return true
    """)()
    assert ok is True


BAD = [
    ("state", "{items = {1, 2, {cb = print}}}", "self.items[3].cb is a function"),
    ("state", "{a = {b = setmetatable({}, {})}}", "self.a.b is a table with a metatable"),
    ("state", "setmetatable({}, {__count = 1})", "self is a read-only list of agents"),
    ("state", "{a = {[{}] = 1}}", "self.a is a table with a table as key"),
    ("state", "{[print] = 1}", "self is a table with a function as key"),
    ("state", "{['odd key'] = print}", 'self["odd key"] is a function'),
    ("state", "{[true] = {[2.5] = print}}", "self[true][2.5] is a function"),
    ("state", "{z = print, a = print, [1] = print}", "self[1] is a function"),
    ("state", "deep(100)", " is nested deeper than 100 tables (does it contain itself?)"),
    ("value", "cycle()", " is nested deeper than 100 tables (does it contain itself?)"),
    ("value", "print", "value is a function"),
    ("value", "coroutine.create(print)", "value is a thread"),
    ("copy", "{cb = print}", "body.cb is a function"),
    ("copy", "{items = {{}, {cb = print}}}", "body.items[2].cb is a function"),
    ("copy", "print", "body is a function"),
    ("copy", "setmetatable({}, {})", "body is a table with a metatable"),
    ("copy", "{ids = setmetatable({}, {__count = 1})}", "body.ids is a read-only list of agents"),
    ("copy", "{[print] = 1}", "body is a table with a function as key"),
    ("copy", "deep(32)", " is nested deeper than 32 tables"),
    ("copy", "cycle()", " is nested deeper than 32 tables (does it contain itself?)"),
    ("copy", "doubling(20)", "body is larger than 10000 values"),
    ("copy", "many(10001)", "body is larger than 10000 values"),
    ("copy", "{('x'):rep(262145)}", "body is larger than 262144 bytes of text"),
    ("copy", "('x'):rep(262145)", "body is larger than 262144 bytes of text"),
]

HELPERS = """
    local function deep(n)
      local t = {}
      for _ = 1, n do t = {d = t} end
      return t
    end
    local function cycle()
      local t = {}
      t.a, t.b, t.c = t, t, t
      return t
    end
    local function doubling(n)
      local t = {1}
      for _ = 1, n do t = {t, t} end
      return t
    end
    local function many(n)
      local t = {}
      for i = 1, n do t[i] = i end
      return t
    end
"""


@pytest.mark.parametrize(("method", "value", "message"), BAD)
def test_what_cannot_be_kept_or_sent_is_named_with_its_path(kernel, method, value, message):
    call = "deps.codec.copy(v)" if method == "copy" else f"deps.codec.writer():{method}(v)"
    if (method, value) == ("value", "cycle()"):
        value = "(function() local t = {} t.t = t return t end)()"
    text = kernel.function(f"""
        {HELPERS}
        local v = {value}
        local ok, err = pcall(function() {call} end)
        assert(not ok)
        return deps.codec.explain(err)
    """)()
    assert message in text.decode()


def test_a_tree_that_doubles_at_each_level_is_refused_before_it_fills_memory(kernels):
    text = kernels[0].function(f"""
        {HELPERS}
        local ok, err = pcall(function() deps.codec.writer():value(doubling(40), "row") end)
        return deps.codec.explain(err)
    """)()
    assert text == b"row is larger than 1000000 values"


def test_explain_knows_only_the_codecs_own_errors(kernel):
    assert kernel.function("""
        local e = deps.codec.explain
        return e("text") == nil and e({}) == nil and e(nil) == nil
    """)()


def test_a_writer_is_usable_after_a_failure_and_a_reset(kernel):
    expected, got = kernel.function("""
        local function write(w) w:reset() w:state({a = 1, b = {c = 2}}) return w:result() end
        local expected = write(deps.codec.writer())
        local w = deps.codec.writer()
        for _ = 1, 3 do
          pcall(function() w:state({a = 1, b = {c = print}}) end)
          pcall(function() w:state({a = 1, [{}] = 2}) end)
        end
        return expected, write(w)
    """)()
    assert expected == got


GOOD = bytes.fromhex(
    "87a161c0a162c2a163cb3ff8000000000000a164ce00010000a16594010203a3787879"
    "a166d9021234a16781a16bd60100000001"
)


def test_every_truncation_of_good_bytes_is_an_error(kernel):
    read = kernel.function("""
        local ok, value = pcall(deps.codec.decode_state, ..., 1)
        return ok, not ok and value or ""
    """)
    assert read(GOOD)[0] is True
    answers = [read(GOOD[:n]) for n in range(len(GOOD))]
    assert [ok for ok, _ in answers] == [False] * len(GOOD)
    assert all(text.startswith(b"malformed data at byte ") for _, text in answers)


@given(st.binary(max_size=60))
@settings(max_examples=200)
def test_any_bytes_are_read_alike_on_both_vms_or_refused_with_a_place(kernels, data):
    answers = [
        kernel.function("""
            local function attempt(f, ...)
              local ok, value = pcall(f, ...)
              if not ok then return value end
              local w = deps.codec.writer()
              w:state({value})
              return w:result()
            end
            local s = ...
            return attempt(deps.codec.decode, s, 1) .. "|" .. attempt(deps.codec.decode_state, s, 1)
              .. "|" .. attempt(deps.codec.read_column, s, 1, {}, 1)
              .. "|" .. attempt(deps.codec.array_header, s, 1)
        """)(data)
        for kernel in kernels
    ]
    assert answers[0] == answers[1]


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@settings(max_examples=150)
def test_a_changed_byte_never_crashes_the_reader(kernels, place, byte):
    data = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    answers = [
        kernel.function("""
            local ok, value = pcall(deps.codec.decode_state, ..., 1)
            return ok, ok and type(value) or value
        """)(data)
        for kernel in kernels
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "it ends too early"),
        ("c1", "byte c1 is not allowed here"),
        ("c70001", "byte c7 is not allowed here"),
        ("d60100000001", "a reference outside an agent's state"),
        ("ddffffffff", "an array of 4294967295 does not fit"),
        ("dfffffffff", "a map of 4294967295 does not fit"),
        ("dbffffffff", "it ends inside a string"),
        ("81c001", "a key that no table can have"),
        ("81cb7ff800000000000001", "a key that no table can have"),
        ("819001", "a key that no table can have"),
        ("82a16101a16102", "a key that was there before"),
        ("cf0020000000000001", "an integer beyond 2^53"),
        ("d3ffdfffffffffffff", "an integer beyond 2^53"),
        ("91" * 101 + "c0", "nested deeper than 100"),
    ],
)
def test_malformed_bytes_say_what_is_wrong(kernel, data, reason):
    ok, text = kernel.function("return pcall(deps.codec.decode, ..., 1)")(bytes.fromhex(data))
    assert ok is False
    assert reason in text.decode()


def test_a_reference_to_a_table_not_yet_met_is_refused(kernel):
    ok, text = kernel.function("return pcall(deps.codec.decode_state, ..., 1)")(
        bytes.fromhex("81a161d60100000002")
    )
    assert (ok, text) == (False, b"malformed data at byte 6: a reference to table 2 of 1")


def test_python_single_precision_floats_are_read(kernel):
    read = kernel.function("return (deps.codec.decode(..., 1))")
    for x in (1.5, -0.375, 2.0**-149, -(2.0**-126), math.inf, 65504.0, 3.4028234663852886e38):
        assert read(b"\xca" + struct.pack(">f", x)) == x
    assert math.isnan(read(b"\xca" + struct.pack(">f", math.nan)))


@given(st.floats() | st.integers(-(2**53), 2**53))
@settings(max_examples=150)
def test_every_double_survives(kernels, x):
    for kernel in kernels:
        got = kernel.function(REWRITE)(msgpack.packb(x))
        assert got == canonical(x)


def test_a_copy_is_equal_deep_and_apart(kernel):
    same, apart, twice, nothing = kernel.function("""
        local codec = deps.codec
        local inner = {1, 2, x = "y"}
        local body = {a = 1, b = {inner, inner}, [true] = false, [2.5] = "z"}
        local copy = codec.copy(body)
        local function bytes(v) local w = codec.writer() w:value(v) return w:result() end
        local same = bytes(copy) == bytes(body)
        inner[1] = 9
        return same, copy.b[1][1] == 1, copy.b[1] ~= copy.b[2], codec.copy(nil) == nil
          and codec.copy(5) == 5 and codec.copy("x") == "x" and codec.copy(false) == false
    """)()
    assert (same, apart, twice, nothing) == (True, True, True, True)


def test_a_body_at_the_limits_is_copied(kernel):
    assert kernel.function(f"""
        {HELPERS}
        local copy = deps.codec.copy
        copy(many(10000)) copy({{('x'):rep(262144)}}) copy(deep(31))
        return true
    """)()


column_values = st.lists(st.floats() | st.integers(-(2**53), 2**53), max_size=30) | st.lists(
    scalars | st.lists(st.integers(0, 9), max_size=3), max_size=30
)


@given(column_values)
@settings(max_examples=100)
def test_columns_come_back_as_they_went(kernels, column):
    expected = b"".join(canonical(v) for v in column)
    answers = {
        kernel.function("""
            local codec = deps.codec
            local s, n = ...
            local t, pos = {}, 1
            for i = 1, n do t[i], pos = codec.decode(s, pos) end
            local w = codec.writer()
            codec.column(w, t, 1, n)
            local idx = deps.buffer.i32(n)
            for i = 1, n do idx[i] = n + 1 - i end
            codec.gather(w, t, idx, n)
            local bytes = w:result()
            local back, again = {}, {}
            local at, count = codec.read_column(bytes, 1, back, 3)
            at, n = codec.read_column(bytes, at, again, 1)
            assert(at == #bytes + 1 and count == n and back[1] == nil and back[n + 3] == nil)
            w:reset()
            for i = 1, n do w:value(back[i + 2]) end
            local straight = w:result()
            w:reset()
            for i = n, 1, -1 do w:value(again[i]) end
            assert(w:result() == straight)
            return bytes .. "|" .. straight
        """)(b"".join(msgpack.packb(v) for v in column), len(column))
        for kernel in kernels
    }
    assert len(answers) == 1
    assert answers.pop().endswith(b"|" + expected)


def test_raw_blocks_are_little_endian_and_come_back(kernel):
    raw, ints, floats = kernel.function("""
        local codec, buffer = deps.codec, deps.buffer
        local w = codec.writer()
        local a, f = buffer.i32(4), buffer.f64(2)
        for i = 0, 4 do a[i] = (i - 2) * 1000000 end
        f[0], f[1], f[2] = 1.5, -2, 1e300
        w:u32(4294967295)
        w:i32s(a, 1, 4)
        w:f64s(f, 0, 3)
        w:raw("end")
        local s = w:result()
        local b, g = buffer.i32(9), buffer.f64(9)
        local n, pos = codec.read_u32(s, 1)
        assert(n == 4294967295)
        pos = codec.read_i32s(s, pos, b, 5, 4)
        pos = codec.read_f64s(s, pos, g, 0, 3)
        assert(s:sub(pos) == "end" and w:length() == #s)
        assert(not pcall(codec.read_i32s, s, #s - 2, b, 1, 1))
        assert(not pcall(codec.read_f64s, s, 5, g, 0, 30))
        assert(not pcall(codec.read_i32s, s, 5, b, 0, -1))
        return s, b[5] + b[8], g[0] + g[1]
    """)()
    assert (
        raw
        == struct.pack("<I4i3d", 2**32 - 1, -(10**6), 0, 10**6, 2 * 10**6, 1.5, -2, 1e300) + b"end"
    )
    assert (ints, floats) == (10**6, -0.5)


def test_array_headers_of_every_size_are_read(kernel):
    header = kernel.function("return deps.codec.array_header(..., 1)")
    packer = msgpack.Packer()
    for n in (0, 15, 16, 65535, 65536, 2**32 - 1):
        data = packer.pack_array_header(n)
        assert header(data) == (n, len(data) + 1)


@given(st.lists(st.floats(allow_nan=False), max_size=300))
@settings(max_examples=40)
def test_numbers_are_sorted_alike_on_both_vms(kernels, numbers):
    numbers = [x + 0.0 for x in numbers]
    expected = sorted(x or 0.0 for x in numbers)
    for kernel in kernels:
        got = kernel.function("""
            local s, n = ...
            local t = {}
            deps.codec.read_column(s, 1, t, 1)
            deps.aggregate.sort(t, n)
            local w = deps.codec.writer()
            w:f64s(t, 1, n)
            return w:result()
        """)(
            b"d" + struct.pack(f"<I{len(numbers)}d", len(numbers), *(x or 0.0 for x in numbers)),
            len(numbers),
        )
        assert list(struct.unpack(f"<{len(numbers)}d", got)) == expected
