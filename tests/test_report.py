"""How simctl shows things: pure rendering, no process."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import figures, report
from runtime.commands import MetricSummary, ModelChecked, ParameterInfo, SimulationInfo, Table
from runtime.errors import ModelError, SimulationFault, UnknownModel, WorkerLost
from runtime.protocol import Counts, Diagnostic, Fault

FAULT = Fault(
    kind="script",
    message="attempt to index a nil value (field 'mood')",
    tick=12,
    agent=37,
    agent_type="person",
    file="agents/person.lua",
    line=14,
    handler="on.infect",
    handling="infect from agent 3, sent at tick 11: {dose = 2}",
    excerpt="  self.mood.level = 1",
    hint="self.mood is nil: set it in init",
)
FOUND = Diagnostic(
    severity="error",
    code="foreign-idiom",
    message="`!=` is not Lua",
    file="agents/person.lua",
    line=3,
    excerpt="\tif a != b then",
    hint="write ~=",
)


def info(**changes) -> SimulationInfo:
    values = {
        "sim": "epidemic-1",
        "model": "epidemic",
        "phase": "ready",
        "tick": 60,
        "target": 60,
        "stopped": "ticks",
        "parameters": {"people": 1000, "rule": "frost"},
        "seed": 7,
        "activation": "synchronous",
        "workers": 2,
        "vm": "luajit21",
        "agents": {"person": 1000},
        "messages": Counts(sent=12345, delivered=12300, dead=5),
        "metrics": {
            "infected": MetricSummary(
                first=10.0, last=3.0, min=3.0, max=412.0, mean=101.25, spark=[10.0, 412.0, 3.0]
            ),
            "late": MetricSummary(spark=[None, None, None]),
        },
        "elapsed_s": 0.25,
        "ticks_per_s": 240.0,
        "digest": "00ff",
    }
    return SimulationInfo(**(values | changes))


def test_a_run_as_text_names_ending_settings_metrics_and_counts():
    assert report.run_text(info()).splitlines() == [
        "epidemic-1  tick 60, ended: all ticks done",
        "  2 workers, luajit21, synchronous, seed 7, people=1000, rule=frost",
        "",
        "  metric    first  last  min  max    mean",
        "  infected     10     3    3  412  101.25  ▁█▁",
        "  late          -     -    -    -       -",
        "",
        "  agents    1\u00a0000 person",
        "  messages  12\u00a0345 sent, 12\u00a0300 delivered, 5 dead",
        "  digest    00ff",
        "  took      250 ms, 240 ticks/s",
    ]


def test_notes_of_a_run_stand_below_its_settings_and_in_its_json():
    noted = info(notes=["activation 'random' runs on one worker: 3 were asked for"])
    assert report.run_text(noted).splitlines()[2:4] == [
        "  note: activation 'random' runs on one worker: 3 were asked for",
        "",
    ]
    assert report.run_json(noted)["notes"] == noted.notes


def test_a_run_that_a_condition_ended_says_which():
    shown = report.run_text(info(stopped="invariant", stopped_by="money", tick=5))
    assert shown.splitlines()[0] == "epidemic-1  tick 5, ended: an invariant broke: money"


def test_a_run_as_json_has_every_promised_name():
    value = json.loads(report.to_json(report.run_json(info())))
    assert value == {
        "format": 1,
        "sim": "epidemic-1",
        "model": "epidemic",
        "parameters": {"people": 1000, "rule": "frost"},
        "seed": 7,
        "activation": "synchronous",
        "workers": 2,
        "vm": "luajit21",
        "tick": 60,
        "stopped": "ticks",
        "stopped_by": None,
        "digest": "00ff",
        "agents": {"person": 1000},
        "messages": {"sent": 12345, "delivered": 12300, "dead": 5},
        "metrics": {
            "infected": {"first": 10, "last": 3, "min": 3, "max": 412, "mean": 101.25},
            "late": {"first": None, "last": None, "min": None, "max": None, "mean": None},
        },
        "elapsed_s": 0.25,
        "ticks_per_s": 240,
        "error": None,
        "notes": [],
    }


def test_a_failed_run_as_json_has_no_digest_and_the_whole_error():
    value = report.run_json(info(stopped="error", digest="", error=FAULT))
    assert value["digest"] is None
    assert value["error"] == {
        "kind": "script",
        "message": "attempt to index a nil value (field 'mood')",
        "file": "agents/person.lua",
        "line": 14,
        "agent": 37,
        "agent_type": "person",
        "tick": 12,
        "excerpt": "  self.mood.level = 1",
        "hint": "self.mood is nil: set it in init",
        "handler": "on.infect",
        "handling": "infect from agent 3, sent at tick 11: {dose = 2}",
        "worker": None,
    }


def test_json_of_no_run_has_the_same_names_as_json_of_a_run():
    error = ModelError("sir does not check", [FOUND])
    value = report.no_run_json("sir", error, {"people": 5})
    assert report.run_json(info()).keys() - value.keys() == {"sim"}
    assert value.keys() - report.run_json(info()).keys() == {"diagnostics"}
    assert (value["model"], value["stopped"], value["digest"]) == ("sir", "error", None)
    assert value["error"] == {
        **dict.fromkeys(("agent", "agent_type", "tick", "handler", "handling", "worker")),
        "kind": "check",
        "message": "`!=` is not Lua",
        "file": "agents/person.lua",
        "line": 3,
        "excerpt": "\tif a != b then",
        "hint": "write ~=",
    }


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UnknownModel("no model 'x'"), "unknown_model"),
        (WorkerLost("worker 1 died"), "worker_lost"),
        (SimulationFault(FAULT), "script"),
    ],
)
def test_the_error_object_names_the_kind_of_error(error, kind):
    assert report.error_json(error)["kind"] == kind


def test_json_shows_nan_and_infinities_as_null():
    value = {"a": [math.nan, math.inf, 1.5], "b": {"c": -math.inf}, 3: True}
    assert json.loads(report.to_json(value)) == {
        "a": [None, None, 1.5],
        "b": {"c": None},
        "3": True,
    }


def test_a_fault_as_text_names_kind_tick_agent_line_message_and_cure():
    assert report.fault_text(FAULT).splitlines() == [
        "error: script at tick 12, agent 37 (person) in on.infect",
        "  agents/person.lua:14: attempt to index a nil value (field 'mood')",
        "     14 |   self.mood.level = 1",
        "  handling: infect from agent 3, sent at tick 11: {dose = 2}",
        "  try: self.mood is nil: set it in init",
    ]


def test_a_fault_of_the_environment_as_text_names_it_instead_of_an_agent():
    place = {"agent": None, "agent_type": "environment", "file": "environment.lua", "line": 12}
    fault = Fault(kind="fuel", message="the fuel is spent", tick=5, handler="step", **place)
    assert report.fault_text(fault).splitlines() == [
        "error: fuel at tick 5, the environment in step",
        "  environment.lua:12: the fuel is spent",
    ]


def test_a_fault_of_a_worker_names_the_worker():
    fault = Fault(kind="worker", message="worker 1 (pid 9) was killed", tick=4, worker=1)
    assert report.fault_text(fault).splitlines() == [
        "error: worker at tick 4, worker 1",
        "  worker 1 (pid 9) was killed",
    ]


def test_a_finding_as_text_has_place_reason_line_and_cure():
    assert report.diagnostic_text(FOUND).splitlines() == [
        "agents/person.lua:3: error: `!=` is not Lua",
        "      3 |     if a != b then",
        "  try: write ~=",
    ]


def test_a_checked_model_as_text_ends_with_a_summary():
    warning = Diagnostic(severity="warning", code="x", message="nobody sends 'hi'", file="a.lua")
    checked = ModelChecked(
        ok=True,
        diagnostics=[warning],
        name="sir",
        parameters=[ParameterInfo(name="beta", default=0.2)],
        agents={"person": 1000},
        metrics=["infected"],
        dry_ticks=3,
    )
    assert report.check_text(checked).splitlines() == [
        "a.lua: warning: nobody sends 'hi'",
        "",
        "sir: checks (1 warning)",
        "  agents      1\u00a0000 person",
        "  activation  synchronous",
        "  parameters  beta=0.2",
        "  metrics     infected",
        "  dry run     3 ticks",
    ]


def test_a_model_that_does_not_check_is_counted_not_described():
    checked = ModelChecked(ok=False, diagnostics=[FOUND, FOUND], name="sir")
    assert report.check_text(checked).splitlines()[-1] == "sir: does not check (2 errors)"


def test_text_of_a_model_cannot_command_the_terminal():
    hostile = Fault(kind="script", message="\x1b[2J\x07bad\ttab", tick=1)
    assert report.fault_text(hostile) == "error: script at tick 1\n  \\x1b[2J\\x07bad    tab"


def test_a_query_says_what_it_left_out():
    reply = Table(columns=["id", "cash"], rows=[[1, 2.5], [2, None]], total=9, tick=3)
    assert report.rows_text(reply).splitlines() == [
        "id  cash",
        " 1   2.5",
        " 2     -",
        "7 of 9 rows left out",
    ]


def test_a_bar_shows_share_tick_speed_and_time_left():
    shown = report.progress_bar(info(phase="running", tick=25, target=100), start=0, width=100)
    assert shown == (
        "epidemic-1 " + "█" * 8 + "░" * 22 + "  25%  tick 25 of 100  240 ticks/s  312 ms left"
    )


@given(st.integers(1, 200), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_bar_never_wraps(width, tick, target):
    assert len(report.progress_bar(info(tick=tick, target=target), 0, width)) <= max(0, width - 1)


# --- figures -----------------------------------------------------------------------------------


def test_a_sparkline_reaches_from_least_to_greatest():
    assert figures.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert figures.sparkline([5.0, 5.0]) == "▁▁"
    assert figures.sparkline([1.0, None, math.nan, 2.0]) == "▁  █"
    assert figures.sparkline([-1e308, 1e308]) == "▁█"
    assert figures.sparkline([None]) == figures.sparkline([]) == ""


def test_a_table_has_one_line_a_row_and_shows_grouped_numbers_as_they_are():
    rows = [("a\nb", figures.grouped(12345)), ("\x1b", "1")]
    assert figures.table(("name", "n"), rows) == [
        "name       n",
        "a\\nb  12\u00a0345",
        "\\x1b       1",
    ]


@given(st.lists(st.none() | st.floats()))
def test_a_sparkline_has_a_mark_for_each_value(values):
    shown = figures.sparkline(values)
    assert len(shown) in (0, len(values))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "true"),
        ("abc", "abc"),
        (3.0, "3"),
        (1234567.0, "1234567"),
        (0.1 + 0.2, "0.3"),
        (-0.0, "0"),
        (123456.789, "123457"),
        (1e15, "1e+15"),
        (1e300, "1e+300"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_a_number_is_whole_or_has_six_digits(value, text):
    assert figures.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "12 ms"), (1.5, "1.50 s"), (150, "2 min 30 s"), (3 * 3600 + 61, "3 h 01 min")],
)
def test_a_duration_is_said_as_a_person_would(value, text):
    assert figures.seconds(value) == text
