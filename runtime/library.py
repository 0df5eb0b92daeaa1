"""Models on disk: the library beside the package, and those written over MCP.

A model is a folder with ``model.toml``. ``GEDANKEN_HOME/models/NAME/good`` is the last revision
that checked of a model that the gateway wrote.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from runtime.errors import UnknownModel, UsageError

MAX_BYTES: Final = 16 << 20
"""Of all files of a model together."""

_MODEL: Final = "model.toml"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class LibraryModel(Struct, frozen=True):
    """A model that can be named. ``origin``: library, or home for those written over MCP.
    ``activation``: its regime, or how it is chosen, as ``card`` gives it."""

    name: str
    activation: str
    description: str
    origin: str
    path: str


def home() -> Path:
    """Where data and written models live: ``GEDANKEN_HOME``, or ~/.local/share/gedanken."""
    given = os.environ.get("GEDANKEN_HOME")
    return Path(given) if given else Path.home() / ".local" / "share" / "gedanken"


def shipped() -> Path:
    """The library's folder."""
    return Path(__file__).resolve().parent.parent / "models"


def models() -> list[LibraryModel]:
    """Every model that can be named, by name; one written over MCP goes before the library's."""
    found: dict[str, LibraryModel] = {}
    for origin, folder in (("library", shipped()), ("home", home() / "models")):
        for name, path in _folders(folder):
            found[name] = LibraryModel(name, *_card(path), origin, str(path))
    return [found[name] for name in sorted(found)]


def read_model(model: str) -> tuple[str, dict[str, str]]:
    """The name and the files of a model: a folder's path, or a name of ``models()``.

    Raises:
        UnknownModel: there is none.
        UsageError: its files cannot be read.
    """
    folder = find(model)
    return _fit(_name_of(folder)), read_files(folder)


def _fit(name: str) -> str:
    """A folder may have any name, a simulation may not: 'my model' becomes my-model."""
    joined = re.sub(r"[^A-Za-z0-9_]+", "-", name)
    return re.sub(r"^[^A-Za-z]+|[^A-Za-z0-9]+$", "", joined)[:40] or "model"


def find(model: str) -> Path:
    """The folder of a model given by path or name; a path goes before a name."""
    path = Path(model)
    if path.name == _MODEL and path.is_file():
        path = path.parent
    if (path / _MODEL).is_file():
        return path.resolve()
    if _NAME.fullmatch(model):
        for folder in (home() / "models", shipped()):
            for candidate in (folder / model / "good", folder / model):
                if (candidate / _MODEL).is_file():
                    return candidate
    names = ", ".join(m.name for m in models())
    if path.is_dir():
        raise UnknownModel(
            f"{model} is a folder without {_MODEL}", "simctl new NAME writes a small working model"
        )
    raise UnknownModel(
        f"there is no model {model!r}: neither a folder nor a name of the library",
        f"the library has: {names}" if names else "give the path of a model's folder",
    )


def read_files(folder: Path) -> dict[str, str]:
    """``model.toml``, every Lua file below the folder, and the CSV files that model.toml names:
    relative path -> text."""
    scripts, tables = (sorted(folder.rglob(pattern)) for pattern in ("*.lua", "*.csv"))
    files: dict[str, str] = {}
    total = 0
    for path in [folder / _MODEL, *scripts, *tables]:
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in name.split("/")):
            continue
        # Results of runs are often kept beside the model: they are not part of it.
        if name.endswith(".csv") and name not in files[_MODEL]:
            continue
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from None
        total += len(content)
        if total > MAX_BYTES:
            raise UsageError(
                f"the files of {folder} are more than {MAX_BYTES >> 20} MiB",
                "a model's folder holds model.toml and its agents' scripts alone",
            )
        try:
            files[name] = content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise UsageError(
                f"{path}:{line}: not UTF-8 text (byte {content[error.start]:#04x})",
                "save the file as UTF-8",
            ) from None
    return files


def _name_of(folder: Path) -> str:
    """A model is called like its folder; a revision like the model it is of."""
    resolved = folder if folder.name == "good" else folder.resolve()
    return resolved.parent.name if folder.name in ("good", "draft") else resolved.name


def _folders(parent: Path) -> Iterator[tuple[str, Path]]:
    if not parent.is_dir():
        return
    for path in sorted(parent.iterdir()):
        if _NAME.fullmatch(path.name):
            for candidate in (path / "good", path):
                if (candidate / _MODEL).is_file():
                    yield path.name, candidate
                    break


def card(toml: str) -> tuple[str, str]:
    """The activation and the description that a model.toml gives; of one that cannot be read, why.

    The activation is the regime; ``by_type: a, b``; or where a parameter chooses it
    ``parameter: random, ordered``.
    """
    try:
        document = tomllib.loads(toml)
    except (ValueError, RecursionError) as error:
        return "", f"(cannot be read: {str(error).splitlines()[0]})"
    description = document.get("description", "")
    return _activation(document), description if isinstance(description, str) else ""


def _activation(document: Mapping[str, Any]) -> str:
    match document.get("activation", "synchronous"):
        case str(regime):
            return regime
        case {"by_type": list(types)}:
            return f"by_type: {', '.join(map(str, types))}"
        case {"parameter": str(name)}:
            choices = _choices(document.get("parameters"), name)
            return f"{name}: {', '.join(map(str, choices))}" if choices else name
    return ""


def _choices(parameters: object, name: str) -> list[Any]:
    entry = parameters.get(name) if isinstance(parameters, dict) else None
    choices = entry.get("choices") if isinstance(entry, dict) else None
    return choices if isinstance(choices, list) else []


def _card(folder: Path) -> tuple[str, str]:
    """As ``card``: a model that cannot be read must not hide the others."""
    try:
        return card((folder / _MODEL).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return "", f"(cannot be read: {error})"
