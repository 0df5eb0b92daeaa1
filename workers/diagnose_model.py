"""What only model.toml and all files together can tell: fields that get lost, names that clash."""

from __future__ import annotations

import re
from typing import Final

from runtime.protocol import ModelSpec, TypeSpec
from workers.agent_file import AgentFile
from workers.diagnose_bodies import diagnose_bodies
from workers.diagnose_fields import diagnose_expressions, diagnose_fields, fields_given
from workers.diagnose_state import stored_values
from workers.diagnose_worlds import diagnose_places
from workers.expression_rules import CONTEXTS
from workers.features import features_of
from workers.findings import Findings
from workers.names import AGGREGATES, EXPRESSION_NAMES, RANDOM, nearest

_EXPRESSION_WORDS: Final = EXPRESSION_NAMES | RANDOM | {"tick", "self", "msg", "param", "env"}
_CELL_WORDS: Final = CONTEXTS["layer_step"].names | CONTEXTS["layer_init"].names | {"layer"}


def diagnose_model(
    model: ModelSpec, files: list[AgentFile], script: AgentFile | None, toml: Findings
) -> None:
    """Report across files; findings about model.toml go to ``toml``. ``script``: environment.lua,
    None without one."""
    scripts = [*files, script] if script is not None else files
    for file in scripts:
        for spawned in file.spawned:
            reserved = [name for name in spawned.fields if name in ("id", "type")]
            if reserved:
                file.error(
                    spawned.call, "identity", f"{reserved[0]} is given by the runtime at spawn",
                    "use another field name",
                )  # fmt: skip
    for file in files:
        _overwritten(file, scripts)
        _never_published(file, scripts, toml)
        diagnose_fields(file, scripts, model)
        diagnose_places(file, scripts)
    diagnose_bodies(scripts)
    diagnose_expressions(model, files, scripts, toml)
    _left_out(model, files, toml)
    _clashes(model, scripts, toml)


def _left_out(model: ModelSpec, files: list[AgentFile], toml: Findings) -> None:
    """Types with a step that by_type does not name would never have a turn."""
    if model.activation != "by_type":
        return
    for file in files:
        name = file.spec.name
        if name not in model.by_type and "step" in file.hooks:
            at = re.search(r"^activation", toml.text, re.MULTILINE)
            line = toml.text.count("\n", 0, at.start()) + 1 if at is not None else 0
            toml.at(
                line, 0, len("activation"), "activation",
                f"by_type leaves out '{name}', which has a step: it would never have a turn",
                f"add '{name}' where it belongs in the order, or remove its step",
            )  # fmt: skip


def _overwritten(file: AgentFile, files: list[AgentFile]) -> None:
    """Fields given at creation that ``init`` assigns without looking: the given value is lost."""
    given: dict[str, str] = {
        field.name: f"[agents.{file.spec.name}] state of model.toml (line {field.line})"
        for field in file.spec.state
    }
    for other in files:
        for spawned in other.spawned:
            if spawned.agent_type == file.spec.name:
                line = other.tree.line(spawned.call.start)
                for name in spawned.fields:
                    given.setdefault(name, f"spawn at {other.spec.file}:{line}")
    init = next(
        (f for f in file.scopes.functions if f.name == "init" and not f.local and not f.is_file),
        None,
    )
    body = init.node.child("block") if init is not None else None
    if init is None or body is None or not init.parameters or not given:
        return
    me = init.parameters[0]
    written = {id(target) for target, _ in stored_values(file.scopes.stores)}
    reads = {
        file.text(node.children[-1])
        for node in body.walk()
        if node.type == "dot_index_expression"
        and node.children[0].var is me
        and id(node) not in written
    }
    for target, value in stored_values(file.scopes.stores):
        names = target.parent
        statement = names.parent if names is not None else None
        if target.type != "dot_index_expression" or target.children[0].var is not me:
            continue
        name = file.text(target.children[-1])
        # Only statements of init itself: one inside an if may have tested the field.
        if statement is None or statement.parent is not body or name in ("id", "type"):
            continue
        if name not in given or name in reads:
            continue
        file.warning(
            target, "overwritten", f"init overwrites self.{name}, which is given by {given[name]}",
            f"write self.{name} = self.{name} or {file.text(value)}, or remove one of the two",
        )  # fmt: skip


def _never_published(file: AgentFile, scripts: list[AgentFile], toml: Findings) -> None:
    """Fields to publish that nothing ever sets: a misspelt name, most likely."""
    known = fields_given(file, scripts) if file.spec.publish else None
    if known is None:
        return
    for name in file.spec.publish:
        if name in known:
            continue
        line, column = _publish_place(file.spec, name, toml)
        like = nearest(name, known)
        toml.at(
            line, column, len(name), "publish",
            f"nothing gives a {file.spec.name} a field '{name}': what it publishes is always nil",
            f"did you mean '{like}'?" if like else f"set self.{name} in {file.spec.file}",
            "warning",
        )  # fmt: skip


def _publish_place(agent: TypeSpec, name: str, toml: Findings) -> tuple[int, int]:
    """(line, column) of the name in the type's ``publish``."""
    after = [0, *(match.end() for match in re.finditer("\n", toml.text))]
    start = after[min(max(agent.line, 1), len(after)) - 1]
    found = re.compile(rf"publish\s*=[^\]]*?[\"']({re.escape(name)})[\"']").search(toml.text, start)
    at = found.start(1) if found is not None else start
    line = toml.text.count("\n", 0, at) + 1
    return line, at - after[line - 1]


def _clashes(model: ModelSpec, files: list[AgentFile], toml: Findings) -> None:
    parameters = {parameter.name: parameter.line for parameter in model.parameters}
    metrics = {metric.name: metric.line for metric in model.metrics}

    def clash(line: int, name: str, message: str) -> None:
        source = toml.text.split("\n")[line - 1] if line else ""
        column = max(0, source.find(name))
        toml.at(line, column, len(name), "clash", message, "rename one of them")

    features = features_of(model)
    words = _EXPRESSION_WORDS | AGGREGATES | {"i"}
    words |= {"space"} if features.space else set()
    words |= _CELL_WORDS if features.layers else set()
    layers = model.environment.layers if model.environment is not None else ()
    # The loops that layers' expressions are put into have names of this form.
    named = [*parameters.items(), *metrics.items(), *((one.name, one.line) for one in layers)]
    for name, line in named:
        if name.startswith("__"):
            clash(line, name, f"names like {name} belong to the runtime")
    for name, line in parameters.items():
        if name in words:
            clash(
                line,
                name,
                f"the parameter '{name}' has a name that means something else in expressions",
            )
    for name, line in metrics.items():
        if name in parameters:
            clash(line, name, f"'{name}' is a parameter (line {parameters[name]}) and a metric")
        elif name in _EXPRESSION_WORDS or (name == "space" and features.space):
            clash(
                line,
                name,
                f"the metric '{name}' has a name that means something else in expressions",
            )
    for layer in layers:
        if layer.name in parameters:
            message = f"'{layer.name}' is a parameter (line {parameters[layer.name]}) and a layer"
            clash(layer.line, layer.name, message)
        elif layer.name in words | RANDOM:
            message = f"the layer '{layer.name}' has a name with another meaning in expressions"
            clash(layer.line, layer.name, message)
    for agent in model.types:
        if agent.name in parameters:
            message = (
                f"'{agent.name}' is a parameter (line {parameters[agent.name]}) and an agent type"
            )
            clash(agent.line, agent.name, message)
    for file in files:
        for record in file.records:
            if record.name in metrics:
                file.error(
                    record.node, "clash", f"'{record.name}' is a metric of model.toml already",
                    "record under another name",
                )  # fmt: skip
            elif record.name in parameters:
                file.error(
                    record.node, "clash", f"'{record.name}' is a parameter already",
                    "record under another name",
                )  # fmt: skip
