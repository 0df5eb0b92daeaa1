"""Queries through Query and Combine on any number of workers, against Python's own answers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shares import Shares, in_large_stack, model
from worlds import EVERYWHERE, WORKERS, same_for

from runtime import protocol as p

PEOPLE = """
local TOWNS = {"Ulm", "Bonn", "Jena", "Köln"}
function init(self)
  self.cash = random(0, 9)
  self.height = random() * 100
  self.town = TOWNS[random(1, 4)]
  self.member = random() < 0.5
  if random() < 0.3 then self.note = "n" .. self.cash end
  self.pocket = {1, 2, self.cash}
end
function on.pay(self, msg) self.cash = self.cash + msg.amount end
function step(self)
  if random() < 0.1 then remove() end
  if random() < 0.1 then
    spawn("person", {cash = 100, height = 0.5, town = "Ulm", member = true, pocket = {}})
  end
end
"""
BORN = PEOPLE.replace(
    "function init(self)\n", "function init(self)\n  if self.parent then return end\n"
)
SPEC = model(
    {"dog": "function init(self) self.cash = -1 end", "person": BORN}, parameters={"rich": 5}
)
COUNTS = [3, 60]


@pytest.fixture(scope="module")
def town() -> tuple[list[Shares], list[dict[str, Any]]]:
    """One world on every number of workers, and its people as Python sees them."""

    def build() -> tuple[list[Shares], list[dict[str, Any]]]:
        worlds = [Shares(SPEC, COUNTS, workers).run(5) for workers in WORKERS]
        people = [
            {"id": id_, **state}
            for id_, (kind, state, _) in worlds[0].states().items()
            if kind == "person"
        ]
        return worlds, people

    built: tuple[list[Shares], list[dict[str, Any]]] = in_large_stack(build)
    return built


def ask(town: tuple[list[Shares], Any], **query: Any) -> tuple[list[str], list[list[Any]], int]:
    """The answer, which must be the same from all; an unknown limit is all."""
    order = p.Query(epoch=1, tick=5, agent_type="person", **{"limit": 1000, **query})
    found: tuple[list[str], list[list[Any]], int] = same_for(
        town[0], lambda world: world.query(order)
    )
    return found


def test_where_fields_order_and_limit(town: Any) -> None:
    _, people = town
    columns, rows, total = ask(
        town,
        where="self.member and self.cash > rich",
        fields=["self.town", "self.cash * 2", "self.id"],
        order="height",
        descending=True,
        limit=7,
    )
    chosen = [one for one in people if one["member"] and one["cash"] > 5]
    chosen.sort(key=lambda one: (-one["height"], one["id"]))
    assert (columns, total) == (["town", "self.cash * 2", "id"], len(chosen))
    assert rows == [[one["town"], one["cash"] * 2, one["id"]] for one in chosen[:7]]


def test_without_fields_all_scalar_fields_are_shown_and_the_rest_described(town: Any) -> None:
    _, people = town
    columns, rows, total = ask(town, limit=20)
    names = sorted({name for one in people[:20] for name in one} - {"id"})
    assert (columns, total, len(rows)) == (["id", *names], len(people), 20)

    def shown(value: Any) -> Any:
        return f"{{{len(value)} fields}}" if isinstance(value, list | dict) else value

    assert rows == [[shown(one.get(name)) for name in columns] for one in people[:20]]


def test_ties_in_the_order_are_broken_by_id_in_both_directions(town: Any) -> None:
    _, people = town
    for descending in (False, True):
        _, rows, _ = ask(town, fields=["self.cash"], order="cash", descending=descending)
        sign = -1 if descending else 1
        expected = sorted(people, key=lambda one: (sign * one["cash"], one["id"]))
        assert rows == [[one["id"], one["cash"]] for one in expected]


def test_aggregates_over_all_and_over_nobody(town: Any) -> None:
    _, people = town
    texts = ["count()", "sum(self.cash)", "mean(self.height)", "min(self.height)", "max(self.cash)",
             "sd(self.cash)", "quantile(self.height, 0.25)", "share(self.member)", 
             "count(self.member)"]  # fmt: skip
    heights = sorted(one["height"] for one in people)
    cash = [one["cash"] for one in people]
    place = 0.25 * (len(heights) - 1)
    below = math.floor(place)
    quantile = heights[below] + (place - below) * (heights[below + 1] - heights[below])
    members = sum(one["member"] for one in people)
    columns, rows, total = ask(town, aggregates=texts)
    assert (columns, total) == (texts, 1)
    assert rows[0] == pytest.approx([
        len(people), sum(cash), math.fsum(heights) / len(heights), heights[0], max(cash),
        statistics.pstdev(cash), quantile, members / len(people), members,
    ], rel=1e-12)  # fmt: skip
    assert rows[0][2] == math.fsum(heights) / len(heights)
    _, rows, _ = ask(town, aggregates=texts, where="self.cash < 0")
    assert rows == [[0, 0, None, None, None, None, None, None, 0]]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("self.town", lambda one: one["town"]),
        ("self.member", lambda one: one["member"]),
        ("self.cash % 4 / 2", lambda one: one["cash"] % 4 / 2),
        ("self.note", lambda one: one.get("note")),
        (
            "self.cash > 4 and self.town or self.cash",
            lambda one: one["town"] if one["cash"] > 4 else one["cash"],
        ),
        ("(self.cash % 3 - 1) * 0", lambda one: 0),
        (
            "self.cash == 1 and 'nil' or self.note",
            lambda one: "nil" if one["cash"] == 1 else one.get("note"),
        ),
    ],
)  # fmt: skip
def test_groups_stand_in_the_order_of_their_keys(
    town: Any, text: str, key: Callable[[dict[str, Any]], Any]
) -> None:
    _, people = town
    groups: dict[Any, list[int]] = {}
    for one in people:
        groups.setdefault(key(one), []).append(one["cash"])

    def rank(value: Any) -> tuple[int, Any]:
        kinds = (type(None), bool, int | float, str)
        at = next(i for i, kind in enumerate(kinds) if isinstance(value, kind))
        return at, 0 if value is None else value.encode() if isinstance(value, str) else value

    expected = [
        [k, len(groups[k]), sum(groups[k]), max(groups[k])] for k in sorted(groups, key=rank)
    ]
    columns, rows, total = ask(town, group=text, aggregates=["sum(self.cash)", "max(self.cash)"])
    assert columns == [text, "agents", "sum(self.cash)", "max(self.cash)"]
    assert (rows, total) == (expected, len(expected))


def test_nan_is_a_group_of_its_own_and_is_not_the_text_nan(town: Any) -> None:
    _, rows, total = ask(town, group="self.member and 0 / 0 or 'nan'")
    assert total == 2
    assert rows[0][0] != rows[0][0]
    assert rows[1][0] == "nan"


def test_groups_are_ordered_by_a_column_and_cut(town: Any) -> None:
    _, people = town
    towns = sorted({one["town"] for one in people})
    count = {t: sum(one["town"] == t for one in people) for t in towns}
    expected = sorted(towns, key=lambda t: (-count[t], t.encode()))
    _, rows, total = ask(town, group="self.town", order="agents", descending=True, limit=2)
    assert (rows, total) == ([[t, count[t]] for t in expected[:2]], len(towns))


def test_strange_bytes_in_a_row_are_shown_as_text() -> None:
    source = "function init(self) self.s = 'a\\255é' self['k\\254'] = 1 end"

    def run(place: tuple[int, str]) -> Any:
        world = Shares(model({"a": source}), [2], place[0], vm=place[1])
        plain = world.query(p.Query(epoch=1, tick=0, agent_type="a"))
        grouped = world.query(p.Query(epoch=1, tick=0, agent_type="a", group="self.s"))
        return plain, grouped

    plain, grouped = same_for(EVERYWHERE, run)
    assert plain == (["id", "k\\xfe", "s"], [[1, 1, "a\\xffé"], [2, 1, "a\\xffé"]], 2)
    assert grouped == (["self.s", "agents"], [["a\\xffé", 2]], 1)


FAULTY = {
    "where": ({"where": "self.note > 'a'"}, "attempt to compare", "metric"),
    "field": ({"fields": ["#self.note"], "limit": 3}, "self.note", "metric"),
    "order": ({"order": "self.cash + self.note"}, "attempt to perform arithmetic", "metric"),
    "aggregate": ({"aggregates": ["sum(self.note)"]}, "gives", "metric"),
    "group": ({"group": "self.pocket.x.y"}, "attempt to index", "metric"),
    "fuel": ({"fields": ["string.rep('x', 2^20)"]}, "spent all its fuel", "fuel"),
    "unknown name": ({"where": "self.cash > rihc"}, "unknown name 'rihc'", "query"),
    "unknown order": ({"group": "self.town", "order": "cash"}, "is not a column", "query"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_query_that_fails_says_why_and_the_simulation_goes_on(case: str) -> None:
    query, words, kind = FAULTY[case]
    spec = model({"dog": "", "person": BORN}, parameters={"rich": 5}, fuel=10_000)

    def run(workers: int) -> Any:
        world = Shares(spec, COUNTS, workers).run(5)
        answer = world.query(p.Query(epoch=1, tick=5, agent_type="person", **query))
        fault = world.query_fault
        world.run(8)
        assert world.fault is None
        world.spec = spec
        return answer, fault, world.digest()

    answer, fault, digest = same_for(WORKERS, run)
    assert answer == ([], [], 0)
    assert (fault.kind, fault.file) == (kind, None)
    assert words in fault.message
    assert digest == in_large_stack(lambda: Shares(spec, COUNTS).run(8).digest())


def test_a_script_fault_after_a_query_that_failed_is_reported_as_the_scripts() -> None:
    source = "function step(self) if tick() == 3 then self.x.y = 1 end end"

    def run(workers: int) -> Any:
        world = Shares(model({"a": source}), [5], workers).run(2)
        world.query(p.Query(epoch=1, tick=2, agent_type="a", where="self.x.y"))
        assert world.query_fault is not None
        return world.run(3).fault

    fault = same_for(WORKERS, run)
    assert (fault.kind, fault.agent, fault.file, fault.line) == ("script", 1, "agents/a.lua", 1)
    assert fault.handler == "step"


WHERES = {
    "": lambda one: True,
    "self.member": lambda one: one["member"],
    "self.cash >= 3 and self.cash < 8": lambda one: 3 <= one["cash"] < 8,
    "not self.note": lambda one: one.get("note") is None,
    "self.town == 'Köln' or self.height < 30": lambda one: (
        one["town"] == "Köln" or one["height"] < 30
    ),
    "self.id % 7 == rich": lambda one: one["id"] % 7 == 5,
}
ORDERS = {
    "": lambda one: one["id"],
    "cash": lambda one: one["cash"],
    "self.height": lambda one: one["height"],
    "self.town": lambda one: one["town"].encode(),
    "-self.cash": lambda one: -one["cash"],
}


@given(
    where=st.sampled_from(sorted(WHERES)),
    order=st.sampled_from(sorted(ORDERS)),
    limit=st.integers(1, 70),
    fields=st.lists(
        st.sampled_from(["cash", "height", "town", "member", "note"]), unique=True, min_size=1
    ),
)
@settings(max_examples=30)
def test_any_listing_is_what_python_finds(
    town: Any, where: str, order: str, limit: int, fields: list[str]
) -> None:
    _, people = town
    chosen = [one for one in people if WHERES[where](one)]
    chosen.sort(key=lambda one: (ORDERS[order](one), one["id"]))
    columns, rows, total = ask(
        town, where=where, order=order, limit=limit, fields=[f"self.{name}" for name in fields]
    )
    assert (columns, total) == (["id", *fields], len(chosen))
    assert rows == [[one["id"], *(one.get(name) for name in fields)] for one in chosen[:limit]]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"where": "self.csh > 1"}, "where: for agent "),
        ({"group": "self.csh + 1"}, "group: for agent "),
        ({"aggregates": ["count()", "mean(self.csh)"]}, "mean(self.csh): for agent "),
        ({"order": "self.csh * 2"}, "order: for agent "),
    ],
)
def test_a_query_that_fails_names_its_part_and_the_agent(query: dict[str, Any], said: str) -> None:
    def run() -> p.Fault | None:
        world = Shares(SPEC, COUNTS, 1).run(1)
        world.query(p.Query(epoch=1, tick=1, agent_type="person", **query))
        return world.query_fault

    fault = in_large_stack(run)
    assert fault is not None
    assert fault.message.startswith(said)
    assert "nil" in fault.message
    assert "not every agent has the field" in (fault.hint or "")
