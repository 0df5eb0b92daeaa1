"""The lists of names agree with what the worker really gives to scripts."""

from __future__ import annotations

import re

import pytest
from kernel_env import KERNEL, VMS
from sandbox_env import Sandbox

from workers.names import (
    API,
    BASE,
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


def test_the_api_is_what_the_kernel_defines() -> None:
    text = (KERNEL / "api.lua").read_text(encoding="utf-8")
    defined = set(re.findall(r"^  (?:function )?api\.(\w+)", text, re.MULTILINE))
    # print is log; param, on and the random functions come from elsewhere; ask and env come later.
    assert defined | {"print", "param", "on", "ask", "env"} | RANDOM == API


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
