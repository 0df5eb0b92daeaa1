"""Whole files and exact-text edits on a model's files; pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

MAX_FILE: Final = 256 * 1024
"""Bytes of one file."""
MAX_MODEL: Final = 1024 * 1024
"""Bytes of a model's files together."""
MAX_FILES: Final = 64

_PATH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(/[A-Za-z0-9_][A-Za-z0-9_-]*){0,3}\.[a-z]+")
_SUFFIXES: Final = ("lua", "toml", "md", "csv", "json", "txt")


class Edit(Struct, frozen=True, forbid_unknown_fields=True):
    """Replace the one place where ``old`` stands in ``file``."""

    file: str
    old: str
    new: str


class BadEdit(Exception):
    """The change cannot be made; nothing of it was."""


def changed(
    base: Mapping[str, str], files: Mapping[str, str | None], edits: Sequence[Edit]
) -> dict[str, str]:
    """``base`` with whole files put in (None takes a file away), then the edits, in order.

    Raises:
        BadEdit: a path, a size, or an ``old`` that does not stand exactly once.
    """
    out = dict(base)
    for path, text in files.items():
        _check_path(path)
        if text is None:
            if path not in out:
                raise BadEdit(f"{path}: there is no such file to take away. Files: {_names(out)}")
            del out[path]
        else:
            out[path] = _newlines(text)
    for number, edit in enumerate(edits, 1):
        out[edit.file] = _edited(out, edit, f"edit {number}")
    _check_sizes(out)
    return out


def _edited(files: Mapping[str, str], edit: Edit, which: str) -> str:
    if edit.file not in files:
        raise BadEdit(f"{which}: there is no file {edit.file!r}. Files: {_names(files)}")
    text, old = files[edit.file], _newlines(edit.old)
    if not old:
        raise BadEdit(f"{which} of {edit.file}: old is empty; give the text to replace")
    found = text.count(old)
    if found == 1:
        return text.replace(old, _newlines(edit.new))
    if found > 1:
        lines = [str(text.count("\n", 0, m.start()) + 1) for m in re.finditer(re.escape(old), text)]
        raise BadEdit(
            f"{which} of {edit.file}: old stands {found} times (lines {', '.join(lines[:8])});"
            " add neighbouring text until it stands once"
        )
    raise BadEdit(f"{which} of {edit.file}: old does not stand in it.{_closest(text, old)}")


def _closest(text: str, old: str) -> str:
    """Where the text comes nearest to the first line of ``old``, with that place as it stands."""
    lines = text.split("\n")
    span = old.strip("\n").split("\n")
    wanted = max(span, key=len).strip()
    close = difflib.get_close_matches(wanted, [line.strip() for line in lines], n=1, cutoff=0.5)
    if not close:
        return " Nothing in it is close"
    at = next(i for i, line in enumerate(lines) if line.strip() == close[0])
    first = max(0, at - 1)
    around = lines[first : at + max(2, min(len(span), 6))]
    shown = "\n".join(f"{first + i + 1:>4} | {line}" for i, line in enumerate(around))
    return f" The nearest text is:\n{shown}"


def _check_path(path: str) -> None:
    if not _PATH.fullmatch(path) or len(path) > 100 or path.rpartition(".")[2] not in _SUFFIXES:
        raise BadEdit(
            f"{path!r} is not a file name for a model: use model.toml, agents/NAME.lua,"
            " environment.lua or README.md (letters, digits, _ and -; ending in"
            f" {', '.join(_SUFFIXES)})"
        )


def _check_sizes(files: Mapping[str, str]) -> None:
    if len(files) > MAX_FILES:
        raise BadEdit(f"{len(files)} files; a model has at most {MAX_FILES}")
    sizes = {path: len(text.encode("utf-8", "surrogatepass")) for path, text in files.items()}
    for path, size in sizes.items():
        if size > MAX_FILE:
            raise BadEdit(f"{path}: {size} bytes; a file has at most {MAX_FILE}")
        if "\0" in files[path] or not _encodable(files[path]):
            raise BadEdit(f"{path}: is not text (a NUL character or a lone surrogate in it)")
    if sum(sizes.values()) > MAX_MODEL:
        raise BadEdit(f"{sum(sizes.values())} bytes; a model has at most {MAX_MODEL}")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _names(files: Mapping[str, str]) -> str:
    return ", ".join(sorted(files)) or "none yet"
