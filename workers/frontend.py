"""Check a model's scripts and expressions, and make the *program* that the kernel runs.

The front end knows Lua as text; it never runs it. The VM's own compiler comes in as a function,
so that the words of syntax errors are those that people know.
"""

from __future__ import annotations

import re

from runtime.protocol import Diagnostic, ExpressionSpec, ModelSpec, TypeSpec
from workers.agent_file import AgentFile, read_agent_file, read_environment_file
from workers.broken import CompileText
from workers.diagnose_environment import diagnose_environment
from workers.diagnose_features import diagnose_features
from workers.diagnose_ids import diagnose_ids
from workers.diagnose_mail import diagnose_mail
from workers.diagnose_model import diagnose_model
from workers.diagnose_names import diagnose_names
from workers.diagnose_state import diagnose_state
from workers.diagnose_usage import diagnose_usage
from workers.expressions import ExpressionCode, compile_expression
from workers.features import features_of
from workers.findings import Findings
from workers.origins import fields_set
from workers.program import (
    EnvironmentCode,
    ExpressionEntry,
    FieldCode,
    LayerCode,
    NetworkCode,
    Program,
    SpaceCode,
    TypeCode,
)
from workers.rewrite import Shapes, rewrite_chunk
from workers.syntax import to_bytes_text
from workers.world import compile_layer, compile_network, compile_space

__all__ = ["Program", "compile_model"]


def compile_model(
    model: ModelSpec, compile_text: CompileText | None = None
) -> tuple[Program | None, list[Diagnostic]]:
    """The program, and everything found on the way, sorted by file and line.

    The program is None if there is an error among the findings. ``compile_text(source, name)``
    gives the VM's message for a source that it does not compile, else None.
    """
    features = features_of(model)
    files = [read_agent_file(agent, features, compile_text) for agent in model.types]
    world = model.environment
    script: AgentFile | None = None
    if world is not None and features.script:
        script = read_environment_file(world, features, compile_text)
    scripts = [*files, script] if script is not None else files
    toml = Findings("model.toml", to_bytes_text(model.toml))
    fields = (fields_set(script) if script is not None else None) or set()
    for file in scripts:
        diagnose_names(file, model, fields)
        diagnose_state(file)
        diagnose_usage(file)
        diagnose_ids(file)
        diagnose_features(file, model, script)
    if script is not None:
        diagnose_environment(script)
    diagnose_mail(model, files, script)
    diagnose_model(model, files, script, toml)
    kinds = sorted({kind for file in scripts for kind in file.kinds}, key=str.encode)
    records = sorted({one.name for file in scripts for one in file.records if one.name is not None})
    names = [agent.name for agent in model.types]
    compiler = _Expressions(model, kinds, records, script, compile_text)
    types = [_type(agent, file, compiler) for agent, file in zip(model.types, files, strict=True)]
    roles = [(spec, "metric") for spec in model.metrics]
    roles += [(spec, "invariant") for spec in model.invariants]
    roles += [(model.stop, "stop")] if model.stop is not None else []
    expressions = [compiler.entry(spec, role) for spec, role in roles]
    space, layers, network = compiler.world()
    environment = _environment(script) if script is not None else None
    shapes = Shapes()
    found = toml.sorted() + compiler.found
    found += [one for file in scripts for one in file.findings.sorted()]
    if not _failed(found):
        for file, code in zip(files, types, strict=True):
            found += _rewrite(file, code, shapes, compile_text)
        if script is not None and environment is not None:
            found += _rewrite(script, environment, None, compile_text)
    # Stable: findings of one line keep the order of their columns.
    found.sort(key=lambda one: (one.file, one.line))
    if _failed(found):
        return None, found
    return {
        "kinds": kinds,
        "shapes": [{"kind": shape.kind, "keys": list(shape.keys)} for shape in shapes.order],
        "types": types,
        "records": records,
        "expressions": expressions,
        "environment": environment,
        "environment_fuel": world.fuel if world is not None else model.fuel,
        "space": space,
        "layers": layers,
        "network": network,
        "by_type": [names.index(name) + 1 for name in model.by_type],
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
        script: AgentFile | None,
        compile_text: CompileText | None,
    ) -> None:
        self._model = model
        self._kinds = kinds
        self._records = records
        self._queries = set(script.queries) if script is not None and script.whole else None
        self._fields = fields_set(script) if script is not None else None
        self._compile_text = compile_text
        self.found: list[Diagnostic] = []

    def code(self, spec: ExpressionSpec, context: str, layer: str = "") -> ExpressionCode:
        code, said = compile_expression(
            spec.text,
            model=self._model,
            context=context,
            kinds=self._kinds,
            records=self._records,
            queries=self._queries,
            fields=self._fields,
            layer=layer,
            line=spec.line,
            compile_text=self._compile_text,
        )
        self.found += said
        return code if code is not None else {"code": "nil", "aggregates": []}

    def plain(self, spec: ExpressionSpec | None, context: str, layer: str = "") -> str:
        return self.code(spec, context, layer)["code"] if spec is not None else ""

    def field(self, spec: ExpressionSpec, context: str) -> FieldCode:
        return {"field": spec.name, "code": self.plain(spec, context), "line": spec.line}

    def entry(self, spec: ExpressionSpec, role: str) -> ExpressionEntry:
        return {
            "name": spec.name,
            "role": role,
            "every": spec.every,
            "line": spec.line,
            **self.code(spec, role),
        }

    def world(self) -> tuple[SpaceCode | None, list[LayerCode], NetworkCode | None]:
        world = self._model.environment
        if world is None:
            return None, [], None
        space = compile_space(world.space, self.plain) if world.space is not None else None
        names = {layer.name for layer in world.layers}
        layers = [compile_layer(layer, names, self.plain) for layer in world.layers]
        network = None
        if world.network is not None:
            network, found = compile_network(world.network, self._model, self.plain)
            self.found += found
        return space, layers, network


def _type(agent: TypeSpec, file: AgentFile, compiler: _Expressions) -> TypeCode:
    return {
        "name": agent.name,
        "alias": agent.alias,
        "chunk": "",
        "chunkname": f"@{agent.file}",
        "handlers": sorted(file.handlers, key=str.encode),
        "has_step": "step" in file.hooks,
        "state": [compiler.field(spec, "state") for spec in agent.state],
        "count": compiler.field(agent.count, "count"),
        "place": agent.place,
        "place_at": [compiler.field(spec, "place") for spec in agent.place_at],
        "publish": list(agent.publish),
    }


def _environment(script: AgentFile) -> EnvironmentCode:
    return {
        "chunk": "",
        "chunkname": f"@{script.spec.file}",
        "queries": sorted(script.queries, key=str.encode),
    }


def _rewrite(
    file: AgentFile,
    code: TypeCode | EnvironmentCode,
    shapes: Shapes | None,
    compile_text: CompileText | None,
) -> list[Diagnostic]:
    """Fill in the chunk. A chunk that the VM refuses now has passed one of its limits."""
    code["chunk"] = rewrite_chunk(file.tree, shapes)
    said = compile_text(code["chunk"], code["chunkname"]) if compile_text else None
    if said is None:
        return []
    place = re.match(r"^.*?:(\d+): (.*)$", said, re.DOTALL)
    return [
        Diagnostic(
            severity="error",
            code="limit",
            message=f"the VM does not take this script: {place[2] if place else said}",
            file=file.spec.file,
            line=int(place[1]) if place else 0,
            hint="split long functions; put constants into one table",
        )
    ]
