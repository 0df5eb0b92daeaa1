"""Read a model's files into a typed record, and a caller's parameters into values.

Everything that is wrong is reported at once, each finding with its line in model.toml. Lua is not
read here: scripts and expressions stay texts, which the workers' front end checks.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from runtime.protocol import Diagnostic, ExpressionSpec, ModelSpec, ParameterSpec, Scalar, TypeSpec
from runtime.toml_findings import (
    FILE,
    Keys,
    TomlFindings,
    is_number,
    nearest,
    shown,
    sort_of,
    too_deep,
)

DEFAULT_FUEL: Final = 1_000_000
MAX_TOML: Final = 256 << 10
"""Characters of a model.toml; the coordinator reads it, which must not take it long."""
MAX_EXACT: Final = 2**53
"""Beyond it not every whole number is a double, and Lua's numbers are doubles."""

_TOP: Final = (
    "name", "description", "activation", "fuel", "memory_mb", "on_error", "parameters", "agents",
    "metrics", "stop", "invariants",
)  # fmt: skip
_LATER: Final = {
    "environment": "environments and spaces",
    "experiment": "experiments",
    "interventions": "interventions",
}
_ACTIVATIONS: Final = ("synchronous", "random", "ordered", "uniform", "by_type")


class _Reader(TomlFindings):
    """Reads the sections of a parsed document into records."""

    def parameters(self, document: Mapping[str, Any]) -> list[ParameterSpec]:
        made = []
        for name, entry in self.table(document, "parameters").items():
            path: Keys = ("parameters", name)
            if not self.is_name(path, "a parameter"):
                continue
            table = entry if isinstance(entry, dict) else {"default": entry}
            spec = self.parameter(path, name, table)
            if spec is not None:
                made.append(spec)
        return made

    def parameter(self, path: Keys, name: str, table: dict[str, Any]) -> ParameterSpec | None:
        known = ("default", "min", "max", "choices", "description")
        for key in table.keys() - set(known):
            self.unknown((*path, key), known, f"of parameter '{name}'")
        if "default" not in table:
            self.report(path, "parameter", f"parameter '{name}' has no default", "add default = …")
            return None
        default = table["default"]
        if not isinstance(default, bool | int | float | str):
            self.wrong(path, default, "a number, a text or a boolean")
            return None
        bounds: dict[str, float | None] = {"min": None, "max": None}
        for key in ("min", "max"):
            bound = table.get(key)
            if bound is None:
                continue
            if not is_number(default):
                self.report(
                    (*path, key), "parameter", f"{key} has no meaning for {sort_of(default)}",
                    "remove it, or use choices",
                )  # fmt: skip
            elif not is_number(bound):
                self.wrong((*path, key), bound, "a number")
            else:
                bounds[key] = float(bound)
        low, high = bounds["min"], bounds["max"]
        if low is not None and high is not None and low > high:
            self.report(
                (*path, "min"), "parameter", f"min {low:g} is above max {high:g}", "exchange them"
            )
            low = high = None
        choices = table.get("choices", [])
        if not isinstance(choices, list) or (not choices and "choices" in table):
            self.wrong((*path, "choices"), choices, "a list of values", 'choices = ["a", "b"]')
            choices = []
        odd = [one for one in choices if sort_of(one) != sort_of(default)]
        if odd:
            self.report(
                (*path, "choices"), "parameter",
                f"the choice {shown(odd[0])} is {sort_of(odd[0])}, "
                f"the default is {sort_of(default)}",
                "make all choices and the default of one sort",
            )  # fmt: skip
            choices = []
        spec = ParameterSpec(
            name=name,
            default=default,
            min=low,
            max=high,
            choices=tuple(choices),
            description=self.text(table, (*path, "description")),
            line=self.line(path),
        )
        problem = _unfit(spec, default)
        if problem:
            self.report(
                (*path, "default"), "parameter", f"the default of '{name}' {problem}",
                "change the default, or what it is held to",
            )  # fmt: skip
        return spec

    def types(self, document: Mapping[str, Any], files: Mapping[str, str]) -> list[TypeSpec]:
        made = []
        tables = self.table(document, "agents")
        if not tables:
            self.report(
                ("agents",), "agents", "the model has no agents",
                "add a table [agents.person] with count = 10, and a file agents/person.lua",
            )  # fmt: skip
        for name, table in tables.items():
            path: Keys = ("agents", name)
            if not isinstance(table, dict):
                self.wrong(path, table, "a table", f"write [agents.{name}] and count = … below it")
            elif self.is_name(path, "an agent type"):
                made.append(self.agent_type(path, name, table, files))
        aliases: dict[str, str] = {}
        for spec in made:
            if spec.alias and spec.alias in aliases:
                self.report(
                    ("agents", spec.name, "name"), "name",
                    f"the name '{spec.alias}' is taken by type '{aliases[spec.alias]}'",
                )  # fmt: skip
            aliases.setdefault(spec.alias, spec.name)
        self.unused({spec.file for spec in made}, files)
        return made

    def agent_type(
        self, path: Keys, name: str, table: dict[str, Any], files: Mapping[str, str]
    ) -> TypeSpec:
        known = ("count", "state", "name")
        for key in table.keys() - set(known):
            if key == "worker":
                self.report((*path, key), "later", "workers in other languages come later")
            else:
                self.unknown((*path, key), known, f"of agent type '{name}'")
        file = f"agents/{name}.lua"
        if file not in files:
            near = nearest(file, [one for one in files if one.endswith(".lua")])
            hint = f"is it {near}?" if near else f"write the script {file}"
            self.report(path, "file", f"there is no file {file} for agent type '{name}'", hint)
        alias = self.text(table, (*path, "name"))
        if "count" not in table:
            self.report(
                path, "count", f"agent type '{name}' has no count",
                "add count = 1" if alias else
                "add count = 10, or an expression over parameters in quotes",
            )  # fmt: skip
        if "name" in table and (alias == "" or alias == "environment"):
            self.report((*path, "name"), "name", f"'{alias}' cannot name an agent", "rename it")
        return TypeSpec(
            name=name,
            count=self.count(path, table.get("count", 1 if alias else 0), alias),
            state=tuple(self.state((*path, "state"), table.get("state", {}))),
            alias=alias,
            file=file,
            source=files.get(file, ""),
            line=self.line(path),
        )

    def count(self, path: Keys, value: object, alias: str) -> ExpressionSpec:
        path = (*path, "count")
        if isinstance(value, bool) or (
            isinstance(value, int | float) and not (0 <= value < 2**31 and value == int(value))
        ):
            self.report(
                path,
                "count",
                f"count must be a whole number of agents, 0 or more, not {shown(value)}",
            )
            value = 0
        elif alias and isinstance(value, int) and value != 1:
            self.report(
                path, "count", f"a type with a name has one agent, not {value}",
                "write count = 1, or remove name",
            )  # fmt: skip
        elif isinstance(value, float):
            value = int(value)
        text = self.expression(path, value)
        return ExpressionSpec("count", "0" if text is None else text, self.line(path))

    def state(self, path: Keys, table: object) -> list[ExpressionSpec]:
        if not isinstance(table, dict):
            self.wrong(
                path, table, "a table of fields", 'state = { cash = "100", side = "\'buy\'" }'
            )
            return []
        made = []
        for name, value in table.items():
            if name in ("id", "type"):
                self.report(
                    (*path, name),
                    "state",
                    f"self.{name} is given by the runtime",
                    "rename the field",
                )
                continue
            text = self.expression((*path, name), value)
            if text is not None:
                made.append(ExpressionSpec(name, text, self.line((*path, name))))
        return made

    def unused(self, used: set[str], files: Mapping[str, str]) -> None:
        for file in sorted(files):
            if file.endswith(".lua") and file not in used:
                stem = re.sub(r"^.*/", "", file).removesuffix(".lua")
                self.found.append(
                    Diagnostic(
                        severity="warning",
                        code="file",
                        message=f"{file} belongs to no agent type of {FILE}",
                        file=file,
                        line=0,
                        hint=f"declare [agents.{stem}] with a file agents/{stem}.lua, or remove it",
                    )
                )

    def expressions(self, document: Mapping[str, Any], section: str) -> list[ExpressionSpec]:
        made = []
        what = {"metrics": "a metric", "invariants": "an invariant"}[section]
        for name, entry in self.table(document, section).items():
            path: Keys = (section, name)
            if not self.is_name(path, what):
                continue
            every: object = 1
            if isinstance(entry, dict) and section == "metrics":
                known = ("value", "every")
                for key in entry.keys() - set(known):
                    self.unknown((*path, key), known, f"of metric '{name}'")
                every = entry.get("every", 1)
                if "value" not in entry:
                    self.report(path, "metric", f"metric '{name}' has no value", 'add value = "…"')
                    continue
                entry = entry["value"]
            if isinstance(every, bool) or not isinstance(every, int) or every < 1:
                self.report(
                    (*path, "every"), "metric",
                    f"every must be a whole number of ticks, 1 or more, not {shown(every)}",
                )  # fmt: skip
                every = 1
            text = self.expression(path, entry)
            if text is not None:
                made.append(ExpressionSpec(name, text, self.line(path), every))
        return made

    def stop(self, document: Mapping[str, Any]) -> ExpressionSpec | None:
        if "stop" not in document:
            return None
        table = self.table(document, "stop")
        for key in table.keys() - {"when"}:
            self.unknown(("stop", key), ["when"], "of [stop]")
        if "when" not in table:
            if isinstance(document["stop"], dict):
                self.report(("stop",), "stop", "[stop] has no when", 'add when = "…"')
            return None
        text = self.expression(("stop", "when"), table["when"])
        return ExpressionSpec("stop", text, self.line(("stop", "when"))) if text else None

    def whole(self, document: Mapping[str, Any], key: str, default: int, least: int) -> int:
        value = document.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_EXACT:
            return value
        self.report(
            (key,), "type", f"{key} must be a whole number, {least} or more, not {shown(value)}"
        )
        return default

    def settings(self, document: Mapping[str, Any]) -> None:
        activation = document.get("activation", "synchronous")
        if activation != "synchronous":
            known = isinstance(activation, str) and activation in _ACTIVATIONS
            known = known or isinstance(activation, dict)
            self.report(
                ("activation",), "later" if known else "activation",
                f"activation {shown(activation)} comes in a later version"
                if known else f"there is no activation {shown(activation)}",
                'write activation = "synchronous"',
            )  # fmt: skip
        on_error = document.get("on_error", "pause")
        if on_error != "pause":
            later = on_error == "quarantine"
            self.report(
                ("on_error",), "later" if later else "on_error",
                'on_error = "quarantine" comes in a later version'
                if later else f"on_error must be a text this version knows, not {shown(on_error)}",
                'write on_error = "pause"',
            )  # fmt: skip


def read_model(name: str, files: Mapping[str, str]) -> tuple[ModelSpec | None, list[Diagnostic]]:
    """Read ``files`` (path inside the model's folder -> text).

    Returns None for the model if there is an error among the findings. ``name`` is used where
    model.toml gives none.
    """
    model, found = read_draft(name, files)
    failed = any(one.severity == "error" for one in found)
    return None if failed else model, found


def read_draft(name: str, files: Mapping[str, str]) -> tuple[ModelSpec | None, list[Diagnostic]]:
    """Like ``read_model``, but gives what of a faulty model can be read, so that its scripts are
    checked too; None only where model.toml is missing or no TOML."""
    toml = files.get(FILE)
    if toml is None:
        hint = f"files given: {', '.join(sorted(files)) or 'none'}"
        return None, [
            Diagnostic("error", "file", f"the model has no {FILE}", FILE, 0, "", hint),
        ]
    if len(toml) > MAX_TOML:
        large = f"{FILE} has {len(toml)} characters; at most {MAX_TOML} are read"
        return None, [Diagnostic("error", "file", large, FILE, 0, "", "write it shorter")]
    reader = _Reader(toml)
    deep = too_deep(toml)
    if deep:
        reader.add(deep, "", "toml", "more than 64 names joined by dots", "a key has at most four")
        return None, reader.found
    try:
        document = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        reader.syntax(str(error))
        return None, reader.found
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, lists in lists without end.
        reader.add(0, "", "toml", f"{FILE} cannot be read: {error}", "write it shorter")
        return None, reader.found
    for key in document:
        if key == "settings":
            reader.report(
                (key,), "key", "there is no [settings]",
                "write fuel, memory_mb and on_error at the top, above the first [table]",
            )  # fmt: skip
        elif key in _LATER:
            reader.report((key,), "later", f"{_LATER[key]} come in a later version", "remove it")
        elif key not in _TOP:
            reader.unknown((key,), _TOP, f"in {FILE}")
    reader.settings(document)
    given = reader.text(document, ("name",), name)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", given):
        reader.report(
            ("name",), "name", f"'{given}' cannot name a model",
            "use letters, digits, _ and -, at most 64 of them",
        )  # fmt: skip
    model = ModelSpec(
        name=given,
        description=reader.text(document, ("description",)),
        parameters=tuple(reader.parameters(document)),
        types=tuple(reader.types(document, files)),
        metrics=tuple(reader.expressions(document, "metrics")),
        invariants=tuple(reader.expressions(document, "invariants")),
        stop=reader.stop(document),
        fuel=reader.whole(document, "fuel", DEFAULT_FUEL, 1000),
        memory_mb=reader.whole(document, "memory_mb", 0, 16) if "memory_mb" in document else 0,
        toml=toml,
    )
    return model, sorted(reader.found, key=lambda one: (one.file, one.line))


# --- a caller's parameters -----------------------------------------------------------------------


def _unfit(spec: ParameterSpec, value: Scalar) -> str:
    """Why the value does not fit the parameter, or ''."""
    if sort_of(value) != sort_of(spec.default):
        return f"must be {sort_of(spec.default)}, not {shown(value)}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value) or (abs(value) > MAX_EXACT and isinstance(value, int)):
            return f"must be a finite number, whole ones at most 2^53, not {value}"
        low, high = spec.min, spec.max
        if (low is not None and value < low) or (high is not None and value > high):
            bounds = f"at least {low:.15g}" if low is not None else ""
            bounds += " and " if low is not None and high is not None else ""
            bounds += f"at most {high:.15g}" if high is not None else ""
            return f"must be {bounds}, not {value}"
    if spec.choices and value not in spec.choices:
        return f"must be one of {', '.join(map(shown, spec.choices))}, not {shown(value)}"
    return ""


def apply_parameters(
    model: ModelSpec, given: Mapping[str, Scalar]
) -> tuple[dict[str, Scalar], list[Diagnostic]]:
    """Every parameter's value: the default, or what is given, and what does not fit."""
    reader = _Reader(model.toml)
    values: dict[str, Scalar] = {spec.name: spec.default for spec in model.parameters}
    specs = {spec.name: spec for spec in model.parameters}
    for name, value in given.items():
        if name not in specs:
            near = nearest(name, specs)
            listed = f"parameters: {', '.join(specs) or 'none'}"
            reader.add(
                0, "", "parameter", f"the model has no parameter '{name}'",
                f"did you mean {near}? ({listed})" if near else listed,
            )  # fmt: skip
            continue
        problem = _unfit(specs[name], value)
        if problem:
            reader.report(("parameters", name), "parameter", f"parameter '{name}' {problem}")
        else:
            values[name] = value
    return values, reader.found
