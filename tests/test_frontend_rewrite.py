"""Rewritten scripts do what they said, on both VMs, and keep their lines."""

from __future__ import annotations

import math
import operator
from itertools import pairwise

import pytest
from frontend_env import ONE_TYPE, VMS, Script, evaluate, program
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.parametrize("vm", VMS)


def chunk(vm: str, source: str) -> str:
    return program(vm=vm, a=source)["types"][0]["chunk"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 // 2", 3),
        ("-7 // 2", -4),
        ("2 ^ 3 ^ 2", 512),
        ("-2 ^ 2", -4),
        ("2 ^ -1", 0.5),
        ("(#'abc') ^ 2", 9),
        ("-#'ab'", -2),
        ("6 & 3", 2),
        ("6 | 3", 7),
        ("6 ~ 3", 5),
        ("~0", -1),
        ("~~5", 5),
        ("1 << 4", 16),
        ("256 >> 4", 16),
        ("1 | 2 ~ 3 & 2 << 1", 3),
        ("1 << 2 + 1", 8),
        ("'a' .. 1 .. 'b'", "a1b"),
        ("'a' .. 1 + 2 .. 'b'", "a3b"),
        ("1 .. 2 == '12'", True),
        ("not 1 == 2", False),
        ("'x' .. ('y'):rep(2) .. 'z'", "xyyz"),
        ("#{1, 2, #'abc'}", 3),
        (r"'\u{48}\u{e9}\x41\065'", "HéAA"),
        (r"'\\u{48}'", "\\u{48}"),
        ("[==[\\u{48}]]]==]", "\\u{48}]]"),
        ("0x1F + 1e2 + .5", 131.5),
    ],
)
def test_expressions_have_the_values_of_lua_5_4(vm: str, expression: str, value: object) -> None:
    assert evaluate(vm, expression) == value


_LEVELS = [
    ["|"], ["~"], ["&"], ["<<", ">>"], ["+", "-"], ["*", "//", "%"],
]  # fmt: skip
_PYTHON = {
    "|": operator.or_, "~": operator.xor, "&": operator.and_, "<<": operator.lshift,
    ">>": operator.rshift, "+": operator.add, "-": operator.sub, "*": operator.mul,
    "//": operator.floordiv, "%": operator.mod,
}  # fmt: skip


def _by_precedence(numbers: list[int], operators: list[str], level: int = 0) -> int:
    """The value as Lua's table of precedences gives it, all operators to the left."""
    if level == len(_LEVELS):
        return numbers[0]
    at = [i for i, op in enumerate(operators) if op in _LEVELS[level]]
    bounds = [-1, *at, len(operators)]
    parts = [
        _by_precedence(numbers[a + 1 : b + 1], operators[a + 1 : b], level + 1)
        for a, b in pairwise(bounds)
    ]
    value = parts[0]
    for i, part in zip(at, parts[1:], strict=True):
        value = _PYTHON[operators[i]](value, part)
    return value


@settings(max_examples=60)
@given(
    numbers=st.lists(st.integers(1, 6), min_size=2, max_size=7),
    data=st.data(),
)
def test_operators_bind_as_the_manual_says(
    vm: str, numbers: list[int], data: st.DataObject
) -> None:
    count = len(numbers) - 1
    operators = data.draw(
        st.lists(st.sampled_from(sorted(_PYTHON)), min_size=count, max_size=count)
    )
    # Non-negative shifts and bit operands keep both sides within what the stubs compute alike.
    try:
        expected = _by_precedence(numbers, operators)
    except (ValueError, ZeroDivisionError):
        return
    if abs(expected) > 2**31 or "-" in operators or operators.count("<<") > 2:
        return
    text = str(numbers[0])
    for op, number in zip(operators, numbers[1:], strict=True):
        text += f" {op} {number}"
    found = evaluate(vm, text)
    assert found == expected, text


def test_a_call_at_the_end_of_a_concatenation_gives_one_value(vm: str) -> None:
    script = Script(
        vm,
        "local function two() return 'b', 'c' end\nfunction step(self) return 'a' .. two() end\n",
    )
    assert script.step() == "ab"


def test_concatenated_varargs_give_one_value(vm: str) -> None:
    script = Script(
        vm,
        "local function join(...) return 'a' .. ... end\n"
        "function step(self) return join('b', 'c') end\n",
    )
    assert script.step() == "ab"


def test_every_line_stays_where_it_was(vm: str) -> None:
    source = (
        "local K <const> = 2 -- a constant\n"
        "function step(self)\n"
        "  send(1, 'ping', {\n"
        "    price = K //\n"
        "      2, -- half\n"
        "    qty = (3),\n"
        "  })\n"
        "  local x = nil + 1\n"
        "end\n"
        "function on.ping(self) end\n"
    )
    made = chunk(vm, source)
    assert made.count("\n") == source.count("\n")
    script = Script(vm, source)
    with pytest.raises(script.error, match=r"agents/a\.lua:8: "):
        script.step()


@pytest.mark.parametrize(
    "body",
    [
        "while true do end",
        "repeat until false",
        "for i = 1, 1 / 0 do end",
        "for k in function() return 1 end do end",
        "::top:: goto top",
        "local function f() return f() end f()",
        "local f f = function() return f() end f()",
        "while true do pcall(step, self) end",
        "while true do goto continue ::continue:: end",
    ],
)
def test_every_way_to_run_for_ever_runs_out_of_fuel(vm: str, body: str) -> None:
    script = Script(vm, f"function step(self) {body} end\n")
    with pytest.raises(script.error, match="out of fuel"):
        script.step()


def test_fuel_counts_loop_turns_function_entries_and_gotos(vm: str) -> None:
    script = Script(
        vm,
        "local function helper() end\n"
        "function step(self)\n"
        "  for i = 1, 10 do helper() end\n"
        "  while false do end\n"
        "  repeat local done = true until done\n"
        "  goto out ::out::\n"
        "end\n",
        fuel=100,
    )
    script.step()
    assert script.fuel == 100 - (1 + 10 + 10 + 1 + 1)


def test_names_of_the_fuel_check_do_not_reach_the_script(vm: str) -> None:
    script = Script(
        vm, "function step(self) local q = 5 for i = 1, 2 do q = q + 1 end return q end\n"
    )
    assert script.step() == 7


def test_goto_continue_works_as_in_lua_5_4(vm: str) -> None:
    script = Script(
        vm,
        "function step(self)\n"
        "  local sum = 0\n"
        "  for i = 1, 5 do\n"
        "    if i % 2 == 0 then goto continue end\n"
        "    local twice = i * 2\n"
        "    sum = sum + twice\n"
        "    ::continue::\n"
        "  end\n"
        "  return sum\n"
        "end\n",
    )
    assert script.step() == 18


HANDLERS = "function on.ping(self) end\nfunction on.pay(self, msg) end\n"


def sends(vm: str, body: str) -> list[list[object]]:
    source = (
        f"local function f() return 7, 8 end\nf()\nfunction step(self)\n{body}\nend\n{HANDLERS}"
    )
    script = Script(vm, source)
    script.step()
    return script.sends


@pytest.mark.parametrize(
    ("call", "noted"),
    [
        ("send(2, 'ping')", ["S1", 1, 2]),
        ("send(2, 'ping', {})", ["S1", 1, 2]),
        ("send(2, 'ping', {}, 3)", ["S1", 2, 2, 3]),
        ("send(f(), 'ping')", ["S1", 1, 7]),
        ("send(2, 'pay', {amount = 5})", ["S1", 2, 2, 5]),
        ("send(2, 'pay', {amount = f()})", ["S1", 2, 2, 7]),
        ("send(2, 'pay', {amount = f(), note = 'x'}, f())", ["S1", 4, 2, 7, "x", 7]),
        ("send(2, 'pay', {['amount'] = 1 .. f(); note = nil})", ["S1", 3, 2, "17", None]),
        ('send(2, "pay", {amount = 5 // 2 + #"ab",})', ["S1", 2, 2, 4]),
        ("broadcast('a', 'pay', {amount = 1})", ["B1", 2, "a", 1]),
        ("after(4, 'pay', {amount = f()})", ["T1", 2, 4, 7]),
        ("after(f(), 'ping')", ["T1", 1, 7]),
        ("send(2, [[pay]], { -- why\n amount = 1,\n -- more\n note = 2 })", ["S1", 3, 2, 1, 2]),
    ],
)
def test_a_send_with_kind_and_keys_written_out_becomes_a_column_send(
    vm: str, call: str, noted: list[object]
) -> None:
    assert sends(vm, call) == [noted]


@pytest.mark.parametrize(
    "call",
    [
        "send(2, 'pay', {items = {1}})",
        "send(2, 'pay', {5})",
        "send(2, 'pay', {[1] = 5})",
        "send(2, 'pay', {amount = 1, amount = 2})",
        "local body = {} send(2, 'pay', body)",
        "local kind = 'pay' send(2, kind, {amount = 1})",
        "local send = send send(2, 'pay', {amount = 1})",
        "send(2, 'pay', {" + ", ".join(f"k{i} = {i}" for i in range(17)) + "})",
    ],
)
def test_any_other_send_stays_a_call_with_a_body(vm: str, call: str) -> None:
    assert [note[0] for note in sends(vm, call)] == ["send"]


def test_shapes_are_numbered_by_first_appearance_and_shared_by_all_senders(vm: str) -> None:
    toml = ONE_TYPE + "[agents.b]\ncount = 1\n"
    a = (
        "function step(self)\n"
        "  send(1, 'pay', {amount = 1, note = 2})\n"
        "  broadcast('a', 'ping')\n"
        "  after(1, 'pay', {note = 1, amount = 2})\n"
        "end\n" + HANDLERS
    )
    b = "function step(self) broadcast('a', 'pay', {amount = 1, note = 2}) send(1, 'ping') end\n"
    made = program(toml, vm, a=a, b=b)
    assert made["shapes"] == [
        {"kind": "pay", "keys": ["amount", "note"]},
        {"kind": "ping", "keys": []},
        {"kind": "pay", "keys": ["note", "amount"]},
    ]
    assert "__B1(" in made["types"][1]["chunk"]
    assert "__S2(" in made["types"][1]["chunk"]


def test_more_shapes_than_a_function_has_upvalues_still_compile(vm: str) -> None:
    calls = "\n".join(f"  send(1, 'pay', {{k{i} = 1}})" for i in range(90))
    again = "\n".join(f"  send(1, 'pay', {{k{i} = 1}})" for i in range(90))
    script = Script(vm, f"function step(self)\n{calls}\n{again}\nend\n{HANDLERS}")
    script.step()
    assert [note[0] for note in script.sends] == [f"S{i}" for i in range(1, 91)] * 2


def test_a_script_may_have_a_byte_order_mark_and_crlf_lines(vm: str) -> None:
    script = Script(vm, "\ufefflocal x = 1\r\nfunction step(self)\r\n  return x .. 'é'\r\nend\r\n")
    assert script.step() == "1é"


def test_an_empty_script_compiles(vm: str) -> None:
    assert program(vm=vm, a="")["types"][0]["chunk"] == "local __R=... "


def test_numbers_reach_the_vm_as_written(vm: str) -> None:
    assert evaluate(vm, "0x.8p1") == 1
    assert math.isinf(evaluate(vm, "1e400"))
