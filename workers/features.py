"""What a model declares, and the API names that each of its scripts has for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from runtime.protocol import ModelSpec
from workers.names import API, CORE, ENVIRONMENT_API, FEATURE_NAMES, LIBRARY

_SYNCHRONOUS: Final = "synchronous"


@dataclass(frozen=True)
class Role:
    """Whose script a file is. ``me`` is the first parameter of what the runtime calls there, and
    ``who`` is what that parameter is."""

    me: str
    who: str
    shared_by: str

    @property
    def handler(self) -> str:
        """A handler's parameters."""
        return f"({self.me}, msg, from)"


AGENT: Final = Role("self", "the agent", ", shared by all agents of the type")
ENVIRONMENT: Final = Role("env", "the environment", "")


@dataclass(frozen=True)
class Features:
    """What a model has of what it may have. ``space`` is '' | grid | continuous; ``sequential``
    when every regime that the model may run in is; ``script`` when there is an environment.lua."""

    space: str = ""
    dimensions: int = 2
    single: bool = False
    layers: tuple[str, ...] = ()
    network: bool = False
    directed: bool = False
    published: frozenset[str] = frozenset()
    sequential: bool = False
    script: bool = False
    regimes: tuple[str, ...] = (_SYNCHRONOUS,)

    @property
    def grid(self) -> bool:
        return self.space == "grid"

    @property
    def blocks(self) -> bool:
        """Whether the runtime itself sends ``blocked``: one agent a cell, moves at the close."""
        return self.single and _SYNCHRONOUS in self.regimes

    def names(self, role: Role) -> frozenset[str]:
        """The API that a script of that role has."""
        return _names(self, role)

    def globals(self, role: Role) -> frozenset[str]:
        """The API and the library."""
        return self.names(role) | LIBRARY


@lru_cache(64)
def _names(features: Features, role: Role) -> frozenset[str]:
    given = CORE.union(*(names for key, names in FEATURE_NAMES.items() if getattr(features, key)))
    return (given | {"query"}) & ENVIRONMENT_API if role is ENVIRONMENT else given & API


def features_of(model: ModelSpec) -> Features:
    """What the model declares."""
    world = model.environment
    space = world.space if world is not None else None
    network = world.network if world is not None else None
    regimes = _regimes(model)
    return Features(
        space=space.kind if space is not None else "",
        dimensions=3 if space is not None and space.depth is not None else 2,
        single=space is not None and space.single,
        layers=tuple(layer.name for layer in world.layers) if world is not None else (),
        network=network is not None,
        directed=network is not None and network.directed,
        published=frozenset(field for agent in model.types for field in agent.publish),
        sequential=_SYNCHRONOUS not in regimes,
        script=world is not None and world.source != "",
        regimes=regimes,
    )


def _regimes(model: ModelSpec) -> tuple[str, ...]:
    if model.activation != "parameter":
        return (model.activation,)
    for parameter in model.parameters:
        if parameter.name == model.activation_parameter:
            return tuple(map(str, parameter.choices or (parameter.default,)))
    return (_SYNCHRONOUS,)
