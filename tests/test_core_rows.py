"""Metrics and log lines in memory."""

import math
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.commands import MetricSummary
from runtime.core.loglines import KEPT, LogLines, read_lines
from runtime.core.record import Record
from runtime.core.rows import MetricTable, read_rows, spread
from runtime.protocol import MALFORMED, Fault


def table(*values, name="x"):
    made = MetricTable()
    made.declare([name])
    made.extend([(tick, {name: value}) for tick, value in enumerate(values)])
    return made


def test_rows_come_back_as_they_were_appended():
    made = MetricTable()
    made.declare(["a", "b"])
    made.extend(read_rows(msgspec.msgpack.encode([(0, {"a": 1, "b": None})])))
    made.extend(read_rows(msgspec.msgpack.encode([(1, {"b": 0.5}), (2, {"a": 2, "b": 3})])))
    assert made.table(["a", "b"], 0, 9, 0) == ([[0, 1, None], [1, None, 0.5], [2, 2, 3]], 3)
    assert made.table(["b"], 1, 1, 0) == ([[1, 0.5]], 1)


def test_a_metric_that_was_not_declared_has_no_value_before_its_first_row():
    made = table(1, 2)
    made.extend([(2, {"x": 3, "late": 9})])
    assert made.names == ["x", "late"]
    assert made.table(["late"], 0, 9, 0)[0] == [[0, None], [1, None], [2, 9]]


def test_a_summary_has_ends_extremes_and_mean():
    assert table(4, 1, 1, 2).summaries() == {
        "x": MetricSummary(first=4, last=2, min=1, max=4, mean=2, spark=[4, 1, 1, 2])
    }


def test_a_summary_of_no_value_is_null():
    assert table(None, None).summaries()["x"] == MetricSummary(spark=[None, None])
    assert table().summaries()["x"] == MetricSummary()


def test_the_last_value_is_null_when_the_newest_tick_had_none():
    summary = table(None, 2, None).summaries()["x"]
    assert (summary.first, summary.last, summary.mean) == (2, None, 2)


def test_the_last_value_of_a_thinned_metric_is_that_of_its_newest_tick():
    made = table(1, 2)
    made.declare(["y"])
    made.extend([(2, {"x": 3, "y": 7}), (3, {"x": 4})])
    assert made.summaries()["y"] == MetricSummary(7, 7, 7, 7, 7, [None, None, 7, None])


def test_a_thinned_metric_is_judged_by_the_ticks_it_is_evaluated_at():
    made = MetricTable()
    made.declare(["x"], {"x": 2})
    made.extend([(tick, {"x": None if tick % 2 else tick}) for tick in range(4)])
    assert made.summaries()["x"].last == 2
    made.extend([(4, {"x": None})])
    assert made.summaries()["x"].last is None


def test_values_that_are_not_finite_are_kept_but_not_averaged():
    made = table(1, math.inf, math.nan, 3)
    summary = made.summaries()["x"]
    assert (summary.min, summary.max, summary.mean, summary.last) == (1, 3, 2, 3)
    assert str(made.table(["x"], 0, 9, 0)[0]) == "[[0, 1.0], [1, inf], [2, nan], [3, 3.0]]"


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40), st.data())
def test_a_mean_does_not_depend_on_when_summaries_were_asked_for(values, data):
    made = MetricTable()
    for tick, value in enumerate(values):
        made.extend([(tick, {"x": value})])
        if data.draw(st.booleans()):
            made.summaries()
    exact = float(sum(map(Fraction, values))) / len(values)
    assert made.summaries()["x"].mean == exact


@pytest.mark.parametrize(
    ("start", "end", "points", "chosen"),
    [
        (0, 5, 9, [0, 1, 2, 3, 4]),
        (0, 10, 4, [0, 3, 6, 9]),
        (5, 10, 1, [9]),
        (3, 3, 4, []),
        (0, 3, 0, []),
    ],
)
def test_thinning_keeps_both_ends(start, end, points, chosen):
    assert spread(start, end, points) == chosen


def test_a_spark_has_at_most_forty_values_with_the_last():
    spark = table(*range(1000)).summaries()["x"].spark
    assert (len(spark), spark[0], spark[-1]) == (40, 0, 999)


@pytest.mark.parametrize(
    "blob",
    [b"\xc1", b"\x91\x92\x01\x93", b"\x91\x92\xa1x\x80", b"\x91\x92\x01\x81\xa1\xff\x01"],
)
def test_unreadable_rows_are_malformed(blob):
    with pytest.raises(MALFORMED):
        read_rows(blob)


def test_log_lines_are_in_agent_order_whatever_the_order_of_arrival():
    log = LogLines()
    log.extend(read_lines(msgspec.msgpack.encode([(2, 1, 9, 1, "c"), (2, 2, 1, 1, "d")])))
    log.extend([(1, 1, 1, 1, "a"), (2, 1, 1, 1, "b")])
    assert [line[4] for line in log.newest(9, "")[0]] == ["a", "b", "c", "d"]
    assert log.newest(2, "") == ([(2, 1, 9, 1, "c"), (2, 2, 1, 1, "d")], 4)
    assert log.newest(9, "b") == ([(2, 1, 1, 1, "b")], 1)


def test_only_the_newest_lines_are_kept_and_all_are_counted():
    log = LogLines()
    for tick in range(5):
        log.extend([(tick, 1, agent, 1, "") for agent in range(KEPT // 2)])
    lines, total = log.newest(KEPT, "")
    assert (len(lines), total, log.total) == (KEPT, KEPT, KEPT * 5 // 2)
    assert lines[0][:3] == (3, 1, 0)


def turn_fault(phase, index, agent_type, agent):
    order = (phase, index, agent_type, agent, 0)
    return Fault(kind="script", message="", tick=3, order=order)


LOGGED = [(2, 2, 9, 1, "a"), (3, 1, 4, 1, "b"), (3, 1, 5, 1, "c"), (3, 2, 1, 1, "d")]


@pytest.mark.parametrize(
    ("fault", "kept"),
    [
        (turn_fault(1, 0, 1, 4), "ab"),
        (turn_fault(2, 0, 1, 5), "abc"),
        (turn_fault(1, 1, 1, 4), "abcd"),
        (turn_fault(3, 0, 0, 0), "abcd"),
        (Fault(kind="internal", message="", tick=3), "abcd"),
    ],
)
def test_after_a_fault_the_log_of_its_tick_ends_with_its_agent(fault, kept):
    log = LogLines()
    log.extend(LOGGED)
    log.end_at(fault)
    assert "".join(line[4] for line in log.newest(9, "")[0]) == kept
    assert log.total == len(kept)


def test_a_request_sent_again_is_found_in_the_record():
    record = Record()
    record.open("k", b"print", 4)
    assert record.find("k").ticket == 4
    record.close("k", b"response")
    assert record.find("k").response == b"response"
    assert record.find("other") is None


def test_the_record_drops_the_oldest_answers_and_no_open_request():
    record = Record()
    record.open("open", b"", 0)
    for n in range(10_050):
        record.open(f"k{n}", b"", n)
        record.close(f"k{n}", b"r")
    assert record.find("open") is not None
    assert record.find("k0") is None
    assert record.find("k10049") is not None
