"""Numbers of workers, and who hosts which shard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.core.placement import (
    Placement,
    initial_placement,
    memory_for,
    shard_size_for,
    shards_for,
    workers_for,
)


@pytest.mark.parametrize(
    ("agents", "cores", "workers"),
    [(0, 8, 1), (19_999, 8, 1), (20_000, 8, 2), (20_000, 1, 1), (55_000, 8, 5), (10**6, 8, 8)],
)
def test_the_number_of_workers_follows_from_the_agents(agents, cores, workers):
    assert workers_for(agents, cores) == workers


@pytest.mark.parametrize(
    ("agents", "size"), [(0, 1), (1, 1), (64, 1), (65, 2), (10_000, 157), (10**6, 1024)]
)
def test_the_shard_size_is_a_64th_of_the_agents_within_bounds(agents, size):
    assert shard_size_for(agents) == size


def test_the_limit_of_memory_is_the_models_own_or_a_share_of_half_the_machine():
    assert memory_for(8 << 30, 2, 0) == 2 << 30
    assert memory_for(8 << 30, 2, 100) == 100 << 20


def test_initial_shards_lie_contiguously():
    assert initial_placement(7, 3) == [0, 0, 0, 1, 1, 2, 2]
    assert initial_placement(1, 3) == [0]
    assert initial_placement(0, 3) == []


@given(st.integers(0, 300), st.integers(1, 9))
def test_initial_shards_are_spread_evenly_and_in_order(shards, workers):
    placed = initial_placement(shards, workers)
    assert placed == sorted(placed)
    sizes = [placed.count(w) for w in range(workers)]
    assert max(sizes) - min(sizes) <= 1


def test_a_new_shard_goes_to_the_worker_with_fewest_agents_ties_to_the_lowest():
    placement = Placement(next_id=9, shard_size=2, workers=2)
    assert placement.shards == [0, 0, 1, 1]
    assert placement.grow(6, [4, 3]) == [1, 0, 1]
    assert placement.next_id == 15
    assert placement.of(0) == [0, 1, 5]
    assert placement.of(1) == [2, 3, 4, 6]


def test_agents_that_fill_the_last_shard_count_for_its_worker():
    placement = Placement(next_id=8, shard_size=4, workers=2)
    assert placement.shards == [0, 1]
    assert placement.grow(1, [4, 3]) == []
    assert placement.grow(1, [4, 4]) == [0]


@given(st.integers(0, 100), st.integers(1, 8), st.integers(1, 5), st.lists(st.integers(0, 40)))
def test_every_id_has_a_shard_and_every_shard_one_worker(agents, size, workers, spawns):
    placement = Placement(agents + 1, size, workers)
    for spawned in spawns:
        before = list(placement.shards)
        opened = placement.grow(spawned, [0] * workers)
        assert placement.shards == before + opened
    assert placement.next_id == agents + 1 + sum(spawns)
    assert len(placement.shards) == shards_for(placement.next_id, size)
    assert sorted(s for w in range(workers) for s in placement.of(w)) == list(
        range(len(placement.shards))
    )
