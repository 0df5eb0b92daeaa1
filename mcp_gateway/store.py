"""Models written over MCP, on disk, with their revisions.

``GEDANKEN_HOME/models/NAME/`` holds one folder a revision (``r1``, ``r2``, …) and two symbolic
links: ``good``, the last revision that checked, and ``draft``, a newer one that did not. A revision
is written aside and renamed, a link is replaced by renaming, so a reader sees the old or the new
and never a half; ``simctl run NAME`` runs the good one. Writers of one model exclude each other by
a lock file, since several gateways may share one home.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KEPT: Final = 20
"""Good revisions kept of each model; older ones are deleted."""
MAX_MODELS: Final = 500

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


class StoreError(Exception):
    """A name that cannot be one, or a model that is not there."""


@dataclass(frozen=True)
class Revision:
    """One written state of a model."""

    number: int
    files: Mapping[str, str]


@dataclass(frozen=True)
class Stored:
    """A model as it stands: its last good revision, and the draft beside it if that is newer."""

    name: str
    good: Revision | None
    draft: Revision | None

    @property
    def newest(self) -> Revision:
        """What edits apply to: the draft where there is one."""
        newest = self.draft or self.good
        assert newest is not None
        return newest


def check_name(name: str) -> str:
    """The name itself, if a model may be called so."""
    if not _NAME.fullmatch(name):
        raise StoreError(
            f"{name!r} cannot be a model's name: use a-z, 0-9 and _, a letter first, at most 40"
        )
    return name


class ModelStore:
    """The models under one home. Every method may be called from any thread."""

    def __init__(self, home: Path) -> None:
        self._root = home / "models"

    def names(self) -> list[str]:
        """Every model that has a revision, sorted."""
        if not self._root.is_dir():
            return []
        folders = (path for path in self._root.iterdir() if _NAME.fullmatch(path.name))
        return sorted(path.name for path in folders if self._links(path))

    def read(self, name: str) -> Stored | None:
        """The model, or None when there is none of that name."""
        folder = self._root / check_name(name)
        if not folder.is_dir():
            return None
        # A writer may delete a draft between the look at the link and the read; then look again.
        for _ in range(3):
            try:
                good, draft = (self._revision(folder, link) for link in ("good", "draft"))
            except FileNotFoundError:
                continue
            return Stored(name, good, draft) if good or draft else None
        raise StoreError(f"model {name!r} is being changed by another program; call again")

    def write(self, name: str, files: Mapping[str, str], *, good: bool) -> int:
        """Add a revision and make it the last good one or the draft; gives its number."""
        folder = self._root / check_name(name)
        if not folder.is_dir() and len(self.names()) >= MAX_MODELS:
            raise StoreError(f"there are {MAX_MODELS} models already; remove some first")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with _locked(folder):
                number = max(self._numbers(folder), default=0) + 1
                _write_aside(folder, f"r{number}", files)
                _point(folder, "good" if good else "draft", f"r{number}")
                if good:
                    (folder / "draft").unlink(missing_ok=True)
                self._prune(folder)
        except FileNotFoundError:
            raise StoreError(f"model {name!r} was removed meanwhile; call again") from None
        return number

    def remove(self, name: str) -> bool:
        """Delete a model with all its revisions; False when there is none."""
        folder = self._root / check_name(name)
        if not folder.is_dir():
            return False
        with _locked(folder):
            # Renamed first, so that nobody reads a model that is half deleted.
            gone = Path(tempfile.mkdtemp(prefix=".removed-", dir=self._root))
            folder.rename(gone / name)
        shutil.rmtree(gone)
        return True

    def _links(self, folder: Path) -> dict[str, str]:
        return {
            link: os.readlink(folder / link)
            for link in ("good", "draft")
            if (folder / link).is_symlink()
        }

    def _revision(self, folder: Path, link: str) -> Revision | None:
        target = self._links(folder).get(link)
        if target is None:
            return None
        root = folder / target
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        if not paths:
            raise FileNotFoundError(root)
        files = {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in paths}
        return Revision(int(target[1:]), files)

    def _numbers(self, folder: Path) -> list[int]:
        return [int(p.name[1:]) for p in folder.iterdir() if re.fullmatch(r"r[0-9]+", p.name)]

    def _prune(self, folder: Path) -> None:
        linked = {int(target[1:]) for target in self._links(folder).values()}
        newest = sorted(self._numbers(folder))[-KEPT:]
        for number in self._numbers(folder):
            if number not in linked and number not in newest:
                shutil.rmtree(folder / f"r{number}")


def _write_aside(folder: Path, name: str, files: Mapping[str, str]) -> None:
    aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    try:
        for path, text in files.items():
            target = aside / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("w", encoding="utf-8", newline="\n") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
        aside.rename(folder / name)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _point(folder: Path, link: str, target: str) -> None:
    aside = folder / f".{link}-new"
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    aside.rename(folder / link)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
