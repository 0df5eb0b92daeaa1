"""The private directory: sockets and crumb files, one subdirectory per coordinator.

Whoever can write to a coordinator's socket can make it run code, and ipc sockets have no other
lock than the rights of their directory: so it is ours, mode 0700, or it is refused. A coordinator
holds a file lock in its subdirectory as long as it lives, which the kernel gives back however it
ends: a subdirectory whose lock can be had belongs to a dead one and is swept.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from runtime.errors import CoordinatorLost, UsageError

MAX_PATH: Final = 100
"""Bytes of a socket's path; the kernel's limit is 107 on Linux and 103 on macOS."""

CLIENTS: Final = "clients.sock"
WORKERS: Final = "workers.sock"
_LOCK: Final = "lock"
_CARD: Final = "coordinator.json"
_LONGEST_NAME: Final = len("/c-12345678/") + len(CLIENTS)
_YOUNG_S: Final = 60.0
"""A subdirectory without a lock file is left alone so long: its coordinator may be starting."""


class Card(NamedTuple):
    """What a running coordinator says of itself."""

    pid: int
    endpoint: str


def endpoint_of(directory: Path, socket: str) -> str:
    """The ipc endpoint of a socket in a directory."""
    path = directory / socket
    if len(os.fsencode(path)) > MAX_PATH:
        raise UsageError(
            f"the socket's path {path} is longer than {MAX_PATH} bytes",
            "choose a shorter directory (--dir), or set XDG_RUNTIME_DIR to a shorter one",
        )
    return f"ipc://{path}"


def root() -> Path:
    """The directory of all coordinators of this user, made if it is not there.

    Raises:
        UsageError: it is not ours, or others may enter it.
    """
    candidates = []
    if runtime_dir := os.environ.get("XDG_RUNTIME_DIR"):
        candidates.append(Path(runtime_dir) / "gedanken")
    own = f"gedanken-{os.getuid()}"
    candidates += [Path(tempfile.gettempdir()) / own, Path("/tmp") / own]
    for path in candidates:
        short = len(os.fsencode(path)) + _LONGEST_NAME <= MAX_PATH
        if short and path.parent.is_dir() and os.access(path.parent, os.W_OK):
            return make_private(path)
    raise UsageError(
        f"no place for sockets: none of {', '.join(map(str, candidates))} is short and writable",
        "set XDG_RUNTIME_DIR to a directory of yours with a short path",
    )


def make_private(path: Path) -> Path:
    """The directory, made with mode 0700, or as it is if it is ours alone."""
    try:
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.lstat()
    except OSError as error:
        raise UsageError(f"cannot make the directory {path}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{path} is not a directory", "remove it")
    if found.st_uid != os.getuid():
        raise UsageError(
            f"{path} belongs to user {found.st_uid}, not to you ({os.getuid()})",
            "set XDG_RUNTIME_DIR to a directory of yours",
        )
    if found.st_mode & 0o077:
        raise UsageError(
            f"others may enter {path} (mode {stat.S_IMODE(found.st_mode):04o})",
            f"chmod 700 {path}, or remove it",
        )
    return path


def new_directory() -> Path:
    """A fresh subdirectory for a coordinator."""
    return Path(tempfile.mkdtemp(prefix="c-", dir=root()))


def remove_directory(directory: Path) -> None:
    """Remove a coordinator's directory and all in it; no error if it is gone already."""
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def held_directory(wanted: Path | None) -> Iterator[Path]:
    """A directory for the coordinator that is this process: ``wanted``, or a new one. It is
    removed at the end, with all in it.

    Raises:
        UsageError: it is not private, or another coordinator holds it.
    """
    directory = make_private(wanted) if wanted is not None else new_directory()
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"a coordinator runs in {directory} already", "simctl ps shows it"
            ) from None
        _empty(directory)
        try:
            yield directory
        finally:
            remove_directory(directory)
    finally:
        os.close(descriptor)


def _empty(directory: Path) -> None:
    """Refuse a directory with anything in it that is not ours: it would be removed at the end."""
    for path in directory.iterdir():
        if path.name in (CLIENTS, WORKERS, _CARD, f"{_CARD}.new") or path.suffix == ".crumb":
            path.unlink()
        elif path.name != _LOCK:
            raise UsageError(
                f"{directory} is not empty: {path.name}", "choose a directory for sockets alone"
            )


def is_held(directory: Path) -> bool:
    """Whether a living process holds this directory."""
    try:
        descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def write_card(directory: Path) -> None:
    """Say that a coordinator serves here; from now on it is found."""
    card = {"format": 1, "pid": os.getpid(), "endpoint": endpoint_of(directory, CLIENTS)}
    aside = directory / f"{_CARD}.new"
    aside.write_text(json.dumps(card), encoding="utf-8")
    aside.rename(directory / _CARD)


def read_card(directory: Path) -> Card:
    """What the coordinator of this directory says of itself.

    Raises:
        CoordinatorLost: no living coordinator serves there.
    """
    try:
        card = json.loads((directory / _CARD).read_text(encoding="utf-8"))
        found = Card(int(card["pid"]), str(card["endpoint"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise CoordinatorLost(f"no coordinator serves in {directory}") from None
    if not is_held(directory):
        raise CoordinatorLost(f"the coordinator of {directory} (process {found.pid}) is gone")
    return found


def coordinators() -> list[Card]:
    """The running coordinators of this user, by directory name."""
    found = []
    for directory in _subdirectories(root()):
        with suppress(CoordinatorLost):
            found.append(read_card(directory))
    return found


def sweep() -> list[Path]:
    """Remove what dead coordinators left behind; give what was removed."""
    swept = []
    for directory in _subdirectories(root()):
        if is_held(directory):
            continue
        with suppress(OSError):
            locked = (directory / _LOCK).exists()
            if locked or time.time() - directory.stat().st_mtime > _YOUNG_S:
                remove_directory(directory)
                swept.append(directory)
    return swept


def _subdirectories(parent: Path) -> Iterator[Path]:
    yield from sorted(p for p in parent.iterdir() if p.name.startswith("c-") and p.is_dir())
