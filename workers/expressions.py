"""The expression language of ``model.toml``, ``until`` and queries: Lua with aggregates.

An expression becomes Lua text in which the i-th aggregate reads ``__A[i]``; operators are lowered
as in chunks (``__P``, ``__C`` … are in scope where it is compiled). No functions, no loops: an
expression needs no fuel beyond what the library functions charge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypedDict

from runtime.protocol import Diagnostic, ModelSpec
from workers.broken import CompileText
from workers.expression_aggregates import AggregateCode, AggregateReader
from workers.expression_rules import CONTEXTS, INSIDE, INSIDE_MAIL, ONLY, WORLD, Rules, form
from workers.expression_world import world_problem
from workers.features import features_of
from workers.findings import Findings
from workers.foreign import scan
from workers.names import (
    AGGREGATES,
    API,
    EXPRESSION_NAMES,
    LIBRARIES,
    RANDOM,
    VALUES,
    listing,
    nearest,
)
from workers.rewrite import Edits, lower_operators
from workers.syntax import (
    MAX_DEPTH,
    Node,
    Tree,
    from_bytes_text,
    parse,
    to_bytes_text,
)

_PREFIX: Final = "return "
_QUESTIONS: Final = ("stop", "until", "invariant")


class ExpressionCode(TypedDict):
    """A compiled expression."""

    code: str
    aggregates: list[AggregateCode]


class _Compiler:
    def __init__(
        self,
        text: str,
        model: ModelSpec,
        context: str,
        kinds: frozenset[str] | None,
        records: frozenset[str],
        queries: frozenset[str] | None,
        fields: frozenset[str] | None,
        agent_type: str,
        layer: str,
        findings: Findings,
        place: tuple[int, int],
    ) -> None:
        self.context = context
        self.rules = CONTEXTS[context]
        self.parameters = {parameter.name for parameter in model.parameters}
        self.metrics = {metric.name for metric in model.metrics} | records
        self.types = [agent.name for agent in model.types]
        self.features = features_of(model)
        self.cells = frozenset(self.features.layers if self.rules.cells else ())
        self.reader = AggregateReader(self, self.types, kinds, agent_type)
        self.queries, self.fields = queries, fields
        self.agent_type = agent_type
        self.layer = layer
        self.findings = findings
        self.line, self.column = place
        self.text = to_bytes_text(text)
        self.tree = parse("")
        self.aggregates: list[AggregateCode] = []
        self.failed = False

    # -- reporting

    def fail(self, start: int, end: int, code: str, message: str, hint: str = "") -> None:
        """Report a stretch of the text; offsets are those of the parsed text, after ``return``."""
        self.failed = True
        start, end = max(0, start - len(_PREFIX)), max(1, end - len(_PREFIX))
        before = self.text[:start]
        line = self.line + before.count("\n") if self.line else 0
        column = start - (before.rfind("\n") + 1)
        if "\n" not in before:
            column += self.column
        self.findings.at(line, column, end - start, code, message, hint)

    def node(self, node: Node, message: str, hint: str = "") -> None:
        self.fail(node.start, node.end, "expression", message, hint)

    # -- compiling

    def compile(self, compile_text: CompileText | None) -> ExpressionCode | None:
        if not self.text.strip():
            self.fail(0, 0, "expression", "the expression is empty", "write a Lua expression")
            return None
        scanned = scan(_PREFIX + self.text)
        for idiom in scanned.idioms:
            self.fail(idiom.start, idiom.end, "idiom", idiom.message, idiom.hint)
        tree = parse(scanned.repaired)
        body = self._single(tree, compile_text)
        if body is None:
            return None
        self.tree = tree
        self.edits = Edits(tree.text)
        lower_operators(tree, self.edits, tree.nodes)
        self.outer = Edits(tree.text)
        lower_operators(tree, self.outer, tree.nodes)
        self._visit(body, self.rules)
        self._is_a_question(body)
        if self.context == "aggregate" and not self.aggregates:
            self.node(body, "there is no aggregate in it", f"write one of {listing(AGGREGATES)}")
        if self.failed:
            return None
        code = from_bytes_text(self.outer.apply(body.start, body.end))
        return {"code": code, "aggregates": self.aggregates}

    def _single(self, tree: Tree, compile_text: CompileText | None) -> Node | None:
        """The one expression the text consists of, or None with the reason reported."""
        statement = tree.root.children[0] if tree.root.children else None
        values = statement.child("expression_list") if statement else None
        sound = not tree.broken and tree.depth <= MAX_DEPTH and len(tree.root.children) == 1
        if sound and values is not None and len(values.children) == 1:
            return values.children[0]
        if self.failed:
            return None
        if tree.depth > MAX_DEPTH:
            self.fail(0, 0, "expression", "the expression is nested too deeply", "split it")
        elif re.search(r"[^=~<>]=[^=]", tree.text):
            self.fail(
                len(_PREFIX), len(tree.text), "syntax", "this is not an expression: = assigns",
                "compare with ==",
            )  # fmt: skip
        elif not tree.broken:
            self.fail(
                len(_PREFIX), len(tree.text), "syntax", "this is not one Lua expression",
                "write one expression, without return or commas",
            )  # fmt: skip
        else:
            said = compile_text(from_bytes_text(tree.text), "=expression") if compile_text else None
            reason = re.sub(r"^expression:\d+: ", "", said) if said else "this is not Lua"
            bad = tree.errors[0] if tree.errors else None
            span = (bad.start, bad.end) if bad else (len(_PREFIX), len(tree.text))
            self.fail(*span, "syntax", f"syntax error: {reason}", "write one Lua expression")
        return None

    def _is_a_question(self, body: Node) -> None:
        """A bare number would always hold: in Lua 0 is true, and metrics are numbers."""
        if self.failed or self.context not in _QUESTIONS:
            return
        said = self.tree.slice(body)
        bare = body.type == "number" or (body.type == "identifier" and said in self.metrics)
        if bare or (body.type == "function_call" and self._is_aggregate(body)):
            self.node(body, f"{said} is a number, which counts as true", f"compare it: {said} > 0")

    def _is_aggregate(self, node: Node) -> bool:
        """Whether the whole expression is one aggregate."""
        callee = node.children[0]
        return callee.type == "identifier" and self.tree.slice(callee) in AGGREGATES

    def _visit(self, node: Node, rules: Rules) -> None:
        kind = node.type
        if kind == "identifier":
            self._name(node, rules)
        elif kind == "function_call":
            self._call(node, rules)
        elif kind == "dot_index_expression":
            self._member(node, rules)
        elif kind == "method_index_expression":
            self._visit(node.children[0], rules)
        elif kind == "field":
            for child in node.children:
                if child.field == "value" or node.children[0].type == "[":
                    self._visit(child, rules)
        elif kind == "function_definition":
            self.node(node, "an expression holds no functions", "compute it in the agent's script")
        elif kind == "vararg_expression":
            self.node(node, "... has no meaning in an expression", "remove it")
        else:
            for child in node.children:
                self._visit(child, rules)

    def _name(self, node: Node, rules: Rules) -> None:
        name = self.tree.slice(node)
        if name in self.parameters or name in rules.names or name == "param":
            return
        if name in EXPRESSION_NAMES or (name in self.metrics and rules.metrics):
            return
        if name in self.cells:
            if name == self.layer:
                self.node(node, f"{name} is this layer: its value at the cell is v", "write v")
            return
        if name in self.metrics:
            own = f"an agent's field is self.{name}; " if "self" in rules.names else ""
            self.node(
                node,
                f"{name} is a metric; metrics can be read in stop, until and invariants only",
                f"{own}for the metric, write its expression here",
            )
        elif name in WORLD:
            problem = world_problem(
                self.tree, node, rules, self.features, self.queries, self.fields
            )
            if problem is not None:
                self.node(*problem)
        elif name in ONLY:
            self.node(node, ONLY[name])
        elif name in AGGREGATES and rules.aggregates:
            shape = form(name).replace("type, ", "").replace("type", "")
            self.node(
                node,
                f"{name} is an aggregate and must be called",
                f"write {shape if self.agent_type else form(name)}",
            )
        else:
            self._unknown(node, name, rules)

    def _unknown(self, node: Node, name: str, rules: Rules) -> None:
        known = self.parameters | rules.names | self.cells | {"param"} | EXPRESSION_NAMES
        if rules.metrics:
            known |= self.metrics
        if rules.aggregates:
            known |= AGGREGATES
        like = nearest(name, known)
        if name in self.types:
            hint = f"an agent type stands only in an aggregate: count({name})"
        elif name in self.features.layers:
            read = f"a layer is read with layer.{name}:sum() or layer.{name}(x, y)"
            hint = read if "layer" in rules.world else "this expression sees no layers"
        elif self.fields is not None and name in self.fields and "env" in rules.world:
            hint = f"the environment's field is env.{name}"
        elif like:
            hint = f"did you mean {like}?"
        elif self.context == "state":
            hint = f"for the text itself write \"'{name}'\""
        elif "self" in rules.names:
            hint = f"an agent's field is self.{name}"
        else:
            hint = f"known here: {listing(self.parameters | rules.names)}"
            if rules.metrics and self.metrics:
                hint += f"; metrics: {listing(self.metrics)}"
        self.node(node, f"unknown name '{name}'", hint)

    def _member(self, node: Node, rules: Rules) -> None:
        base, member = node.children[0], self.tree.slice(node.children[-1])
        self._visit(base, rules)
        if base.type != "identifier":
            return
        name = self.tree.slice(base)
        if name == "param" and member not in self.parameters:
            like = nearest(member, self.parameters)
            self.node(
                node.children[-1],
                f"there is no parameter '{member}'",
                f"did you mean {like}?" if like else f"parameters: {listing(self.parameters)}",
            )
        elif name in LIBRARIES and member not in LIBRARIES[name]:
            like = nearest(member, LIBRARIES[name])
            self.node(
                node,
                f"there is no {name}.{member}",
                f"did you mean {name}.{like}?"
                if like
                else f"{name} has: {listing(LIBRARIES[name], 30)}",
            )
        elif name == "math" and member == "random" and "random" not in rules.names:
            self.node(node, "this expression may not be random", "draw in the agent's script")

    def _call(self, node: Node, rules: Rules) -> None:
        callee = node.children[0]
        if callee.type == "identifier":
            name = self.tree.slice(callee)
            if name in AGGREGATES and name not in self.parameters:
                self._aggregate(node, name, rules)
                return
            values = self.parameters | rules.names | self.cells | {"tick", "self", "msg", "i"}
            if name in values - RANDOM:
                self.node(node, f"{name} is a value here, not a function", f"write {name}")
                return
            if name in API - RANDOM - VALUES:
                self.node(
                    callee,
                    f"{name} is a function of scripts, not of expressions",
                    "keep what it gives in a field of the agent: sum(type, self.field)"
                    if rules.aggregates or "self" in rules.names
                    else "set the field in init(self) of the agent's script",
                )
                return
            if rules.aggregates and name not in EXPRESSION_NAMES | ONLY.keys() | WORLD:
                like = nearest(name, AGGREGATES | EXPRESSION_NAMES)
                self.node(
                    callee,
                    f"there is no function '{name}'",
                    f"did you mean {like}?" if like else f"aggregates: {listing(AGGREGATES)}",
                )
                return
        for child in node.children:
            self._visit(child, rules)

    def _aggregate(self, node: Node, op: str, rules: Rules) -> None:
        if not rules.aggregates:
            if rules in (INSIDE, INSIDE_MAIL):
                message = f"the aggregate {op} cannot stand inside another aggregate"
                hint = "compute it in the agents' script, or compare two metrics in [stop]"
            else:
                message = f"the aggregate {op} cannot be used here"
                hint = "aggregates stand in metrics, stop, until, invariants and queries"
            if op in ("min", "max"):
                hint += f"; of numbers: math.{op}(a, b)"
            self.node(node, message, hint)
            return
        made = self.reader.read(node, op)
        if made is not None:
            self.aggregates.append(made)
            self.outer.replace(node.start, node.end, f"__A[{len(self.aggregates)}]")

    def code(self, node: Node, rules: Rules) -> str:
        """The code of a part."""
        self._visit(node, rules)
        return from_bytes_text(self.edits.apply(node.start, node.end))


def compile_expression(
    text: str,
    *,
    model: ModelSpec,
    context: str,
    kinds: Iterable[str] | None = None,
    records: Iterable[str] = (),
    queries: Iterable[str] | None = None,
    fields: Iterable[str] | None = None,
    agent_type: str = "",
    layer: str = "",
    line: int = 0,
    compile_text: CompileText | None = None,
) -> tuple[ExpressionCode | None, list[Diagnostic]]:
    """Compile one expression.

    ``context`` is a key of ``CONTEXTS``. ``kinds`` are the model's message kinds (None: not
    checked), ``records`` the names that scripts record, ``queries`` and ``fields`` those of
    environment.lua (None: not checked). ``agent_type`` is the type a query speaks of; its
    aggregates may leave the type out. ``layer`` is the layer whose step it is. ``line`` is the
    expression's line in model.toml; 0 for an expression from elsewhere.
    """
    if line:
        findings = Findings("model.toml", to_bytes_text(model.toml))
        place = (line, *_place(findings.text, line, to_bytes_text(text)))
    else:
        findings = Findings("", to_bytes_text(text))
        place = (0, 0, 0)
    compiler = _Compiler(
        text,
        model,
        context,
        None if kinds is None else frozenset(kinds),
        frozenset(records),
        None if queries is None else frozenset(queries),
        None if fields is None else frozenset(fields),
        agent_type,
        layer,
        findings,
        (place[0] + place[1], place[2]),
    )
    code = compiler.compile(compile_text)
    return code, findings.sorted()


def _place(toml: str, line: int, text: str) -> tuple[int, int]:
    """(lines below ``line``, column) at which the expression's text begins in model.toml."""
    lines = toml.split("\n")[line - 1 : line + 2]
    first = text.split("\n", 1)[0]
    for below, candidate in enumerate(lines):
        # A key may be a part of its own expression: look behind the equals sign first.
        after = candidate.find("=") + 1 if below == 0 else 0
        column = candidate.find(first, after)
        if first and column >= 0:
            return below, column
    return 0, 0
