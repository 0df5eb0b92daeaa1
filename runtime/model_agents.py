"""Read ``[agents.NAME]`` of a model.toml: how many, their first state, where they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from runtime.protocol import ENVIRONMENT, ExpressionSpec, SpaceSpec, TypeSpec
from runtime.toml_findings import Keys, TomlFindings, nearest, shown, sort_of

_KEYS: Final = ("count", "state", "name", "place", "publish")
_PLACES: Final = ("random", "random_empty", "grid")
_GIVEN: Final = ("id", "type")
"""Fields of ``self`` that are the runtime's, and that everybody may ask for anyway."""
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_agents(
    toml: TomlFindings,
    document: Mapping[str, Any],
    files: Mapping[str, str],
    space: SpaceSpec | None,
) -> list[TypeSpec]:
    """Every type, in file order; ``space`` is where they can be placed."""
    made = []
    tables = toml.table(document, "agents")
    if not tables:
        toml.report(
            ("agents",), "agents", "the model has no agents",
            "add a table [agents.person] with count = 10, and a file agents/person.lua",
        )  # fmt: skip
    own = {f"agents/{name}.lua" for name in tables}
    spare = [file for file in files if file.startswith("agents/") and file not in own]
    for name, table in tables.items():
        path: Keys = ("agents", name)
        if not isinstance(table, dict):
            toml.wrong(path, table, "a table", f"write [agents.{name}] and count = … below it")
        elif name == ENVIRONMENT:
            toml.report(
                path, "name", "the environment is no agent type",
                "write [environment] and its script environment.lua, or rename the type",
            )  # fmt: skip
        elif toml.is_name(path, "an agent type"):
            made.append(_agent_type(toml, path, name, table, files, space, spare))
    aliases: dict[str, str] = {}
    for spec in made:
        if spec.alias and spec.alias in aliases:
            toml.report(
                ("agents", spec.name, "name"), "name",
                f"the name '{spec.alias}' is taken by type '{aliases[spec.alias]}'",
            )  # fmt: skip
        aliases.setdefault(spec.alias, spec.name)
    return made


def _agent_type(
    toml: TomlFindings,
    path: Keys,
    name: str,
    table: dict[str, Any],
    files: Mapping[str, str],
    space: SpaceSpec | None,
    spare: list[str],
) -> TypeSpec:
    """``spare``: scripts that are no type's."""
    for key in table.keys() - set(_KEYS):
        if key == "worker":
            toml.report((*path, key), "later", "workers in other languages come later")
        else:
            toml.unknown((*path, key), _KEYS, f"of agent type '{name}'")
    file = f"agents/{name}.lua"
    if file not in files:
        near = nearest(file, spare)
        hint = f"write {file}; an empty one will do for agents that only stand there"
        hint = f"is it {near}?" if near else hint
        toml.report(path, "file", f"there is no file {file} for agent type '{name}'", hint)
    alias = toml.text(table, (*path, "name"))
    if "count" not in table:
        toml.report(
            path, "count", f"agent type '{name}' has no count",
            "add count = 1" if alias else
            "add count = 10, or an expression over parameters in quotes",
        )  # fmt: skip
    if "name" in table and (alias == "" or alias == ENVIRONMENT):
        toml.report((*path, "name"), "name", f"'{alias}' cannot name an agent", "rename it")
    place, place_at = _place(toml, (*path, "place"), table.get("place"), space)
    return TypeSpec(
        name=name,
        count=_count(toml, path, table.get("count", 1 if alias else 0), alias),
        state=tuple(_state(toml, (*path, "state"), table.get("state", {}))),
        alias=alias,
        file=file,
        source=files.get(file, ""),
        line=toml.line(path),
        place=place,
        place_at=tuple(place_at),
        publish=tuple(_publish(toml, (*path, "publish"), table.get("publish", []))),
    )


def _count(toml: TomlFindings, path: Keys, value: object, alias: str) -> ExpressionSpec:
    path = (*path, "count")
    if isinstance(value, bool) or (
        isinstance(value, int | float) and not (0 <= value < 2**31 and value == int(value))
    ):
        toml.report(
            path,
            "count",
            f"count must be a whole number of agents, 0 or more, not {shown(value)}",
        )
        value = 0
    elif alias and isinstance(value, int) and value != 1:
        toml.report(
            path, "count", f"a type with a name has one agent, not {value}",
            "write count = 1, or remove name",
        )  # fmt: skip
    elif isinstance(value, float):
        value = int(value)
    text = toml.expression(path, value)
    return ExpressionSpec("count", "0" if text is None else text, toml.line(path))


def _state(toml: TomlFindings, path: Keys, table: object) -> list[ExpressionSpec]:
    if not isinstance(table, dict):
        toml.wrong(path, table, "a table of fields", 'state = { cash = "100", side = "\'buy\'" }')
        return []
    made = []
    for name, value in table.items():
        if name in _GIVEN:
            toml.report(
                (*path, name),
                "state",
                f"self.{name} is given by the runtime",
                "rename the field",
            )
            continue
        text = toml.expression((*path, name), value)
        if text is not None:
            made.append(ExpressionSpec(name, text, toml.line((*path, name))))
    return made


def _place(
    toml: TomlFindings, path: Keys, value: object, space: SpaceSpec | None
) -> tuple[str, list[ExpressionSpec]]:
    """Where the agents of a type stand at first: the way, and for ``at`` the coordinates."""
    if value is None:
        return "", []
    if space is None:
        toml.report(
            path, "place", "place needs a space",
            "add [environment] and below it: "
            'space = { kind = "grid", width = 50, height = 50 }; or remove place',
        )  # fmt: skip
        return "", []
    if isinstance(value, dict):
        return "at", _coordinates(toml, path, value, space)
    known = ", ".join(shown(one) for one in _PLACES) + ' or { x = "…", y = "…" }'
    if not isinstance(value, str):
        toml.wrong(path, value, f"one of {known}")
    elif value not in _PLACES:
        near = nearest(value, _PLACES)
        toml.report(
            path, "place", f"there is no place {shown(value)}",
            f'did you mean "{near}"? (known: {known})' if near else f"known: {known}",
        )  # fmt: skip
    elif value == "random_empty" and space.kind != "grid":
        toml.report(
            path, "place", "a continuous space has no cells that could be empty",
            'write place = "random"',
        )  # fmt: skip
        return "random", []
    else:
        return value, []
    return "", []


def _coordinates(
    toml: TomlFindings, path: Keys, table: dict[str, Any], space: SpaceSpec
) -> list[ExpressionSpec]:
    axes = ("x", "y", "z") if space.depth is not None else ("x", "y")
    for key in table.keys() - set(axes):
        if key == "z":
            toml.report(
                (*path, key), "place", "the space has two dimensions: x and y",
                "remove z, or make it a continuous space with a depth",
            )  # fmt: skip
        else:
            toml.unknown((*path, key), axes, "of place")
    made = []
    for axis in axes:
        if axis not in table:
            toml.report(path, "place", f"place has no {axis}", f'add {axis} = "…"')
            continue
        if isinstance(table[axis], bool):
            toml.wrong((*path, axis), table[axis], "a number, or an expression in quotes")
            continue
        text = toml.expression((*path, axis), table[axis])
        if text is not None:
            made.append(ExpressionSpec(axis, text, toml.line((*path, axis))))
    return made


def _publish(toml: TomlFindings, path: Keys, names: object) -> list[str]:
    example = 'publish = ["heading", "group"]'
    if not isinstance(names, list):
        toml.wrong(path, names, "a list of field names", example)
        return []
    made: list[str] = []
    for name in names:
        if not isinstance(name, str):
            toml.report(
                path, "publish", f"publish lists names of fields, not {sort_of(name)}", example
            )
        elif name in _GIVEN:
            toml.report(
                path, "publish", f"self.{name} needs no publishing",
                "it is the id that others ask with" if name == "id" else
                'agents("sheep") and neighbors(r, "sheep") tell the types apart',
            )  # fmt: skip
        elif not _FIELD.fullmatch(name):
            toml.report(
                path, "publish", f"{shown(name)} is no name of a field",
                f'write the name alone, without self.: {example}',
            )  # fmt: skip
        elif name in made:
            toml.report(path, "publish", f"publish names '{name}' twice", "name it once")
        else:
            made.append(name)
    return made
