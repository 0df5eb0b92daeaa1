"""One script, an agent type's or the environment's, parsed and resolved, with the facts that other
files' checks need."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from runtime.protocol import ENVIRONMENT as ENVIRONMENT_NAME
from runtime.protocol import EnvironmentSpec, ExpressionSpec, TypeSpec
from workers.broken import CompileText, blank_broken, names_of
from workers.features import AGENT, ENVIRONMENT, Features, Role
from workers.findings import Findings
from workers.foreign import lowered, scan
from workers.names import HOOKS
from workers.scope import Function, Scopes, Use, resolve
from workers.syntax import (
    MAX_DEPTH,
    Node,
    Tree,
    arguments,
    from_bytes_text,
    keyed_fields,
    parse,
    string_value,
    to_bytes_text,
)

_HANDLER: Final = re.compile(r"on\s*[.\[]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass
class Sent:
    """A call of ``send``, ``broadcast``, ``after`` or ``ask``; ``kind`` is None where it is
    computed."""

    api: str
    call: Node
    to: Node | None
    kind: str | None
    kind_node: Node | None


@dataclass
class Spawned:
    """A call of ``spawn``; ``agent_type`` is None where it is computed."""

    call: Node
    agent_type: str | None
    fields: list[str]


@dataclass
class Named:
    """A place where a name is written as text: ``record("price", x)``."""

    name: str | None
    node: Node


@dataclass
class AgentFile:
    """``handlers`` maps a kind to where its handler is named; ``hooks`` likewise ``init`` and
    ``step``, ``queries`` the functions of ``query``. ``whole`` is false where a part did not parse;
    ``declared`` and ``lost_kinds`` are what that part seems to define and to handle. ``spec`` is a
    stand-in where the script is the environment's."""

    spec: TypeSpec
    role: Role
    features: Features
    tree: Tree
    scopes: Scopes
    findings: Findings
    whole: bool = True
    declared: frozenset[str] = frozenset()
    lost_kinds: frozenset[str] = frozenset()
    handlers: dict[str, Node] = field(default_factory=dict)
    hooks: dict[str, Node] = field(default_factory=dict)
    queries: dict[str, Node] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    spawned: list[Spawned] = field(default_factory=list)
    records: list[Named] = field(default_factory=list)

    @property
    def is_environment(self) -> bool:
        return self.role is ENVIRONMENT

    @property
    def api(self) -> frozenset[str]:
        """The global names that the runtime gives to this script, without the library."""
        return self.features.names(self.role)

    @property
    def globals(self) -> frozenset[str]:
        return self.features.globals(self.role)

    @property
    def kinds(self) -> set[str]:
        return set(self.handlers) | {one.kind for one in self.sent if one.kind is not None}

    def error(self, node: Node, code: str, message: str, hint: str = "") -> None:
        self.findings.error(self.tree, node, code, message, hint)

    def warning(self, node: Node, code: str, message: str, hint: str = "") -> None:
        self.findings.warning(self.tree, node, code, message, hint)

    def text(self, node: Node) -> str:
        """The node as written."""
        raw = self.tree.slice(node)
        return raw if raw.isascii() else from_bytes_text(raw)


def read_environment_file(
    spec: EnvironmentSpec, features: Features, compile_text: CompileText | None = None
) -> AgentFile:
    """As ``read_agent_file`` for environment.lua."""
    stand_in = TypeSpec(
        name=ENVIRONMENT_NAME,
        count=ExpressionSpec("count", "1"),
        file=spec.file,
        source=spec.source,
        line=spec.line,
    )
    return read_agent_file(stand_in, features, compile_text, ENVIRONMENT)


def read_agent_file(
    spec: TypeSpec,
    features: Features,
    compile_text: CompileText | None = None,
    role: Role = AGENT,
) -> AgentFile:
    """Parse a type's script, report what does not parse, and collect the facts of the rest."""
    source = to_bytes_text(spec.source)
    findings = Findings(spec.file, source)
    scanned = scan(_cleaned(source, findings))
    for idiom in scanned.idioms:
        line = source.count("\n", 0, idiom.start) + 1
        column = idiom.start - (source.rfind("\n", 0, idiom.start) + 1)
        findings.at(line, column, idiom.end - idiom.start, "idiom", idiom.message, idiom.hint)
    tree = parse(scanned.repaired)
    declared, lost_kinds, whole = set(scanned.declared), set[str](), True
    if tree.depth > MAX_DEPTH:
        message = f"the script is nested {tree.depth} levels deep; at most {MAX_DEPTH} are read"
        findings.at(1, 0, 1, "depth", message, "split long expressions and deep blocks")
        tree, whole = parse(""), False
    elif tree.broken or (
        compile_text is not None
        and compile_text(from_bytes_text(lowered(scanned)), f"@{spec.file}") is not None
    ):
        text, lost = blank_broken(scanned, tree, findings, compile_text)
        names, lost_kinds = names_of(lost)
        declared |= names
        tree, whole = parse(text), False
        if tree.broken:
            tree = parse("")
    file = AgentFile(
        spec,
        role,
        features,
        tree,
        resolve(tree),
        findings,
        whole,
        frozenset(declared),
        frozenset(lost_kinds),
    )
    _collect(file)
    return file


def _cleaned(source: str, findings: Findings) -> str:
    """The source without a byte order mark, and with control characters reported and blanked."""
    if source.startswith("\xef\xbb\xbf"):
        source = "   " + source[3:]
    match = _CONTROL.search(source)
    if match is None:
        return source
    line = source.count("\n", 0, match.start()) + 1
    column = match.start() - (source.rfind("\n", 0, match.start()) + 1)
    message = f"control character {ord(match.group()):#04x} in the script: it must be plain text"
    findings.at(line, column, 1, "text", message, "scripts are Lua source, not bytecode; remove it")
    return _CONTROL.sub(" ", source)


def _collect(file: AgentFile) -> None:
    tree, scopes = file.tree, file.scopes
    for use in scopes.writes:
        name = tree.slice(use.node)
        if use.node.var is None and use.function.is_file and name in HOOKS:
            file.hooks.setdefault(name, use.node)
    for use in scopes.stores:
        kind = handler_kind(tree, use.node)
        if kind is not None and use.function.is_file:
            file.handlers.setdefault(kind, use.node)
        query = query_name(tree, use.node) if file.is_environment else None
        if query is not None and use.function.is_file:
            file.queries.setdefault(query, use.node)
    for use in scopes.calls:
        _collect_call(file, use)


def handler_kind(tree: Tree, target: Node) -> str | None:
    """The kind if the target of an assignment is ``on.kind`` or ``on["kind"]``."""
    return _entry(tree, target, "on")


def query_name(tree: Tree, target: Node) -> str | None:
    """The name if the target of an assignment is ``query.name`` or ``query["name"]``."""
    return _entry(tree, target, "query")


def _entry(tree: Tree, target: Node, table: str) -> str | None:
    base = target.children[0]
    if base.type != "identifier" or base.var is not None or tree.slice(base) != table:
        return None
    if target.type == "bracket_index_expression":
        return literal(tree, target.get("field"))
    return from_bytes_text(tree.slice(target.children[-1]))


def literal(tree: Tree, node: Node | None) -> str | None:
    """The value of a string literal."""
    if node is None or node.type != "string":
        return None
    return string_value(tree.slice(node))


def root_of(node: Node) -> Node:
    """What an index expression begins with: ``env`` of ``env.prices[1].low``."""
    while "index" in node.type:
        node = node.children[0]
    return node


def is_handler(function: Function) -> bool:
    """Whether the function is written as ``on.kind`` or ``on["kind"]``."""
    return _HANDLER.match(function.name) is not None


def api_name(tree: Tree, call: Node) -> str:
    """The name of the global function that is called by its plain name, or ''."""
    callee = call.children[0]
    return tree.slice(callee) if callee.type == "identifier" and callee.var is None else ""


def _collect_call(file: AgentFile, use: Use) -> None:
    tree, call = file.tree, use.node
    name = api_name(tree, call)
    given = arguments(call)
    first = given[0] if given else None
    second = given[1] if len(given) > 1 else None
    if name in ("send", "broadcast", "after", "ask"):
        to = None if name == "after" else first
        file.sent.append(Sent(name, call, to, literal(tree, second), second))
    elif name == "spawn":
        fields = keyed_fields(tree, second) if second and second.type == "table_constructor" else []
        keys = [key for key, _ in fields if key is not None]
        file.spawned.append(Spawned(call, literal(tree, first), keys))
    elif name == "record" and first is not None:
        file.records.append(Named(literal(tree, first), first))
