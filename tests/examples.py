"""Fenced blocks of the documentation, and how they become models.

The line that opens a block says what it is:

    ```lua model=NAME file=agents/TYPE.lua     a file of the model NAME of this page
    ```toml model=NAME file=model.toml ticks=60 fails=fuel
    ```call                                    tool calls, one a line
    ```json wire=order                         a record of the protocol

``ticks``: how long to run (default 5). ``count``: agents of each type when the page gives no
model.toml. ``fails``: ``check``, or the kind of fault that ends the run; ``code``: that of an
error that the check then finds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("mcp_gateway/guide/*.md")),
    *sorted(ROOT.glob("models/*/README.md")),
    ROOT / "README.md",
]

_BLOCK = re.compile(r"^```(?P<info>[^\n`]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block. ``tags`` are the ``key=value`` words behind the language."""

    page: Path
    line: int
    language: str
    tags: dict[str, str]
    text: str


@dataclass
class Example:
    """A model given on a page."""

    page: Path
    name: str
    files: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.page.stem}:{self.name}"

    @property
    def ticks(self) -> int:
        return int(self.tags.get("ticks", 5))

    @property
    def fails(self) -> str:
        return self.tags.get("fails", "")

    def complete(self) -> dict[str, str]:
        """The files, with a model.toml of one type per script when the page gives none."""
        if "model.toml" in self.files:
            return self.files
        toml = [f'name = "{self.name}"']
        for path in sorted(self.files):
            if path.startswith("agents/"):
                toml.append(f"[agents.{Path(path).stem}]\ncount = {self.tags.get('count', 10)}")
        return {"model.toml": "\n".join(toml) + "\n", **self.files}


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        language, *words = match["info"].split()
        tags = dict(word.split("=", 1) for word in words)
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, language, tags, match["text"]))
    return found


def all_blocks() -> list[Block]:
    """The fenced blocks of every page."""
    return [block for page in PAGES if page.exists() for block in blocks(page)]


def examples() -> list[Example]:
    """The models of every page."""
    found: dict[tuple[Path, str], Example] = {}
    for block in all_blocks():
        if "model" not in block.tags:
            continue
        name = block.tags["model"]
        example = found.setdefault((block.page, name), Example(block.page, name))
        example.files[block.tags["file"]] = block.text
        example.tags |= {k: v for k, v in block.tags.items() if k not in ("model", "file")}
    return list(found.values())
