"""The runtime as its users meet it: a coordinator, real worker processes, requests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from runtime.client import Client, embedded_coordinator

from bench.harness import CheckFailed
from bench.sources import read_files
from runtime.commands import (
    CreateSimulation,
    Failed,
    QueryAgents,
    RemoveSimulation,
    RunSimulation,
    SimulationInfo,
    SimulationReply,
    Status,
    StatusReply,
    Table,
)
from runtime.protocol import Scalar


class Running:
    """A simulation of the runtime under test. ``ticks`` counts what it has been asked to run."""

    def __init__(self, client: Client, info: SimulationInfo) -> None:
        self._client = client
        self.info = info

    def advance(self, ticks: int) -> float:
        """Runs ``ticks`` ticks; the seconds the run took, without the digest at its end.

        Raises:
            CheckFailed: the run ended early or with an error.
        """
        before = self.info
        order = RunSimulation(sim=before.sim, ticks=ticks, wait_s=600)
        self.info = _simulation(self._client.request(order))
        if self.info.error is not None or self.info.stopped != "ticks":
            raise CheckFailed(f"{before.sim} ended by {self.info.stopped}: {self.info.error}")
        if self.info.tick != before.tick + ticks:
            raise CheckFailed(f"{before.sim} stands at {self.info.tick}, not {before.tick + ticks}")
        return self.info.elapsed_s - before.elapsed_s

    def finish(self, ticks: int) -> float:
        """Like ``advance``, for a model that must end itself within ``ticks`` ticks."""
        before = self.info
        order = RunSimulation(sim=before.sim, ticks=ticks, wait_s=600)
        self.info = _simulation(self._client.request(order))
        if self.info.stopped != "stop":
            raise CheckFailed(f"{before.sim} ended by {self.info.stopped}: {self.info.error}")
        return self.info.elapsed_s - before.elapsed_s

    def ask(self, agent_type: str, aggregate: str, where: str = "") -> Scalar | None:
        """One aggregate over the agents of a type."""
        table = self._client.request(
            QueryAgents(
                sim=self.info.sim, agent_type=agent_type, where=where, aggregates=[aggregate]
            )
        )
        if not isinstance(table, Table):
            raise CheckFailed(f"{self.info.sim}: {aggregate}: {table}")
        return table.rows[0][-1]

    def remove(self) -> None:
        self._client.request(RemoveSimulation(sim=self.info.sim))


class Product:
    """A coordinator of its own with its worker processes."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(
        self,
        folder: Path,
        parameters: Mapping[str, Scalar],
        *,
        workers: int,
        watched: bool = False,
    ) -> Running:
        """Creates a simulation; it stands at tick 0."""
        order = CreateSimulation(
            name=folder.name,
            files=read_files(folder, watched),
            parameters=dict(parameters),
            seed=1,
            workers=workers,
        )
        return Running(self._client, _simulation(self._client.request(order)))

    def coordinator_pid(self) -> int:
        reply = self._client.request(Status())
        if not isinstance(reply, StatusReply):
            raise CheckFailed(f"status: {reply}")
        return reply.pid


@contextmanager
def product() -> Iterator[Product]:
    """A coordinator for the length of a benchmark; no process of it is left afterwards."""
    with ExitStack() as stack:
        yield Product(stack.enter_context(embedded_coordinator()))


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


def _simulation(reply: object) -> SimulationInfo:
    if isinstance(reply, SimulationReply):
        return reply.simulation
    if isinstance(reply, Failed):
        raise CheckFailed(f"{reply.kind}: {reply.message} {reply.diagnostics}")
    raise CheckFailed(f"unexpected reply {reply!r}")
