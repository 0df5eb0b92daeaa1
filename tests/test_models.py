"""The library's models, run by the real system, reproduce the numbers in their expected.toml."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean
from typing import Any

import pytest
from examples import ROOT

from runtime import library
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

MODELS = ROOT / "models"
NAMES = sorted(path.parent.name for path in MODELS.glob("*/model.toml"))
AT_ONCE = 2
"""Simulations under way at the same time."""

Number = dict[str, Any]
Groups = dict[str, list[Number]]


def expected(name: str) -> list[Number]:
    path = MODELS / name / "expected.toml"
    if not path.exists():
        return []
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    assert content["source"]
    return content["number"]


def groups(name: str) -> Groups:
    """Numbers that the same runs answer, by what the runs have in common."""
    found: Groups = {}
    for number in expected(name):
        key = json.dumps([number["parameters"], number["ticks"], number["runs"]])
        found.setdefault(key, []).append(number)
    return found


def label(value: object) -> str | None:
    return value[0]["what"] if isinstance(value, list) else None


@pytest.fixture
def client() -> Iterator[Client]:
    with embedded_coordinator() as own:
        yield own


def simulated(
    client: Client,
    model: str,
    parameters: dict[str, Any],
    ticks: int,
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


def one_value(client: Client, info: SimulationInfo, number: Number) -> float:
    """The statistic of one run."""
    metric = number["metric"]
    if number["statistic"] == "last":
        return info.metrics[metric].last
    assert number["statistic"] == "mean"
    table = client.request(
        QueryMetrics(
            sim=info.sim, names=[metric], first=number["first"], last=number["ticks"], points=0
        )
    )
    return fmean(row[1] for row in table.rows if row[1] is not None)


def over_runs(number: Number, values: list[float]) -> float:
    """The number that the runs together give."""
    if "share_below" in number:
        return fmean(value <= number["share_below"] for value in values)
    return fmean(value for value in values if value > number.get("major", float("-inf")))


@pytest.mark.process
@pytest.mark.parametrize(
    ("model", "numbers"),
    [(name, numbers) for name in NAMES for numbers in groups(name).values()],
    ids=label,
)
def test_a_library_model_reproduces_its_expected_numbers(
    client: Client, model: str, numbers: list[Number]
):
    common = numbers[0]

    def one_run(seed: int) -> list[float]:
        with Client(client.endpoint) as own:
            return simulated(
                own,
                model,
                common["parameters"],
                common["ticks"],
                seed,
                look=lambda c, info: [one_value(c, info, number) for number in numbers],
            )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = list(pool.map(one_run, range(1, common["runs"] + 1)))
    found = {
        number["what"]: over_runs(number, list(values))
        for number, values in zip(numbers, zip(*runs, strict=True), strict=True)
    }
    wanted = {
        number["what"]: pytest.approx(number["value"], abs=number["tolerance"])
        for number in numbers
    }
    assert found == wanted


@pytest.mark.process
def test_every_library_model_checks_without_a_finding_and_says_what_it_is(client: Client):
    found = {}
    for name in NAMES:
        given, files = library.read_model(str(MODELS / name))
        checked = client.request(CheckModel(name=given, files=files))
        found[name] = (checked.ok, checked.diagnostics, checked.name, bool(checked.description))
        readme = (MODELS / name / "README.md").read_text(encoding="utf-8")
        parts = [
            f"**{part}.**" in readme for part in ("Question", "Rule", "What to look at", "Source")
        ]
        assert all(parts), f"models/{name}/README.md lacks a part"
    assert found == {name: (True, [], name, True) for name in NAMES}


def test_the_models_that_claim_numbers_say_where_the_numbers_are_from():
    assert {name for name in NAMES if expected(name)} == {"epidemic", "wealth"}


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
