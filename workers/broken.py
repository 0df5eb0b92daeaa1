"""Syntax errors: the VM's words, the place, and the cure.

A VM stops at its first error, and a forgotten ``end`` makes it complain at the end of the file. So
a file that does not compile is compiled again in *segments*, from one top-level function to the
next: each segment has an error of its own, and a forgotten ``end`` is reported in the function that
lacks it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from workers.findings import Findings
from workers.foreign import Scan, Token, lowered
from workers.names import KEYWORDS
from workers.syntax import Tree, from_bytes_text

CompileText = Callable[[str, str], str | None]
"""(source, chunk name) -> the VM's message if the source does not compile."""

_SAID: Final = re.compile(r"^.*?:(\d+): (.*)$", re.DOTALL)
_ELSEWHERE: Final = re.compile(r"<(?:break|goto)\b[^>]*>.*? at line (\d+)")
"""Lua 5.2 notices these at the end of the function."""
_NEAR: Final = re.compile(r" near '?(.*?)'?$", re.DOTALL)
_OPENERS: Final = frozenset({"function", "if", "do", "repeat"})

_PAIR: Final = r"[{,]\s*(?:\w+|\"[^\"]*\"|'[^']*')\s*:(?!:|\s*\w+\s*[({\"'\[])"
"""``{price: 3}``, but not the method call of ``{a:price()}``."""

_HINTS: Final[tuple[tuple[str, str, str], ...]] = (
    # (pattern of the VM's reason, pattern of the source line or "", what to write)
    (r"near '='$", r"\b(?:if|elseif|while|until)\b", "compare with ==; = only assigns"),
    (
        r"near '='$|near ','$",
        r"\blayer\.\w+\s*[(\[]",
        "a cell is changed with layer.NAME:set(x, y, v) or layer.NAME:add(x, y, v)",
    ),
    (r"near '[{}]'", "", "blocks are written then … end, do … end, not with braces"),
    (r"", _PAIR, "in a table write {name = value}"),
    (
        r"near ':'|unexpected symbol|expected",
        r":\s*(?:--.*)?$",
        "no colon: then, do, function … end",
    ),
    (r"'then' expected", "", "write if condition then … end"),
    (r"'do' expected", "", "write while condition do … end, for i = 1, n do … end"),
    (r"'=' or 'in' expected", "", "write for i = 1, n do … end, or for i, x in ipairs(t) do … end"),
    (r"", r"^\s*[\w.\[\]]+\s*--\s*$", "x-- is not Lua; write x = x - 1"),
    (r"", r"\w\s*//\s*\w+ \w+", "// divides in Lua; a comment begins with --"),
    (r"unfinished string", "", "close the quote on the same line, or write [[…]]"),
    (r"unfinished long", "", "close it with ]]"),
    (r"invalid escape", "", r"write \\ for a backslash"),
    (
        r"'<?eof>?' expected near 'end'",
        "",
        "there is one end too many, or a then or do is missing above",
    ),
    (r"'<?eof>?' expected", "", "a block above ends too early: count its end words"),
    (r"undefined label|no visible label", "", "write ::continue:: as the last line of the loop"),
    (
        r"jumps into the scope",
        "",
        "put the label last in its block, or locals between into do … end",
    ),
    (r"break.*outside|not inside a loop|no loop to break", "", "break stands only inside a loop"),
    (r"outside a vararg", "", "name the parameters, or write function f(...)"),
    (r"ambiguous syntax", "", "put the ( on the line of the function, or a ; before it"),
    (r"malformed number", "", "write numbers as 10, 0.5, 1e-3 or 0xff"),
    (r"too many local|local variables", "", "put constants into one table"),
    (r"upvalues", "", "put constants into one table"),
    (r"function arguments expected", "", "write a:method(x), or a.field"),
    (r"'?<name>'? expected", "", "a name is needed here; Lua's own words cannot be names"),
    (r"'=' expected|syntax error near", "", "a statement is an assignment or a call: x = …, f(…)"),
)


_STARTS: Final = ("function", "on", "query")


@dataclass(frozen=True)
class _Segment:
    start: int
    end: int


def blank_broken(
    scanned: Scan, tree: Tree, findings: Findings, compile_text: CompileText | None
) -> tuple[str, list[Token]]:
    """Report the syntax errors of a file that does not parse or compile.

    Returns the repaired text with the broken segments blanked, so that the rest can be checked, and
    the tokens of these segments, whose definitions the rest may refer to.
    """
    segments = _segments(scanned)
    broken = (
        _by_tree(scanned, tree, segments, findings)
        if compile_text is None
        else _by_vm(scanned, tree, segments, findings, compile_text)
    )
    text = scanned.repaired
    lost: list[Token] = []
    for segment in broken:
        inside = text[segment.start : segment.end]
        text = text[: segment.start] + re.sub(r"[^\n]", " ", inside) + text[segment.end :]
        lost += [t for t in scanned.tokens if segment.start <= t.start < segment.end]
    return text, lost


def _segments(scanned: Scan) -> list[_Segment]:
    """Stretches between ``function``, ``local function`` and the like at the left margin."""
    text = scanned.repaired
    following = [*scanned.tokens[1:], Token("", "", len(text), len(text))]
    starts = [
        token.start
        for token, after in zip(scanned.tokens, following, strict=False)
        if (token.start == 0 or text[token.start - 1] == "\n")
        and (token.text in _STARTS or (token.text, after.text) == ("local", "function"))
    ]
    bounds = sorted({0, *starts, len(text)})
    return [_Segment(a, b) for a, b in pairwise(bounds)]


def _by_vm(
    scanned: Scan,
    tree: Tree,
    segments: list[_Segment],
    findings: Findings,
    compile_text: CompileText,
) -> list[_Segment]:
    source = lowered(scanned)
    name = f"@{findings.file}"
    whole = compile_text(from_bytes_text(source), name)
    if whole is None:
        return _by_tree(scanned, tree, segments, findings)
    failed: list[_Segment] = []
    for segment in segments:
        above = "\n" * source.count("\n", 0, segment.start)
        said = compile_text(from_bytes_text(above + source[segment.start : segment.end]), name)
        if said is not None:
            failed.append(segment)
            _report(scanned, segment, findings, said)
    if not failed:
        failed = [_Segment(0, len(source))]
        _report(scanned, failed[0], findings, whole)
    return failed


def _by_tree(
    scanned: Scan, tree: Tree, segments: list[_Segment], findings: Findings
) -> list[_Segment]:
    """Without the VM, or where it reads what the parser does not: the parser's own errors."""
    failed: list[_Segment] = []
    for segment in segments:
        # What is missing at the end of the text has an offset behind the last segment.
        last = segment.end == len(scanned.repaired)
        inside = [
            node
            for node in tree.errors
            if segment.start <= node.start < segment.end or (last and node.start >= segment.end)
        ]
        if inside:
            failed.append(segment)
            node = inside[0]
            line = tree.line(node.start)
            if not _has_idiom(scanned, line):
                shown = from_bytes_text(tree.slice(node).split("\n")[0].strip()[:30])
                near = f" near '{shown}'" if shown else ""
                findings.at(
                    line, tree.column(node.start), node.end - node.start,
                    "syntax", f"syntax error{near}", "",
                )  # fmt: skip
    if not failed:
        findings.at(1, 0, 1, "syntax", "syntax error: a string or comment is not closed", "")
        failed = [_Segment(0, len(tree.text))]
    return failed


def _has_idiom(scanned: Scan, line: int) -> bool:
    """An idiom on that line has been reported and is the likely cause."""
    text = scanned.repaired
    return any(text.count("\n", 0, idiom.start) + 1 == line for idiom in scanned.idioms)


def _report(scanned: Scan, segment: _Segment, findings: Findings, said: str) -> None:
    match = _SAID.match(said)
    line, reason = (int(match[1]), match[2]) if match else (1, said)
    elsewhere = _ELSEWHERE.search(reason)
    if elsewhere is not None:
        line = int(elsewhere[1])
    near = _NEAR.search(reason)
    at_end = near is not None and near[1] in ("<eof>", "eof")
    if at_end:
        # The last line of the segment that holds anything, not the blank ones below it.
        kept = scanned.repaired[: segment.end].rstrip()
        line = kept.count("\n") + 1
    if _has_idiom(scanned, line) or any(
        segment.start <= idiom.start < segment.end and not idiom.repaired
        for idiom in scanned.idioms
    ):
        return
    source = scanned.repaired.split("\n")[line - 1] if line else ""
    column, width = _caret(source, near[1] if near and not at_end else "")
    hint = _hint(reason, source)
    opener = _unclosed(scanned, segment) if "'end' expected" in reason else None
    if opener is not None:
        line = scanned.repaired.count("\n", 0, opener.start) + 1
        column = opener.start - (scanned.repaired.rfind("\n", 0, opener.start) + 1)
        width = len(opener.text)
        hint = f"this '{opener.text}' seems to have no end"
        if _has_else_if(scanned, segment):
            hint += "; 'else if' opens another if: write elseif"
    elif at_end:
        hint = "something opened above is not closed: a bracket, or a block without its end"
    findings.at(line, column, width, "syntax", f"syntax error: {reason}", hint)


def _caret(source: str, near: str) -> tuple[int, int]:
    at = source.find(near) if near else -1
    if at >= 0:
        return at, len(near)
    bare = source.lstrip()
    return len(source) - len(bare), max(1, len(bare.rstrip()))


def _hint(reason: str, source: str) -> str:
    for said, written, hint in _HINTS:
        if re.search(said, reason) and re.search(written, source):
            return hint
    return "see the line above too: an error is often noticed one word late"


def _inside(scanned: Scan, segment: _Segment) -> list[Token]:
    return [t for t in scanned.tokens if segment.start <= t.start < segment.end]


def _has_else_if(scanned: Scan, segment: _Segment) -> bool:
    listed = _inside(scanned, segment)
    return any(a.text == "else" and b.text == "if" for a, b in pairwise(listed))


def _unclosed(scanned: Scan, segment: _Segment) -> Token | None:
    """The block that seems to lack its end: one whose ``end`` is indented less than it is."""
    text = scanned.repaired

    def indent(token: Token) -> int:
        start = text.rfind("\n", 0, token.start) + 1
        line = text[start : token.start + 1]
        return len(line) - len(line.lstrip())

    stack: list[Token] = []
    for token in _inside(scanned, segment):
        if token.kind != "name" or token.text not in KEYWORDS:
            continue
        if token.text == "do" and stack and stack[-1].text in ("for", "while"):
            continue
        if token.text in _OPENERS or token.text in ("for", "while"):
            stack.append(token)
        elif token.text in ("end", "until") and stack:
            start = text.rfind("\n", 0, token.start) + 1
            alone = not text[start : token.start].strip()
            if alone and indent(token) < indent(stack[-1]):
                return stack[-1]
            stack.pop()
    return stack[-1] if stack else None


def names_of(lost: list[Token]) -> tuple[set[str], set[str]]:
    """(names that broken segments seem to define, message kinds they seem to handle)."""
    names: set[str] = set()
    kinds: set[str] = set()
    for first, second, third in zip(lost, lost[1:], lost[2:], strict=False):
        if first.text in ("function", "local") and second.kind == "name":
            names.add(second.text if second.text != "function" else third.text)
        if second.text == "=" and first.kind == "name":
            names.add(first.text)
        if first.text == "on" and second.text == "." and third.kind == "name":
            kinds.add(third.text)
    return names, kinds
