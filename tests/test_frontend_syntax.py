"""Scripts that do not parse, and habits from other languages: place, marked text, reason, cure."""

from __future__ import annotations

import pytest
from frontend_env import VMS, check, in_step, marked, said


@pytest.mark.parametrize(
    ("body", "text", "reason", "cure"),
    [
        ("if self.x != 1 then end", "!=", "!= is not Lua", "write ~="),
        ("if self.x !== 1 then end", "!==", "!== is not Lua", "write ~="),
        ("if self.x === 1 then end", "===", "=== is not Lua", "write =="),
        ("if self.x <> 1 then end", "<>", "<> is not Lua", "write ~="),
        ("if self.x && self.y then end", "&&", "&& is not Lua", "write and"),
        ("if self.x || self.y then end", "||", "|| is not Lua", "write or"),
        ("if !self.x then end", "!", "! is not Lua", "write not"),
        ("self.x += 1", "+=", "+= is not Lua", "write self.x = self.x + …"),
        ("self.x -= 1", "-=", "-= is not Lua", "write self.x = self.x - …"),
        ("self.t[1].n *= 2", "*=", "*= is not Lua", "write self.t[1].n = self.t[1].n * …"),
        ("self.s ..= 'a'", "..=", "..= is not Lua", "write self.s = self.s .. …"),
        ("self.x++", "++", "++ is not Lua", "write self.x = self.x + 1"),
        ("local i = 0 ++i", "++", "++ is not Lua", "write i = i + 1"),
        ("self.x = 2 ** 3", "**", "** is not Lua", "write ^"),
        ("self.x = self.y ?? 3", "??", "?? is not Lua", "write or"),
        ("self.x = self.y?.z", "?", "?. is not Lua", "write a and a.b"),
        ("// a comment", "//", "// does not begin a comment in Lua", "write --"),
        ("# a comment", "#", "# does not begin a comment in Lua", "write --"),
        (
            "/* a comment */",
            "/* a comment */",
            "/* */ is not Lua",
            "write -- for a comment, or --[[ … ]]",
        ),
        ("let x = 1 self.x = x", "let", "let does not declare in Lua", "write local"),
        ("const x = 1 self.x = x", "const", "const does not declare in Lua", "write local"),
        ("self.x = 0b101", "0b101", "0b101 is not Lua", "write 5"),
        ("self.x = 1_000", "1_000", "1_000 is not Lua", "write 1000"),
        ("self.x = 1..2", "1..2", "1..2 is not a number", "write 1 .. 2, with a space"),
        ("self.x = 1return", "1return", "1return is not a number", "write 1 return, with a space"),
        ("self.x = 1.5f", "1.5f", "1.5f is not Lua", "write 1.5"),
        (
            "self.x = 1LL",
            "1LL",
            "1LL is a number of LuaJIT's C interface; agents have plain numbers only",
            "write 1",
        ),
        (
            "self.x = 2i",
            "2i",
            "2i is a number of LuaJIT's C interface; agents have plain numbers only",
            "write 2",
        ),
        (
            "self.x = 7ULL",
            "7ULL",
            "7ULL is a number of LuaJIT's C interface; agents have plain numbers only",
            "write 7",
        ),
        (
            "local x <close> = self",
            "<",
            "<close> is not in this Lua",
            "write local x = …, without <close>",
        ),
        ("self.é = 1", "é", "é stands outside a text", "names consist of a-z, A-Z, 0-9 and _"),
        ("self.x = “a”", "“", "“ stands outside a text", "write plain quotes: \" or '"),
        ("self.x = `a`", "`", "` is not Lua", 'write "a " .. x, or string.format("a %d", x)'),
    ],
)
def test_a_foreign_idiom_is_answered_with_the_lua_form(
    body: str, text: str, reason: str, cure: str
) -> None:
    one = next(found for found in in_step(body) if found.line == 2)
    assert (one.code, marked(one), one.message, one.hint) == ("idiom", text, reason, cure)


def test_a_conditional_expression_is_recognised_and_its_parts_checked() -> None:
    found = in_step("self.x = self.y ? 1 : nul")
    assert said(found) == [(2, "idiom", "?"), (2, "undeclared", "nul")]
    assert found[0].hint.startswith("write a and b or c")


def test_continue_is_answered_with_goto() -> None:
    (one,) = in_step("for i = 1, 3 do if i == 2 then continue end end")
    assert (one.code, marked(one)) == ("idiom", "continue")
    assert one.hint == "write goto continue, and ::continue:: before the end of the loop"


@pytest.mark.parametrize(
    ("body", "text", "cure"),
    [
        ("if (self.x) {\n self.y = 1\n}", "{", "if … then … end"),
        ("while (self.x > 0) {\n self.x = 1\n}", "{", "while … do … end"),
        ("if self.x then\n self.y = 1\nelif self.z then\n self.y = 2\nend", "elif", "elseif"),
        ("def helper(a):\n  self.y = 1", "def", "function name(a, b)"),
    ],
)
def test_a_foreign_block_is_reported_alone(body: str, text: str, cure: str) -> None:
    (one,) = in_step(body)
    assert (one.code, marked(one)) == ("idiom", text)
    assert cure in one.hint


def test_what_looks_foreign_but_is_lua_passes() -> None:
    body = """
    local s = "a != b && c += 1 // x" -- x != y, continue
    --[[ x ? y : z ]]
    for i = 1, 3 do
      if i == 2 then goto continue end
      local let = i // 1 ~ 2
      self.x = let ~= 3 and #s or
        #s
      ::continue::
    end
    local continue = s
    self.y = (continue):rep(2)
    """
    assert in_step(body) == []


@pytest.mark.parametrize("vm", VMS)
@pytest.mark.parametrize(
    ("body", "line", "words", "cure"),
    [
        ("if self.x = 1 then end", 2, "'then' expected near '='", "compare with =="),
        ("  if self.x then\n    self.y = 1", 2, "'end' expected", "this 'if' seems to have no end"),
        ("self.t = {price: 3}", 2, "", "write {name = value}"),
        ("self.x = = 1", 2, "unexpected symbol near '='", ""),
        ("self.x = (1 + 2", 3, "')' expected", ""),
        ("self.x = 'abc", 2, "unfinished string", "close the quote"),
        ("self.x = 'a\\qb'", 2, "invalid escape", "backslash"),
        ("break", 2, "break", "only inside a loop"),
        ("goto nowhere", 2, "nowhere", "::continue::"),
        ("local end = 3", 2, "expected near 'end'", "words cannot be names"),
        ("self.x = ...", 2, "vararg", "function f(...)"),
        ("self.x\nself.y = 1", 3, "", "assignment or a call"),
        ("self.x--", 3, "", ""),
    ],
)
def test_a_syntax_error_has_the_words_of_the_vm_and_a_cure(
    vm: str, body: str, line: int, words: str, cure: str
) -> None:
    (one,) = in_step(body, vm)
    assert (one.code, one.line) == ("syntax", line)
    assert words in one.message
    assert cure in one.hint


@pytest.mark.parametrize("vm", VMS)
def test_a_call_whose_bracket_stands_on_the_next_line_is_refused_by_both_vms(vm: str) -> None:
    (one,) = in_step("local x = log\n(self.y)", vm)
    assert (one.code, one.line) == ("syntax", 3)
    assert "ambiguous" in one.message
    assert one.hint == "put the ( on the line of the function, or a ; before it"


def test_each_function_reports_its_own_syntax_error_and_the_rest_is_checked() -> None:
    found = check(
        a="local K = 1\n"
        "function init(self)\n"
        "  if self.x then\n"
        "    self.y = K\n"
        "end\n"
        "function on.ping(self)\n"
        "  self.x = = 2\n"
        "end\n"
        "function helper() return 1 end\n"
        "function step(self)\n"
        "  send(self.id, 'ping')\n"
        "  self.z = helper() + foo\n"
        "end\n",
    )
    assert said(found) == [(3, "syntax", "if"), (7, "syntax", "="), (12, "undeclared", "foo")]


def test_an_else_if_that_opens_another_block_is_named() -> None:
    (one,) = in_step("if self.x then\n  self.y = 1\nelse if self.z then\n  self.y = 2\nend")
    assert "elseif" in one.hint
