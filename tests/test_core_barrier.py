"""What a round of answers takes and what it refuses."""

import pytest

from runtime.core.barrier import Barrier
from runtime.protocol import Closed, Dumped, Fault, Hello, Refused, Stepped


def step(worker=0, tick=4, epoch=7, **fields):
    return Stepped(worker=worker, epoch=epoch, tick=tick, **fields)


@pytest.fixture
def barrier():
    barrier = Barrier(7)
    barrier.open(Stepped, 4, 3, 0.0)
    return barrier


def test_answers_come_out_in_worker_order_however_they_arrive(barrier):
    answers = {w: (step(w), [bytes([w])]) for w in range(3)}
    assert [barrier.add(w, *answers[w]) for w in (2, 0, 1)] == [False, False, True]
    assert barrier.close() == [answers[0], answers[1], answers[2]]
    assert not barrier.is_open


def test_it_knows_who_is_missing(barrier):
    barrier.add(1, step(1), [])
    assert barrier.missing() == [0, 2]


@pytest.mark.parametrize(
    ("worker", "answer", "blobs", "reason"),
    [
        (0, step(epoch=6), [], "Stepped of epoch 6; this is epoch 7"),
        (0, step(tick=3), [], "Stepped of tick 3; open is tick 4"),
        (0, step(tick=5), [], "Stepped of tick 5; open is tick 4"),
        (0, step(worker=1), [], "Stepped signed by worker 1"),
        (0, Closed(worker=0, epoch=7, tick=4), [], "Closed where Stepped is due"),
        (0, Dumped(worker=0, epoch=7, tick=4), [], "Dumped where Stepped is due"),
        (3, step(worker=3), [], "Stepped that was not asked for"),
        (0, step(out=[1]), [], "Stepped announces 1 batches and carries 0"),
        (0, step(out=[1]), [b"", b""], "Stepped announces 1 batches and carries 2"),
        (0, step(out=[3]), [b""], "Stepped with a batch for worker 3"),
        (0, step(out=[-1]), [b""], "Stepped with a batch for worker -1"),
        (0, step(out=[0]), [b""], "Stepped with a batch for worker 0"),
        (
            0,
            Hello(protocol=1, language="lua", capabilities=[], pid=1, token="x"),
            [],
            "a second Hello",
        ),
    ],
)
def test_an_answer_out_of_place_is_refused_with_its_reason(barrier, worker, answer, blobs, reason):
    assert barrier.refusal(worker, answer, blobs) == reason


def test_a_second_answer_is_refused(barrier):
    barrier.add(0, step(0), [])
    assert barrier.refusal(0, step(0), []) == "Stepped that was not asked for"


def test_nothing_is_taken_while_no_round_is_open():
    assert Barrier(7).refusal(0, step(), []) == "Stepped that was not asked for"


@pytest.mark.parametrize(
    "answer",
    [
        step(),
        step(tick=3, fault=Fault("script", "no")),
        step(tick=3, ended="stop", ended_tick=3),
        Refused(worker=0, epoch=7, tick=1, reason="no"),
    ],
)
def test_an_answer_in_place_is_not_refused(barrier, answer):
    assert barrier.refusal(0, answer, []) == ""


@pytest.mark.parametrize(
    ("tick", "fits"), [(2, False), (3, True), (4, True), (9, True), (10, False)]
)
def test_a_grant_may_be_answered_with_any_of_its_ticks_or_the_one_before(tick, fits):
    barrier = Barrier(7)
    barrier.open(Stepped, 4, 1, 0.0, last=9)
    assert (barrier.refusal(0, step(tick=tick), []) == "") is fits
