"""Names of the API that a script has not: what each needs, and what to write."""

from __future__ import annotations

from typing import Final

from workers.features import ENVIRONMENT, Features, Role
from workers.names import ENVIRONMENT_LACKS, FEATURE_NAMES

_ADD: Final = "add to model.toml, below [environment]: "
_NETWORK: Final = 'network = { kind = "watts_strogatz", k = 4, p = 0.1 }'
_DIRECTED: Final = 'network = { kind = "empty", directed = true }'
_SPACE: Final = 'space = { kind = "grid", width = 50, height = 50 }'

NEEDS: Final[dict[str, tuple[str, str]]] = {
    "space": ("a space", _ADD + _SPACE),
    "grid": ('a space of kind "grid"', _ADD + _SPACE),
    "network": ("a network", _ADD + _NETWORK),
    "directed": ("a directed network", "add directed = true to the network of model.toml"),
    "layers": (
        "layers",
        "add to model.toml, beside a space: [environment.layers], and below it grass = 1",
    ),
    "published": (
        "published fields",
        'add to model.toml, below the agent type: publish = ["heading"]',
    ),
    "script": (
        "environment.lua",
        "write environment.lua with function init(env) env.price = 1 end, or keep the value in an "
        "agent and send it",
    ),
}
"""Feature -> (what it is in words, how to get it)."""

_ABSENT: Final = {"space": "space", "layer": "layers", "env": "environment.lua"}
"""Names that are what they need."""


def needs(feature: str, features: Features) -> tuple[str, str]:
    """(what the feature is in words, with what the model has instead; how to get it)."""
    what, cure = NEEDS[feature]
    if feature == "grid" and features.space:
        cure = f"this model's space is {features.space}: use neighbors_of(x, y, r) and position()"
        if features.dimensions == 3:
            cure = cure.replace("x, y, r", "x, y, z, r")
    if feature == "directed":
        other = "links() has all links of a network without directions"
        cure = f"{cure}; {other}" if features.network else _ADD + _DIRECTED
    return what, cure


def lack_of(name: str, features: Features) -> tuple[str, str] | None:
    """Why the model has no ``name`` of the API, and how to get it; None if nothing is missing."""
    for feature, names in FEATURE_NAMES.items():
        if name in names and not getattr(features, feature):
            what, cure = needs(feature, features)
            absent = _ABSENT.get(name)
            return f"this model has no {absent}" if absent else f"{name} needs {what}", cure
    return None


def why_missing(name: str, role: Role, features: Features) -> tuple[str, str] | None:
    """Why a script of that role has no ``name``, and what to write; None: it is no API name, or
    the script has it."""
    if name in features.names(role):
        return None
    if role is ENVIRONMENT and name in ENVIRONMENT_LACKS:
        return ENVIRONMENT_LACKS[name]
    if name == "query":
        return (
            "queries are functions of environment.lua",
            "write function query.name(env) there, and call env.name() here",
        )
    if name == "ask":
        return _ask(features)
    return lack_of(name, features)


def _ask(features: Features) -> tuple[str, str]:
    cure = "send a message and handle the answer: send(to, kind, …), function on.answer(…)"
    message = "ask needs a regime in which effects are visible at once; "
    if len(features.regimes) == 1:
        cure = f'{cure}; or write activation = "random" in model.toml'
        return message + f"this one is {features.regimes[0]}", cure
    return (
        f"{message}this model may also run as synchronous",
        f"take synchronous out of the choices of the parameter, or {cure}",
    )
