"""Who sends what to whom: what only all scripts together can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runtime.protocol import ENVIRONMENT, ModelSpec
from workers.agent_file import AgentFile, Sent, literal
from workers.features import Features
from workers.names import listing, nearest
from workers.syntax import Node, is_called

_SENDERS: Final = ("send", "broadcast", "after", "ask")
_BLOCKED: Final = "blocked"
_ITS_NAMES: Final = ("env", "world", "model")
_BROADCAST: Final = "broadcast(type, kind, body)"


@dataclass(frozen=True)
class _Cast:
    """``handled``: kinds by agent type, in file order; ``script``: those of environment.lua, None
    without one."""

    handled: dict[str, set[str]]
    aliases: dict[str, str]
    script: set[str] | None

    def kinds_of(self, recipient: str | None) -> set[str]:
        """The kinds that a recipient handles; of None, that anybody does."""
        if recipient == ENVIRONMENT:
            return self.script or set()
        if recipient is not None:
            return self.handled.get(recipient, set())
        return set().union(*self.handled.values(), self.script or set())


def diagnose_mail(model: ModelSpec, files: list[AgentFile], script: AgentFile | None) -> None:
    """Report messages that nobody takes, handlers that nobody sends to, and unknown recipients."""
    handled = {file.spec.name: set(file.handlers) | file.lost_kinds for file in files}
    aliases = {agent.alias: agent.name for agent in model.types if agent.alias}
    taken = set(script.handlers) | script.lost_kinds if script is not None else None
    cast = _Cast(handled, aliases, taken)
    scripts = [*files, script] if script is not None else files
    for file in scripts:
        for sent in file.sent:
            if sent.api in file.api:
                _sent(file, sent, cast)
    _nobody_sends(scripts)


def _sent(file: AgentFile, sent: Sent, cast: _Cast) -> None:
    known, recipient = _recipient(file, sent, cast)
    if not known or sent.kind is None or sent.kind_node is None:
        return
    allowed = cast.kinds_of(recipient)
    if sent.kind in allowed:
        return
    like = nearest(sent.kind, allowed)
    others = sorted(kind for kind in cast.handled if sent.kind in cast.handled[kind])
    has = f" (type '{others[0]}' has)" if others else ""
    where, me = (f"agents/{recipient}.lua" if recipient else "the recipient's file"), "self"
    if recipient == ENVIRONMENT:
        message = f"environment.lua has no handler for '{sent.kind}'{has}"
        where, me = "environment.lua", "env"
    elif recipient is not None:
        has = has or (" (environment.lua has)" if sent.kind in cast.kinds_of(ENVIRONMENT) else "")
        message = f"type '{recipient}' has no handler for '{sent.kind}'{has}"
    elif cast.script is not None:
        message = f"nobody handles messages of kind '{sent.kind}'"
    else:
        message = f"no agent type handles messages of kind '{sent.kind}'"
    write = f"write function on.{sent.kind}({me}, msg, from) in {where}"
    if not sent.kind.isidentifier():
        write = f'write on["{sent.kind}"] = function({me}, msg, from) … end in {where}'
    hint = f"did you mean '{like}'? Or {write}" if like else write
    if recipient not in (None, ENVIRONMENT) and sent.kind in cast.kinds_of(ENVIRONMENT):
        hint = f'write send("environment", "{sent.kind}", …); or {write}'
    file.error(sent.kind_node, "unhandled", message, hint)


def _recipient(file: AgentFile, sent: Sent, cast: _Cast) -> tuple[bool, str | None]:
    """(whether the recipient may be one, whose handlers count: None for anybody's)."""
    to = sent.to
    name = literal(file.tree, to)
    text = file.text(to) if to is not None else ""
    if sent.api == "after":
        return True, file.spec.name
    if sent.api == "broadcast":
        if name == ENVIRONMENT and to is not None:
            hint = 'write send("environment", kind, body)'
            file.error(to, "recipient", "broadcast goes to the agents of a type", hint)
            return False, None
        return type_name(file, to, _BROADCAST, list(cast.handled)), name
    if text in ("self.id", "self") and not file.is_environment and to is not None:
        if sent.api == "ask":
            message, hint = "an agent cannot ask itself", "call a local function with self"
        else:
            message, hint = "self is the agent's table, not its id", "write self.id"
        if text == "self" or sent.api == "ask":
            file.error(to, "recipient", message, hint)
            return False, None
        return True, file.spec.name
    if to is not None and (name == ENVIRONMENT or text == "0"):
        if cast.script is None:
            hint = "write environment.lua with function on.kind(env, msg, from), or send to an "
            hint += "agent with a name"
            file.error(to, "recipient", "this model has no environment.lua to send to", hint)
        return cast.script is not None, ENVIRONMENT
    if name is not None and to is not None:
        if name not in cast.aliases:
            _not_an_agent(file, sent, to, name, cast)
            return False, None
        return True, cast.aliases[name]
    return True, None


def _not_an_agent(file: AgentFile, sent: Sent, node: Node, name: str, cast: _Cast) -> None:
    names = set(cast.aliases) | ({ENVIRONMENT} if cast.script is not None else set())
    like = ENVIRONMENT if name in _ITS_NAMES and ENVIRONMENT in names else nearest(name, names)
    if name in cast.handled:
        message = f"'{name}' is an agent type: a message goes to one agent"
        hint = (
            f'write broadcast("{name}", kind, body), or send(choice(agents("{name}")), kind, body)'
        )
    elif sent.kind is None and name in cast.kinds_of(None):
        message = f"'{name}' is a message kind: the recipient comes first"
        hint = f'write {sent.api}(to, "{name}", body)'
    else:
        message = f"no agent has the name '{name}'"
        hint = f"did you mean '{like}'?" if like else f"names: {listing(names)}; else send to an id"
    file.error(node, "recipient", message, hint)


def type_name(
    file: AgentFile, node: Node | None, form: str, types: list[str], any_type: bool = False
) -> bool:
    """Whether a type name that is written out is one; a computed name passes."""
    if node is None:
        return True
    name = literal(file.tree, node)
    if name is None:
        wrong = ("number", "true", "false", "table_constructor") + (() if any_type else ("nil",))
        if node.type not in wrong:
            return True
        message = f"{form.split('(')[0]} takes the name of an agent type here"
        quoted = f'"{types[0] if types else "type"}"'
        file.error(node, "type", message, f"write {form}, with a text as type: {quoted}")
        return False
    if name in types:
        return True
    like = nearest(name, types)
    file.error(
        node, "type", f"there is no agent type '{name}'",
        f"did you mean '{like}'?" if like else f"types: {listing(types)}",
    )  # fmt: skip
    return False


def _nobody_sends(files: list[AgentFile]) -> None:
    """Only where every kind sent is known."""
    if not all(file.whole for file in files):
        return
    if any(sent.kind is None for file in files for sent in file.sent):
        return
    if any(passes_api_on(file) for file in files):
        return
    sent_kinds = {sent.kind for file in files for sent in file.sent if sent.kind is not None}
    for file in files:
        for kind, node in file.handlers.items():
            if kind in sent_kinds:
                continue
            if kind == _BLOCKED and not file.is_environment:
                _never_blocked(file, node, file.features)
                continue
            like = nearest(kind, sent_kinds - set(file.handlers))
            message = f"no agent sends messages of kind '{kind}'"
            if file.is_environment:
                message += " to the environment"
            file.warning(node, "unsent", message, _cure_of_unsent(file, kind, like))


def _never_blocked(file: AgentFile, node: Node, features: Features) -> None:
    """``blocked`` is the one kind that the runtime sends itself."""
    if features.blocks:
        return
    message = "nobody is ever told 'blocked' here"
    if features.single:
        hint = "in this regime move_to returns false where a cell is taken: test what it returns"
    else:
        hint = "it comes from a grid with single = true, to an agent whose move was refused"
    file.warning(node, "unsent", message, hint)


def _cure_of_unsent(file: AgentFile, kind: str, like: str | None) -> str:
    if kind in ("init", "step"):
        return f"what the runtime calls itself stands without on: function {kind}({file.role.me})"
    return f"did you mean '{like}'?" if like else "send it, or remove the handler"


def passes_api_on(file: AgentFile) -> bool:
    """Whether send and its like are used otherwise than in a plain call."""
    return any(
        use.node.var is None
        and file.text(use.node) in _SENDERS
        and not is_called(use.node)
        for use in file.scopes.reads
    )  # fmt: skip
