"""Read ``activation`` of a model.toml: the regime, or the parameter that chooses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from runtime.model_words import OTHER_REGIMES
from runtime.protocol import ParameterSpec
from runtime.toml_findings import Keys, TomlFindings, nearest, shown, sort_of

REGIMES: Final = ("synchronous", "random", "ordered", "uniform")
"""Those that stand for themselves; ``by_type`` needs the order of types."""
_BY_TYPE: Final = 'activation = { by_type = ["sheep", "wolf"] }'


class Activation(NamedTuple):
    """As ``ModelSpec`` has it."""

    kind: str = "synchronous"
    by_type: tuple[str, ...] = ()
    parameter: str = ""


def read_activation(
    toml: TomlFindings,
    document: Mapping[str, Any],
    types: Sequence[str],
    parameters: Sequence[ParameterSpec],
) -> Activation:
    """Every form; synchronous where it cannot be read."""
    value = document.get("activation", "synchronous")
    if isinstance(value, str) and value in REGIMES:
        return Activation(value)
    if isinstance(value, dict) and len(value) == 1:
        if "by_type" in value:
            return _by_type(toml, value["by_type"], types)
        if "parameter" in value:
            return _parameter(toml, value["parameter"], parameters)
    _refuse(toml, value)
    return Activation()


def _refuse(toml: TomlFindings, value: object) -> None:
    path: Keys = ("activation",)
    known = f"known: {', '.join(shown(one) for one in REGIMES)}, {{ by_type = [types] }}, "
    known += '{ parameter = "name" }'
    if isinstance(value, dict):
        odd = [key for key in value if key not in ("by_type", "parameter")]
        if odd:
            toml.unknown((*path, odd[0]), ("by_type", "parameter"), "of activation")
        else:
            said = "has both by_type and parameter" if value else "says nothing"
            toml.report(path, "activation", f"activation {said}", known)
    elif not isinstance(value, str):
        toml.report(path, "activation", f"activation must be a text, not {sort_of(value)}", known)
    elif value == "by_type":
        toml.report(path, "activation", "by_type needs the order of the types", _BY_TYPE)
    else:
        near = OTHER_REGIMES.get(value.lower(), nearest(value, REGIMES))
        hint = f'did you mean "{near}"? ({known})' if near else known
        toml.report(path, "activation", f"there is no activation {shown(value)}", hint)


def _by_type(toml: TomlFindings, names: object, types: Sequence[str]) -> Activation:
    path: Keys = ("activation", "by_type")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        toml.report(
            path, "activation", "by_type must be a list of agent types, in order of their turns",
            _BY_TYPE,
        )  # fmt: skip
        return Activation()
    for index, name in enumerate(names):
        if name not in types:
            near = nearest(name, types)
            listed = f"types: {', '.join(types) or 'none'}"
            toml.report(
                path, "activation", f"by_type: there is no agent type '{name}'",
                f"did you mean {near}? ({listed})" if near else listed,
            )  # fmt: skip
        elif name in names[:index]:
            toml.report(
                path, "activation", f"by_type names '{name}' twice",
                "each type acts once a tick: name it once",
            )  # fmt: skip
    return Activation("by_type", by_type=tuple(dict.fromkeys(n for n in names if n in types)))


def _parameter(toml: TomlFindings, name: object, parameters: Sequence[ParameterSpec]) -> Activation:
    path: Keys = ("activation", "parameter")
    specs = {spec.name: spec for spec in parameters}
    example = f'regime = {{ default = "synchronous", choices = ["synchronous", "{REGIMES[1]}"] }}'
    if not isinstance(name, str) or name not in specs:
        near = nearest(name, specs) if isinstance(name, str) else None
        toml.report(
            path, "activation", f"there is no parameter {shown(name)}",
            f"did you mean {near}?" if near else f"add to [parameters]: {example}",
        )  # fmt: skip
        return Activation()
    spec = specs[name]
    if not spec.choices:
        toml.report(
            ("parameters", name), "activation",
            f"parameter '{name}' chooses the activation and needs choices", example,
        )  # fmt: skip
        return Activation()
    odd = [one for one in spec.choices if one not in REGIMES]
    if odd:
        near = nearest(odd[0], REGIMES) if isinstance(odd[0], str) else None
        known = f"known: {', '.join(shown(one) for one in REGIMES)}"
        toml.report(
            ("parameters", name, "choices"), "activation",
            f"parameter '{name}' chooses the activation, and {shown(odd[0])} is none",
            f'did you mean "{near}"? ({known})' if near else known,
        )  # fmt: skip
        return Activation()
    return Activation("parameter", parameter=name)
