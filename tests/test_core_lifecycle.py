"""The table of a simulation's life."""

import pytest

from runtime.core.lifecycle import TRANSITIONS, Event, OutOfPlace, Phase, advance, diagram


def test_a_pair_in_the_table_leads_to_its_phase():
    for (phase, event), after in TRANSITIONS.items():
        assert advance("ring-1", phase, event) is after


def test_a_pair_not_in_the_table_names_who_where_and_what():
    with pytest.raises(OutOfPlace) as caught:
        advance("ring-1", Phase.FAILED, Event.RUN_OPENED)
    assert str(caught.value) == "ring-1 is failed: 'run opened' has no place there"


def test_every_phase_but_failed_can_be_left():
    assert {phase for phase, _ in TRANSITIONS} == set(Phase) - {Phase.FAILED}


def test_a_fault_fails_a_simulation_wherever_it_stands():
    assert {advance("x", p, Event.FAULT) for p in set(Phase) - {Phase.FAILED}} == {Phase.FAILED}


def test_the_drawing_has_a_line_for_every_pair_of_the_table():
    drawing = diagram()
    assert drawing.count("-->") == len(TRANSITIONS) + 1
    assert "running --> ready: ticks, until or cancel" in drawing
