"""The coin exchange in Mesa, when it is installed: coins move directly, as in Mesa's own example.

Favourable to Mesa: nothing is collected, and the partner is drawn from a list kept by the model
(drawing from ``model.agents``, as the tutorial does, copies the set of agents each time).
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from typing import Any

INSTALLED = importlib.util.find_spec("mesa") is not None


class MesaCoin:
    """Mesa's model; ``advance`` and ``result`` as in the other yardsticks."""

    def __init__(self, agents: int) -> None:
        self._model: Any = _classes()(agents)

    def advance(self, ticks: int) -> float:
        step = self._model.step
        began = time.perf_counter()
        for _ in range(ticks):
            step()
        return time.perf_counter() - began

    def result(self) -> int:
        return sum(person.wealth for person in self._model.people)


def _classes() -> Any:
    """The model class; made here because Mesa need not be installed."""
    mesa: Any = importlib.import_module("mesa")

    class Person(mesa.Agent):  # type: ignore[misc]
        def __init__(self, model: Any) -> None:
            super().__init__(model)
            self.wealth = 1

        def step(self) -> None:
            if self.wealth > 0:
                other = self.random.choice(self.model.people)
                other.wealth += 1
                self.wealth -= 1

    class Exchange(mesa.Model):  # type: ignore[misc]
        def __init__(self, agents: int) -> None:
            super().__init__(seed=1)
            Person.create_agents(self, agents)
            self.people = list(self.agents)

        def step(self) -> None:
            self.agents.shuffle_do("step")

    return Exchange
