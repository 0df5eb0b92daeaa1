"""Check a model's scripts and expressions, and make the *program* that the kernel runs.

The front end knows Lua as text; it never runs it. The VM's own compiler comes in as a function,
so that the words of syntax errors are those that people know.
"""

from __future__ import annotations

import re
from typing import TypedDict

from runtime.protocol import Diagnostic, ExpressionSpec, ModelSpec, TypeSpec
from workers.agent_file import AgentFile, read_agent_file
from workers.broken import CompileText
from workers.diagnose_model import diagnose_model
from workers.diagnose_names import diagnose_names
from workers.diagnose_state import diagnose_state
from workers.diagnose_usage import diagnose_usage
from workers.expressions import AggregateCode, ExpressionCode, compile_expression
from workers.findings import Findings
from workers.rewrite import Shapes, rewrite_chunk
from workers.syntax import to_bytes_text


class ShapeCode(TypedDict):
    """A kind with the keys of its body, in source order."""

    kind: str
    keys: list[str]


class FieldCode(TypedDict):
    """An initial field of a type, or its count: an expression over parameters (and ``i``)."""

    field: str
    code: str
    line: int


class TypeCode(TypedDict):
    """One agent type."""

    name: str
    alias: str
    chunk: str
    chunkname: str
    handlers: list[str]
    has_init: bool
    has_step: bool
    state: list[FieldCode]
    count: FieldCode


class ExpressionEntry(TypedDict):
    """A metric, invariant or stop expression."""

    name: str
    role: str
    every: int
    line: int
    code: str
    aggregates: list[AggregateCode]


class Program(TypedDict):
    """What the kernel runs. Indices in it count from 1."""

    kinds: list[str]
    shapes: list[ShapeCode]
    types: list[TypeCode]
    uses_message: bool
    records: list[str]
    expressions: list[ExpressionEntry]


def compile_model(
    model: ModelSpec, compile_text: CompileText | None = None
) -> tuple[Program | None, list[Diagnostic]]:
    """The program, and everything found on the way, sorted by file and line.

    The program is None if there is an error among the findings. ``compile_text(source, name)``
    gives the VM's message for a source that it does not compile, else None.
    """
    files = [read_agent_file(agent, compile_text) for agent in model.types]
    toml = Findings("model.toml", to_bytes_text(model.toml))
    for file in files:
        diagnose_names(file, model)
        diagnose_state(file)
        diagnose_usage(file)
    diagnose_model(model, files, toml)
    kinds = sorted({kind for file in files for kind in file.kinds}, key=str.encode)
    records = sorted({one.name for file in files for one in file.records if one.name is not None})
    compiler = _Expressions(model, kinds, records, compile_text)
    types = [_type(agent, file, compiler) for agent, file in zip(model.types, files, strict=True)]
    roles = [(spec, "metric") for spec in model.metrics]
    roles += [(spec, "invariant") for spec in model.invariants]
    roles += [(model.stop, "stop")] if model.stop is not None else []
    expressions = [compiler.entry(spec, role) for spec, role in roles]
    shapes = Shapes()
    found = (
        toml.sorted() + compiler.found + [one for file in files for one in file.findings.sorted()]
    )
    if not _failed(found):
        found += _rewrite(model, files, types, shapes, compile_text)
    # Stable: findings of one line keep the order of their columns.
    found.sort(key=lambda one: (one.file, one.line))
    if _failed(found):
        return None, found
    return {
        "kinds": kinds,
        "shapes": [{"kind": shape.kind, "keys": list(shape.keys)} for shape in shapes.order],
        "types": types,
        "uses_message": any(file.uses_message for file in files),
        "records": records,
        "expressions": expressions,
    }, found


def _failed(found: list[Diagnostic]) -> bool:
    return any(one.severity == "error" for one in found)


class _Expressions:
    """Compiles the model's expressions and gathers what is wrong with them."""

    def __init__(
        self,
        model: ModelSpec,
        kinds: list[str],
        records: list[str],
        compile_text: CompileText | None,
    ) -> None:
        self._model = model
        self._kinds = kinds
        self._records = records
        self._compile_text = compile_text
        self.found: list[Diagnostic] = []

    def code(self, spec: ExpressionSpec, context: str) -> ExpressionCode:
        code, said = compile_expression(
            spec.text,
            model=self._model,
            context=context,
            kinds=self._kinds,
            records=self._records,
            line=spec.line,
            compile_text=self._compile_text,
        )
        self.found += said
        return code if code is not None else {"code": "nil", "aggregates": []}

    def field(self, spec: ExpressionSpec, context: str) -> FieldCode:
        return {"field": spec.name, "code": self.code(spec, context)["code"], "line": spec.line}

    def entry(self, spec: ExpressionSpec, role: str) -> ExpressionEntry:
        return {
            "name": spec.name,
            "role": role,
            "every": spec.every,
            "line": spec.line,
            **self.code(spec, role),
        }


def _type(agent: TypeSpec, file: AgentFile, compiler: _Expressions) -> TypeCode:
    return {
        "name": agent.name,
        "alias": agent.alias,
        "chunk": "",
        "chunkname": f"@{agent.file}",
        "handlers": sorted(file.handlers, key=str.encode),
        "has_init": "init" in file.hooks,
        "has_step": "step" in file.hooks,
        "state": [compiler.field(spec, "state") for spec in agent.state],
        "count": compiler.field(agent.count, "count"),
    }


def _rewrite(
    model: ModelSpec,
    files: list[AgentFile],
    types: list[TypeCode],
    shapes: Shapes,
    compile_text: CompileText | None,
) -> list[Diagnostic]:
    """Fill in the chunks. A chunk that the VM refuses now has passed one of its limits."""
    found: list[Diagnostic] = []
    for agent, file, code in zip(model.types, files, types, strict=True):
        code["chunk"] = rewrite_chunk(file.tree, shapes)
        said = compile_text(code["chunk"], code["chunkname"]) if compile_text else None
        if said is not None:
            place = re.match(r"^.*?:(\d+): (.*)$", said, re.DOTALL)
            found.append(
                Diagnostic(
                    severity="error",
                    code="limit",
                    message=f"the VM does not take this script: {place[2] if place else said}",
                    file=agent.file,
                    line=int(place[1]) if place else 0,
                    hint="split long functions; put constants into one table",
                )
            )
    return found
