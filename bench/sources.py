"""The models that are timed, as files."""

from __future__ import annotations

import re
from pathlib import Path

from runtime import library

HERE = Path(__file__).parent
LIBRARY = HERE.parent / "models"
OWN = HERE / "models"

WATCHING = re.compile(r"^\[(?:metrics|invariants|stop)\]\n(?:(?!\[).*\n?)*", re.MULTILINE)
"""Sections of a model.toml that watch the agents, from their header to the next one."""


def read_files(folder: Path, watched: bool) -> dict[str, str]:
    """A model's files. Without ``watched`` its metrics, invariants and stop are left out, so that
    agents alone are timed, as in the yardsticks."""
    texts = library.read_files(folder)
    if not watched:
        texts["model.toml"] = WATCHING.sub("", texts["model.toml"])
    return texts
