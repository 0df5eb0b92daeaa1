"""The point where every worker has answered.

A barrier is opened for one kind of answer, about one tick, from some workers. What does not fit is
refused with a reason and changes nothing: an answer of an old epoch or tick, a second answer, one
that nobody asked for. Answers are kept by worker, so the order of their arrival cannot reach a
result.
"""

from __future__ import annotations

from collections.abc import Sequence

from runtime.protocol import Answer, AnyAnswer, Hello, Refused, Stepped

Arrived = tuple[Answer, Sequence[bytes]]


class Barrier:
    """Collects one round of answers of one simulation's workers."""

    __slots__ = ("_answers", "_expected", "_kind", "_last", "_missing", "epoch", "opened", "tick")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.tick = -1
        self.opened = 0.0
        """When the round was opened, on the shell's clock."""
        self._kind: type[Answer] | None = None
        self._last = -1
        self._expected = 0
        self._missing = 0
        self._answers: list[Arrived | None] = []

    def open(self, kind: type[Answer], tick: int, workers: int, now: float, last: int = -1) -> None:
        """Wait for one ``kind`` about ``tick`` from workers 0 … ``workers`` - 1.

        ``last`` > ``tick`` opens a grant: the answer may speak of any tick from ``tick`` - 1 (the
        first one failed) to ``last``.
        """
        if self._missing:
            raise AssertionError(f"the round of tick {self.tick} still misses {self.missing()}")
        self._kind = kind
        self.tick = tick
        self._last = last
        self._expected = self._missing = workers
        self._answers = [None] * workers
        self.opened = now

    @property
    def is_open(self) -> bool:
        """Whether an answer is still missing."""
        return self._missing > 0

    def missing(self) -> list[int]:
        """The workers whose answers are missing, in order."""
        return [w for w, arrived in enumerate(self._answers) if arrived is None]

    def refusal(self, worker: int, answer: AnyAnswer, blobs: Sequence[bytes]) -> str:
        """Why this answer must be refused, or ''."""
        if isinstance(answer, Hello):
            return "a second Hello"
        name = type(answer).__name__
        if answer.epoch != self.epoch:
            return f"{name} of epoch {answer.epoch}; this is epoch {self.epoch}"
        if answer.worker != worker:
            return f"{name} signed by worker {answer.worker}"
        if worker >= self._expected or self._answers[worker] is not None:
            return f"{name} that was not asked for"
        kind = self._kind
        if type(answer) is not kind and type(answer) is not Refused:
            return f"{name} where {kind.__name__ if kind else 'nothing'} is due"
        tick = answer.tick
        if (
            tick != self.tick
            and not (self._last > self.tick and self.tick - 1 <= tick <= self._last)
            and not self._may_stand_before(answer)
        ):
            return f"{name} of tick {tick}; open is tick {self.tick}"
        if isinstance(answer, Stepped):
            out = answer.out
            if len(out) != len(blobs):
                return f"{name} announces {len(out)} batches and carries {len(blobs)}"
            for to in out:
                if not 0 <= to < self._expected or to == worker:
                    return f"{name} with a batch for worker {to}"
        return ""

    def _may_stand_before(self, answer: Answer) -> bool:
        """A tick that was not run, or that failed, may be answered with the tick before it; a
        refusal with any."""
        if isinstance(answer, Stepped):
            return answer.tick == self.tick - 1 and (answer.fault is not None or bool(answer.ended))
        return type(answer) is Refused

    def add(self, worker: int, answer: Answer, blobs: Sequence[bytes]) -> bool:
        """Take an answer that ``refusal`` found in place; true when it was the last one."""
        self._answers[worker] = (answer, blobs)
        self._missing -= 1
        return not self._missing

    def close(self) -> list[Arrived]:
        """Every answer of the round, in worker order."""
        arrived = [a for a in self._answers if a is not None]
        self.abandon()
        return arrived

    def abandon(self) -> None:
        """Wait for nothing any more."""
        self._expected = self._missing = 0
        self._answers = []
        self._kind = None
