"""guide: how to write and run models; the library; a model's files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import anyio.to_thread
from msgspec import Meta, Struct

from mcp_gateway.arguments import did_you_mean
from mcp_gateway.catalogue import Source
from mcp_gateway.render import DEFAULT_BUDGET, one_line
from mcp_gateway.store import StoreError
from mcp_gateway.tool import Call, Refusal, Tool
from runtime import library

FOLDER: Final = Path(__file__).resolve().parent.parent / "guide"
_MODELS: Final = "models"


class Arguments(Struct, frozen=True):
    """See the descriptions."""

    topic: Annotated[
        str,
        Meta(description="not given: the index; models/NAME or models/NAME/FILE: a model's files"),
    ] = ""


async def run(call: Call, args: Arguments) -> str:
    """One page."""
    return await anyio.to_thread.run_sync(_page, call, args.topic.strip().strip("/"))


def topics() -> dict[str, Path]:
    """Every written page by its topic."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.md"))}


def parts(text: str, budget: int = DEFAULT_BUDGET - 200) -> list[str]:
    """A long page in parts that end where a paragraph or a fenced block ends."""
    blocks: list[str] = []
    fenced = False
    for line in text.strip("\n").split("\n"):
        if line == "" and not fenced:
            blocks.append("")
        elif blocks and blocks[-1]:
            blocks[-1] += "\n" + line
        else:
            blocks[-1:] = [line]
        if line.startswith("```"):
            fenced = not fenced
    pages: list[str] = []
    for block in blocks:
        pieces = [block[i : i + budget] for i in range(0, len(block), budget)]
        for piece in pieces:
            if pages and len(pages[-1]) + len(piece) + 2 <= budget:
                pages[-1] += "\n\n" + piece
            else:
                pages.append(piece)
    return pages or [""]


def _page(call: Call, topic: str) -> str:
    if topic.split("/")[0] == _MODELS:
        return _models(call, topic)
    name, _, part = topic.lower().removesuffix(".md").partition("/")
    known = topics()
    page = known.get(name or "index")
    if page is None:
        names = [*known, *(f"{_MODELS}/{model}" for model in call.catalogue.names())]
        raise Refusal(
            f"guide has no topic {topic!r}{did_you_mean(topic, names)} Topics: {', '.join(names)}"
        )
    text = page.read_text(encoding="utf-8")
    if name in ("", "index"):
        text += f"\nTopics: {', '.join(t for t in known if t != 'index')}, {_MODELS}\n"
    if name == "library":
        text += "\n" + _list(call)
    return _part(text, name, part)


def _part(text: str, topic: str, part: str) -> str:
    pages = parts(text)
    if part and not (part.isdecimal() and 1 <= int(part) <= len(pages)):
        raise Refusal(f"guide: {topic} has {len(pages)} part{'s'[: len(pages) > 1]}, not {part!r}")
    number = int(part) if part else 1
    said = pages[number - 1]
    if number < len(pages):
        said += f"\n\n… part {number} of {len(pages)}; Next: guide(topic='{topic}/{number + 1}')"
    return said


def _models(call: Call, topic: str) -> str:
    _, _, rest = topic.partition("/")
    if not rest:
        return _list(call)
    name, _, path = rest.partition("/")
    try:
        source = call.catalogue.newest(name)
    except StoreError as error:
        raise Refusal(str(error)) from None
    if not path:
        return _model(source)
    stem, _, part = path.rpartition("/")
    if path not in source.files and part.isdecimal() and stem in source.files:
        path = stem
    else:
        part = ""
    if path not in source.files:
        names = sorted(source.files)
        raise Refusal(
            f"{name} has no file {path!r}{did_you_mean(path, names)} Files: {', '.join(names)}"
        )
    return _part(source.files[path], f"{_MODELS}/{name}/{path}", part)


def _model(source: Source) -> str:
    """All files when they fit into one answer, else the list of them."""
    head = f"model {source.name} ({source.origin})"
    order = sorted(source.files, key=lambda p: (p != "model.toml", not p.endswith(".lua"), p))
    sizes = ", ".join(f"{path} {len(source.files[path])}" for path in order)
    text = f"{head}; files with their characters: {sizes}"
    for path in order:
        shown = f"\n--- {path}\n{source.files[path].rstrip()}"
        if len(text) + len(shown) <= DEFAULT_BUDGET - 150:
            text += shown
        else:
            text += f"\n--- {path}: guide(topic='{_MODELS}/{source.name}/{path}') shows it"
    return text


def _list(call: Call) -> str:
    catalogue = call.catalogue
    lines = []
    for name in catalogue.names():
        source = catalogue.newest(name)
        lines.append(f"{name} {described(source)}")
    shown = lines[:40]
    if len(lines) > len(shown):
        shown.append(f"… {len(lines) - len(shown)} more of yours left out")
    shown.append(
        f"Next: guide(topic='{_MODELS}/NAME') shows a model's files; sim_create(model=NAME)"
    )
    return "\n".join(shown)


def described(source: Source) -> str:
    """Where a model comes from, its regime, and what it says of itself; a draft may not parse."""
    activation, said = library.card(source.files.get("model.toml", ""))
    regime = f", {one_line(activation, 60)}" if activation else ""
    return f"({source.origin}{regime}): {one_line(said, 100) or '(no description)'}"


TOOL = Tool(
    name="guide",
    title="Guide",
    description=(
        "How to write models, the Lua API, expressions, queries, errors; the library of models; a"
        " model's files. Read topic 'model' before writing one."
    ),
    arguments=Arguments,
    run=run,
    read_only=True,
)
