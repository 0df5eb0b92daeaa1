"""Words of other frameworks in model.toml, and what to write here."""

from __future__ import annotations

from typing import Final

_NETWORK: Final = {
    "small_world": "watts_strogatz", "newman_watts_strogatz": "watts_strogatz",
    "barabasi_albert": "preferential", "scale_free": "preferential", "erdos_renyi": "random",
    "gnp": "random", "lattice": "ring", "circle": "ring", "full": "complete", "none": "empty",
}  # fmt: skip
_SPACE: Final = {
    "torus": "grid", "lattice": "grid", "discrete": "grid", "hex": "grid", "2d": "continuous",
    "3d": "continuous", "euclidean": "continuous", "plane": "continuous",
}  # fmt: skip
KINDS: Final = {"network": _NETWORK, "space": _SPACE}
"""What is declared -> another name of a kind -> the kind."""

SPACE_KEYS: Final = {
    "wrap": "torus = true", "wrapped": "torus = true", "toroidal": "torus = true",
    "periodic": "torus = true", "bounded": "torus = false", "size": "width and height",
    "dimensions": 'depth = 50, which makes a space of kind = "continuous" 3-D',
    "moore": "neighbors = 8", "max_per_cell": "single = true", "capacity": "single = true",
}  # fmt: skip
"""Another name of a key of a space -> what to write."""

NEIGHBORHOODS: Final = {
    "moore": "8", "von_neumann": "4", "von neumann": "4", "neumann": "4", "hexagonal": '"hex"',
}  # fmt: skip
"""Another name of a neighbourhood -> what to write."""

OTHER_REGIMES: Final = {
    "sequential": "ordered", "simultaneous": "synchronous", "parallel": "synchronous",
    "asynchronous": "random", "shuffled": "random", "random_sequential": "random",
    "staged": "by_type",
}  # fmt: skip
"""Another name of a regime -> the regime."""
