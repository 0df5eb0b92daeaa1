"""Every model that can be named: those written over MCP, and the library's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcp_gateway.arguments import did_you_mean
from mcp_gateway.store import ModelStore, Stored, StoreError
from runtime import library


def program(files: Mapping[str, str]) -> dict[str, str]:
    """``model.toml``, the Lua files and the tables (CSV) among ``files``."""
    return {
        path: text
        for path, text in files.items()
        if path == "model.toml" or path.endswith((".lua", ".csv"))
    }


@dataclass(frozen=True)
class Source:
    """Files to create a simulation from, and where they come from."""

    name: str
    files: Mapping[str, str]
    origin: str
    """``library`` or ``revision 3``."""
    draft: int | None = None
    """The number of a newer revision that does not check, or None."""

    @property
    def program(self) -> dict[str, str]:
        """The files that the runtime reads: what is prose stays here."""
        return program(self.files)


def shipped_models() -> dict[str, dict[str, str]]:
    """The library's models with their files, and their README.md, which only ``guide`` shows."""
    found = {}
    for path in sorted(library.shipped().glob("*/model.toml")):
        files = library.read_files(path.parent)
        readme = path.with_name("README.md")
        if readme.is_file():
            files["README.md"] = readme.read_text(encoding="utf-8")
        found[path.parent.name] = files
    return found


class Catalogue:
    """Names of models to their files. ``library`` maps a name to its files, read at start."""

    def __init__(self, store: ModelStore, library: Mapping[str, Mapping[str, str]]) -> None:
        self.store = store
        self.library = library

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({*self.library, *self.store.names()})

    def runnable(self, name: str) -> Source:
        """What a simulation of that model is made from: the last good revision.

        Raises:
            StoreError: no such model, or none of its revisions checks.
        """
        stored = self.stored(name)
        if stored is None:
            if name in self.library:
                return Source(name, self.library[name], "library")
            raise self.unknown(name)
        if stored.good is None:
            raise StoreError(
                f"model {name!r} has no revision that checks (draft: revision"
                f" {stored.newest.number}); model_write(model={name!r}) says why, and mends it with"
                " edits=[…]"
            )
        draft = stored.draft.number if stored.draft else None
        return Source(name, stored.good.files, f"revision {stored.good.number}", draft)

    def newest(self, name: str) -> Source:
        """What edits apply to and ``guide`` shows: the draft, else the last good revision."""
        stored = self.stored(name)
        if stored is not None:
            what = "draft, revision" if stored.draft else "revision"
            return Source(name, stored.newest.files, f"{what} {stored.newest.number}")
        if name in self.library:
            return Source(name, self.library[name], "library")
        raise self.unknown(name)

    def stored(self, name: str) -> Stored | None:
        """The model written under that name, if any; it goes before one of the library."""
        return self.store.read(name)

    def unknown(self, name: str) -> StoreError:
        """The error for a name that is no model's."""
        known = self.names()
        return StoreError(
            f"there is no model {name!r}{did_you_mean(name, known)}"
            f" Models: {', '.join(known) or 'none yet; write one with model_write'}"
        )
