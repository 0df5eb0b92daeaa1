"""Schelling, wolf-sheep and flocking in Mesa, when it is installed.

They are the programs of ABMFrameworksComparison, and Mesa's examples before that. Where those
depart from the rule that the comparison declares, these do not, so that both sides do the same
work: wolves and sheep live on a torus with eight neighbours and start with whole energies of 1 to
twice a meal, sheep die below 1, and grass comes back, after as many steps as declared; there are
exactly so many people of each group; birds start at speed 1, and their headings are the plain
differences of coordinates. Nothing is collected.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable
from typing import Any


class MesaWorld:
    """A model of Mesa's, made but not run. ``figures`` says how it stands."""

    def __init__(self, name: str, seed: int) -> None:
        self._model: Any = MAKERS[name]()(seed)

    def advance(self, ticks: int) -> float:
        """Runs ``ticks`` steps; the seconds they took."""
        began = time.perf_counter()
        self._model.run(ticks)
        return time.perf_counter() - began

    def figures(self) -> dict[str, float]:
        found: dict[str, float] = self._model.figures()
        return found


def _schelling() -> Any:
    """100 x 100 cells, 4000 people of either group, radius 2, at least 8 alike wanted."""
    mesa: Any = importlib.import_module("mesa")
    spaces: Any = importlib.import_module("mesa.discrete_space")

    class Person(spaces.CellAgent):  # type: ignore[misc]
        def __init__(self, model: Any, group: int, cell: Any) -> None:
            super().__init__(model)
            self.group = group
            self.cell = cell

        def step(self) -> None:
            alike = 0
            for other in self.cell.get_neighborhood(radius=self.model.radius).agents:
                if other.group == self.group:
                    alike += 1
            if alike < self.model.wanted:
                self.cell = self.model.grid.select_random_empty_cell()

    class Schelling(mesa.Model):  # type: ignore[misc]
        def __init__(self, seed: int) -> None:
            super().__init__(seed=seed)
            self.radius, self.wanted = 2, 8
            self.grid = spaces.OrthogonalMooreGrid((100, 100), capacity=1, random=self.random)
            cells = self.random.sample(self.grid.all_cells.cells, 8000)
            Person.create_agents(self, 8000, [k % 2 for k in range(8000)], cells)

        def run(self, ticks: int) -> None:
            for _ in range(ticks):
                self.agents.shuffle_do("step")

        def figures(self) -> dict[str, float]:
            happy, shares = 0, []
            for person in self.agents:
                around = list(person.cell.get_neighborhood(radius=self.radius).agents)
                alike = sum(other.group == person.group for other in around)
                happy += alike >= self.wanted
                if around:
                    shares.append(alike / len(around))
            return {"happy": happy / 8000, "similar": sum(shares) / len(shares)}

    return Schelling


def _wolf_sheep() -> Any:
    """100 x 100 cells, 1000 sheep and 500 wolves, grass back after 10 steps."""
    mesa: Any = importlib.import_module("mesa")
    spaces: Any = importlib.import_module("mesa.discrete_space")
    events: Any = importlib.import_module("mesa.experimental.devs")

    class Animal(spaces.CellAgent):  # type: ignore[misc]
        def __init__(self, model: Any, energy: float, cell: Any) -> None:
            super().__init__(model)
            self.energy = energy
            self.cell = cell

        def step(self) -> None:
            self.cell = self.cell.neighborhood.select_random_cell()
            self.energy -= 1
            self.feed()
            if self.energy < self.least:
                self.remove()
            elif self.random.random() < self.births:
                self.energy /= 2
                self.__class__(self.model, self.energy, self.cell)

    class Sheep(Animal):
        least, births = 1, 0.4

        def feed(self) -> None:
            grass = next(other for other in self.cell.agents if isinstance(other, Grass))
            if grass.grown:
                self.energy += 5
                grass.grown = False

    class Wolf(Animal):
        least, births = 0, 0.2

        def feed(self) -> None:
            sheep = [other for other in self.cell.agents if isinstance(other, Sheep)]
            if sheep:
                self.random.choice(sheep).remove()
                self.energy += 13

    class Grass(spaces.FixedAgent):  # type: ignore[misc]
        def __init__(self, model: Any, countdown: int, cell: Any) -> None:
            super().__init__(model)
            self.cell = cell
            self._grown = countdown == 0
            if countdown:
                self._grow_in(countdown)

        @property
        def grown(self) -> bool:
            return self._grown

        @grown.setter
        def grown(self, value: bool) -> None:
            self._grown = value
            if not value:
                # The step in which it is eaten is the first of the ten.
                self._grow_in(10 - 1)

        def _grow_in(self, steps: int) -> None:
            later = self.model.simulator.schedule_event_relative
            later(setattr, steps, function_args=[self, "grown", True])

    class WolfSheep(mesa.Model):  # type: ignore[misc]
        def __init__(self, seed: int) -> None:
            super().__init__(seed=seed)
            self.simulator = events.ABMSimulator()
            self.simulator.setup(self)
            self.grid = spaces.OrthogonalMooreGrid(
                (100, 100), torus=True, capacity=math.inf, random=self.random
            )
            for kind, count, meal in ((Sheep, 1000, 5), (Wolf, 500, 13)):
                energies = [self.random.randint(1, 2 * meal) for _ in range(count)]
                places = self.random.choices(self.grid.all_cells.cells, k=count)
                kind.create_agents(self, count, energies, places)
            for cell in self.grid:
                wait = 0 if self.random.random() < 0.5 else self.random.randint(1, 10)
                Grass(self, wait, cell)

        def step(self) -> None:
            self.agents_by_type[Sheep].shuffle_do("step")
            self.agents_by_type[Wolf].shuffle_do("step")

        def run(self, ticks: int) -> None:
            # ``step`` alone would never run the events in which the grass grows.
            self.simulator.run_for(ticks)

        def figures(self) -> dict[str, float]:
            kinds = self.agents_by_type
            grass = sum(patch.grown for patch in kinds[Grass]) / 10_000
            return {"sheep": len(kinds[Sheep]), "wolves": len(kinds[Wolf]), "grass": grass}

    return WolfSheep


def _flocking() -> Any:
    """400 birds on a torus of 150 x 150, vision 15."""
    np: Any = importlib.import_module("numpy")
    mesa: Any = importlib.import_module("mesa")
    spaces: Any = importlib.import_module("mesa.experimental.continuous_space")

    class Bird(spaces.ContinuousSpaceAgent):  # type: ignore[misc]
        def __init__(self, model: Any, space: Any, position: Any, direction: Any) -> None:
            super().__init__(space, model)
            self.position = position
            self.direction = direction

        def step(self) -> None:
            near, distances = self.get_neighbors_in_radius(radius=15)
            if near:
                here = self.position
                ways = np.asarray([other.position for other in near]) - here
                to = ways.sum(axis=0) * 0.03
                away = -1 * ways[distances < 1].sum(axis=0) * 0.015
                along = np.asarray([other.direction for other in near]).sum(axis=0) * 0.05
                self.direction += (to + away + along) / len(near)
                self.direction /= np.linalg.norm(self.direction)
            self.position += self.direction

    class Flocking(mesa.Model):  # type: ignore[misc]
        def __init__(self, seed: int) -> None:
            super().__init__(seed=seed)
            self.space = spaces.ContinuousSpace(
                [[0, 150], [0, 150]], torus=True, random=self.random, n_agents=400
            )
            places = self.rng.random(size=(400, 2)) * self.space.size
            angles = self.rng.random(400) * 2 * math.pi
            directions = np.column_stack([np.cos(angles), np.sin(angles)])
            Bird.create_agents(self, 400, self.space, places, directions)

        def run(self, ticks: int) -> None:
            for _ in range(ticks):
                self.agents.shuffle_do("step")

        def figures(self) -> dict[str, float]:
            directions = np.asarray([bird.direction for bird in self.agents])
            return {"polarisation": float(np.linalg.norm(directions.mean(axis=0)))}

    return Flocking


MAKERS: dict[str, Callable[[], Any]] = {
    "schelling": _schelling,
    "wolf_sheep": _wolf_sheep,
    "flocking": _flocking,
}
