"""The benchmark models as ABMFrameworksComparison declares them, in their large size, beside Mesa.

Timed are the declared steps from the start, without creation and without metrics on either side;
each sample is of a new simulation, so that ours includes what the JIT compiler takes.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from bench.harness import CheckFailed, Options, Row, Target, in_turn, ratio, require_equal
from bench.product import Product, Running, product
from bench.sources import LIBRARY
from bench.yardsticks import mesa_coin
from bench.yardsticks.mesa_worlds import MesaWorld

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Declared:
    """A declared model. ``expected``: figure -> what it is on average over many runs, and how far
    one run may be off: four standard deviations between runs, where they are known."""

    name: str
    agents: int
    ticks: int
    figures: Callable[[Running], Figures]
    expected: Mapping[str, tuple[float, float]]
    at_least: float
    """Times as fast as Mesa."""


def _people(running: Running) -> Figures:
    alike = "env.alike(self.id)"
    return {
        "happy": _number(running.ask("person", "count()", f"{alike} >= 8")) / 8000,
        "similar": _number(running.ask("person", f"mean({alike} / env.around(self.id))")),
    }


def _animals(running: Running) -> Figures:
    grass = "layer.grass:count(0) / (space.width * space.height)"
    # Whoever is alive can be asked about the grass; if nobody is, the populations say enough.
    return {
        "sheep": running.info.agents["sheep"],
        "wolves": running.info.agents["wolf"],
        "grass": _number(running.ask("wolf", f"max({grass})") or 0),
    }


def _birds(running: Running) -> Figures:
    whole = "math.abs(self.vx ^ 2 + self.vy ^ 2 - 1) < 1e-9"
    require_equal("birds at speed 1", running.ask("bird", "count()", whole), 400)
    x, y = (_number(running.ask("bird", f"mean(self.{field})")) for field in ("vx", "vy"))
    return {"polarisation": math.hypot(x, y)}


SCHELLING = Declared(
    "schelling", 8000, 20, _people, {"happy": (0.9998, 0.001), "similar": (0.831, 0.04)}, 6
)
WOLF_SHEEP = Declared(
    "wolf_sheep",
    1500,
    100,
    _animals,
    {"sheep": (1305, 420), "wolves": (2469, 680), "grass": (0.60, 0.08)},
    10,
)
FLOCKING = Declared("flocking", 400, 100, _birds, {"polarisation": (0.15, 0.28)}, 15)


def run(model: Declared, options: Options) -> Iterator[Row]:
    """One row: these sizes are part of the declaration, and their regimes run on one worker."""
    repeats = options.repeats or 3
    ours: list[Figures] = []
    theirs: list[Figures] = []
    with product() as made:
        contestants = {"ours": lambda: _ours(made, model, ours)}
        if mesa_coin.INSTALLED:
            contestants["mesa"] = lambda: _mesa(model, theirs)
        samples = in_turn(repeats, contestants)
    milliseconds = [seconds * 1e3 for seconds in samples["ours"]]
    remark = _told(ours)
    if theirs:
        remark += f" (Mesa: {_told(theirs)})"
    yield Row(
        name=model.name,
        agents=model.agents,
        workers=1,
        checked=True,
        check="; ".join(f"{name} {mean} ± {off}" for name, (mean, off) in model.expected.items()),
        repeats=repeats,
        ticks=model.ticks,
        value=statistics.median(milliseconds),
        unit="ms",
        ratio_to_mesa=ratio(samples.get("mesa"), samples["ours"]),
        targets=(Target("ratio_to_mesa", ">=", model.at_least),),
        remark=remark,
        notes={"lowest": min(milliseconds), "highest": max(milliseconds)},
    )


def _ours(made: Product, model: Declared, seen: list[Figures]) -> float:
    seed = len(seen) + 1
    running = made.create(LIBRARY / model.name, {"size": "large"}, workers=1, seed=seed)
    seconds = running.advance(model.ticks)
    seen.append(_checked(model.name, model.figures(running), model))
    running.remove()
    return seconds


def _mesa(model: Declared, seen: list[Figures]) -> float:
    world = MesaWorld(model.name, len(seen) + 1)
    seconds = world.advance(model.ticks)
    seen.append(_checked(f"Mesa's {model.name}", world.figures(), model))
    return seconds


def _checked(who: str, found: Figures, model: Declared) -> Figures:
    for name, (mean, off) in model.expected.items():
        if not abs(found[name] - mean) <= off:
            raise CheckFailed(f"{who}: {name} {found[name]:.5g}, expected {mean} ± {off}")
    return found


def _told(seen: list[Figures]) -> str:
    """The means over all rounds."""
    means = {name: statistics.fmean(each[name] for each in seen) for name in seen[0]}
    return ", ".join(f"{name} {mean:.4g}" for name, mean in means.items())


def _number(answer: object) -> float:
    if not isinstance(answer, int | float):
        raise CheckFailed(f"the answer to a query is {answer!r}, not a number")
    return answer


schelling = partial(run, SCHELLING)
wolf_sheep = partial(run, WOLF_SHEEP)
flocking = partial(run, FLOCKING)
