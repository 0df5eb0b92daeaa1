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

from runtime.model_activation import read_activation
from runtime.model_agents import read_agents
from runtime.model_environment import SCRIPT, read_environment
from runtime.protocol import Diagnostic, ExpressionSpec, ModelSpec, ParameterSpec, Scalar
from runtime.toml_findings import (
    FILE,
    MAX_EXACT,
    Keys,
    TomlFindings,
    is_number,
    nearest,
    shown,
    sort_of,
    too_deep,
)

DEFAULT_FUEL: Final = 1_000_000
DEFAULT_TICKS: Final = 100
MAX_TOML: Final = 256 << 10
"""Characters of a model.toml; the coordinator reads it, which must not take it long."""

_TOP: Final = (
    "name", "description", "activation", "ticks", "fuel", "memory_mb", "on_error", "parameters",
    "agents", "environment", "metrics", "stop", "invariants",
)  # fmt: skip
_LATER: Final = {
    "experiment": "experiments",
    "interventions": "interventions",
}
_LIKE_ENVIRONMENT: Final = ("environment", "env", "world")
_OF_ENVIRONMENT: Final = ("space", "network", "layers")


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

    def unused(self, used: set[str], files: Mapping[str, str]) -> None:
        for file in sorted(files):
            if file.endswith(".lua") and file not in used:
                stem = re.sub(r"^.*/", "", file).removesuffix(".lua")
                hint = f"declare [agents.{stem}] with a file agents/{stem}.lua, or remove it"
                if stem in _LIKE_ENVIRONMENT:
                    hint = f"the environment's script is {SCRIPT}, beside {FILE}"
                self.found.append(
                    Diagnostic(
                        severity="warning",
                        code="file",
                        message=f"{file} belongs to no agent type of {FILE}",
                        file=file,
                        line=0,
                        hint=hint,
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

    def on_error(self, document: Mapping[str, Any]) -> None:
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
        elif key in _OF_ENVIRONMENT:
            reader.report(
                (key,), "key", f"{key} belongs to the environment",
                f"write [environment] and below it {key} = …, or [environment.{key}]",
            )  # fmt: skip
        elif key in _LATER:
            reader.report((key,), "later", f"{_LATER[key]} come in a later version", "remove it")
        elif key not in _TOP:
            reader.unknown((key,), _TOP, f"in {FILE}")
    reader.on_error(document)
    given = reader.text(document, ("name",), name)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", given):
        reader.report(
            ("name",), "name", f"'{given}' cannot name a model",
            "use letters, digits, _ and -, at most 64 of them",
        )  # fmt: skip
    parameters = tuple(reader.parameters(document))
    environment = read_environment(reader, document, files)
    space = environment.space if environment is not None else None
    types = read_agents(reader, document, files, space)
    reader.unused({SCRIPT, *(spec.file for spec in types)}, files)
    activation = read_activation(reader, document, [spec.name for spec in types], parameters)
    model = ModelSpec(
        name=given,
        description=reader.text(document, ("description",)),
        activation=activation.kind,
        parameters=parameters,
        types=tuple(types),
        metrics=tuple(reader.expressions(document, "metrics")),
        invariants=tuple(reader.expressions(document, "invariants")),
        stop=reader.stop(document),
        fuel=reader.whole(document, ("fuel",), DEFAULT_FUEL, 1000),
        ticks=reader.whole(document, ("ticks",), DEFAULT_TICKS, 1),
        memory_mb=reader.whole(document, ("memory_mb",), 0, 16) if "memory_mb" in document else 0,
        toml=toml,
        environment=environment,
        by_type=activation.by_type,
        activation_parameter=activation.parameter,
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
