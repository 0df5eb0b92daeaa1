"""The world around the agents, as the kernel gets it: the space, its layers, the network."""

from __future__ import annotations

from typing import Final, Protocol

from runtime.protocol import (
    Diagnostic,
    ExpressionSpec,
    LayerSpec,
    ModelSpec,
    NetworkSpec,
    SpaceSpec,
)
from workers.edges import read_edges
from workers.program import LayerCode, NetworkCode, SpaceCode
from workers.scope import resolve
from workers.syntax import parse, to_bytes_text

_RETURN: Final = "return "


class Compile(Protocol):
    """Gives the code of an expression; '' for None. ``layer``: whose step it is."""

    def __call__(self, spec: ExpressionSpec | None, context: str, layer: str = "") -> str: ...


def compile_space(spec: SpaceSpec, code: Compile) -> SpaceCode:
    """The space with the code of its numbers."""
    return {
        "kind": spec.kind,
        "width": code(spec.width, "size"),
        "height": code(spec.height, "size"),
        "depth": code(spec.depth, "size"),
        "torus": spec.torus,
        "neighbors": spec.neighbors,
        "single": spec.single,
        "cell": code(spec.cell, "size"),
        "line": spec.line,
    }


def compile_layer(spec: LayerSpec, names: set[str], code: Compile) -> LayerCode:
    """A layer; ``names`` are those of all layers."""
    step = code(spec.step, "layer_step", spec.name)
    read = _names_in(step)
    return {
        "name": spec.name,
        "line": spec.line,
        "init": code(spec.init, "layer_init"),
        "step": step,
        "diffuse": code(spec.diffuse, "rate"),
        "decay": code(spec.decay, "rate"),
        "uses_around": "around" in read,
        "reads": sorted(read & names),
    }


def compile_network(
    spec: NetworkSpec, model: ModelSpec, code: Compile
) -> tuple[NetworkCode, list[Diagnostic]]:
    """The network, and what is wrong with its edge list."""
    edges: list[float] = []
    found: list[Diagnostic] = []
    if spec.kind == "edges":
        edges, findings = read_edges(spec.edges, spec.file)
        found = findings.sorted()
    names = [agent.name for agent in model.types]
    return {
        "kind": spec.kind,
        "directed": spec.directed,
        "of": names.index(spec.of) + 1 if spec.of in names else 0,
        "numbers": {number.name: code(number, "size") for number in spec.numbers},
        "torus": spec.torus,
        "edges": edges,
        "line": spec.line,
    }, found


def _names_in(code: str) -> set[str]:
    """The global names that an expression reads."""
    tree = parse(to_bytes_text(_RETURN + code))
    return {tree.slice(use.node) for use in resolve(tree).reads}
