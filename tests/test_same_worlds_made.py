"""Worlds made of random actions: one outcome, whatever the workers, the VM and restores."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from test_same_worlds import (
    ASKS,
    NETWORKS,
    ORDINARY,
    PLACES,
    SPACES,
    actions,
    gone_on,
    played,
    world,
)
from worlds import same_for

from runtime import protocol as p

TICKS = 5


@dataclass(frozen=True)
class Case:
    """A world and how to run it; ``restore``: at which tick, from and to how many workers, on
    which VM."""

    spec: p.ModelSpec
    seed: int
    restore: tuple[int, int, int, int]

    def __repr__(self) -> str:
        sources = "\n".join(f"-- {t.name}\n{t.source}" for t in self.spec.types)
        return f"seed={self.seed} restore={self.restore} {self.spec.environment}\n{sources}"


REGIMES = ('"random"', '"ordered"', '"uniform"', '{ by_type = ["b", "a"] }')


@st.composite
def cases(draw: st.DrawFn, *, sequential: bool = False) -> Case:
    space = draw(st.sampled_from(sorted(SPACES)))
    network = draw(st.sampled_from(NETWORKS))
    action = st.sampled_from(actions(space, network) + (ASKS if sequential else ()))
    regime = draw(st.sampled_from(REGIMES)) if sequential else '"synchronous"'
    chance = st.sampled_from(["true", "random() < 0.3", "tick() % 3 == 1", "self.id % 2 == 0"])
    lines = st.lists(st.builds("if {} then {} end".format, chance, action), min_size=3, max_size=9)
    places = PLACES.get(space, ORDINARY)
    if space != "single":
        places = (draw(st.sampled_from(["", *places])), places[1])
    else:
        places = (places[0], draw(st.sampled_from(["", places[0]])))
    spec = world(space, network, {"a": draw(lines), "b": draw(lines)}, draw(lines), places, regime)
    workers = st.sampled_from([1] if sequential else [1, 2, 3, 5])
    restore = (
        draw(st.integers(0, TICKS - 1)),
        draw(workers),
        draw(workers),
        draw(st.integers(0, 1)),
    )
    return Case(spec, draw(st.integers(0, 2**53 - 1)), restore)


@given(cases())
@settings(max_examples=12)
def test_4_08_any_world_has_one_outcome_for_1_2_3_5_workers_over_runs_and_on_both_vms(
    case: Case,
) -> None:
    places = [(1, "luajit21"), (1, "luajit21"), (2, "luajit21"), (3, "luajit21"), (5, "lua52")]
    same_for(places, lambda place: played(case.spec, place[0], place[1], TICKS, case.seed))


@given(cases())
@settings(max_examples=12)
def test_4_17_any_world_goes_on_identically_after_a_restore_on_other_workers(case: Case) -> None:
    same_for(((), case.restore), lambda way: gone_on(case.spec, way, TICKS, case.seed))


@given(cases(sequential=True))
@settings(max_examples=12)
def test_4_12_any_sequential_world_has_one_outcome_on_both_vms_and_after_a_restore(
    case: Case,
) -> None:
    places = [(1, "luajit21"), (1, "luajit21"), (1, "lua52")]
    same_for(places, lambda place: played(case.spec, place[0], place[1], TICKS, case.seed))
    same_for(((), case.restore), lambda way: gone_on(case.spec, way, TICKS, case.seed))
