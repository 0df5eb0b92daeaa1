"""Check a model's scripts and expressions, and make the *program* that the kernel runs.

The front end knows Lua as text; it never runs it. The VM's own compiler comes in as a function,
so that the words of syntax errors are those that people know.
"""

from __future__ import annotations

from typing import TypedDict

from runtime.protocol import Diagnostic, ExpressionSpec, ModelSpec, TypeSpec
from workers.agent_file import AgentFile, read_agent_file
from workers.expressions import AggregateCode, CompileText, compile_expression
from workers.rewrite import Shapes, rewrite_chunk


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

    The program is None if there is an error among the findings. ``compile_text(source, chunk name)``
    gives the VM's message for a source that it does not compile, else None.
    """
    found: list[Diagnostic] = []
    files = [read_agent_file(agent) for agent in model.types]
    shapes = Shapes()
    kinds = sorted({kind for file in files for kind in file.kinds}, key=str.encode)
    types = [
        _type(model, agent, file, shapes, kinds, compile_text, found)
        for agent, file in zip(model.types, files, strict=True)
    ]
    expressions: list[ExpressionEntry] = []
    roles = [(spec, "metric") for spec in model.metrics]
    roles += [(spec, "invariant") for spec in model.invariants]
    roles += [(model.stop, "stop")] if model.stop is not None else []
    for spec, role in roles:
        code, said = compile_expression(
            spec.text,
            model=model,
            context=role,
            kinds=kinds,
            line=spec.line,
            compile_text=compile_text,
        )
        found += said
        if code is not None:
            expressions.append(
                {
                    "name": spec.name,
                    "role": role,
                    "every": spec.every,
                    "line": spec.line,
                    "code": code["code"],
                    "aggregates": code["aggregates"],
                }
            )
    found.sort(key=lambda one: (one.file, one.line))
    if any(one.severity == "error" for one in found):
        return None, found
    return {
        "kinds": kinds,
        "shapes": [{"kind": shape.kind, "keys": list(shape.keys)} for shape in shapes.order],
        "types": types,
        "uses_message": any(file.uses_message for file in files),
        "records": sorted({name for file in files for name in file.records}),
        "expressions": expressions,
    }, found


def _field(
    model: ModelSpec,
    spec: ExpressionSpec,
    context: str,
    compile_text: CompileText | None,
    found: list[Diagnostic],
) -> FieldCode:
    code, said = compile_expression(
        spec.text, model=model, context=context, line=spec.line, compile_text=compile_text
    )
    found += said
    return {"field": spec.name, "code": code["code"] if code else "nil", "line": spec.line}


def _type(
    model: ModelSpec,
    agent: TypeSpec,
    file: AgentFile,
    shapes: Shapes,
    kinds: list[str],
    compile_text: CompileText | None,
    found: list[Diagnostic],
) -> TypeCode:
    return {
        "name": agent.name,
        "alias": agent.alias,
        "chunk": rewrite_chunk(file.tree, shapes),
        "chunkname": f"@{agent.file}",
        "handlers": sorted(file.handlers, key=str.encode),
        "has_init": "init" in file.hooks,
        "has_step": "step" in file.hooks,
        "state": [_field(model, spec, "state", compile_text, found) for spec in agent.state],
        "count": _field(model, agent.count, "count", compile_text, found),
    }
