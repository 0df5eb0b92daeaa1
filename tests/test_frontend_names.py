"""The lists of names agree with what the worker really gives to scripts."""

from __future__ import annotations

import pytest

from workers.names import API, BASE, FOREIGN_GLOBALS, FOREIGN_MEMBERS, GLOBALS, LIBRARIES, nearest


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
