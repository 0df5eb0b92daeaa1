"""Models written out in a test: the text of model.toml and of its scripts."""

from __future__ import annotations

from runtime import protocol as p
from runtime.model import read_model


def written(toml: str, *, links: str = "", **scripts: str) -> p.ModelSpec:
    """A model from its model.toml and its scripts: those of agents by type name, ``environment``
    beside them; ``links`` is the text of links.csv."""
    files = {"model.toml": toml}
    if links:
        files["links.csv"] = links
    for name, text in scripts.items():
        files[f"{name}.lua" if name == "environment" else f"agents/{name}.lua"] = text
    spec, found = read_model("m", files)
    assert spec is not None, found
    return spec
