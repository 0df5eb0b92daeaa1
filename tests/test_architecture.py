"""Imports run one way: a row for each module says what of this project it may import."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("runtime", "workers", "mcp_gateway")

WORDS = {"runtime.protocol", "runtime.commands", "runtime.errors"}
"""What the processes say to each other; below everything."""
BORDER = WORDS | {"runtime.client", "runtime.figures", "runtime.interpreter", "runtime.library"}
"""What the gateway may know of the runtime; workers know less."""

ROWS: dict[str, set[str]] = {
    "runtime": set(),
    "runtime.protocol": set(),
    "runtime.errors": {"runtime.protocol"},
    "runtime.commands": {"runtime.protocol"},
    "runtime.interpreter": set(),
    "runtime.log": set(),
    "runtime.toml_findings": WORDS,
    "runtime.model": WORDS | {"runtime.model_*", "runtime.toml_findings"},
    "runtime.model_*": WORDS | {"runtime.model_words", "runtime.toml_findings"},
    "runtime.library": WORDS,
    "runtime.core.*": WORDS | {"runtime.core.*"},
    "runtime.transport": WORDS,
    "runtime.private": WORDS,
    "runtime.supervisor": WORDS | {"runtime.interpreter", "runtime.log"},
    "runtime.staff": WORDS | {"runtime.core.*", "runtime.log", "runtime.supervisor"},
    "runtime.desk": WORDS | {"runtime.core.*", "runtime.log", "runtime.model"},
    "runtime.coordinator": WORDS
    | {"runtime.core.*", "runtime.desk", "runtime.log", "runtime.private", "runtime.staff"}
    | {"runtime.supervisor", "runtime.transport"},
    "runtime.client": WORDS | {"runtime.interpreter", "runtime.private", "runtime.transport"},
    "runtime.figures": {"runtime.protocol"},
    "runtime.report": WORDS | {"runtime.figures"},
    "runtime.cli": WORDS | {"runtime.report"},
    "runtime.cli_*": WORDS
    | {"runtime.client", "runtime.figures", "runtime.interpreter", "runtime.library"}
    | {"runtime.log", "runtime.report"},
    "workers.*": WORDS | {"workers.*"},
    "workers.worker": WORDS | {"runtime.log", "runtime.transport", "workers.*"},
    "mcp_gateway.*": BORDER | {"mcp_gateway.*"},
}
"""Module -> what it may import. ``x.*``: a package's modules, or those whose name starts so."""

ONLY_IN = {
    "lupa": {"workers.lua"},
    "zmq": {"runtime.transport"},
    "tree_sitter": {"workers.*"},
    "tree_sitter_lua": {"workers.*"},
    "click": {"runtime.cli", "runtime.cli_*"},
    "mcp": {"mcp_gateway.*"},
    "asyncio": {"mcp_gateway.*"},
    "anyio": {"mcp_gateway.*"},
}
"""Library -> the modules that may import it."""

IMPURE = {"asyncio", "zmq", "os", "time", "random", "threading", "subprocess", "socket"}
"""What the core must do without: it decides, the shell acts."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.stat().st_size
}


def imports(module: str) -> set[str]:
    """Everything the module imports, wherever in its text, as dotted names of modules."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively, line {node.lineno}"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else str(node.module))
    return found


def fits(module: str, pattern: str) -> bool:
    return module == pattern or (
        pattern.endswith("*") and (module + ".").startswith(pattern.removesuffix("*"))
    )


def row_of(module: str) -> set[str] | None:
    """The module's row; the longest pattern counts."""
    found = [pattern for pattern in ROWS if fits(module, pattern)]
    return ROWS[max(found, key=len)] if found else None


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_row_allows(module):
    allowed = row_of(module)
    ours = {name for name in imports(module) if name.split(".")[0] in PACKAGES}
    assert allowed is not None, f"{module} has no row in tests/test_architecture.py"
    assert {name for name in ours if not any(fits(name, one) for one in allowed)} == set()


def test_no_module_imports_itself_by_way_of_others():
    graph = {module: imports(module) & MODULES.keys() for module in MODULES}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_belongs(library):
    users = {
        module
        for module in MODULES
        if any(name.split(".")[0] == library for name in imports(module))
    }
    assert {u for u in users if not any(fits(u, one) for one in ONLY_IN[library])} == set()


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("runtime.core.")])
def test_the_core_reaches_no_socket_file_clock_or_process(module):
    assert {name.split(".")[0] for name in imports(module)} & IMPURE == set()


def test_every_row_speaks_of_a_module_that_exists():
    assert [p for p in ROWS if not any(fits(module, p) for module in MODULES)] == []
