"""Forest fire, sandpile and Game of Life: large lattices with exact outcomes."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

from bench.harness import CheckFailed, Options, Row, Target, in_turn, require_equal
from bench.product import Product, Running, product, timed_creation
from bench.sources import LIBRARY, OWN
from runtime.protocol import Scalar

FIRE_SIDE, FIRE_DENSITY, FIRE_TICKS = 500, 0.9, 100
"""The declared benchmark; the fire then burns on to its end."""

PILE = {"topplings": 77_107_818, "ones": 2348, "twos": 7960, "threes": 15_756, "lost": 0}
"""Of 65 536 grains on one site, by two independent programs; the order of topplings is free."""

LIFE_SIDE, LIFE_TICKS = 1000, 40


def fire(options: Options) -> Iterator[Row]:
    """Seconds to create the forest and burn it down, with its metrics; one row per team."""
    seconds: dict[int, list[float]] = {workers: [] for workers in options.teams(1, 2)}
    digests: set[str] = set()
    with product() as made:
        for _ in range(options.repeats or 3):
            for workers, taken in seconds.items():
                took, running = _burn(made, workers)
                taken.append(took)
                digests.add(running.info.digest)
                require_equal("different digests of the forest", len(digests), 1)
                running.remove()
    for workers, taken in seconds.items():
        yield _whole(
            "fire",
            FIRE_SIDE * FIRE_SIDE,
            workers,
            taken,
            "cells caught after 100 ticks and in the end are those that a search finds; one digest",
        )


def _burn(made: Product, workers: int) -> tuple[float, Running]:
    parameters: dict[str, Scalar] = {"side": FIRE_SIDE, "density": FIRE_DENSITY}
    folder = LIBRARY / "forest_fire"
    created, running = timed_creation(made, folder, parameters, workers, watched=True)
    distances = _search(running)
    began = running.advance(FIRE_TICKS)
    caught = sum(distance <= FIRE_TICKS for distance in distances)
    require_equal("cells caught after 100 ticks", running.ask("tree", *_CAUGHT), caught)
    ended = running.finish(10_000)
    require_equal("cells caught in the end", running.ask("tree", *_CAUGHT), len(distances))
    return created + began + ended, running


_CAUGHT = ("count()", "self.caught")


def _search(running: Running) -> list[int]:
    """Steps from the left column of every tree that the fire will reach, nearest first."""
    side, part = FIRE_SIDE, 100_000
    trees: set[int] = set()
    for first in range(0, side * side, part):
        where = f"self.id > {first} and self.id <= {first + part}"
        trees.update(_whole_number(tree) - 1 for tree in running.column("tree", "self.id", where))
    reached, edge, distance = [], {y * side for y in range(side)}, 0
    while edge:
        trees -= edge
        reached += [distance] * len(edge)
        found = {cell + way for cell in edge for way in (-side, side)}
        found |= {cell - 1 for cell in edge if cell % side > 0}
        found |= {cell + 1 for cell in edge if cell % side < side - 1}
        edge, distance = found & trees, distance + 1
    return reached


def sandpile(options: Options) -> Iterator[Row]:
    """Seconds to create the pile and let it come to rest, with its metrics."""
    for workers in options.teams(1):
        taken = []
        with product() as made:
            for _ in range(options.repeats or 1):
                folder = LIBRARY / "sandpile"
                created, running = timed_creation(
                    made, folder, {"grains": 65_536}, workers, watched=True
                )
                taken.append(created + running.finish(1_000_000))
                found = {name: running.info.metrics[name].last for name in PILE}
                require_equal("the pile at rest", found, PILE)
                sites = running.info.agents["site"]
                running.remove()
        yield _whole("sandpile", sites, workers, taken, "topplings, sites of each height")


def _whole(name: str, agents: int, workers: int, taken: list[float], check: str) -> Row:
    """A row of seconds of creation and run together."""
    return Row(
        name=name,
        agents=agents,
        workers=workers,
        checked=True,
        check=check,
        repeats=len(taken),
        value=statistics.median(taken),
        unit="s",
        targets=(Target("value", "<=", 60),),
        notes={"lowest": min(taken), "highest": max(taken)},
    )


def life(options: Options) -> Iterator[Row]:
    """Steps per second; ``agents`` of the row are the cells."""
    repeats = options.repeats or 5
    board = Board(LIFE_SIDE)
    for workers in options.teams(1):
        with product() as made:
            running = made.create(OWN / "life", {"side": LIFE_SIDE}, workers=workers)
            rates = in_turn(repeats, {"ours": _generations(running, board)})["ours"]
        yield Row(
            name="life",
            agents=LIFE_SIDE**2,
            workers=workers,
            checked=True,
            check="cells alive are as many as another program has",
            repeats=repeats,
            ticks=LIFE_TICKS,
            value=statistics.median(rates),
            unit="ticks/s",
            targets=(Target("value", ">=", 10),),
            notes={"lowest": min(rates), "highest": max(rates)},
        )


def _generations(running: Running, board: Board) -> Callable[[], float]:
    def sample() -> float:
        seconds = running.advance(LIFE_TICKS)
        alive = running.ask("watcher", "max(layer.cell:sum())")
        require_equal("cells alive", alive, board.alive(running.info.tick))
        return LIFE_TICKS / seconds

    return sample


class Board:
    """Life on a torus as one whole number, a bit per cell, so that all cells are summed at once."""

    def __init__(self, side: int) -> None:
        self._side = side
        self._left = sum(1 << y * side for y in range(side))
        """The cells of column 0."""
        self._all = (1 << side * side) - 1
        bits = "".join(
            "01"[(7919 * x + 104_729 * y + 31_337 * x * y) * 48_271 % 2_147_483_647 % 100 < 37]
            for y in reversed(range(side))
            for x in reversed(range(side))
        )
        self._cells = int(bits, 2)
        self._counts = [self._cells.bit_count()]

    def alive(self, tick: int) -> int:
        """Cells alive at a tick."""
        while len(self._counts) <= tick:
            self._step()
            self._counts.append(self._cells.bit_count())
        return self._counts[tick]

    def _step(self) -> None:
        side, cells = self._side, self._cells
        right = self._left << side - 1
        rows = []
        for row in (cells, self._turned(cells, side), self._turned(cells, side * (side - 1))):
            rows.append((row & ~right) << 1 | (row & right) >> side - 1)
            rows.append((row & ~self._left) >> 1 | (row & self._left) << side - 1)
            rows.append(row)
        del rows[2]  # the cells themselves
        ones = twos = fours = 0
        for row in rows:
            carry = ones & row
            ones ^= row
            fours |= twos & carry
            twos ^= carry
        self._cells = twos & ~fours & (ones | cells)

    def _turned(self, cells: int, by: int) -> int:
        return (cells << by | cells >> self._side**2 - by) & self._all


def _whole_number(value: object) -> int:
    if not isinstance(value, int | float):
        raise CheckFailed(f"an agent's id is {value!r}")
    return int(value)
