"""Edge lists: what is read of a CSV file, and which line is wrong how."""

from __future__ import annotations

import pytest
from frontend_env import ONE_TYPE, check, marked, program

EDGES = ONE_TYPE + '[environment]\nnetwork = { kind = "edges", file = "links.csv" }\n'


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("1,2\n2,3\n", [1, 2, 1, 2, 3, 1]),
        ("1.0,2\n 2 , 3 ", [1, 2, 1, 2, 3, 1]),
        ("from,to\n1,2\n", [1, 2, 1]),
        ("from,to,weight\r\n1, 2, 0.5\r\n\r\n3,1,-2e3\r\n", [1, 2, 0.5, 3, 1, -2000]),
        ("\ufeff1,2\n", [1, 2, 1]),
        ('"source","target"\n1,2', [1, 2, 1]),
    ],
)
def test_an_edge_list_is_read_with_or_without_header_and_weights(
    text: str, edges: list[float]
) -> None:
    made = program(EDGES, a="", links=text)
    assert made["network"] is not None
    assert made["network"]["edges"] == edges


@pytest.mark.parametrize(
    ("text", "line", "place", "reason", "cure"),
    [
        ("1,2\n1,x\n", 2, "x", "'x' is not a number", "from,to"),
        ("1,2\n1_0,2\n", 2, "1_0", "'1_0' is not a number", ""),
        ("é,2\n", 1, "é", "'é' is not a number", ""),
        ("1,2\n1, 2.5\n", 2, "2.5", "not a whole number", "indices are 1, 2, 3"),
        ("0,1\n", 1, "0", "index 0: indices count from 1", "add 1 to every index"),
        ("1,-4\n", 1, "-4", "index -4", ""),
        ("1,9e99\n", 1, "9e99", "index 9e99", ""),
        ("1,nan\n", 1, "nan", "not a whole number", ""),
        ("1,2,inf\n", 1, "inf", "a finite number", ""),
        ("a,b\n1,1\n", 2, "1,1", "links agent 1 with itself", "remove the line"),
        ("1,2\n1,2,3,4\n", 2, "1,2,3,4", "has 4 columns", "from,to,weight"),
        ("1,2,1\n1,2\n", 2, "1,2", "has 2 columns, those above have 3", "or none"),
        ("1;2\n", 1, "1;2", "divided by semicolons", "use commas"),
        ("1 2\n", 1, "1 2", "divided by spaces", "use commas"),
        ("from,to\n", 1, "f", "holds no links", ""),
        ("\n\n", 1, "", "holds no links", ""),
    ],
)
def test_a_line_of_an_edge_list_that_is_wrong_is_named(
    text: str, line: int, place: str, reason: str, cure: str
) -> None:
    one = check(EDGES, a="", links=text)[0]
    assert (one.severity, one.file, one.line) == ("error", "links.csv", line)
    assert marked(one) == place
    assert reason in one.message
    assert cure in one.hint


def test_an_edge_list_that_is_wrong_throughout_is_reported_by_ten_lines() -> None:
    found = check(EDGES, a="", links="0,1\n" * 1000)
    assert len(found) == 11
    assert found[0].message == "990 more lines of links.csv are wrong"
