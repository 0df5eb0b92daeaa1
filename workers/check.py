"""Checks that need the VM: a model with its dry run, and queries against a loaded model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import msgspec

from runtime import protocol as p
from workers.expressions import ExpressionCode, compile_expression
from workers.frontend import Program, compile_model
from workers.heads import pack
from workers.lua import Kernel, LuaFault
from workers.program import queries_of

_MANY: Final = 2**31 - 1
"""Ids are int32."""
_SHARD: Final = 1024
"""Ids per shard of a dry run; any number does, since one worker hosts them all."""

RunShare = Callable[[p.Load, int], p.Fault | None]
"""Hosts a share alone and runs it to the given tick; the fault that stopped it, if any."""


def check_model(order: p.Check, run: RunShare) -> p.Checked:
    """Everything found in the model, its agent counts, and a dry run when it is clean."""
    try:
        kernel = Kernel(order.vm, 256 * 2**20)
    except LuaFault as error:
        no_vm = p.Diagnostic(severity="error", code="vm", message=str(error))
        return p.Checked(worker=0, epoch=order.epoch, diagnostics=[no_vm])

    def compile_text(source: str, name: str) -> str | None:
        message = kernel.call("syntax", source.encode("utf-8", "surrogateescape"), name.encode())
        return message.decode("utf-8", "replace") if message else None

    program, found = compile_model(order.model, compile_text)
    counts: list[int] = []
    if program is not None:
        counts, problems = count_agents(kernel, program, order)
        found = [*found, *problems]
    clean = program is not None and not any(d.severity == "error" for d in found)
    dry = 0
    if clean and order.dry_ticks > 0 and program is not None:
        fault = _dry_run(order, program, counts, run)
        dry = order.dry_ticks
        if fault is not None:
            found = [*found, _as_diagnostic(fault)]
    return p.Checked(
        worker=0,
        epoch=order.epoch,
        diagnostics=list(found),
        counts=counts,
        vm=kernel.vm,
        metrics=metric_names(program) if program is not None else [],
        dry_ticks=dry,
    )


def metric_names(program: Program) -> list[str]:
    """Columns of the rows to come, in the order that rows have them."""
    return [e["name"] for e in program["expressions"] if e["role"] == "metric"] + list(
        program["records"]
    )


def count_agents(
    kernel: Kernel, program: Program, order: p.Check
) -> tuple[list[int], list[p.Diagnostic]]:
    """Agents per type with the order's parameters (-1 where a count fails), and what is wrong."""
    counts: list[int] = []
    found: list[p.Diagnostic] = []
    parameters = pack(order.parameters)
    for kind, spec in zip(program["types"], order.model.types, strict=True):
        code = kind["count"]["code"]
        ok, value = kernel.call("constant", code.encode(), b"count", parameters)
        problem = ""
        if not ok:
            problem = value.decode("utf-8", "replace")
        elif not math.isfinite(value) or value != int(value) or value < 0:
            problem = f"gives {value:g}, where a whole number of agents, 0 or more, is needed"
        elif value > _MANY:
            problem = f"gives {value:g} agents; at most {_MANY} fit"
        elif spec.alias and value != 1:
            problem = (
                f"gives {value:g}, but the type has the name '{spec.alias}', so its count must be 1"
            )
        counts.append(-1 if problem else int(value))
        if problem:
            found.append(
                p.Diagnostic(
                    severity="error",
                    code="count",
                    message=f"count of '{spec.name}': {problem}",
                    file="model.toml",
                    line=spec.count.line or spec.line,
                    excerpt=spec.count.text,
                    hint="write a whole number, or an expression over parameters: floor(n / 2)",
                )
            )
    return counts, found


def _dry_run(order: p.Check, program: Program, counts: list[int], run: RunShare) -> p.Fault | None:
    total = sum(counts)
    model, scaled = order.model, counts
    if total > order.dry_agents:
        scaled = [max(1, n * order.dry_agents // total) if n else 0 for n in counts]
        model = msgspec.structs.replace(model, invariants=())
    load = p.Load(
        epoch=order.epoch,
        worker=0,
        workers=1,
        model=model,
        parameters=order.parameters,
        seed=1,
        counts=scaled,
        shard_size=_SHARD,
        placement=[0] * -(-sum(scaled) // _SHARD),
        memory_bytes=1 << 30,
        vm=order.vm,
        activation=order.model.regime(order.parameters),
    )
    return run(load, order.dry_ticks)


def _as_diagnostic(fault: p.Fault) -> p.Diagnostic:
    who = f" in agent {fault.agent} ({fault.agent_type})" if fault.agent else ""
    what = f", {fault.handler}" if fault.handler and fault.agent else ""
    return p.Diagnostic(
        severity="error",
        code="dry-run",
        message=f"dry run, tick {fault.tick}{who}{what}: {fault.message}",
        file=fault.file or "",
        line=fault.line or 0,
        excerpt=fault.excerpt or "",
        hint=fault.hint or "",
    )


def compile_query(
    query: p.Query, model: p.ModelSpec, program: Program
) -> tuple[dict[str, Any], p.Diagnostic | None]:
    """The query as the kernel takes it, or what is wrong with it."""
    names = [t.name for t in model.types]
    if query.agent_type not in names:
        return {}, p.Diagnostic(
            severity="error",
            code="type",
            message=f"there is no agent type '{query.agent_type}'",
            hint="types: " + ", ".join(names),
        )
    problem: list[p.Diagnostic] = []

    def code(text: str, context: str) -> ExpressionCode:
        compiled, found = compile_expression(
            text,
            model=model,
            context=context,
            kinds=program["kinds"],
            queries=queries_of(program),
            agent_type=query.agent_type,
        )
        if compiled is None:
            first = found[0]
            problem.append(
                msgspec.structs.replace(first, message=f"{context} `{text}`: {first.message}")
            )
            return {"code": "nil", "aggregates": []}
        return compiled

    def plain(text: str, context: str) -> str:
        return code(text, context)["code"] if text else ""

    aggregates = []
    for text in query.aggregates:
        made = code(text, "aggregate")["aggregates"]
        if made:
            aggregates.append({**made[0], "name": text})
    fields = [{"name": field_name(text), "code": plain(text, "field")} for text in query.fields]
    grouped = bool(query.group or query.aggregates)
    columns = ([query.group, "agents"] if query.group else []) + list(query.aggregates)
    order_code, order_column = "", 0
    if grouped and query.order:
        if query.order in columns:
            order_column = columns.index(query.order) + 1
        else:
            problem.append(
                p.Diagnostic(
                    severity="error",
                    code="order",
                    message=f"order '{query.order}' is not a column of this grouped query",
                    hint="columns: " + ", ".join(columns),
                )
            )
    elif query.order:
        order_code = plain(_self_field(query.order), "order")
    spec = {
        "type": query.agent_type,
        "where": plain(query.where, "where"),
        "fields": fields,
        "group": plain(query.group, "group"),
        "group_name": query.group,
        "aggregates": aggregates,
        "order": order_code,
        "order_column": order_column,
        "descending": query.descending,
        "limit": query.limit,
    }
    return spec, problem[0] if problem else None


def field_name(text: str) -> str:
    """A column's name: ``self.cash`` shows as ``cash``."""
    rest = text.removeprefix("self.")
    return rest if rest.isidentifier() else text


def _self_field(text: str) -> str:
    """``cash`` orders by ``self.cash``: the name that the column shows."""
    return f"self.{text}" if text.isidentifier() and text != "tick" else text
