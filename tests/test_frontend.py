"""The program that a clean model gives, and findings as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from frontend_env import ONE_TYPE, VMS, check, compile_text, program, read, said

from runtime.model import read_model
from workers.frontend import compile_model

MODELS = Path(__file__).parents[1] / "models"

MARKET = """\
name = "market"
[parameters]
traders = 10
[agents.trader]
count = "traders * 2"
state = { side = "i % 2 == 0 and 'buy' or 'sell'", cash = 100 }
[agents.bank]
count = 1
name = "bank"
[metrics]
cash = "sum(trader, self.cash)"
rich = { value = "share(trader, self.cash ^ 2 > 100)", every = 5 }
[stop]
when = "cash == 0"
[invariants]
money = "cash + mail('pay', msg.amount) == 100 * traders"
"""
TRADER = """\
function init(self)
  self.limit = 5
end

function on.quote(self, msg, from)
  record("quotes", msg.price)
  local sent = message()
  if sent and msg.price < self.limit then send("bank", "pay", {amount = msg.price}) end
end
"""
BANK = """\
function on.pay(self, msg, from)
  self.held = (self.held or 0) + msg.amount
end

function step(self)
  broadcast("trader", "quote", {price = random(10)}, 2)
end
"""


@pytest.mark.parametrize("vm", VMS)
def test_a_clean_model_gives_its_program(vm: str) -> None:
    made = program(MARKET, vm, trader=TRADER, bank=BANK)
    chunks = [entry.pop("chunk") for entry in made["types"]]
    assert made == {
        "kinds": ["pay", "quote"],
        "shapes": [
            {"kind": "pay", "keys": ["amount"]},
            {"kind": "quote", "keys": ["price"]},
        ],
        "types": [
            {
                "name": "trader",
                "alias": "",
                "chunkname": "@agents/trader.lua",
                "handlers": ["quote"],
                "has_step": False,
                "state": [
                    {"field": "side", "code": "i % 2 == 0 and 'buy' or 'sell'", "line": 6},
                    {"field": "cash", "code": "100", "line": 6},
                ],
                "count": {"field": "count", "code": "traders * 2", "line": 5},
                "place": "",
                "place_at": [],
                "publish": [],
            },
            {
                "name": "bank",
                "alias": "bank",
                "chunkname": "@agents/bank.lua",
                "handlers": ["pay"],
                "has_step": True,
                "state": [],
                "count": {"field": "count", "code": "1", "line": 8},
                "place": "",
                "place_at": [],
                "publish": [],
            },
        ],
        "records": ["quotes"],
        "expressions": [
            {
                "name": "cash", "role": "metric", "every": 1, "line": 11, "code": "__A[1]",
                "aggregates": [
                    {"op": "sum", "type": "trader", "value": "self.cash", "condition": "",
                     "q": 0.0, "mail": ""},
                ],
            },
            {
                "name": "rich", "role": "metric", "every": 5, "line": 12, "code": "__A[1]",
                "aggregates": [
                    {"op": "share", "type": "trader", "value": "__P(self.cash , 2) > 100",
                     "condition": "", "q": 0.0, "mail": ""},
                ],
            },
            {
                "name": "money", "role": "invariant", "every": 1, "line": 16,
                "code": "cash + __A[1] == 100 * traders",
                "aggregates": [
                    {"op": "mail", "type": "", "value": "msg.amount", "condition": "",
                     "q": 0.0, "mail": "pay"},
                ],
            },
            {
                "name": "stop", "role": "stop", "every": 1, "line": 14, "code": "cash == 0",
                "aggregates": [],
            },
        ],
        "environment": None,
        "environment_fuel": 1_000_000,
        "space": None,
        "layers": [],
        "network": None,
        "by_type": [],
    }  # fmt: skip
    assert [compile_text(vm)(chunk, "=x") for chunk in chunks] == [None, None]


@pytest.mark.parametrize("folder", sorted(MODELS.iterdir()), ids=lambda path: path.name)
@pytest.mark.parametrize("vm", VMS)
def test_nothing_is_found_in_the_library_models(vm: str, folder: Path) -> None:
    files = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.suffix in (".toml", ".lua", ".csv")
    }
    model, found = read_model(folder.name, files)
    assert found == []
    assert model is not None
    assert compile_model(model, compile_text(vm))[1] == []


def test_findings_of_all_files_come_at_once_sorted_by_place() -> None:
    toml = ONE_TYPE + '[agents.b]\ncount = "n"\n[metrics]\nx = "sum(c, self.id)"\n'
    found = check(
        toml,
        a="function step(self)\n  self.x += foo\n  sendd(self.id)\nend\n"
        "function on.ping(self) end\n",
        b="local n = 0\nfunction step(self) n = n + 1 end\n",
    )
    assert [(one.severity, one.file, one.line, one.code) for one in found] == [
        ("error", "agents/a.lua", 2, "idiom"),
        ("error", "agents/a.lua", 2, "undeclared"),
        ("error", "agents/a.lua", 3, "undeclared"),
        ("warning", "agents/a.lua", 5, "unsent"),
        ("error", "agents/b.lua", 2, "shared"),
        ("error", "model.toml", 5, "expression"),
        ("error", "model.toml", 7, "expression"),
    ]


def test_warnings_alone_do_not_keep_a_model_from_running() -> None:
    model = read(a="function on.ping(self) end\n")
    made, found = compile_model(model, compile_text())
    assert made is not None
    assert [one.severity for one in found] == ["warning"]


def test_an_excerpt_shows_the_line_and_marks_the_place_in_characters() -> None:
    (one,) = check(a='function step(self)\n\tself.x = "é" .. nul\nend\n')
    assert one.excerpt == '   2 |  self.x = "é" .. nul\n     |                  ^^^'


def test_a_long_line_is_cut_around_the_place() -> None:
    (one,) = check(a=f"function step(self) self.x = {'1 + ' * 60}nul end\n")
    line, carets = one.excerpt.split("\n")
    assert len(line) <= 110
    assert line[carets.index("^") :].startswith("nul")


@pytest.mark.parametrize("vm", VMS)
def test_scripts_of_any_text_are_refused_with_a_finding_not_an_exception(vm: str) -> None:
    for text in (
        "\x1bLua", "\x00", "end", "]]", '"', "--[[", "[==[", "function", "x = {", ")", "é = 1",
        "for", "if x then else if", "local function", "return return", "goto", "::a", "1", "...",
        "function on.x(self", "\ud800", "x = 'a\nb'", "”x“ = 1", "a.b.c", "f(", "=", "??", "a?b:c",
    ):  # fmt: skip
        found = check(vm=vm, a=text)
        assert any(one.severity == "error" and one.line >= 1 for one in found), text
        assert all(one.message for one in found), text
        found = check(vm=vm, a="", environment=text)
        assert any(one.severity == "error" and one.line >= 1 for one in found), text


def test_deep_nesting_is_refused_by_name() -> None:
    found = check(a="function step(self) self.x = " + "(" * 300 + "1" + ")" * 300 + " end\n")
    assert said(found)[0][:2] == (1, "depth")
    found = check(a="function step(self) self.x = " + "'a' .. " * 160 + "'b' end\n")
    assert found == []


def test_a_script_beyond_a_limit_of_the_vm_is_refused_with_its_words() -> None:
    names = "".join(f"local a{i} = {i}\n" for i in range(230))
    (one,) = check(a=names + "function step(self) self.x = a1 end\n")
    assert (one.file, one.code) == ("agents/a.lua", "syntax")
    assert "200 local variables" in one.message
    assert one.hint == "put constants into one table"


def test_without_the_vm_syntax_errors_are_still_found() -> None:
    model = read(a="function step(self)\n  self.x = = 1\nend\n")
    made, found = compile_model(model)
    assert made is None
    assert [(one.line, one.code) for one in found] == [(2, "syntax")]
