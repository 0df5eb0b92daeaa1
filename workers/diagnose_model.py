"""What only all files together can tell: who sends what to whom, and which names clash."""

from __future__ import annotations

from typing import Final

from runtime.protocol import ModelSpec
from workers.agent_file import AgentFile, Sent, literal
from workers.diagnose_state import stored_values
from workers.findings import Findings
from workers.names import AGGREGATES, EXPRESSION_NAMES, RANDOM, listing, nearest
from workers.syntax import Node

_EXPRESSION_WORDS: Final = EXPRESSION_NAMES | RANDOM | {"tick", "self", "msg", "param", "env"}


def diagnose_model(model: ModelSpec, files: list[AgentFile], toml: Findings) -> None:
    """Report across files; findings about model.toml go to ``toml``."""
    by_type = {file.spec.name: file for file in files}
    aliases = {agent.alias: agent.name for agent in model.types if agent.alias}
    handled: dict[str, set[str]] = {
        name: set(file.handlers) | file.lost_kinds for name, file in by_type.items()
    }
    for file in files:
        for sent in file.sent:
            _sent(file, sent, handled, aliases)
        for spawned in file.spawned:
            _type_name(file, spawned.agent_type, spawned.type_node, handled, "spawn")
            reserved = [name for name in spawned.fields if name in ("id", "type")]
            if reserved:
                file.error(
                    spawned.call, "identity", f"{reserved[0]} is given by the runtime at spawn",
                    "use another field name",
                )  # fmt: skip
        for listed in file.listed:
            _type_name(file, listed.name, listed.node, handled, "agents")
        _overwritten(file, files)
    _nobody_sends(files)
    _clashes(model, files, toml)


def _sent(
    file: AgentFile, sent: Sent, handled: dict[str, set[str]], aliases: dict[str, str]
) -> None:
    to = sent.to
    name = literal(file.tree, to)
    recipient: str | None = None
    if sent.api == "broadcast":
        if not _type_name(file, name, to, handled, "broadcast"):
            return
        recipient = name
    elif sent.api == "after" or (to is not None and file.text(to) == "self.id"):
        recipient = file.spec.name
    elif name is not None and to is not None:
        if name not in aliases:
            _not_an_agent(file, sent, to, name, handled, aliases)
            return
        recipient = aliases[name]
    elif to is not None and file.text(to) == "self":
        file.error(to, "recipient", "self is the agent's table, not its id", "write self.id")
        return
    if sent.kind is None or sent.kind_node is None:
        return
    everywhere = set().union(*handled.values())
    allowed = handled.get(recipient, set()) if recipient is not None else everywhere
    if sent.kind in allowed:
        return
    like = nearest(sent.kind, allowed)
    where = f"agents/{recipient}.lua" if recipient else "the recipient's file"
    others = sorted(kind for kind in handled if sent.kind in handled[kind])
    if recipient is not None and others:
        message = f"type '{recipient}' has no handler for '{sent.kind}' (type '{others[0]}' has)"
    elif recipient is not None:
        message = f"type '{recipient}' has no handler for '{sent.kind}'"
    else:
        message = f"no agent type handles messages of kind '{sent.kind}'"
    write = f"write function on.{sent.kind}(self, msg, from) in {where}"
    if not sent.kind.isidentifier():
        write = f'write on["{sent.kind}"] = function(self, msg, from) … end in {where}'
    file.error(
        sent.kind_node,
        "unhandled",
        message,
        f"did you mean '{like}'? Or {write}" if like else write,
    )


def _not_an_agent(
    file: AgentFile,
    sent: Sent,
    node: Node,
    name: str,
    handled: dict[str, set[str]],
    aliases: dict[str, str],
) -> None:
    like = nearest(name, aliases)
    if name == "environment":
        message = "this model has no environment to send to"
        hint = "environments come in a later version; keep shared values in an agent with a name"
    elif name in handled:
        message = f"'{name}' is an agent type: a message goes to one agent"
        hint = (
            f'write broadcast("{name}", kind, body), or send(choice(agents("{name}")), kind, body)'
        )
    elif sent.kind is None and any(name in kinds for kinds in handled.values()):
        message = f"'{name}' is a message kind: the recipient comes first"
        hint = f'write send(to, "{name}", body)'
    else:
        message = f"no agent has the name '{name}'"
        hint = (
            f"did you mean '{like}'?" if like else f"names: {listing(aliases)}; else send to an id"
        )
    file.error(node, "recipient", message, hint)


def _type_name(
    file: AgentFile, name: str | None, node: Node | None, handled: dict[str, set[str]], api: str
) -> bool:
    """Whether a literal type name is one; a computed name passes."""
    if node is None:
        return True
    if name is None:
        if node.type in ("number", "true", "false", "nil", "table_constructor"):
            file.error(
                node,
                "type",
                f"{api} takes the name of an agent type",
                f'{api}("{next(iter(handled), "type")}", …)',
            )
            return False
        return True
    if name in handled:
        return True
    like = nearest(name, handled)
    file.error(
        node, "type", f"there is no agent type '{name}'",
        f"did you mean '{like}'?" if like else f"types: {listing(handled)}",
    )  # fmt: skip
    return False


def _cure_of_unsent(kind: str, like: str | None) -> str:
    if kind in ("init", "step"):
        return f"what the runtime calls itself stands without on: function {kind}(self)"
    return f"did you mean '{like}'?" if like else "send it, or remove the handler"


def _nobody_sends(files: list[AgentFile]) -> None:
    """Only where every kind sent is known."""
    if not all(file.whole for file in files):
        return
    if any(sent.kind is None for file in files for sent in file.sent):
        return
    if any(_passes_api_on(file) for file in files):
        return
    sent_kinds = {sent.kind for file in files for sent in file.sent if sent.kind is not None}
    for file in files:
        for kind, node in file.handlers.items():
            if kind not in sent_kinds:
                like = nearest(kind, sent_kinds - set(file.handlers))
                file.warning(
                    node, "unsent", f"no agent sends messages of kind '{kind}'",
                    _cure_of_unsent(kind, like),
                )  # fmt: skip


def _passes_api_on(file: AgentFile) -> bool:
    """Whether send, broadcast or after is used otherwise than in a plain call."""
    return any(
        use.node.var is None
        and file.text(use.node) in ("send", "broadcast", "after")
        and (use.node.parent is None or use.node.parent.type != "function_call"
             or use.node.parent.children[0] is not use.node)
        for use in file.scopes.reads
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


def _clashes(model: ModelSpec, files: list[AgentFile], toml: Findings) -> None:
    parameters = {parameter.name: parameter.line for parameter in model.parameters}
    metrics = {metric.name: metric.line for metric in model.metrics}

    def clash(line: int, name: str, message: str) -> None:
        source = toml.text.split("\n")[line - 1] if line else ""
        column = max(0, source.find(name))
        toml.at(line, column, len(name), "clash", message, "rename one of them")

    for name, line in parameters.items():
        if name in _EXPRESSION_WORDS | AGGREGATES | {"i"}:
            clash(
                line,
                name,
                f"the parameter '{name}' has a name that means something else in expressions",
            )
    for name, line in metrics.items():
        if name in parameters:
            clash(line, name, f"'{name}' is a parameter (line {parameters[name]}) and a metric")
        elif name in _EXPRESSION_WORDS:
            clash(
                line,
                name,
                f"the metric '{name}' has a name that means something else in expressions",
            )
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
