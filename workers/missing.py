"""Names of the API that a script has not: what each needs, and what to write."""

from __future__ import annotations

from typing import Final

from workers.features import ENVIRONMENT, Features, Role
from workers.names import ENVIRONMENT_LACKS, FEATURE_NAMES

NEEDS: Final[dict[str, tuple[str, str]]] = {
    "space": (
        "a space",
        'declare one in model.toml: [environment] space = { kind = "grid", width = 50, '
        "height = 50 }",
    ),
    "grid": (
        'a space of kind "grid"',
        'declare one in model.toml: [environment] space = { kind = "grid", width = 50, '
        "height = 50 }",
    ),
    "network": (
        "a network",
        'declare one in model.toml: [environment] network = { kind = "watts_strogatz", k = 4, '
        "p = 0.1 }",
    ),
    "directed": (
        "a directed network",
        "write directed = true in the network of model.toml",
    ),
    "layers": (
        "layers",
        "declare them in model.toml, beside a space: [environment.layers] grass = { init = 1 }",
    ),
    "published": (
        "published fields",
        'publish some in model.toml: [agents.bird] publish = ["heading"]',
    ),
    "script": (
        "an environment.lua",
        "write environment.lua with function init(env) env.price = 1 end, or keep the value in an "
        "agent and send it",
    ),
}
"""Feature -> (what it is in words, how to get it)."""


def needs(feature: str, features: Features) -> tuple[str, str]:
    """(what the feature is in words, with what the model has instead; how to get it)."""
    what, cure = NEEDS[feature]
    if feature == "grid" and features.space:
        cure = f"this model's space is {features.space}: use neighbors_of(x, y, r) and position()"
        if features.dimensions == 3:
            cure = cure.replace("x, y, r", "x, y, z, r")
    if feature == "directed" and features.network:
        cure = f"{cure}; links() has all links of a network without directions"
    return what, cure


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
    for feature, names in FEATURE_NAMES.items():
        if name in names:
            what, cure = needs(feature, features)
            return f"{name} needs {what}", cure
    return None


def _ask(features: Features) -> tuple[str, str]:
    cure = "send a message and handle the answer: send(to, kind, …), function on.answer(…)"
    message = "ask needs a regime in which effects are visible at once; "
    if len(features.regimes) == 1:
        return message + f"this one is {features.regimes[0]}", cure
    return (
        f"{message}this model may also run as synchronous",
        f"take synchronous out of the choices of the parameter, or {cure}",
    )
