"""Every script in ``tests/hostile`` ends as its first line says, alike on both VMs.

``-- expect: ok`` or a fragment of the error; ``-- expect: check: <fragment>`` where the front end
is the wall. The others run without being checked: the sandbox has to hold by itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_env import VMS
from sandbox_env import Sandbox

from runtime.protocol import ExpressionSpec, ModelSpec, TypeSpec
from workers.frontend import compile_model

SCRIPTS = sorted((Path(__file__).parent / "hostile").glob("*.lua"))
MEMORY = 256 << 20
FUEL = 200_000
"""A fifth of the default, for speed; scripts that fill memory or stack get all of it."""


def read(path: Path) -> tuple[str, str]:
    """What a script is expected to do, and its text."""
    source = path.read_text(encoding="latin-1")
    return source.split("\n", 1)[0].removeprefix("-- expect: "), source


def plain(outcome: str) -> str:
    """Without the place where a stack was full: the VMs have stacks of different sizes."""
    return "error: stack overflow" if "stack overflow" in outcome else outcome


CHECKED = [path for path in SCRIPTS if read(path)[0].startswith("check: ")]
RUN = [path for path in SCRIPTS if path not in CHECKED]


def test_the_corpus_is_not_cut_short() -> None:
    assert len(SCRIPTS) >= 150


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.stem)
def test_a_hostile_script_is_contained(path: Path) -> None:
    expected, source = read(path)
    outcomes = {}
    for vm in VMS:
        sandbox = Sandbox(vm, max_memory=MEMORY)
        fuel = 1_000_000 if path.stem.startswith(("memory", "recursion")) else FUEL
        outcomes[vm] = plain(sandbox.run(source, fuel))
        # The state serves the next script as if nothing had been.
        sandbox.kernel.lua.gccollect()
        assert sandbox.run("return ('%d'):format(#{1, 2, 3} + 2^2)") == "ok: 7"
    assert outcomes["luajit"] == outcomes["lua52"]
    if expected == "ok":
        assert outcomes["luajit"].startswith("ok: ")
    else:
        assert outcomes["luajit"].startswith("error: ")
        assert expected in outcomes["luajit"]


@pytest.mark.parametrize("path", CHECKED, ids=lambda path: path.stem)
def test_a_hostile_script_does_not_pass_the_check(path: Path) -> None:
    expected, source = read(path)
    agent = TypeSpec(
        "agent", ExpressionSpec("count", "1"), file=f"agents/{path.name}", source=source
    )
    program, found = compile_model(ModelSpec("m", types=(agent,)))
    errors = [f"{one.message} {one.excerpt}" for one in found if one.severity == "error"]
    assert program is None
    assert any(expected.removeprefix("check: ") in text for text in errors), errors
