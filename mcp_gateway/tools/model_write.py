"""model_write: write a model's files, check them, keep the good revision."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Final

import anyio.to_thread
from msgspec import Meta, Struct

from mcp_gateway import faults
from mcp_gateway.catalogue import program
from mcp_gateway.edits import BadEdit, Edit, changed
from mcp_gateway.render import cell, fit, one_line
from mcp_gateway.store import StoreError, check_name
from mcp_gateway.tool import Call, Refusal, Tool
from runtime.commands import CheckModel, ModelChecked, ParameterInfo

DRY_TICKS: Final = 3


class Arguments(Struct, frozen=True, rename={"source": "from"}):
    """See the descriptions."""

    model: Annotated[str, Meta(description="your name for it: a-z, 0-9, _")]
    files: Annotated[
        dict[str, str | None],
        Meta(
            description="model.toml, agents/NAME.lua, environment.lua: whole texts; null takes one"
            " away; others stay"
        ),
    ] = {}
    edits: Annotated[
        list[Edit], Meta(description="replace old, which must stand exactly once in file, by new")
    ] = []
    source: Annotated[
        str,
        Meta(
            description="start from this model's files (the library's or yours);"
            " its own name: throw its draft away"
        ),
    ] = ""


async def run(call: Call, args: Arguments) -> str:
    """Write, check, and keep what checks as the last good revision."""
    try:
        base = await anyio.to_thread.run_sync(_base, call, args)
        files = changed(base, args.files, args.edits)
    except (StoreError, BadEdit) as error:
        raise Refusal(
            f"model_write: {_with_place(str(error), args)}\nNothing was changed."
        ) from None
    checked = await call.ask(
        CheckModel(name=args.model, files=program(files), dry_ticks=DRY_TICKS), ModelChecked
    )
    if _nothing_given(args):
        stored = call.catalogue.stored(args.model)
        number = stored.newest.number if stored else 0
    else:
        number = await _kept(call, args.model, files, good=checked.ok)
    if not checked.ok:
        raise Refusal(_faulty(call, args.model, number, checked))
    return fit(
        [f"{args.model}: revision {number} checks, {checked.dry_ticks} ticks tried"],
        [*_differences(base, files), *_summary(checked)],
        lambda n: f"… {n} more lines left out: guide(topic='models/{args.model}') shows the model",
        [f'Next: sim_create(model="{args.model}")'],
    )


def _base(call: Call, args: Arguments) -> Mapping[str, str]:
    """The files that the change applies to."""
    check_name(args.model)
    catalogue = call.catalogue
    stored = catalogue.stored(args.model)
    if stored is None and _nothing_given(args):
        raise BadEdit(
            "give files, edits or from. guide(topic='model') shows how a model is written"
        )
    if stored is None and args.model in catalogue.library:
        raise StoreError(
            f"{args.model} is a library model and stays as it is; copy it:"
            f' model_write(model="my_{args.model}", from="{args.model}", edits=[…])'
        )
    if args.source and args.source != args.model:
        return catalogue.newest(args.source).files
    if stored is None:
        if args.source or (args.edits and not args.files):
            raise catalogue.unknown(args.model)
        return {}
    if args.source:
        return catalogue.runnable(args.model).files
    return stored.newest.files


def _nothing_given(args: Arguments) -> bool:
    """Only the model's name: its newest revision is checked again, and nothing written."""
    return not (args.files or args.edits or args.source)


def _with_place(said: str, args: Arguments) -> str:
    """Where the text is to be seen that an edit did not find."""
    if not said.endswith("Nothing in it is close"):
        return said
    file = next((edit.file for edit in args.edits if f"of {edit.file}:" in said), "FILE")
    return f"{said}; guide(topic='models/{args.source or args.model}/{file}') shows it"


async def _kept(call: Call, model: str, files: Mapping[str, str], *, good: bool) -> int:
    def write() -> int:
        return call.catalogue.store.write(model, files, good=good)

    try:
        return await anyio.to_thread.run_sync(write)
    except StoreError as error:
        raise Refusal(f"model_write: {error}") from None
    except OSError as error:
        raise Refusal(f"model_write: the model could not be written: {error.strerror}") from error


def _faulty(call: Call, model: str, number: int, checked: ModelChecked) -> str:
    stored = call.catalogue.stored(model)
    errors = sum(1 for d in checked.diagnostics if d.severity == "error")
    said = f"{model}: revision {number} does not check: {errors} error{'s' if errors != 1 else ''}."
    if stored is not None and stored.good is not None:
        said += f" It is kept as a draft; revision {stored.good.number} stays the one that runs."
    else:
        said += " It is kept as a draft."
    # Errors first: the budget must not be spent on warnings.
    ordered = sorted(checked.diagnostics, key=lambda d: d.severity != "error")
    following = f'Next: model_write(model="{model}", edits=[{{file, old, new}}]) mends the draft'
    return faults.checked(said, ordered, [following])


def _differences(base: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """``changed: agents/a.lua +2 -1, model.toml new``."""
    parts = []
    for path in sorted({*base, *files}):
        old, new = base.get(path), files.get(path)
        if old == new:
            continue
        if new is None:
            parts.append(f"{path} taken away")
        elif old is None:
            parts.append(f"{path} new")
        else:
            lines = list(difflib.ndiff(old.splitlines(), new.splitlines()))
            plus, minus = (sum(1 for line in lines if line.startswith(sign)) for sign in "+-")
            parts.append(f"{path} +{plus} -{minus}")
    return [f"changed: {', '.join(parts)}"] if parts else ["changed: nothing"]


def _summary(checked: ModelChecked) -> list[str]:
    lines = []
    agents = ", ".join(f"{name} {'?' if n < 0 else n}" for name, n in checked.agents.items())
    lines.append(f"agents with the default parameters: {agents or 'none'} ({checked.activation})")
    lines += [f"parameter {_parameter(parameter)}" for parameter in checked.parameters]
    if checked.metrics:
        lines.append(f"metrics: {', '.join(checked.metrics)}")
    for diagnostic in checked.diagnostics:
        lines += faults.diagnostic_lines(diagnostic)
    return lines


def _parameter(parameter: ParameterInfo) -> str:
    said = f"{parameter.name} = {cell(parameter.default)}"
    if parameter.min is not None or parameter.max is not None:
        low = "" if parameter.min is None else cell(parameter.min)
        high = "" if parameter.max is None else cell(parameter.max)
        said += f" ({low}..{high})"
    if parameter.choices:
        said += f" (one of {', '.join(cell(choice) for choice in parameter.choices)})"
    return said + (f": {one_line(parameter.description, 100)}" if parameter.description else "")


TOOL = Tool(
    name="model_write",
    title="Write a model",
    description=(
        "Write or change a model (model.toml, agents/*.lua, environment.lua); it is checked and"
        " tried for a few ticks. What checks becomes the last good revision; what does not stays a"
        " draft that the next edits apply to; model alone checks that again. guide(topic='model')"
        " shows how to write one."
    ),
    arguments=Arguments,
    run=run,
)
