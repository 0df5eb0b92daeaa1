"""A tool's arguments: one record gives the JSON schema that clients see and the check of each call.

The SDK's own way (a pydantic model made from the function's signature) drops unknown arguments in
silence, puts titles into the schema and shows pydantic's wording to the model; hence this module.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct, structs

A = TypeVar("A", bound=Struct)

_DETAIL: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_TYPES: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "null": "null",
    "object": "an object",
    "array": "a list",
}


class BadArguments(Exception):
    """The arguments of a call do not fit; ``str()`` names the argument, what it must be and is."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that ``word`` most likely meant, or None."""
    names = sorted(known)
    if word.lower() in names:
        return word.lower()
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.5)
    if close:
        return close[0]
    contained = [n for n in names if len(word) > 2 and (word.lower() in n or n in word.lower())]
    return contained[0] if contained else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean "x"?``, or a full stop where nothing is near."""
    guess = nearest(word, known)
    return f'; did you mean "{guess}"?' if guess else "."


def schema(arguments: type[Struct]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments: one object, references resolved, no titles."""
    (root,), definitions = msgspec.json.schema_components((arguments,), ref_template="{name}")

    def resolved(node: Any) -> Any:
        if isinstance(node, list):
            return [resolved(part) for part in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return resolved(definitions[node["$ref"]])
        if "anyOf" in node and node.get("default", 0) is None:
            # Optional: null counts as not given, and is not worth its tokens.
            (one,) = [part for part in node["anyOf"] if part != {"type": "null"}]
            return resolved(one)
        if "anyOf" in node and all(part.keys() == {"type"} for part in node["anyOf"]):
            rest = {key: value for key, value in node.items() if key != "anyOf"}
            return {"type": _types(part["type"] for part in node["anyOf"]), **resolved(rest)}
        kept = {key: resolved(value) for key, value in node.items() if key != "title"}
        if kept.get("default") in ("", [], {}, 0, False):
            # An empty default says nothing that "not required" does not say, and costs tokens.
            del kept["default"]
        if "enum" in kept:
            kept = {"type": "string", **kept}
        return kept

    out: dict[str, Any] = resolved(root)
    # `properties` is a map of names, not a schema: an argument called "title" must survive.
    properties = definitions[root["$ref"]]["properties"]
    out["properties"] = {name: resolved(node) for name, node in properties.items()}
    out["additionalProperties"] = False
    return out


def _types(names: Iterable[str]) -> list[str]:
    """JSON type names, without "integer" where "number" stands already."""
    listed = list(names)
    return [name for name in listed if not (name == "integer" and "number" in listed)]


def parse(tool: str, arguments: type[A], given: Mapping[str, Any]) -> A:
    """The arguments of a call as a record.

    An explicit null for an optional argument counts as not given, and a list or object that came as
    JSON text is read: several hosts send both.

    Raises:
        BadArguments: every unknown or missing name at once, else the first value that is wrong.
    """
    fields = {field.encode_name: field for field in structs.fields(arguments)}
    unknown = [name for name in given if name not in fields]
    if unknown:
        said = " ".join(
            f'{tool} has no argument "{name}"{did_you_mean(name, fields)}' for name in unknown
        )
        raise BadArguments(f"{said} Arguments of {tool}: {', '.join(fields)}.")
    missing = [name for name, field in fields.items() if field.required and given.get(name) is None]
    if missing:
        raise BadArguments(
            f"{tool} needs {' and '.join(missing)}. Arguments of {tool}: {', '.join(fields)}."
        )
    values = {name: _unpacked(value) for name, value in given.items() if value is not None}
    _check_choices(tool, fields.values(), values)
    try:
        return msgspec.convert(values, arguments, strict=False)
    except msgspec.ValidationError as error:
        first = error
    # A text that merely looks like JSON (the file's whole text is "[1]") is taken as it came.
    try:
        return msgspec.convert(
            {name: value for name, value in given.items() if value is not None},
            arguments,
            strict=False,
        )
    except msgspec.ValidationError:
        said = _worded(tool, str(first).replace(" | null", ""), values)
        if "field" in said:
            said += _fields_of(fields, said)
        raise BadArguments(said) from None


def _check_choices(
    tool: str, fields: Iterable[structs.FieldInfo], values: Mapping[str, Any]
) -> None:
    """msgspec's own message does not say which texts would do."""
    for field in fields:
        kind = _bare(field.type)
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        name = field.encode_name
        if choices and name in values and values[name] not in choices:
            guess = did_you_mean(str(values[name]), choices)
            raise BadArguments(
                f"{tool}: {name} must be one of {', '.join(map(json.dumps, choices))},"
                f" got {_value_at(name, values)}{guess}"
            )


def _fields_of(fields: Mapping[str, structs.FieldInfo], said: str) -> str:
    """The fields that an entry of a list has, where ``said`` speaks of such an entry."""
    for name, field in fields.items():
        for part in get_args(_bare(field.type)):
            if f": {name}[" in said and isinstance(part, type) and issubclass(part, Struct):
                return f". An entry has: {', '.join(part.__struct_fields__)}"
    return ""


def _bare(kind: Any) -> Any:
    """A type without its description."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _unpacked(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _worded(tool: str, text: str, values: Mapping[str, Any]) -> str:
    """msgspec's message in the words of this project: place, expectation, value."""
    match = _DETAIL.match(text)
    what, path = (match["what"], match["path"] or "") if match else (text, "")
    place = path.lstrip(".")
    expected = re.sub(r"`([^`]*)`", lambda m: _type_words(m[1]), what)
    expected = re.sub(r", got (a text|a whole number|a number|an object|a list|.+)$", "", expected)
    expected = expected.replace("Object contains unknown field", "there is no field")
    expected = re.sub(r"(<=|>=|<|>) (\d+)\.0$", r"\1 \2", expected)
    expected = expected.replace("Object missing required field", "missing field")
    got = _value_at(place, values)
    shown = "" if got is None else f", got {got}"
    return f"{tool}: {place or 'arguments'}: {expected[:1].lower() + expected[1:]}{shown}"


def _type_words(name: str) -> str:
    parts = [part.strip() for part in name.split("|")]
    if all(part in _TYPES for part in parts):
        words = [_TYPES[part] for part in parts if not (part == "int" and "float" in parts)]
        return " or ".join(words)
    return f'"{name}"'


def _value_at(place: str, values: Mapping[str, Any]) -> str | None:
    """The rejected value, shortened; None where the place is inside a list or map."""
    if place not in values:
        return None
    shown = json.dumps(values[place], ensure_ascii=False, default=str)
    return shown if len(shown) <= 60 else shown[:57] + "..."
