"""The *program*: what the front end makes of a model, and the kernel runs. Indices count from 1."""

from __future__ import annotations

from typing import TypedDict

from workers.expression_aggregates import AggregateCode


class ShapeCode(TypedDict):
    """A kind with the keys of its body, in source order."""

    kind: str
    keys: list[str]


class FieldCode(TypedDict):
    """An initial field of a type, its count, or a coordinate of its place: an expression over
    parameters (and ``i``)."""

    field: str
    code: str
    line: int


class TypeCode(TypedDict):
    """One agent type. ``place``: '' | random | random_empty | grid | at, with ``place_at``."""

    name: str
    alias: str
    chunk: str
    chunkname: str
    handlers: list[str]
    has_step: bool
    state: list[FieldCode]
    count: FieldCode
    place: str
    place_at: list[FieldCode]
    publish: list[str]


class ExpressionEntry(TypedDict):
    """A metric, invariant or stop expression."""

    name: str
    role: str
    every: int
    line: int
    code: str
    aggregates: list[AggregateCode]


class EnvironmentCode(TypedDict):
    """environment.lua. ``queries`` are names, sorted."""

    chunk: str
    chunkname: str
    queries: list[str]


class SpaceCode(TypedDict):
    """The space; its numbers are expressions over parameters, '' where there is none."""

    kind: str
    width: str
    height: str
    depth: str
    torus: bool
    neighbors: int
    single: bool
    cell: str
    line: int


class LayerCode(TypedDict):
    """A layer. In ``step`` other layers stand by their bare names, which are ``reads``."""

    name: str
    line: int
    init: str
    step: str
    diffuse: str
    decay: str
    uses_around: bool
    reads: list[str]


class NetworkCode(TypedDict):
    """The network. ``of``: a type's index, 0 for all agents. ``edges``: from, to, weight of every
    link of an edge list."""

    kind: str
    directed: bool
    of: int
    numbers: dict[str, str]
    torus: bool
    edges: list[float]
    line: int


class Program(TypedDict):
    """What the kernel runs. ``environment`` is None where there is no environment.lua;
    ``environment_fuel`` is its fuel and that of the layers."""

    kinds: list[str]
    shapes: list[ShapeCode]
    types: list[TypeCode]
    records: list[str]
    expressions: list[ExpressionEntry]
    environment: EnvironmentCode | None
    environment_fuel: int
    space: SpaceCode | None
    layers: list[LayerCode]
    network: NetworkCode | None
    by_type: list[int]


def queries_of(program: Program) -> list[str]:
    """The names of the environment's read functions."""
    environment = program["environment"]
    return environment["queries"] if environment is not None else []
