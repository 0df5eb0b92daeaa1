"""The library's models reproduce the numbers in their expected.toml.

Numbers are measured on workers' hosts in this process, since most take many short runs; below, the
real system runs every model once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from expected import MODELS, NAMES, Column, Group, Number, groups, read_numbers, source
from shares import STACK, Shares
from worlds import same_for

from runtime import library
from runtime import protocol as p
from runtime.client import Client, embedded_coordinator
from runtime.commands import (
    CheckModel,
    CreateSimulation,
    QueryAgents,
    RemoveSimulation,
    RunSimulation,
    SimulationInfo,
)
from runtime.model import apply_parameters, read_model
from workers.host import Host

AT_ONCE = 2
"""Simulations under way at the same time: Lua runs without Python's lock."""
Row = tuple[int, dict[str, float | None]]
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


class Trial:
    """Runs of one library model with given parameters in this process."""

    def __init__(self, name: str, given: dict[str, Any]) -> None:
        model, findings = read_model(*library.read_model(str(MODELS / name)))
        assert model is not None, findings
        self.model = model
        self.parameters, misfits = apply_parameters(model, given)
        assert not misfits, misfits
        checked, _ = Host().handle(p.Check(epoch=1, model=model, parameters=self.parameters), [])
        assert isinstance(checked, p.Checked), checked
        self.counts = checked.counts

    def run(self, ticks: int, seed: int = 1, workers: int = 1, vm: str = "") -> Shares:
        world = Shares(
            self.model, self.counts, workers, seed=seed, vm=vm, parameters=self.parameters
        ).run(ticks)
        assert world.fault is None, world.fault
        return world

    def everywhere(self, ticks: int, places: Iterable[tuple[int, str]]) -> Shares:
        """One run, the same on each number of workers and VM; on one where that is all it can."""
        worlds: list[Shares] = []

        def found(place: tuple[int, str]) -> tuple[int, list[Row], str]:
            workers, vm = place
            world = self.run(ticks, workers=workers, vm=vm)
            worlds.append(world)
            return world.tick, world.rows, world.digest()

        if self.model.regime(self.parameters) != "synchronous":
            places = dict.fromkeys((1, vm) for _, vm in places)
        same_for(places, found)
        return worlds[0]


def column(world: Shares, metric: str) -> Column:
    """A metric over time, or the tick in which the run ended."""
    if metric == "tick":
        return [(world.tick, world.tick)]
    return [(tick, row[metric]) for tick, row in world.rows if row.get(metric) is not None]


def each(numbers: Iterable[Number], values: Iterable[list[float]]) -> dict[str, list[float]]:
    return {number.what: value for number, value in zip(numbers, values, strict=True)}


def wanted(numbers: Iterable[Number]) -> dict[str, Any]:
    return {n.what: pytest.approx(n.wanted, abs=n.tolerance, rel=0) for n in numbers}


def in_parallel(function: Callable[[int], Any], values: Iterable[int]) -> list[Any]:
    """``function`` of each of the values, in threads with a worker's stack."""
    previous = threading.stack_size(STACK)
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(function, values))
    finally:
        threading.stack_size(previous)


@pytest.mark.parametrize("group", groups(lambda number: not number.exact), ids=str)
def test_a_library_model_reproduces_its_expected_numbers(group: Group):
    trial = Trial(group.model, group.common.parameters)

    def one_run(seed: int) -> list[list[float]]:
        world = trial.run(group.common.ticks, seed)
        return [number.of_run(column(world, number.metric)) for number in group.numbers]

    runs = in_parallel(one_run, range(1, group.common.runs + 1))
    found = [n.of_runs(v) for n, v in zip(group.numbers, zip(*runs, strict=True), strict=True)]
    assert each(group.numbers, found) == wanted(group.numbers)


@pytest.mark.parametrize("group", groups(lambda number: number.exact), ids=str)
def test_an_exact_number_of_a_library_model_is_the_same_on_any_number_of_workers(group: Group):
    trial = Trial(group.model, group.common.parameters)
    world = trial.everywhere(group.common.ticks, [(n, "") for n in group.common.workers])
    found = [number.of_run(column(world, number.metric)) for number in group.numbers]
    assert each(group.numbers, found) == wanted(group.numbers)


@pytest.mark.parametrize("model", NAMES)
def test_every_library_model_begins_the_same_on_any_number_of_workers_and_both_vms(model: str):
    world = Trial(model, {}).everywhere(5, [(1, "luajit21"), (3, "luajit21"), (1, "lua52")])
    assert 0 < world.tick <= 5
    assert [tick for tick, _ in world.rows] == list(range(world.tick + 1))


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
    [
        ("wealth", {}, 40),
        ("epidemic", {"n": 800}, 40),
        ("gossip", {"n": 200}, 10),
        ("sandpile", {"grains": 300}, 200),
        ("vicsek", {"birds": 100}, 20),
        ("schelling", {"regime": "synchronous"}, 20),
        ("commons", {"institution": "sanctions"}, 20),
    ],
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
