"""Read ``[environment]`` of a model.toml: space, network and layers.

What can be read of a faulty entry is given all the same, so that the scripts that use it are
checked too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from runtime.model_words import KINDS, NEIGHBORHOODS, SPACE_KEYS
from runtime.protocol import (
    EnvironmentSpec,
    ExpressionSpec,
    LayerSpec,
    NetworkSpec,
    SpaceSpec,
)
from runtime.toml_findings import Keys, TomlFindings, is_number, nearest, shown

SCRIPT: Final = "environment.lua"
DEFAULT_FUEL: Final = 100_000_000
LEAST_FUEL: Final = 1000
MAX_CELLS: Final = 10_000_000

_KEYS: Final = ("fuel", "space", "network", "layers")
_SPACES: Final = {
    "grid": ("kind", "width", "height", "torus", "neighbors", "single"),
    "continuous": ("kind", "width", "height", "depth", "torus", "cell"),
}
_NEIGHBORS: Final = {"4": 4, "8": 8, "hex": 6}
_NETWORKS: Final[dict[str, tuple[str, ...]]] = {
    "empty": (), "complete": (), "ring": ("k",), "watts_strogatz": ("k", "p"),
    "preferential": ("m",), "random": ("p",), "grid": ("width", "height"), "edges": (),
}  # fmt: skip
"""The kinds with the numbers that each needs."""
_LAYER: Final = ("init", "step", "diffuse", "decay")

Fits = Callable[[float], bool]
_RULES: Final[dict[str, tuple[Fits, str, str]]] = {
    "k": (
        lambda x: x >= 0 and x % 2 == 0,
        "an even whole number: the neighbours of an agent, half on each side",
        "k = 4",
    ),
    "p": (lambda x: 0 <= x <= 1, "a probability from 0 to 1", "p = 0.1"),
    "m": (
        lambda x: x >= 1 and x % 1 == 0,
        "a whole number, 1 or more: the links that each agent comes with",
        "m = 2",
    ),
    "width": (lambda x: x >= 1 and x % 1 == 0, "a whole number, 1 or more", "width = 50"),
    "height": (lambda x: x >= 1 and x % 1 == 0, "a whole number, 1 or more", "height = 50"),
    "diffuse": (lambda x: 0 <= x <= 1, "a share from 0 to 1", "diffuse = 0.5"),
    "decay": (lambda x: 0 <= x <= 1, "a share from 0 to 1", "decay = 0.01"),
}
"""What a number that is written out must be, in words, and an example."""
_POSITIVE: Final[tuple[Fits, str, str]] = (lambda x: x > 0, "a number above 0", "100")


def read_environment(
    toml: TomlFindings, document: Mapping[str, Any], files: Mapping[str, str]
) -> EnvironmentSpec | None:
    """``[environment]`` and environment.lua; None where there is neither."""
    table = toml.table(document, "environment")
    source = files.get(SCRIPT)
    if "environment" not in document and source is None:
        return None
    for key in table.keys() - set(_KEYS):
        if key == "state":
            toml.report(
                ("environment", key), "key", "the environment's fields are set by its script",
                "write function init(env) in environment.lua: env.price = 10",
            )  # fmt: skip
        else:
            near = nearest(key, _KEYS)
            toml.report(
                ("environment", key), "key", f"unknown key '{key}' of [environment]",
                (f"did you mean {near}? " if near else "") + f"(known: {', '.join(_KEYS)}); "
                f"a field is set in environment.lua: function init(env) env.{key} = … end",
            )  # fmt: skip
    space = _space(toml, table["space"]) if "space" in table else None
    network = None
    if "network" in table:
        agents = document.get("agents")
        types = list(agents) if isinstance(agents, dict) else []
        network = _network(toml, table["network"], types, files)
    layers = _layers(toml, table.get("layers", {}), space)
    if source is None and not table.keys() & set(_KEYS[1:]):
        toml.report(
            ("environment",), "file", "[environment] has no space, no network and no layers, and "
            f"there is no file {SCRIPT}", f"write {SCRIPT} beside model.toml, or remove it",
            "warning",
        )  # fmt: skip
    return EnvironmentSpec(
        file=SCRIPT,
        source=source or "",
        line=toml.line(("environment",)) if "environment" in document else 0,
        fuel=toml.whole(table, ("environment", "fuel"), DEFAULT_FUEL, LEAST_FUEL),
        space=space,
        network=network,
        layers=tuple(layers),
    )


# --- the space -----------------------------------------------------------------------------------


def _space(toml: TomlFindings, table: object) -> SpaceSpec | None:
    path: Keys = ("environment", "space")
    if not isinstance(table, dict):
        toml.wrong(path, table, "a table", 'space = { kind = "grid", width = 50, height = 50 }')
        return None
    kind = _kind(toml, path, table, _SPACES, "space")
    if kind is None:
        # Either will do for reading on; what only one of them has is not looked at.
        kind = "continuous" if "depth" in table else "grid"
    else:
        _foreign_keys(toml, path, table, kind)
    whole = kind == "grid"
    lengths = {
        key: _number(toml, (*path, key), table, _RULES[key] if whole else _POSITIVE)
        for key in ("width", "height")
    }
    depth = cell = None
    if kind == "continuous":
        depth = _number(toml, (*path, "depth"), table, _POSITIVE, needed=False)
        cell = _number(toml, (*path, "cell"), table, _POSITIVE, needed=False)
    spec = SpaceSpec(
        kind=kind,
        width=lengths["width"] or ExpressionSpec("width", "1"),
        height=lengths["height"] or ExpressionSpec("height", "1"),
        depth=depth,
        torus=toml.boolean(table, (*path, "torus"), True),
        neighbors=_neighbors(toml, (*path, "neighbors"), table) if whole else 8,
        single=toml.boolean(table, (*path, "single"), False) if whole else False,
        cell=cell,
        line=toml.line(path),
    )
    _sizes_fit(toml, path, table, spec)
    return spec


def _foreign_keys(toml: TomlFindings, path: Keys, table: dict[str, Any], kind: str) -> None:
    other = "continuous" if kind == "grid" else "grid"
    for key in table.keys() - set(_SPACES[kind]):
        if key in _SPACES[other]:
            toml.report(
                (*path, key), "space", f"a {kind} space has no {key}",
                f'it is of kind = "{other}"; known: {", ".join(_SPACES[kind])}',
            )  # fmt: skip
        else:
            _unknown_of_space(toml, (*path, key), kind)


def _unknown_of_space(toml: TomlFindings, path: Keys, kind: str) -> None:
    right = SPACE_KEYS.get(path[-1].lower())
    if right is None:
        toml.unknown(path, _SPACES[kind], "of space")
    else:
        toml.report(path, "key", f"unknown key '{path[-1]}' of space", f"write {right}")


def _neighbors(toml: TomlFindings, path: Keys, table: dict[str, Any]) -> int:
    value = table.get("neighbors", 8)
    known = _NEIGHBORS.get(str(value)) if isinstance(value, int | str) else None
    if known is None:
        right = NEIGHBORHOODS.get(str(value).lower())
        toml.report(
            path, "space", f'neighbors must be 4, 8 or "hex", not {shown(value)}',
            (f"write neighbors = {right}. " if right else "") +
            "8: with those at the corners; 4: without; \"hex\": six, every other row shifted",
        )  # fmt: skip
    return known or 8


def _sizes_fit(toml: TomlFindings, path: Keys, table: dict[str, Any], spec: SpaceSpec) -> None:
    """What lengths that are written out must be together; expressions are the worker's to check."""
    width, height = table.get("width"), table.get("height")
    if not (is_number(height) and height > 0) or spec.kind != "grid":
        return
    if spec.neighbors == 6 and spec.torus and height % 2:
        toml.report(
            (*path, "height"), "space", f"a hex torus needs an even height, not {shown(height)}",
            "its odd rows are shifted by half a cell, so the last must not meet the first; "
            "or write torus = false",
        )  # fmt: skip
    if is_number(width) and width > 0 and width * height > MAX_CELLS:
        toml.report(
            (*path, "width"), "space",
            f"{width} x {height} is {width * height:.4g} cells, about "
            f"{width * height * 8 / 2**20:.0f} MB on every worker before any layer; a grid has at "
            f"most {MAX_CELLS}",
            "make it smaller, or use a continuous space",
        )  # fmt: skip


# --- the network ---------------------------------------------------------------------------------


def _network(
    toml: TomlFindings, table: object, types: list[str], files: Mapping[str, str]
) -> NetworkSpec | None:
    path: Keys = ("environment", "network")
    if not isinstance(table, dict):
        toml.wrong(path, table, "a table", 'network = { kind = "watts_strogatz", k = 10, p = 0.1 }')
        return None
    kind = _kind(toml, path, table, _NETWORKS, "network")
    line = toml.line(path)
    directed = toml.boolean(table, (*path, "directed"), False)
    if kind is None:
        return NetworkSpec("empty", directed, line=line)
    needed = _NETWORKS[kind]
    extra = {"grid": ("torus",), "edges": ("file",)}.get(kind, ())
    known = ("kind", "directed", "of", *needed, *extra)
    for key in table.keys() - set(known):
        if key in {"file", "torus"} or any(key in numbers for numbers in _NETWORKS.values()):
            toml.report(
                (*path, key), "network", f"a network of kind {kind} has no {key}",
                f"known: {', '.join(known)}",
            )  # fmt: skip
        else:
            toml.unknown((*path, key), known, "of network")
    of = toml.text(table, (*path, "of"))
    if of and of not in types:
        near = nearest(of, types)
        listed = f"types: {', '.join(types) or 'none'}"
        toml.report(
            (*path, "of"), "network", f"there is no agent type '{of}'",
            f"did you mean {near}? ({listed})" if near else listed,
        )  # fmt: skip
    numbers = [_number(toml, (*path, key), table, _RULES[key]) for key in needed]
    file = _edge_file(toml, path, table, files) if kind == "edges" else ""
    return NetworkSpec(
        kind=kind,
        directed=directed,
        of=of,
        numbers=tuple(number for number in numbers if number is not None),
        torus=toml.boolean(table, (*path, "torus"), True) if kind == "grid" else True,
        edges=files.get(file, ""),
        file=file,
        line=line,
    )


def _edge_file(
    toml: TomlFindings, path: Keys, table: dict[str, Any], files: Mapping[str, str]
) -> str:
    file = toml.text(table, (*path, "file"))
    columns = "its columns are from, to and, if wanted, weight"
    if "file" not in table:
        toml.report(path, "network", "a network of kind edges has no file",
                    f'add file = "links.csv"; {columns}')  # fmt: skip
    elif isinstance(table["file"], str) and not file.endswith(".csv"):
        toml.report((*path, "file"), "network", f"{shown(file)} is no .csv file", columns)
    elif file and file not in files:
        near = nearest(file, [one for one in files if one.endswith(".csv")])
        toml.report(
            (*path, "file"), "file", f"there is no file {file}",
            f"is it {near}?" if near else f"put it into the model's folder; {columns}",
        )  # fmt: skip
    elif file and not files[file]:
        toml.report((*path, "file"), "file", f"{file} is empty", columns)
    return file


# --- layers --------------------------------------------------------------------------------------


def _layers(toml: TomlFindings, table: object, space: SpaceSpec | None) -> list[LayerSpec]:
    path: Keys = ("environment", "layers")
    if not isinstance(table, dict):
        toml.wrong(path, table, "a table of layers", "[environment.layers] and below it heat = 0")
        return []
    if table and space is None:
        toml.report(
            path, "layer", "layers need a space",
            'add below [environment]: space = { kind = "grid", width = 50, height = 50 }',
        )  # fmt: skip
    elif table and space is not None and space.depth is not None:
        toml.report(
            path, "layer", "layers have two dimensions, the space has three",
            "remove depth of the space, or the layers",
        )  # fmt: skip
    made = []
    for name, entry in table.items():
        if toml.is_name((*path, name), "a layer"):
            made.append(_layer(toml, (*path, name), entry))
    return made


def _layer(toml: TomlFindings, path: Keys, entry: object) -> LayerSpec:
    name = path[-1]
    line = toml.line(path)
    if not isinstance(entry, dict):
        init = _plain_number(toml, path, entry)
        return LayerSpec(name, ExpressionSpec("init", init or "0", line), line=line)
    for key in entry.keys() - set(_LAYER):
        toml.unknown((*path, key), _LAYER, f"of layer '{name}'")
    texts = {
        key: _plain_number(toml, (*path, key), entry[key]) for key in _LAYER[:2] if key in entry
    }
    shares = {
        key: _number(toml, (*path, key), entry, _RULES[key], needed=False) for key in _LAYER[2:]
    }
    made = {
        key: ExpressionSpec(key, text, toml.line((*path, key)))
        for key, text in texts.items()
        if text is not None
    }
    return LayerSpec(
        name=name,
        init=made.get("init", ExpressionSpec("init", "0", line)),
        step=made.get("step"),
        diffuse=shares["diffuse"],
        decay=shares["decay"],
        line=line,
    )


# --- small parts ---------------------------------------------------------------------------------


def _kind(
    toml: TomlFindings, path: Keys, table: dict[str, Any], kinds: Mapping[str, object], what: str
) -> str | None:
    """The entry's kind, or None: there is none, or no such one."""
    listed = ", ".join(f'"{kind}"' for kind in kinds)
    if "kind" not in table:
        toml.report(path, what, f"the {what} has no kind", f"add kind = one of {listed}")
        return None
    kind = table["kind"]
    if isinstance(kind, str) and kind in kinds:
        return kind
    near = nearest(kind, kinds) if isinstance(kind, str) else None
    near = KINDS[what].get(str(kind).lower(), near)
    hint = f'did you mean "{near}"? (known: {listed})' if near else f"known: {listed}"
    if what == "space" and kind in ("network", *_NETWORKS):
        hint = f"a network is an entry of its own: network = {{ kind = … }}; spaces: {listed}"
    toml.report((*path, "kind"), what, f"there is no {what} of kind {shown(kind)}", hint)
    return None


def _number(
    toml: TomlFindings,
    path: Keys,
    table: dict[str, Any],
    rule: tuple[Fits, str, str],
    needed: bool = True,
) -> ExpressionSpec | None:
    """A number, or an expression over parameters; one that is written out is held to the rule."""
    key = path[-1]
    fits, wanted, example = rule
    if key not in table:
        if needed:
            what = path[-2]
            example = example if "=" in example else f"{key} = {example}"
            toml.report(path[:-1], what, f"the {what} has no {key}", f"add {example}: {wanted}")
        return None
    value = table[key]
    if is_number(value) and not (math.isfinite(value) and fits(value)):
        toml.report(path, path[1], f"{key} must be {wanted}, not {shown(value)}")
        return None
    text = _plain_number(toml, path, value)
    return None if text is None else ExpressionSpec(key, text, toml.line(path))


def _plain_number(toml: TomlFindings, path: Keys, value: object) -> str | None:
    """An expression whose value is a number: its text."""
    if isinstance(value, bool):
        toml.wrong(path, value, "a number, or an expression in quotes")
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return toml.expression(path, value)
