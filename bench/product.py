"""The runtime as its users meet it: a coordinator, real worker processes, requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.harness import CheckFailed, Sample, require_equal, warm_up
from bench.sources import read_files
from runtime.client import Client, embedded_coordinator
from runtime.commands import (
    CreateSimulation,
    QueryAgents,
    RemoveSimulation,
    RunSimulation,
    SimulationInfo,
)
from runtime.protocol import Scalar

WAIT_S = 600


class Running:
    """A simulation of the runtime under test; ``info`` is how it stood when last asked."""

    def __init__(self, client: Client, info: SimulationInfo) -> None:
        self._client = client
        self.info = info

    def advance(self, ticks: int) -> float:
        """Runs ``ticks`` ticks; the seconds from the first order to the last answer, which are
        without the digest at the end.

        Raises:
            CheckFailed: the run ended early or with an error.
        """
        target = self.info.tick + ticks
        seconds = self._run(ticks, "ticks")
        require_equal(f"tick of {self.info.sim}", self.info.tick, target)
        return seconds

    def finish(self, limit: int) -> float:
        """Like ``advance``, for a model whose [stop] ends it within ``limit`` ticks."""
        return self._run(limit, "stop")

    def ask(self, agent_type: str, aggregate: str, where: str = "") -> Scalar | None:
        """One aggregate over the agents of a type."""
        table = self._client.request(
            QueryAgents(
                sim=self.info.sim, agent_type=agent_type, where=where, aggregates=[aggregate]
            )
        )
        return table.rows[0][-1]

    def column(self, agent_type: str, field: str, where: str) -> list[Scalar | None]:
        """An expression of every agent of a type for which ``where`` holds, 100 000 at most."""
        query = QueryAgents(
            sim=self.info.sim, agent_type=agent_type, where=where, fields=[field], limit=100_000
        )
        return [row[-1] for row in self._client.request(query).rows]

    def remove(self) -> None:
        self._client.request(RemoveSimulation(sim=self.info.sim))

    def _run(self, ticks: int, ending: str) -> float:
        order = RunSimulation(sim=self.info.sim, ticks=ticks, wait_s=WAIT_S)
        self.info = self._client.request(order).simulation
        if self.info.stopped != ending:
            raise CheckFailed(
                f"{self.info.sim} ended by {self.info.stopped!r} at tick {self.info.tick}: "
                f"{self.info.error}"
            )
        return self.info.elapsed_s


class Product:
    """A coordinator of its own with its worker processes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.coordinator = client.pid

    def create(
        self,
        folder: Path,
        parameters: Mapping[str, Scalar],
        *,
        workers: int,
        watched: bool = False,
        seed: int = 1,
    ) -> Running:
        """Creates a simulation; it stands at tick 0."""
        order = CreateSimulation(
            name=folder.name,
            files=read_files(folder, watched),
            parameters=dict(parameters),
            seed=seed,
            workers=workers,
        )
        return Running(self._client, self._client.request(order).simulation)


@dataclass(frozen=True)
class Course:
    """What is timed: ``ticks`` ticks of a model with ``agents`` agents.

    ``verify`` is given the simulation afterwards and raises ``CheckFailed`` if it is not as it
    should be.
    """

    folder: Path
    parameters: Mapping[str, Scalar]
    agents: int
    ticks: int
    verify: Callable[[Running], None]


def fresh_samples(made: Product, course: Course, workers: int, digests: set[str]) -> Sample:
    """ns per agent-step, each time of a simulation made for it: what a JIT compiler makes of a
    program differs from start to start. Every digest must be the one in ``digests``, if any."""

    def sample() -> float:
        running = made.create(course.folder, course.parameters, workers=workers)
        running.advance(warm_up(course.ticks))
        seconds = running.advance(course.ticks)
        course.verify(running)
        digests.add(running.info.digest)
        require_equal(f"different digests of {course.folder.name}", len(digests), 1)
        running.remove()
        return seconds / course.ticks / course.agents * 1e9

    return sample


@contextmanager
def product() -> Iterator[Product]:
    """A coordinator for the length of a benchmark; no process of it is left afterwards."""
    with embedded_coordinator() as client:
        yield Product(client)


def timed_creation(
    made: Product,
    folder: Path,
    parameters: Mapping[str, Scalar],
    workers: int,
    watched: bool = False,
) -> tuple[float, Running]:
    """Seconds that creation took, seen from the client, and the simulation."""
    began = time.perf_counter()
    running = made.create(folder, parameters, workers=workers, watched=watched)
    return time.perf_counter() - began, running
