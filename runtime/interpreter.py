"""How one of our modules is run as a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn


def module_command(module: str) -> list[str]:
    """Arguments that make Python run one of our modules, whatever lies in the working directory."""
    return ["-P", "-m", module]


def module_environment() -> dict[str, str]:
    """An environment in which our packages are found first."""
    home = str(Path(__file__).resolve().parent.parent)
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{home}{os.pathsep}{path}" if path else home}


def become(module: str, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by one of our modules; streams, process id and terminal stay."""
    sys.stdout.flush()
    command = [sys.executable, *module_command(module), *arguments]
    os.execve(sys.executable, command, module_environment())
