"""The library's models, run by the real system, reproduce the numbers in their expected.toml."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from expected import MODELS, NAMES, Column, Group, Number, groups, read_numbers, source
from shares import Shares
from worlds import same_for

from runtime import library
from runtime import protocol as p
from runtime.client import Client, embedded_coordinator
from runtime.commands import (
    CheckModel,
    CreateSimulation,
    QueryAgents,
    QueryMetrics,
    RemoveSimulation,
    RunSimulation,
    SimulationInfo,
)
from runtime.model import apply_parameters, read_model
from workers.host import Host

AT_ONCE = 2
"""Simulations under way at the same time."""
BENCHMARKS = {"gossip", "ring"}
"""Models that are there to be timed: what they do is checked below, without expected.toml."""


@pytest.fixture
def client() -> Iterator[Client]:
    with embedded_coordinator() as own:
        yield own


def simulated(
    client: Client,
    model: str,
    parameters: dict[str, Any],
    ticks: int | None,
    seed: int = 1,
    workers: int = 0,
    look: Callable[[Client, SimulationInfo], Any] = lambda _, info: info,
) -> Any:
    """What ``look`` sees of a simulation that has run; the simulation is removed."""
    name, files = library.read_model(str(MODELS / model))
    created = client.request(
        CreateSimulation(name=name, files=files, parameters=parameters, seed=seed, workers=workers)
    ).simulation
    info = client.request(RunSimulation(sim=created.sim, ticks=ticks, wait_s=100)).simulation
    assert info.stopped in ("ticks", "stop"), info
    seen = look(client, info)
    client.request(RemoveSimulation(sim=created.sim))
    return seen


def column(client: Client, info: SimulationInfo, number: Number) -> Column:
    """A metric over time; of a number that needs only its last value, only that."""
    if number.metric == "tick":
        return [(info.tick, info.tick)]
    if number.statistic == "last" and not number.at:
        return [(info.tick, info.metrics[number.metric].last)]
    order = QueryMetrics(
        sim=info.sim, names=[number.metric], first=number.first, last=number.ticks, points=0
    )
    return [(row[0], row[1]) for row in client.request(order).rows if row[1] is not None]


@pytest.mark.process
@pytest.mark.parametrize("group", groups(lambda number: not number.exact), ids=str)
def test_a_library_model_reproduces_its_expected_numbers(client: Client, group: Group):
    common = group.common

    def one_run(seed: int) -> list[list[float]]:
        with Client(client.endpoint) as own:
            return simulated(
                own,
                group.model,
                common.parameters,
                common.ticks,
                seed,
                workers=1,
                look=lambda c, info: [n.of_run(column(c, info, n)) for n in group.numbers],
            )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = list(pool.map(one_run, range(1, common.runs + 1)))
    found = {
        number.what: number.of_runs(values)
        for number, values in zip(group.numbers, zip(*runs, strict=True), strict=True)
    }
    assert found == {
        number.what: pytest.approx(number.wanted, abs=number.tolerance, rel=0)
        for number in group.numbers
    }


def same_on_all(
    name: str, given: dict[str, Any], ticks: int, workers: Iterable[int]
) -> tuple[int, list[tuple[int, dict[str, float | None]]]]:
    """Last tick and rows of a run in this process, which are the same for each of ``workers``."""
    model, findings = read_model(*library.read_model(str(MODELS / name)))
    assert model is not None, findings
    parameters, misfits = apply_parameters(model, given)
    assert not misfits, misfits
    checked, _ = Host().handle(p.Check(epoch=1, model=model, parameters=parameters), [])
    assert isinstance(checked, p.Checked), checked

    def run(count: int) -> Any:
        world = Shares(model, checked.counts, count, parameters=parameters).run(ticks)
        assert world.fault is None, world.fault
        return world.tick, world.rows, world.digest()

    synchronous = model.regime(parameters) == "synchronous"
    last, rows, _ = same_for(workers if synchronous else (1,), run)
    return last, rows


@pytest.mark.parametrize("group", groups(lambda number: number.exact), ids=str)
def test_an_exact_number_of_a_library_model_is_the_same_on_any_number_of_workers(group: Group):
    common = group.common
    last, rows = same_on_all(group.model, common.parameters, common.ticks, common.workers)
    columns: dict[str, Column] = {
        number.metric: [
            (t, row[number.metric]) for t, row in rows if row.get(number.metric) is not None
        ]
        for number in group.numbers
    }
    columns["tick"] = [(last, last)]
    assert {number.what: number.of_run(columns[number.metric]) for number in group.numbers} == {
        number.what: pytest.approx(number.wanted, abs=number.tolerance, rel=0)
        for number in group.numbers
    }


@pytest.mark.parametrize("model", NAMES)
def test_every_library_model_begins_the_same_on_any_number_of_workers(model: str):
    last, rows = same_on_all(model, {}, 10, (1, 3))
    assert 0 < last <= 10
    assert [tick for tick, _ in rows] == list(range(last + 1))


@pytest.mark.process
def test_every_library_model_checks_without_a_finding_and_says_what_it_is(client: Client):
    found = {}
    for name in NAMES:
        given, files = library.read_model(str(MODELS / name))
        checked = client.request(CheckModel(name=given, files=files))
        found[name] = (checked.ok, checked.diagnostics, checked.name, bool(checked.description))
    assert found == {name: (True, [], name, True) for name in NAMES}


@pytest.mark.parametrize("model", NAMES)
def test_a_readme_of_the_library_has_its_four_parts(model: str):
    readme = (MODELS / model / "README.md").read_text(encoding="utf-8")
    parts = ["Question", "Rule", "What to look at", "Source"]
    assert [part for part in parts if f"**{part}.**" in readme] == parts


@pytest.mark.process
@pytest.mark.parametrize("model", NAMES)
def test_a_library_model_runs_with_what_it_is_given_by_default(client: Client, model: str):
    info = simulated(client, model, {}, None)
    assert info.error is None
    assert info.activation


def test_every_model_but_the_benchmarks_has_numbers_and_says_where_they_are_from():
    with_numbers = {name for name in NAMES if read_numbers(MODELS / name / "expected.toml")}
    assert with_numbers == {name for name in NAMES if source(name)} == set(NAMES) - BENCHMARKS


@pytest.mark.process
@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 3])
def test_every_token_of_the_ring_is_home_after_one_round(client: Client, workers: int):
    def strangers(c: Client, info: SimulationInfo) -> tuple[int, int, int]:
        table = c.request(
            QueryAgents(sim=info.sim, agent_type="node", where="self.value ~= self.id")
        )
        return table.total, info.messages.sent, info.messages.delivered

    seen = simulated(client, "ring", {"n": 50}, 50, workers=workers, look=strangers)
    assert seen == (0, 50 * 51, 50 * 50)


@pytest.mark.process
def test_gossip_leaves_out_as_many_as_chance_says(client: Client):
    info = simulated(client, "gossip", {"n": 2000}, 60)
    # tick 0 and tick 1 have no mail yet
    mean = (info.metrics["left_out"].mean * 61 - 2) / 59
    assert mean == pytest.approx((1 - 1 / 2000) ** 2000, abs=0.003)
    assert info.metrics["heard"].last == 2000 * 59


@pytest.mark.process
@pytest.mark.parametrize(
    ("model", "parameters", "ticks"),
    [("wealth", {}, 40), ("epidemic", {"n": 800}, 40), ("gossip", {"n": 200}, 10)],
)
def test_a_library_model_runs_the_same_on_any_number_of_workers(
    client: Client, model: str, parameters: dict[str, Any], ticks: int
):
    runs = [
        simulated(client, model, parameters, ticks, seed=7, workers=workers)
        for workers in (1, 2, 3)
    ]
    assert runs[0].digest
    assert {run.digest for run in runs} == {runs[0].digest}
    assert [run.metrics for run in runs] == [runs[0].metrics] * 3
