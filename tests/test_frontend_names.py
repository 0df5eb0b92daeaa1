"""The lists of names agree with what the worker really gives to scripts."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from frontend_env import in_step, read
from kernel_env import KERNEL, VMS
from sandbox_env import Sandbox
from shares import Shares, in_large_stack

from runtime.protocol import ModelSpec
from workers.names import (
    API,
    BASE,
    ENVIRONMENT_API,
    FOREIGN_GLOBALS,
    FOREIGN_MEMBERS,
    GLOBALS,
    LIBRARIES,
    RANDOM,
    nearest,
)


@pytest.mark.parametrize("vm", VMS)
def test_the_library_is_what_the_sandbox_gives(vm: str) -> None:
    kernel = Sandbox(vm).kernel
    given = {name.decode() for name in kernel["sandbox"][b"lib"]}
    assert given == BASE | LIBRARIES.keys()
    for library, module in (("string", "strings"), ("table", "tables"), ("math", "maths")):
        names = {name.decode() for name in kernel[module]}
        # math.randomseed is there to explain itself; the front end refuses it earlier.
        assert names - {"randomseed"} == LIBRARIES[library]


EVERYTHING = """\
name = "m"
activation = "random"
[agents.a]
count = 1
place = "random"
publish = ["x"]
state = { x = 1 }
[environment]
space = { kind = "grid", width = 5, height = 5 }
network = { kind = "empty", directed = true }
[environment.layers]
heat = 0
"""
"""A model that declares all there is to declare."""


def first_missing(model: ModelSpec, vm: str) -> str:
    """The message of the fault with which tick 0 ended, or ''."""
    fault = in_large_stack(lambda: Shares(model, [1], vm=vm).fault)
    return fault.message if fault is not None else ""


def probe(names: Iterable[str], me: str) -> str:
    """An init that fails at the first of the names that it has not."""
    tests = "".join(f"  if {name} == nil then error('no {name}') end\n" for name in sorted(names))
    return f"function init({me})\n{tests}end\n"


@pytest.mark.parametrize("vm", ["luajit21", "lua52"])
def test_what_scripts_may_name_the_kernel_gives(vm: str) -> None:
    probing = {"a": probe(API, "self"), "environment": probe(ENVIRONMENT_API, "env")}
    assert first_missing(read(EVERYTHING, **probing), vm) == ""


def test_all_that_the_kernel_defines_may_be_named() -> None:
    defined: set[str] = set()
    for file in sorted(KERNEL.glob("*.lua")):
        text = file.read_text(encoding="utf-8")
        defined |= set(re.findall(r"\b(?:api|seen|world\.features)\.(\w+) =", text))
        defined |= set(re.findall(r"\bfunction api\.(\w+)", text))
    # param, on and the random functions come from elsewhere.
    assert defined | {"param", "on"} | RANDOM == API


def test_what_is_called_foreign_is_not_given() -> None:
    assert FOREIGN_GLOBALS.keys() & GLOBALS == set()
    given = {f"{library}.{name}" for library, names in LIBRARIES.items() for name in names}
    assert FOREIGN_MEMBERS.keys() & given == set()
    assert set() == BASE & API


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sendd", "send"),
        ("brodcast", "broadcast"),
        ("Random", "random"),
        ("tick", None),
        ("zzzzz", None),
        ("ramdom", "random"),
    ],
)
def test_the_nearest_name_is_found_where_one_is_near(name: str, found: str | None) -> None:
    assert nearest(name, GLOBALS - {name}) == found


@pytest.mark.parametrize("use", ["self.goto = 1", "local t = {goto = 1}", "self:goto()"])
def test_goto_is_no_name_on_luajit_either(use: str) -> None:
    assert [one.message for one in in_step(use) if one.code == "reserved"] == [
        "goto is a word of Lua and cannot be a name"
    ]
