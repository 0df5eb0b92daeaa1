"""Idioms that people and models bring from other languages, found in the text itself.

They are looked for before parsing, because most are syntax errors: each is reported with its Lua
form and replaced, at the same length, by something that parses, so that one ``!=`` does not hide
the rest of the file from the other checks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from workers.names import KEYWORDS
from workers.syntax import STRING, from_bytes_text, lower_string


@dataclass(frozen=True)
class Idiom:
    """A stretch of text that is not Lua: ``message`` says why, ``hint`` what to write. ``repaired``
    is false where nothing that parses could be put in its place."""

    start: int
    end: int
    message: str
    hint: str
    repaired: bool = True


_TOKEN: Final = re.compile(
    rf"(?P<skip>--\[(?P<c>=*)\[.*?\](?P=c)\]|--[^\n]*)"
    r"|(?P<block>/\*.*?\*/)"
    rf"|(?P<string>{STRING})"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>0[xX](?:[pP][+-]?\d+|[\w.])*|\.?\d(?:[eE][+-]?\d+|[\w.])*)"
    r"|(?P<letters>[\x80-\xff]+)"
    r"|(?P<op>===|!==|\.\.\.|\.\.=|\*\*=?|<<=|>>=|//=|\|\|=|&&=|\?\?=?"
    r"|[-+*/%^&|]=|\+\+|&&|\|\||!=|=>|->|<>|::|==|~=|<=|>=|<<|>>|//|\.\.|[^\sA-Za-z0-9_])",
    re.DOTALL | re.ASCII,
)
_NUMBER: Final = re.compile(
    r"0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?\d+)?"
    r"|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
)
_BRACKETS: Final = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}

_ASSIGNING: Final = {
    "+=": "+", "-=": "-", "*=": "*", "/=": "/", "%=": "%", "^=": "^", "..=": "..", "|=": "|",
    "&=": "&", "<<=": "<<", ">>=": ">>", "//=": "//", "**=": "^", "||=": "or", "&&=": "and",
    "??=": "or",
}  # fmt: skip

_OPERATORS: Final = {
    "!=": ("~=", "~="), "!==": ("~=", " ~="), "===": ("==", " =="), "<>": ("~=", "~="),
    "&&": ("and", "=="), "||": ("or", "=="), "??": ("or", "=="), "**": ("^", " ^"),
}  # fmt: skip
"""Operator -> what to write, and a binary operator of the same length to parse instead."""

_DECLARING: Final = {"let", "var", "const", "auto", "int", "float", "double", "string", "bool"}
_FUNCTION: Final = {"def", "func", "fn", "fun", "defun"}
_ELSEIF: Final = {"elif", "elsif", "elseif_"}
_BLOCKS: Final = frozenset({"if", "elseif", "else", "while", "for", "function"})
_NOT_ENDING: Final = KEYWORDS - {"end", "nil", "true", "false", "break"}
"""Words after which an expression or statement goes on."""


@dataclass(frozen=True)
class Token:
    """``kind`` is name, number, string, op, block (a C comment) or letters (not ASCII)."""

    kind: str
    text: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """All tokens but comments. What is not Lua comes out as single characters."""
    return [
        Token(match.lastgroup or "", match.group(), match.start(), match.end())
        for match in _TOKEN.finditer(text)
        if match.lastgroup != "skip"
    ]


def ends_operand(token: Token | None) -> bool:
    """Whether an expression can end with that token: what follows is a binary operator or new."""
    if token is None:
        return False
    if token.kind == "name":
        return token.text not in _NOT_ENDING
    return token.kind in ("number", "string") or token.text in (")", "]", "}", "...")


@dataclass(frozen=True)
class Scan:
    """``repaired`` has the length and line breaks of the text. ``declared`` are names that a
    foreign declaration (``let x``) was meant to declare."""

    idioms: list[Idiom]
    repaired: str
    declared: frozenset[str]
    tokens: list[Token]


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.idioms: list[Idiom] = []
        self.patches: list[tuple[int, int, str]] = []
        self.declared: set[str] = set()

    def run(self) -> Scan:
        for at, token in enumerate(self.tokens):
            if token.kind == "op":
                self.operator(at, token)
            elif token.kind == "name":
                self.name(at, token)
            elif token.kind == "number":
                self.number(token)
            elif token.kind == "letters":
                self.letters(token)
            elif token.kind == "block":
                self.report(token, "/* */ is not Lua", "write -- for a comment, or --[[ … ]]")
                self.blank(token.start, token.end)
        repaired = self.text
        if self.patches:
            letters = list(repaired)
            for start, end, patch in self.patches:
                letters[start:end] = patch.ljust(end - start)[: end - start]
            repaired = "".join(letters)
        idioms = sorted(self.idioms, key=lambda idiom: idiom.start)
        return Scan(idioms, repaired, frozenset(self.declared), self.tokens)

    # -- helpers

    def report(self, token: Token, message: str, hint: str, repaired: bool = True) -> None:
        self.idioms.append(Idiom(token.start, token.end, message, hint, repaired))

    def patch(self, token: Token, text: str) -> None:
        self.patches.append((token.start, token.end, text))

    def blank(self, start: int, end: int) -> None:
        self.patches.append((start, end, re.sub(r"[^\n]", " ", self.text[start:end])))

    def token(self, at: int) -> Token | None:
        return self.tokens[at] if 0 <= at < len(self.tokens) else None

    def text_at(self, at: int) -> str:
        token = self.token(at)
        return token.text if token is not None else ""

    def same_line(self, first: Token, second: Token | None) -> bool:
        return second is not None and "\n" not in self.text[first.end : second.start]

    def starts_line(self, token: Token) -> bool:
        line = self.text.rfind("\n", 0, token.start) + 1
        return not self.text[line : token.start].strip()

    def starts_statement(self, at: int) -> bool:
        before = self.token(at - 1)
        if before is None or before.text == ";" or ends_operand(before):
            return True
        return before.text in ("do", "then", "else", "repeat")

    def line_end(self, token: Token) -> int:
        end = self.text.find("\n", token.start)
        return len(self.text) if end < 0 else end

    def left_side(self, at: int) -> str:
        """The variable that ends before token ``at``, as written."""
        first = at
        depth = 0
        while first > 0:
            token = self.tokens[first - 1]
            if not self.same_line(token, self.tokens[first]):
                break
            depth -= _BRACKETS.get(token.text, 0)
            if depth < 0 or (depth == 0 and not self.in_variable(first - 1, first == at)):
                break
            first -= 1
        return self.text[self.tokens[first].start : self.tokens[at].start].strip()

    def in_variable(self, at: int, is_last: bool) -> bool:
        token = self.tokens[at]
        if token.text in (".", "]", "[", ":"):
            return True
        follows_variable = not is_last and self.text_at(at + 1) not in (".", "[", ":")
        return token.kind == "name" and token.text not in KEYWORDS and not follows_variable

    # -- what is looked for

    def operator(self, at: int, token: Token) -> None:
        op = token.text
        if op in _ASSIGNING:
            self.assigning(at, token)
        elif op in _OPERATORS:
            write, patch = _OPERATORS[op]
            self.report(token, f"{op} is not Lua", f"write {write}")
            self.patch(token, patch)
        elif op == "++":
            self.increment(at, token)
        elif op == "!":
            self.report(token, "! is not Lua", "write not")
            self.patch(token, "-")
        elif op == "?":
            self.question(at, token)
        elif op == "`":
            self.report(
                token, "` is not Lua", 'write "a " .. x, or string.format("a %d", x)', False
            )
        elif op in ("=>", "->"):
            self.report(token, f"{op} is not Lua", "write function(x) return … end, or a.b")
            self.patch(token, "==")
        elif op == "//" and self.starts_line(token) and self.starts_statement(at):
            self.report(token, "// does not begin a comment in Lua", "write --")
            self.blank(token.start, self.line_end(token))
        elif op == "#" and self.starts_line(token) and self.starts_statement(at):
            self.report(token, "# does not begin a comment in Lua", "write --")
            self.blank(token.start, self.line_end(token))
        elif op == "{":
            self.brace(at, token)
        elif op == "<" and self.text_at(at + 2) == ">" and self.text_at(at + 1) == "close":
            self.report(token, "<close> is not in this Lua", "write local x = …, without <close>")
            self.blank(token.start, self.tokens[at + 2].end)

    def brace(self, at: int, token: Token) -> None:
        """``if (x) {`` at the end of a line."""
        if self.same_line(token, self.token(at + 1)):
            return
        line: list[Token] = []
        for before in reversed(self.tokens[:at]):
            if not self.same_line(before, token):
                break
            line.insert(0, before)
        while line and line[0].text in ("}", ")"):
            line.pop(0)
        if not line or line[0].text not in _BLOCKS:
            return
        words = {before.text for before in line}
        last = line[-1]
        attached = last.text in (")", "else") or (last.kind == "name" and ends_operand(last))
        if attached and not words & {"then", "do", "return", "="}:
            self.report(
                token,
                "blocks are not written with braces in Lua",
                "write if … then … end, while … do … end, function f(a) … end",
                False,
            )

    def assigning(self, at: int, token: Token) -> None:
        op = _ASSIGNING[token.text]
        left = self.left_side(at)
        cell = left.count(")") > left.count("(")
        form = f"{left} = {left} {op} …" if left and not cell else f"x = x {op} …"
        if cell:
            form += "; a cell of a layer: layer.NAME:add(x, y, …)"
        self.report(token, f"{token.text} is not Lua", f"write {form}")
        self.patch(token, "=".rjust(len(token.text)))

    def increment(self, at: int, token: Token) -> None:
        left, following = self.left_side(at), self.token(at + 1)
        attached = following is not None and following.start == token.end
        if not left and attached and following is not None and following.kind == "name":
            left = following.text
            self.patches.append((token.start, following.end, f"{left}=0"))
        elif (
            following is None
            or not self.same_line(token, following)
            or (following.text in ("end", "else", "elseif", "until", ";"))
        ):
            self.patch(token, "=0")
        else:
            self.patch(token, "")
        self.report(token, "++ is not Lua", f"write {left or 'x'} = {left or 'x'} + 1")

    def question(self, at: int, token: Token) -> None:
        if self.text_at(at + 1) in (".", "["):
            self.report(token, "?. is not Lua", "write a and a.b")
            self.patch(token, "")
            return
        self.report(
            token,
            "a ? b : c is not Lua",
            "write a and b or c (b not nil or false), or if a then … else … end",
        )
        self.patch(token, "+")
        depth, colons = 0, []
        for following in self.tokens[at + 1 : at + 60]:
            depth += _BRACKETS.get(following.text, 0)
            if depth < 0 or not self.same_line(token, following):
                break
            if following.text == ":" and depth == 0:
                colons.append(following)
        spaced = [colon for colon in colons if self.text[colon.start - 1].isspace()]
        if spaced or colons:
            self.patch((spaced or colons)[0], "+")

    def name(self, at: int, token: Token) -> None:
        word = token.text
        following = self.token(at + 1)
        alone = (
            following is None
            or not self.same_line(token, following)
            or (following.text in ("end", "else", "elseif", "until", ";"))
        )
        if word == "continue" and alone and self.starts_statement(at):
            self.report(
                token,
                "continue is not Lua",
                "write goto continue, and ::continue:: before the end of the loop",
            )
            self.patch(token, "do   end")
            return
        if following is None or not self.same_line(token, following):
            return
        if not self.starts_statement(at) or following.kind != "name" or following.text in KEYWORDS:
            if word in _ELSEIF and self.starts_statement(at):
                self.report(token, f"{word} is not Lua", "write elseif … then", False)
            return
        if word in _DECLARING:
            self.report(token, f"{word} does not declare in Lua", "write local")
            self.declared.add(following.text)
            self.patch(token, "local" if word == "const" else "")
        elif word in _FUNCTION:
            self.report(token, f"{word} is not Lua", "write function name(a, b) … end", False)
        elif word in _ELSEIF:
            self.report(token, f"{word} is not Lua", "write elseif … then", False)

    def letters(self, token: Token) -> None:
        shown = from_bytes_text(token.text)
        quotes = any(letter in "“”‘’„«»" for letter in shown)
        self.report(
            token,
            f"{shown} stands outside a text",
            "write plain quotes: \" or '" if quotes else "names consist of a-z, A-Z, 0-9 and _",
        )
        self.patch(token, "_" * len(token.text))

    def number(self, token: Token) -> None:
        text = token.text
        valid = _NUMBER.match(text)
        if valid is not None and valid.end() == len(text):
            return
        rest = text[valid.end() :] if valid is not None else text
        if re.fullmatch(r"[uU]?[lL][lL]|[iI]", rest):
            self.report(
                token,
                f"{text} is a number of LuaJIT's C interface; agents have plain numbers only",
                f"write {text[: -len(rest)]}",
            )
        elif re.fullmatch(r"0[bB][01]+", text):
            self.report(token, f"{text} is not Lua", f"write {int(text[2:], 2)}")
        elif re.fullmatch(r"\d+(?:_\d+)+", text):
            self.report(token, f"{text} is not Lua", f"write {text.replace('_', '')}")
        elif re.fullmatch(r"[fFdDlLuU]|[uU][lL]", rest):
            self.report(token, f"{text} is not Lua", f"write {text[: -len(rest)]}")
        else:
            first = text[: len(text) - len(rest)].removesuffix("." if rest[:1] == "." else "")
            spaced = f"{first} {text[len(first) :]}".replace("..", ".. ")
            self.report(token, f"{text} is not a number", f"write {spaced}, with a space")
        self.patch(token, text[: valid.end()] if valid is not None and valid.end() else "0")


def scan(text: str) -> Scan:
    """Find the foreign idioms of a text (one character per byte) and repair what can be."""
    return _Scanner(text).run()


# --- for the VM's own messages --------------------------------------------------------------------

_LOWERED: Final = {"//": " /", "&": "+", "|": "+", "<<": " +", ">>": " +"}


def lowered(scanned: Scan) -> str:
    """The repaired text with operators of Lua 5.4 replaced, so that the VM can compile it."""
    letters = list(scanned.repaired)
    before: Token | None = None
    listed = tokens(scanned.repaired)
    for at, token in enumerate(listed):
        patch = ""
        if token.text in _LOWERED:
            patch = _LOWERED[token.text]
        elif token.text == "~":
            patch = "+" if ends_operand(before) else "-"
        elif token.text == "<" and at + 2 < len(listed) and listed[at + 1].text == "const":
            end = listed[at + 2].end
            letters[token.start : end] = " " * (end - token.start)
        elif token.kind == "string":
            patch = lower_string(token.text) or ""
        if patch:
            letters[token.start] = patch
            letters[token.start + 1 : token.end] = [""] * (token.end - token.start - 1)
        before = token
    return "".join(letters)
